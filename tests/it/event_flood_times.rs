//! The time of a mass revocation under a flood of events, compared with its time without the flood.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::event_floods::Flooded;
use crate::behaviour::harness::incident;
use futures_lite::future::block_on;
use service_tokens::Filter;

/// The time that the sink takes for each event. A revocation that waited for the events of the flood would
/// take seconds.
const DELAY: Duration = Duration::from_micros(500);

/// The pause after three events of the flood. It causes some thousand events a second, which is several times as
/// many as the sink takes, and leaves the processor to the revocation.
const PACE: Duration = Duration::from_micros(200);

/// Comparisons. The medians of both kinds are compared.
const PAIRS: usize = 5;

/// Runs of each kind for one comparison, of which the fastest counts. Other programs can only add to the time of a
/// run, and on a busy machine they multiply it.
const RUNS: usize = 4;

/// Returns the time in which 2,000 tokens are revoked. With a flood, its events have filled their share of the
/// queue before, and a thread causes more of them until the end. Without one, the same thread floods another
/// service, so that it takes the same share of the processor.
fn revocation(flood: bool) -> Duration {
    let (flooded, other) = (Flooded::new(DELAY), Flooded::new(DELAY));
    let _ = flooded.issue_for_acme(2_000);
    let (ready, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let took = std::thread::scope(|scope| {
        scope.spawn(|| {
            let target = if flood { &flooded } else { &other };
            for turn in 0.. {
                target.annoy();
                // Each turn causes three events, and the share of the flood is 4,096.
                ready.fetch_or(turn == 2_000, Ordering::SeqCst);
                if over.load(Ordering::SeqCst) {
                    return;
                }
                if turn > 2_000 {
                    std::thread::sleep(PACE);
                }
            }
        });
        while !ready.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let start = Instant::now();
        let run = flooded.service.owner("acme").revoke_all(Filter::new(), incident()).run();
        assert_eq!(block_on(run).unwrap().done, 2_000);
        let took = start.elapsed();
        over.store(true, Ordering::SeqCst);
        took
    });
    // The sinks do not have to deliver the rest.
    flooded.sink.discard();
    other.sink.discard();
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The quick form, which counts the waits, is `revoke_2000_tokens_in_a_flood_never_waits`.
#[test]
#[ignore = "campaign"]
fn revoke_2000_in_flood_takes_twice_campaign() {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let runs = (0..RUNS).map(|_| (revocation(false), revocation(true)));
        let fastest = runs.reduce(|one, other| (one.0.min(other.0), one.1.min(other.1))).unwrap();
        without.push(fastest.0);
        with.push(fastest.1);
    }
    let (usual, flooded) = (median(without.clone()), median(with.clone()));
    let ratio = flooded.as_secs_f64() / usual.as_secs_f64();
    assert!(ratio <= 2.0, "{ratio:.2} times as long: {without:?} {with:?}");
}
