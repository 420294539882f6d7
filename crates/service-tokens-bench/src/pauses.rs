//! How long the slowest insert takes while a store grows.

use std::time::Instant;

use service_tokens::MemoryStore;

use crate::child::{measure, tell};
use crate::figure::{Asked, Figure};
use crate::poll::ready;
use crate::service::{issue, service};
use crate::stopwatch::{Stopwatch, Took};
use crate::{Plan, size_name};

/// The name of the child's measurement.
pub const CHILD: &str = "pauses";

/// The longest of all issues on the way to so many tokens.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(10_000_000, 200_000);
    let numbers = measure(&[CHILD, &size.to_string()]);
    let name = format!("pauses: longest while growing to {}", size_name(size));
    let note = format!(
        "{:.1} ms of it at work, the rest waiting for the machine; longest work in any one {:.1} ms; \
         {:.2} µs on average",
        numbers[1], numbers[2], numbers[3]
    );
    vec![Figure::new(name, numbers[0], "ms", Asked::AtMost(20.0)).note(note)]
}

/// The child: issues so many tokens and tells of the slowest.
pub fn child(size: usize) {
    let service = service(MemoryStore::new());
    let (mut longest, mut its_work, mut most_work) = (0.0, 0.0, 0.0_f64);
    let begin = Instant::now();
    for n in 0..size {
        let stopwatch = Stopwatch::start();
        let issued = ready(issue(&service, n));
        let Took { wall, work } = stopwatch.read();
        drop(issued.expect("an issued token"));
        if wall > longest {
            (longest, its_work) = (wall, work);
        }
        most_work = most_work.max(work);
    }
    let average = begin.elapsed().as_secs_f64() * 1e6 / size as f64;
    tell(&[longest * 1e3, its_work * 1e3, most_work * 1e3, average]);
}
