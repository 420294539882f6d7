//! A page of one owner's tokens among everybody's.

use std::hint::black_box;
use std::time::Instant;

use service_tokens::{ListRequest, MemoryStore};

use crate::figure::{Asked, Figure};
use crate::poll::ready;
use crate::rounds::median;
use crate::service::{Filled, OWNERS, owner};
use crate::tokens::Picks;
use crate::{Plan, size_name};

/// Fifty tokens of an owner drawn at random.
pub fn figures(plan: Plan) -> Vec<Figure> {
    // Enough for a page of each owner in any case.
    let size = plan.pick(1_000_000, OWNERS * 60);
    let filled = Filled::new(MemoryStore::new(), size);
    let mut picks = Picks::new(4);
    let page = |_| {
        let owner = owner(picks.below(OWNERS));
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
        Figure::new(name, median, "µs", Asked::AtMost(100.0))
            .note(format!("one in a hundred takes {slow:.0} µs or more")),
    ]
}
