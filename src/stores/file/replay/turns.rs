//! The order in which threads apply what they have decoded.

use std::sync::{Condvar, Mutex, PoisonError};

use super::locked;

/// Gives each batch its turn, in the order of the file.
#[derive(Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    /// Notified when a turn has ended, and at a stop.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of the batch that is applied next.
    next: u64,
    stopped: bool,
}

/// The answer to a thread that has decoded a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    Later,
    /// No more batches are to be applied.
    Never,
}

impl Turns {
    /// Returns whether it is the turn of the batch with this number.
    pub(super) fn of(&self, number: u64) -> Turn {
        locked(&self.state).turn_of(number)
    }

    /// Waits for the turn of a batch. Never returns [`Turn::Later`].
    pub(super) fn wait_for(&self, number: u64) -> Turn {
        let state = locked(&self.state);
        let is_later = |state: &mut State| state.turn_of(number) == Turn::Later;
        let state = self.ended.wait_while(state, is_later);
        state.unwrap_or_else(PoisonError::into_inner).turn_of(number)
    }

    /// Ends the turn of the batch that was applied.
    pub(super) fn end(&self) {
        locked(&self.state).next += 1;
        self.ended.notify_all();
    }

    /// Lets every thread end.
    pub(super) fn stop(&self) {
        locked(&self.state).stopped = true;
        self.ended.notify_all();
    }
}

impl State {
    fn turn_of(&self, number: u64) -> Turn {
        if self.stopped {
            Turn::Never
        } else if self.next == number {
            Turn::Now
        } else {
            Turn::Later
        }
    }
}
