//! Measures the list of one page of an owner's tokens, among the tokens of all owners.

use std::hint::black_box;
use std::time::Instant;

use service_tokens::{ListRequest, MemoryStore};

use crate::figure::{Figure, Target};
use crate::poll::ready;
use crate::rounds::median;
use crate::service::{Filled, OWNERS, owner};
use crate::tokens::Random;
use crate::{Plan, size_name};

/// Measures pages of 50 tokens, each of a random owner.
pub fn figures(plan: Plan) -> Vec<Figure> {
    // In both plans each owner has enough tokens for a page.
    let size = plan.pick(1_000_000, OWNERS * 60);
    let filled = Filled::new(MemoryStore::new(), size);
    let mut random = Random::new(4);
    let page = |_| {
        let owner = owner(random.below(OWNERS));
        let start = Instant::now();
        let page = ready(filled.service.owner(&owner).list(ListRequest::new())).expect("a page");
        let took = start.elapsed().as_secs_f64() * 1e6;
        assert_eq!(black_box(page).items.len(), 50);
        took
    };
    let mut times: Vec<f64> = (0..plan.pick(20_000, 2_000)).map(page).collect();
    let median = median(&mut times);
    let slow = times[times.len() * 99 / 100];
    let name = format!("page: 50 of one of {OWNERS} owners, {} tokens", size_name(size));
    vec![
        Figure::new(name, median, "µs", Target::AtMost(100.0))
            .note(format!("one in a hundred takes {slow:.0} µs or more")),
    ]
}
