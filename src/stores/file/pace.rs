//! The pace of a compaction next to writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The maximum time of one rest. Closing the store waits at most this long for it.
const MAX_REST: Duration = Duration::from_millis(20);

/// The pace of a thread that shares the disk and the cores with the writer.
///
/// The thread rests after each portion of its work for as long as the portion took. So at most half of the
/// syncs that the disk has to do are those of the compaction, and a write waits for one of them at most. If
/// nothing was appended to the journal during the portion, the thread does not rest.
pub(super) struct Pace {
    durable_len: Arc<AtomicU64>,
    seen: u64,
    /// The end of the last rest.
    since: Instant,
}

impl Pace {
    /// Creates the pace next to a writer that has this durable length.
    pub(super) fn new(durable_len: Arc<AtomicU64>) -> Self {
        let seen = durable_len.load(Ordering::Relaxed);
        Self { durable_len, seen, since: Instant::now() }
    }

    /// Rests if the writer has appended to the journal since the last call.
    pub(super) fn rest(&mut self) {
        let len = self.durable_len.load(Ordering::Relaxed);
        if len != self.seen {
            self.seen = len;
            thread::sleep(self.since.elapsed().min(MAX_REST));
        }
        self.since = Instant::now();
    }
}
