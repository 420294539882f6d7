//! Time as it passes, and time in which this thread had a processor.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Runs from its making on.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    wall: Instant,
    work: f64,
}

/// What a stopwatch has counted, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// Time as it passes.
    pub wall: f64,
    /// The part of it in which this thread ran. The rest it slept, or others had the processor.
    pub work: f64,
}

impl Stopwatch {
    /// Starts one.
    pub fn start() -> Self {
        Self { work: work(), wall: Instant::now() }
    }

    /// What it has counted so far.
    pub fn read(&self) -> Took {
        let wall = self.wall.elapsed().as_secs_f64();
        Took { wall, work: work() - self.work }
    }
}

fn work() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
