//! Room in the queue that an operation takes before it acts, so that its event cannot be lost.

use std::future::poll_fn;
use std::task::Poll;

use chrono::{DateTime, Utc};

use super::super::Event;
use super::super::class::Class;
use super::super::sink::guarded;
use super::{Queue, State};

/// The operations that wait for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A token that issues or rotates.
    Act,
    /// One record of a bulk operation.
    Bulk,
}

/// Room for one event. It is free again when this is dropped.
pub(crate) struct Room<'q> {
    queue: &'q Queue,
    purpose: Purpose,
}

/// A place in the line of those who wait for room. A dropped future leaves the line.
struct Place<'q> {
    queue: &'q Queue,
    purpose: Purpose,
    place: Option<u64>,
}

impl Queue {
    /// Waits for room, and takes it.
    pub(in super::super) async fn room(&self, purpose: Purpose) -> Room<'_> {
        let mut waiting = Place { queue: self, purpose, place: None };
        poll_fn(|context| {
            let mut state = self.lock();
            let free = self.free(&state, purpose);
            if !state.waiters(purpose).is_served(waiting.place, free) {
                state.waiters(purpose).wait(&mut waiting.place, context.waker());
                return Poll::Pending;
            }
            *state.taken(purpose) += 1;
            if let Some(place) = waiting.place.take() {
                state.waiters(purpose).leave(place);
            }
            Poll::Ready(Room { queue: self, purpose })
        })
        .await
    }

    /// Returns the number of operations that may take room now.
    fn free(&self, state: &State, purpose: Purpose) -> usize {
        let shares = &self.shares;
        match purpose {
            Purpose::Act => {
                let free = shares.acts.saturating_sub(state.acts.len() + state.taken_acts);
                free.min(shares.capacity.saturating_sub(state.filled()))
            }
            // Others cannot fill the reserve, so only its own share counts.
            Purpose::Bulk => shares.bulk.saturating_sub(state.reserved.len() + state.taken_bulk),
        }
    }

    /// Wakes the tasks for which there is room by now. They are woken without the lock, because a waker may
    /// poll at once.
    pub(super) fn wake(&self, purposes: &[Purpose]) {
        let mut wakers = Vec::new();
        let mut state = self.lock();
        for purpose in purposes {
            let free = self.free(&state, *purpose);
            wakers.extend(state.waiters(*purpose).wake(free));
        }
        drop(state);
        for waker in wakers {
            guarded(|| waker.wake());
        }
    }
}

impl Room<'_> {
    /// Adds the event of the operation that took this room. It always fits.
    pub(in super::super) fn push(self, event: Event, at: DateTime<Utc>) {
        self.queue.push_as(Some(Class::Act), event, at);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        *self.queue.lock().taken(self.purpose) -= 1;
        self.queue.wake(&[self.purpose]);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.queue.lock().waiters(self.purpose).leave(place);
            self.queue.wake(&[self.purpose]);
        }
    }
}
