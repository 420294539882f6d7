//! The rests of a compaction and its turns before the hand-over, in steps without real time.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration as Time, Instant};

use super::double::{Behaviour, Call, Double};
use super::*;
use crate::stores::file::compaction::{CompactionJob, NotCompacted};
use crate::stores::file::format::{Framer, HEADER_LEN, Header};
use crate::stores::file::pace::{Pace, Timer};

/// A clock that stands still until it is moved. A sleep moves it and is recorded.
struct Steps {
    time: Mutex<(Instant, Vec<Time>)>,
    /// Called at every look at the clock.
    look: Box<dyn Fn() + Send + Sync>,
}

impl Steps {
    fn new(look: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { time: Mutex::new((Instant::now(), Vec::new())), look: Box::new(look) })
    }

    fn work(&self, millis: u64) {
        self.time.lock().unwrap().0 += Time::from_millis(millis);
    }

    /// Returns the sleeps so far in milliseconds.
    fn sleeps(&self) -> Vec<u128> {
        self.time.lock().unwrap().1.iter().map(Time::as_millis).collect()
    }
}

impl Timer for Steps {
    fn now(&self) -> Instant {
        (self.look)();
        self.time.lock().unwrap().0
    }

    fn sleep(&self, time: Time) {
        let mut state = self.time.lock().unwrap();
        state.0 += time;
        state.1.push(time);
    }
}

/// Returns a pace, its clock, and the length to which the writer appends.
fn pace() -> (Pace, Arc<Steps>, Arc<AtomicU64>) {
    let (steps, len) = (Steps::new(|| {}), Arc::new(AtomicU64::new(100)));
    (Pace::new(len.clone(), steps.clone()), steps, len)
}

#[test]
fn rest_next_to_writes_is_longer_than_the_work() {
    let (mut pace, steps, len) = pace();
    for millis in [4, 2, 12] {
        steps.work(millis);
        len.fetch_add(1, Ordering::Relaxed);
        pace.rest();
    }
    // The time of a rest is no work.
    assert_eq!(steps.sleeps(), [6, 3, 18]);
}

#[test]
fn rest_after_long_work_is_bounded() {
    let (mut pace, steps, len) = pace();
    steps.work(1_000);
    len.fetch_add(1, Ordering::Relaxed);
    pace.rest();
    assert_eq!(steps.sleeps(), [20]);
}

#[test]
fn work_without_writes_has_no_rest() {
    let (mut pace, steps, len) = pace();
    for _ in 0..3 {
        steps.work(5);
        pace.rest();
    }
    assert_eq!(steps.sleeps(), [0; 0]);
    // Only the portion next to which something was written counts.
    steps.work(2);
    len.fetch_add(1, Ordering::Relaxed);
    pace.rest();
    steps.work(7);
    pace.rest();
    assert_eq!(steps.sleeps(), [3]);
}

/// A journal of many records, and the offsets at which its frames end.
fn journal(place: &Place, records: u64) -> (Header, Vec<u64>) {
    drop(place.open_quiet());
    let mut bytes = std::fs::read(place.path()).unwrap();
    let header = Header::read(&bytes).unwrap();
    let (mut framer, mut ends) = (Framer::new(header.seed(), 1), vec![HEADER_LEN as u64]);
    for n in 0..records {
        framer.put(&mut bytes, id(n), n + 1, None, &record(n).to_bytes());
        ends.push(bytes.len() as u64);
    }
    std::fs::write(place.path(), &bytes).unwrap();
    (header, ends)
}

/// Raises the durable length by at least this many bytes, to the end of a frame.
fn append(len: &AtomicU64, ends: &[u64], bytes: u64) {
    let wanted = len.load(Ordering::Relaxed) + bytes;
    len.store(ends[ends.partition_point(|end| *end < wanted)], Ordering::Release);
}

/// Prepares a compaction up to its hand-over.
fn prepare(
    place: &Place,
    header: Header,
    double: &Double,
    durable_len: Arc<AtomicU64>,
    timer: Arc<Steps>,
) -> Result<(), NotCompacted> {
    let job = CompactionJob {
        path: place.path(),
        new_path: place.path().with_extension("journal.compacting"),
        directory: double.directory(),
        header,
        access: None,
        durable_len,
        cancelled: Arc::new(AtomicBool::new(false)),
        timer,
    };
    let mut prepared = None;
    job.run(|outcome| prepared = Some(outcome.map(drop)));
    prepared.unwrap()
}

/// Returns the number of syncs before the hand-over if the writer appends this many kilobytes during each of
/// them, and nothing after the last one.
fn syncs(appended: &'static [u64]) -> usize {
    let place = Place::in_memory();
    let (header, ends) = journal(&place, 6_000);
    // The compaction starts with less than is written at once, and less is appended in each turn.
    let len = Arc::new(AtomicU64::new(ends[500]));
    let (writer, syncs) = (len.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = syncs.clone();
    let double = Double::new(move |_, call| {
        if matches!(call, Call::Sync(_)) {
            let sync = counted.fetch_add(1, Ordering::Relaxed);
            append(&writer, &ends, appended.get(sync).copied().unwrap_or(0) << 10);
        }
        Behaviour::Obey
    });
    prepare(&place, header, &double, len, Steps::new(|| {})).unwrap();
    syncs.load(Ordering::Relaxed)
}

#[test]
fn turns_go_on_until_little_is_left() {
    assert_eq!(syncs(&[]), 1);
    assert_eq!(syncs(&[63]), 1);
    assert_eq!(syncs(&[120, 100, 80, 30]), 4);
    assert_eq!(syncs(&[120, 30, 120]), 2);
}

#[test]
fn turns_end_when_they_do_not_help() {
    assert_eq!(syncs(&[100, 100, 100, 100]), 2);
    assert_eq!(syncs(&[120, 80, 100, 30]), 3);
}

#[test]
fn compaction_rests_next_to_writes_only() {
    for writes in [false, true] {
        let place = Place::in_memory();
        // Both passes have several portions.
        let (header, ends) = journal(&place, 20_000);
        let len = Arc::new(AtomicU64::new(ends[18_000]));
        let writer = len.clone();
        let timer = Steps::new(move || {
            if writes {
                append(&writer, &ends, 1);
            }
        });
        let double = Double::new(|_, _| Behaviour::Obey);
        prepare(&place, header, &double, len, timer.clone()).unwrap();
        let syncs = double.log().iter().filter(|call| matches!(call, Call::Sync(_))).count();
        assert!(syncs > 2, "{syncs}");
        // A portion is 512 frames, and fewer if a sync ends it. Both passes read 18,000 frames.
        let portions = 2 * (18_000 / 512);
        let rests = if writes { portions..=portions + syncs } else { 0..=0 };
        assert!(rests.contains(&timer.sleeps().len()), "{rests:?}, {}", timer.sleeps().len());
    }
}
