//! Measures how much longer calls wait while a large journal is compacted.
//!
//! Four threads issue tokens, one verifies and one lists. The periods with a compaction alternate with periods
//! of the same length without one, so other work on the machine affects both.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use service_tokens::file::FileStoreOptions;
use service_tokens::{FileStore, ListRequest};

use crate::figure::{Figure, Target};
use crate::paths::scratch;
use crate::poll::ready;
use crate::rounds::median;
use crate::service::{Filled, issue, owner, verifying};
use crate::{Plan, size_name};

/// The number of threads that write.
const WRITERS: usize = 4;

/// The pause of the verifying and of the listing thread between two calls. Without it they would have one core
/// for themselves.
const PAUSE: Duration = Duration::from_millis(1);

/// The time after a compaction that still counts, because the old file is closed in it.
const AFTER: Duration = Duration::from_millis(300);

/// The waiting times of one period, in milliseconds.
#[derive(Default)]
struct Waits {
    writes: Vec<f64>,
    verifications: Vec<f64>,
    lists: Vec<f64>,
}

/// The periods of one kind.
#[derive(Default)]
struct Periods {
    write_p999: Vec<f64>,
    write_longest: Vec<f64>,
    verification_p99: Vec<f64>,
    list_p99: Vec<f64>,
}

impl Periods {
    fn add(&mut self, mut waits: Waits) {
        self.write_p999.push(quantile(&mut waits.writes, 0.999));
        self.write_longest.push(quantile(&mut waits.writes, 1.0));
        self.verification_p99.push(quantile(&mut waits.verifications, 0.99));
        self.list_p99.push(quantile(&mut waits.lists, 0.99));
    }
}

/// Measures periods with and without a compaction in turn.
pub fn figures(plan: Plan) -> Vec<Figure> {
    let size = plan.pick(1_000_000, 20_000);
    let folder = scratch();
    let journal = folder.path().join("tokens.journal");
    let store = FileStoreOptions::new().compact_above(u64::MAX).open(&journal);
    let filled = Filled::new(store.expect("a file store"), size);

    let (mut with, mut without, mut durations) =
        (Periods::default(), Periods::default(), Vec::new());
    for _ in 0..plan.pick(5, 1) {
        let mut took = 0.0;
        with.add(period(&filled, || {
            let start = Instant::now();
            ready(filled.service.store().compact()).expect("a compaction");
            took = start.elapsed().as_secs_f64();
            thread::sleep(AFTER);
        }));
        let length = Duration::from_secs_f64(took) + AFTER;
        without.add(period(&filled, || thread::sleep(length)));
        durations.push(took);
    }
    let _ = ready(service_tokens::TokenStore::close(filled.service.store()));

    let mut figures = vec![
        Figure::new(
            format!("compaction: {} tokens, {WRITERS} writers", size_name(size)),
            median(&mut durations),
            "s",
            Target::None,
        )
        .note(format!("a file of {:.0} MB", length(&journal) / 1e6)),
    ];
    let mut compare = |name: &str, with: &mut [f64], without: &mut [f64], target: f64| {
        let (with, without) = (median(with), median(without));
        let note = format!("{with:.2} ms with a compaction, {without:.2} ms without one");
        let name = format!("compaction: {name}, with / without");
        figures.push(Figure::new(name, with / without, "times", Target::AtMost(target)).note(note));
    };
    compare("write p99.9", &mut with.write_p999, &mut without.write_p999, 2.0);
    compare("longest write", &mut with.write_longest, &mut without.write_longest, 3.0);
    // Times of a few microseconds vary by this much by themselves.
    let same = 1.25;
    let verifications = (&mut with.verification_p99, &mut without.verification_p99);
    compare("verification p99", verifications.0, verifications.1, same);
    compare("list p99", &mut with.list_p99, &mut without.list_p99, same);
    figures
}

/// Runs all callers during an action, and returns their waiting times.
fn period(filled: &Filled<FileStore>, action: impl FnOnce()) -> Waits {
    let (ended, next) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ended = &ended;
    let service = &filled.service;
    let next = &next;
    let write =
        || drop(ready(issue(service, next.fetch_add(1, Ordering::Relaxed))).expect("a token"));
    let list = |n: usize| {
        let page = ready(service.owner(&owner(n)).list(ListRequest::new()));
        assert!(!page.expect("a page").items.is_empty());
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| scope.spawn(move || waits(ended, Duration::ZERO, |_| write())))
            .collect();
        let verifier = scope.spawn(move || {
            let mut verify = verifying(service, &filled.tokens, 0);
            waits(ended, PAUSE, |_| verify(1))
        });
        let lister = scope.spawn(move || waits(ended, PAUSE, list));
        action();
        ended.store(true, Ordering::Relaxed);
        Waits {
            writes: writers.into_iter().flat_map(|writer| writer.join().expect("writes")).collect(),
            verifications: verifier.join().expect("verifications"),
            lists: lister.join().expect("lists"),
        }
    })
}

/// Repeats a call until the end, and returns how long each one took in milliseconds.
fn waits(ended: &AtomicBool, pause: Duration, mut call: impl FnMut(usize)) -> Vec<f64> {
    let mut waits = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let start = Instant::now();
        call(waits.len());
        waits.push(start.elapsed().as_secs_f64() * 1e3);
        if !pause.is_zero() {
            thread::sleep(pause);
        }
    }
    waits
}

/// Returns the sample below which this share of all samples is.
fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    samples.get((last as f64 * share).ceil() as usize).copied().unwrap_or(f64::NAN)
}

fn length(path: &std::path::Path) -> f64 {
    std::fs::metadata(path).expect("the file").len() as f64
}
