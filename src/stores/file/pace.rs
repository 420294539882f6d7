//! The pace of a compaction next to writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The maximum time of one rest. Closing the store waits at most this long for it.
const MAX_REST: Duration = Duration::from_millis(20);

/// The number of frames after which the thread rests. Reading them takes about half a millisecond, which is less
/// than a scheduler gives to one thread before another one runs on its core.
const FRAMES_PER_PORTION: u32 = 512;

/// A clock that can also wait.
pub(super) trait Timer: Send + Sync {
    fn now(&self) -> Instant;
    fn sleep(&self, time: Duration);
}

/// The clock of the operating system.
pub(super) struct SystemTimer;

impl Timer for SystemTimer {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }
}

/// The pace of a thread that shares the disk and the cores with the writer.
///
/// The thread rests after each portion of its work for one and a half times as long as the portion took. So a
/// write waits for at most one portion, and most writes for none. If nothing was appended to the journal during
/// the portion, the thread does not rest.
pub(super) struct Pace {
    durable_len: Arc<AtomicU64>,
    timer: Arc<dyn Timer>,
    seen: u64,
    /// The end of the last rest.
    since: Instant,
    /// The number of frames since the last rest.
    frames: u32,
}

impl Pace {
    /// Creates the pace next to a writer that has this durable length.
    pub(super) fn new(durable_len: Arc<AtomicU64>, timer: Arc<dyn Timer>) -> Self {
        let (seen, since) = (durable_len.load(Ordering::Relaxed), timer.now());
        Self { durable_len, timer, seen, since, frames: 0 }
    }

    /// Counts a frame that was read, and rests after enough of them.
    pub(super) fn after_frame(&mut self) {
        self.frames += 1;
        if self.frames == FRAMES_PER_PORTION {
            self.rest();
        }
    }

    /// Rests if the writer has appended to the journal since the last call.
    pub(super) fn rest(&mut self) {
        let len = self.durable_len.load(Ordering::Relaxed);
        if len != self.seen {
            self.seen = len;
            let worked = self.timer.now().duration_since(self.since);
            self.timer.sleep((worked * 3 / 2).min(MAX_REST));
        }
        self.since = self.timer.now();
        self.frames = 0;
    }
}
