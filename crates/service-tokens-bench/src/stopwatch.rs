//! Measures wall time, and the time in which this thread had a processor.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// A running stopwatch.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    wall: Instant,
    work: f64,
}

/// The times that a stopwatch has measured, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// The wall time.
    pub wall: f64,
    /// The part of the wall time in which this thread ran. In the rest it slept, or other threads had the
    /// processor.
    pub work: f64,
}

impl Stopwatch {
    /// Starts a stopwatch.
    pub fn start() -> Self {
        Self { work: work(), wall: Instant::now() }
    }

    /// Returns the times since the start.
    pub fn read(&self) -> Took {
        let wall = self.wall.elapsed().as_secs_f64();
        Took { wall, work: work() - self.work }
    }
}

fn work() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
