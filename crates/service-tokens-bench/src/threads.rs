//! Measures the gain of a second thread with many tokens, and with one token that both threads verify.

use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use service_tokens::MemoryStore;

use crate::figure::{Figure, Target};
use crate::floor::Floor;
use crate::rounds::median;
use crate::service::{Filled, flush, verifying};
use crate::tokens::{Random, Tokens};
use crate::{Plan, size_name};

/// The number of verifications between two readings of the clock.
const BATCH: usize = 256;

/// Creates the work of a thread from its number.
type Work<'w> = dyn Fn(usize) -> Box<dyn FnMut(usize) + 'w> + Sync + 'w;

/// Measures the throughput of two threads relative to one. The floor has one map per thread.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(1_000_000, 20_000);
    let rounds = plan.pick(100, 12);
    let slice = Duration::from_millis(plan.pick(25, 10));
    let filled = Filled::new(MemoryStore::new(), size);
    let floors: Vec<Floor> = (0..2).map(|_| Floor::of(filled.tokens.iter())).collect();
    let one = Tokens::new(filled.tokens.iter().take(1));

    let mut figures = Vec::new();
    for (name, tokens) in [(size_name(size), &filled.tokens), ("one hot token".to_owned(), &one)] {
        // The threads start far apart, so that they do not share cached records.
        let start = |thread: usize| thread * tokens.len() / 2;
        let service: &Work<'_> =
            &|thread| Box::new(verifying(&filled.service, tokens, start(thread)));
        let floor: &Work<'_> = &|thread| Box::new(floors[thread].verifying(tokens, start(thread)));
        let (mut scaling, mut floor_scaling) = (Vec::new(), Vec::new());
        let mut random = Random::new(3);
        for _ in 0..rounds {
            let mut order = [0, 1];
            random.shuffle(&mut order);
            for which in order {
                let (work, into) = [(service, &mut scaling), (floor, &mut floor_scaling)]
                    .into_iter()
                    .nth(which)
                    .expect("one of two");
                let alone = throughput(1, slice, work);
                into.push(throughput(2, slice, work) / alone);
            }
            flush(&filled.service);
        }
        let (scaling, floor_scaling) = (median(&mut scaling), median(&mut floor_scaling));
        figures.push(
            Figure::new(
                format!("threads, {name}: scaling against the floor's"),
                scaling / floor_scaling * 100.0,
                "%",
                Target::AtLeast(85.0),
            )
            .note(format!(
                "two threads relative to one: service {scaling:.2}, floor {floor_scaling:.2}"
            )),
        );
    }
    figures
}

/// Returns the verifications per second of all threads together.
fn throughput(threads: usize, slice: Duration, work: &Work<'_>) -> f64 {
    let begin = Arc::new(Barrier::new(threads));
    std::thread::scope(|scope| {
        let run = |thread: usize| {
            let begin = begin.clone();
            scope.spawn(move || {
                let mut body = work(thread);
                body(BATCH);
                begin.wait();
                let (start, mut done) = (Instant::now(), 0);
                while start.elapsed() < slice {
                    body(BATCH);
                    done += BATCH;
                }
                done as f64 / start.elapsed().as_secs_f64()
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        running.into_iter().map(|thread| thread.join().expect("a thread that ends")).sum()
    })
}
