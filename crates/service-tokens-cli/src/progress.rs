//! A progress bar on standard error for work that takes long. It appears only on a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The time before the bar appears.
const DELAY: Duration = Duration::from_millis(300);

/// The minimum time between two updates of the bar.
const INTERVAL: Duration = Duration::from_millis(100);

/// The width of the bar in characters.
const WIDTH: u64 = 30;

/// A progress bar, which is erased when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    label: &'static str,
    is_terminal: bool,
    next_update: Instant,
    drawn: bool,
}

impl Progress {
    pub(crate) fn new(label: &'static str) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { label, is_terminal, next_update: Instant::now() + DELAY, drawn: false }
    }

    /// Updates the bar: `done` of `total` is done.
    pub(crate) fn update(&mut self, done: u64, total: u64) {
        if !self.is_terminal || Instant::now() < self.next_update {
            return;
        }
        self.next_update = Instant::now() + INTERVAL;
        self.drawn = true;
        let done = done.min(total);
        let scaled = |parts: u64| {
            u64::try_from(u128::from(done) * u128::from(parts) / u128::from(total.max(1)))
                .unwrap_or(parts)
        };
        let full = "#".repeat(usize::try_from(scaled(WIDTH)).unwrap_or(0));
        let width = usize::try_from(WIDTH).unwrap_or(0);
        let mut terminal = io::stderr().lock();
        let _ = write!(terminal, "\r{} [{full:<width$}] {:>3} %", self.label, scaled(100));
        let _ = terminal.flush();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
