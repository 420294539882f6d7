//! Measures the slowest insert while a store grows.

use std::time::Instant;

use service_tokens::MemoryStore;

use crate::child::{measure, print_numbers};
use crate::figure::{Figure, Target};
use crate::poll::ready;
use crate::service::{issue, service};
use crate::stopwatch::{Stopwatch, Took};
use crate::{Plan, size_name};

/// The argument that selects this measurement in the child process.
pub const CHILD: &str = "pauses";

/// Measures the slowest issue while the store grows to its full size.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(10_000_000, 200_000);
    let numbers = measure(&[CHILD, &size.to_string()]);
    let name = format!("pauses: longest while growing to {}", size_name(size));
    let note = format!(
        "{:.1} ms of it on the processor, the rest waiting; longest processor time of one issue {:.1} ms; \
         {:.2} µs on average",
        numbers[1], numbers[2], numbers[3]
    );
    vec![Figure::new(name, numbers[0], "ms", Target::AtMost(20.0)).note(note)]
}

/// Issues `size` tokens and prints the times of the slowest issue. It runs in the child process.
pub fn child(size: usize) {
    let service = service(MemoryStore::new());
    let (mut longest, mut work_of_longest, mut longest_work) = (0.0, 0.0, 0.0_f64);
    let begin = Instant::now();
    for n in 0..size {
        let stopwatch = Stopwatch::start();
        let issued = ready(issue(&service, n));
        let Took { wall, work } = stopwatch.read();
        drop(issued.expect("an issued token"));
        if wall > longest {
            (longest, work_of_longest) = (wall, work);
        }
        longest_work = longest_work.max(work);
    }
    let average = begin.elapsed().as_secs_f64() * 1e6 / size as f64;
    print_numbers(&[longest * 1e3, work_of_longest * 1e3, longest_work * 1e3, average]);
}
