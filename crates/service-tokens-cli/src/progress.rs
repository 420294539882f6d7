//! How far long work has come: on standard error, if that is a terminal, and only where it takes long.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shorter work shows nothing.
const SHORT: Duration = Duration::from_millis(300);

/// Between two drawings.
const PAUSE: Duration = Duration::from_millis(100);

const WIDTH: u64 = 30;

/// A line that is drawn over and over, and wiped when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    is_terminal: bool,
    next: Instant,
    drawn: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { what, is_terminal, next: Instant::now() + SHORT, drawn: false }
    }

    /// So much is done of so much.
    pub(crate) fn show(&mut self, done: u64, total: u64) {
        if !self.is_terminal || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + PAUSE;
        self.drawn = true;
        let done = done.min(total);
        let of = |parts: u64| {
            u64::try_from(u128::from(done) * u128::from(parts) / u128::from(total.max(1)))
                .unwrap_or(parts)
        };
        let full = "#".repeat(usize::try_from(of(WIDTH)).unwrap_or(0));
        let width = usize::try_from(WIDTH).unwrap_or(0);
        let mut terminal = io::stderr().lock();
        let _ = write!(terminal, "\r{} [{full:<width$}] {:>3} %", self.what, of(100));
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
