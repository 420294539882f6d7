//! What a second thread brings: over many tokens, and over one that everybody presents.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use service_tokens::MemoryStore;

use crate::figure::{Asked, Figure};
use crate::floor::Floor;
use crate::rounds::median;
use crate::service::{Filled, flush, verifying};
use crate::tokens::{Picks, Tokens};
use crate::{Plan, size_name};

/// Verifications between two looks at the time.
const AT_ONCE: usize = 256;

/// What one thread does, given which one it is.
type Work<'w> = dyn Fn(usize) -> Box<dyn FnMut(usize) + 'w> + Sync + 'w;

/// Two threads over one, against a floor with a map for each thread.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(1_000_000, 20_000);
    let rounds = plan.pick(100, 12);
    let slice = Duration::from_millis(plan.pick(25, 10));
    let filled = Filled::new(MemoryStore::new(), size);
    let floors: Vec<Floor> = (0..2).map(|_| Floor::of(filled.tokens.iter())).collect();
    let one = Tokens::new(filled.tokens.iter().take(1));

    let mut figures = Vec::new();
    for (name, tokens) in [(size_name(size), &filled.tokens), ("one hot token".to_owned(), &one)] {
        // Far apart, so that no thread finds what another has just read.
        let start = |thread: usize| thread * tokens.len() / 2;
        let service: &Work<'_> =
            &|thread| Box::new(verifying(&filled.service, tokens, start(thread)));
        let floor: &Work<'_> = &|thread| Box::new(floors[thread].verifying(tokens, start(thread)));
        let (mut scaling, mut of_floor) = (Vec::new(), Vec::new());
        let mut picks = Picks::new(3);
        for _ in 0..rounds {
            let mut order = [0, 1];
            picks.shuffle(&mut order);
            for which in order {
                let (work, into) = [(service, &mut scaling), (floor, &mut of_floor)]
                    .into_iter()
                    .nth(which)
                    .expect("one of two");
                let alone = throughput(1, slice, work);
                into.push(throughput(2, slice, work) / alone);
            }
            flush(&filled.service);
        }
        let (scaling, of_floor) = (median(&mut scaling), median(&mut of_floor));
        figures.push(
            Figure::new(
                format!("threads, {name}: scaling against the floor's"),
                scaling / of_floor * 100.0,
                "%",
                Asked::AtLeast(85.0),
            )
            .note(format!("two threads over one: service {scaling:.2}, floor {of_floor:.2}")),
        );
    }
    figures
}

/// Verifications a second of so many threads together.
fn throughput(threads: usize, slice: Duration, work: &Work<'_>) -> f64 {
    let begin = Arc::new(Barrier::new(threads));
    std::thread::scope(|scope| {
        let run = |thread: usize| {
            let begin = begin.clone();
            scope.spawn(move || {
                let mut body = work(thread);
                body(AT_ONCE);
                begin.wait();
                let (start, mut done) = (Instant::now(), 0);
                while start.elapsed() < slice {
                    body(AT_ONCE);
                    done += AT_ONCE;
                }
                done as f64 / start.elapsed().as_secs_f64()
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        running.into_iter().map(|thread| thread.join().expect("a thread that ends")).sum()
    })
}
