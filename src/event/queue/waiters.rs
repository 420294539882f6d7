//! Tasks that wait for room, first come, first served.

use std::collections::BTreeMap;
use std::task::Waker;

/// The waiting tasks by their place in the line.
///
/// A task stays in the line until it has got its room, also after it was woken. So a task that comes later
/// does not get ahead of it. If its future is dropped, it leaves the line, and the next task is woken.
#[derive(Default)]
pub(super) struct Waiters {
    last: u64,
    line: BTreeMap<u64, Waiter>,
}

struct Waiter {
    waker: Waker,
    woken: bool,
}

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Returns whether fewer than `free` tasks are in the line before this place, or before its end.
    pub(super) fn is_served(&self, place: Option<u64>, free: usize) -> bool {
        match place {
            Some(place) => self.line.range(..place).take(free).count() < free,
            None => self.line.len() < free,
        }
    }

    /// Joins the line, or stays in it with this waker.
    pub(super) fn wait(&mut self, place: &mut Option<u64>, waker: &Waker) {
        let place = *place.get_or_insert_with(|| {
            self.last += 1;
            self.last
        });
        self.line.insert(place, Waiter { waker: waker.clone(), woken: false });
    }

    pub(super) fn leave(&mut self, place: u64) {
        self.line.remove(&place);
    }

    /// Returns the wakers of the first `free` tasks that were not woken yet.
    pub(super) fn wake(&mut self, free: usize) -> impl Iterator<Item = Waker> {
        self.line.values_mut().take(free).filter(|waiter| !waiter.woken).map(|waiter| {
            waiter.woken = true;
            waiter.waker.clone()
        })
    }
}
