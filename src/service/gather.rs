//! Look-ups for verifications, gathered into calls of the store for many ids.
//!
//! **Queue.** At most [`max_calls`](Gathering::max_calls) calls are in flight. A look-up that finds a free
//! place is sent at once. Otherwise it waits in a queue, first in first out. When a call ends, the next one
//! takes up to [`max_ids`](Gathering::max_ids) ids from the front. Look-ups of one id share its entry in the
//! queue and its result.
//!
//! **Fence.** A look-up never joins a call that was sent, because that call may have read the record before
//! a write that was acknowledged before the look-up began. The age of a result counts from the time of
//! sending.
//!
//! **Any look-up drives any call.** There is no task and no timer. Each look-up that is polled polls the
//! calls that were woken, whether it waits for them or not. The waker of a call wakes the look-ups of that
//! call and all queued ones, because each of them may have stopped polling. The look-up that completes a call
//! distributes the results, and makes and polls the next call, so the sending does not wait for a task switch.
//!
//! **Alone.** While nothing else is in flight, a look-up takes a place without the lock and polls its own
//! `find`, so it costs little more than without gathering. No other look-up can drive that call. If it stops, its place
//! stays occupied, but the other places still serve the queue. So this needs a second place, and with one place
//! each look-up goes through the queue. A panic of the store then reaches the caller, as it does without
//! gathering.
//!
//! **Wakers.** A call that is woken is *due* until a look-up takes its future out of the state and polls it.
//! Waking takes the wakers out of the state. If a call is woken while it is polled, it becomes due when its
//! future is put back, and the wakers of that moment are woken. So a look-up that was polled in between and
//! found no due call is woken again.
//!
//! **End of a call.** A call ends with its results, with a panic of the store, or when the last look-up that
//! waits for it is dropped. Its future is dropped first, and then its place is free, so the store never has
//! more than `max_calls` futures. No lock is held while a future, a waker or a result of the store runs code.

mod call;
mod entry;
mod slab;
mod state;

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::other_record;
use crate::store::{Gathering, StoreError, StoredRecord, TokenStore};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::token::TokenId;
use call::{CallWaker, Later, Source, discard};
use entry::Waiter;
use state::{After, State};

/// How many calls one poll of a look-up sends for others. If the store answers each call when it is polled first,
/// the look-up would otherwise work for the queue without an end.
const MAX_SENT: usize = 4;

/// The bit of [`Gatherer::occupied`] for a look-up that is alone.
const ALONE: usize = 1;
/// The bit of [`Gatherer::occupied`] for calls in flight that any look-up drives.
const CALLS: usize = 2;

/// Gathers look-ups for a store.
pub(super) struct Gatherer {
    source: Arc<Source>,
    /// Whether a look-up may still be alone if others begin, because there is a second place.
    allows_alone: bool,
    /// [`ALONE`] is set without the lock, and only while nothing is in flight. [`CALLS`] is set and cleared
    /// under the lock. So under the lock, while `CALLS` is set, `ALONE` does not change.
    occupied: AtomicUsize,
    state: Mutex<State>,
}

/// A record that a look-up found, and the monotonic time at which its call was sent.
pub(super) type Answered = (Option<Arc<StoredRecord>>, Duration);

impl Gatherer {
    pub(super) fn new(
        store: Arc<dyn TokenStore>,
        clock: Arc<dyn Clock>,
        sizes: Gathering,
    ) -> Arc<Self> {
        Arc::new(Self {
            source: Arc::new(Source { store, clock }),
            allows_alone: sizes.max_calls > 1,
            occupied: AtomicUsize::new(0),
            state: Mutex::new(State::new(sizes)),
        })
    }

    /// Finds the record with this id.
    pub(super) async fn find(self: &Arc<Self>, id: TokenId) -> Result<Answered, StoreError> {
        let Some(alone) = self.begin_alone() else { return self.find_gathered(id).await };
        let sent_at = self.source.clock.monotonic();
        let found = self.source.store.find(id).await;
        alone.end();
        match found? {
            Some(stored) if stored.record.id() != id => Err(other_record()),
            found => Ok((found.map(Arc::new), sent_at)),
        }
    }

    /// Returns a look-up that waits for its turn in a gathered call. It begins when it is polled first.
    pub(super) fn find_gathered(self: &Arc<Self>, id: TokenId) -> Lookup<'_> {
        Lookup { gatherer: self, id, waiter: None }
    }

    /// Takes a place for a call that only the caller drives, if nothing else is in flight. Then a look-up costs little
    /// more than without gathering.
    pub(super) fn begin_alone(self: &Arc<Self>) -> Option<Alone<'_>> {
        let is_alone = self.allows_alone
            && self.occupied.compare_exchange(0, ALONE, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        // Not `then_some`, whose argument would be dropped and free the place of another look-up.
        is_alone.then(|| Alone { gatherer: Some(self) })
    }

    /// Locks the state for a look-up that may begin a call.
    fn begin(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let before = self.occupied.fetch_or(CALLS, Ordering::SeqCst);
        if before & CALLS == 0 {
            state.set_alone(before & ALONE != 0, &self.source);
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the calls that are due now, and those that are sent because one of them ended.
    fn drive<'g>(
        self: &'g Arc<Self>,
        mut state: MutexGuard<'g, State>,
        later: &mut Later,
    ) -> MutexGuard<'g, State> {
        let (mut turns, mut sent) = (state.due(), 0);
        while turns > 0
            && let Some(turn) =
                state.take_due(|place| CallWaker::waker(Arc::downgrade(self), place))
        {
            drop(state);
            let (place, waker, polled) = turn.poll();
            state = self.state();
            let is_sent = match state.polled(place, waker, polled, &self.source, later) {
                After::Waiting => false,
                After::Sent => true,
                After::Unwanted(future) => {
                    drop(state);
                    discard(future);
                    state = self.state();
                    state.end(place, &self.source)
                }
            };
            if !is_sent {
                turns -= 1;
            } else if sent == MAX_SENT {
                // The look-ups of the call that is not polled yet continue.
                state.wake_due(later);
                turns -= 1;
            } else {
                sent += 1;
            }
        }
        self.settle(&state);
        state
    }

    /// Allows a look-up to be alone again, if no call is in flight.
    fn settle(&self, state: &State) {
        if state.is_idle() {
            self.occupied.fetch_and(!CALLS, Ordering::SeqCst);
        }
    }
}

/// The place of a look-up that is alone.
pub(super) struct Alone<'g> {
    /// `None` after the end.
    gatherer: Option<&'g Arc<Gatherer>>,
}

impl<'g> Alone<'g> {
    /// Frees the place after the answer, and sends the next call if look-ups are queued.
    pub(super) fn end(mut self) {
        if let Some(mut freed) = self.free() {
            let mut later = Later::default();
            freed.state = freed.gatherer.drive(freed.state, &mut later);
            drop(freed.state);
            later.wake();
        }
    }

    /// Frees the place. If calls are in flight, returns the state, in which the next call may be due.
    fn free(&mut self) -> Option<Freed<'g>> {
        let gatherer = self.gatherer.take()?;
        let freed =
            gatherer.occupied.compare_exchange(ALONE, 0, Ordering::SeqCst, Ordering::SeqCst);
        if freed.is_ok() {
            return None;
        }
        let mut state = gatherer.state();
        let before = gatherer.occupied.fetch_and(!ALONE, Ordering::SeqCst);
        if before & CALLS == 0 {
            return None;
        }
        state.set_alone(false, &gatherer.source);
        Some(Freed { gatherer, state })
    }
}

/// The state after the end of a look-up that was alone.
struct Freed<'g> {
    gatherer: &'g Arc<Gatherer>,
    state: MutexGuard<'g, State>,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if let Some(mut freed) = self.free() {
            let mut later = Later::default();
            // It is dropped outside of the runtime of the store perhaps, so it does not poll the next call.
            freed.state.wake_due(&mut later);
            drop(freed.state);
            later.wake();
        }
    }
}

/// A look-up. Other look-ups may drive it, and it may drive the calls of others.
pub(super) struct Lookup<'g> {
    gatherer: &'g Arc<Gatherer>,
    id: TokenId,
    /// `None` before the first poll and after the answer.
    waiter: Option<Waiter>,
}

impl Future for Lookup<'_> {
    type Output = Result<Answered, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let gatherer = self.gatherer;
        let mut state;
        let (waiter, mut answer, former) = match self.waiter {
            None => {
                state = gatherer.begin();
                (state.add(self.id, context.waker(), &gatherer.source), None, None)
            }
            Some(waiter) => {
                state = gatherer.state();
                match state.take_answer(waiter) {
                    None => (waiter, None, state.register(waiter, context.waker())),
                    answer => (waiter, answer, None),
                }
            }
        };
        self.waiter = Some(waiter);
        let mut later = Later::default();
        if answer.is_none() {
            state = gatherer.drive(state, &mut later);
            answer = state.take_answer(waiter);
        }
        drop(state);
        drop(former);
        if answer.is_some() {
            self.waiter = None;
        }
        later.wake();
        match answer {
            None => Poll::Pending,
            Some(answer) => Poll::Ready(answer.into_result()),
        }
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter else { return };
        let mut removed = self.gatherer.state().remove(waiter);
        if let Some((place, future)) = removed.cancelled.take() {
            discard(future);
            let mut later = Later::default();
            let mut state = self.gatherer.state();
            if state.end(place, &self.gatherer.source) {
                // This look-up may be dropped outside of the runtime of the store, so it does not poll.
                state.wake_due(&mut later);
            }
            self.gatherer.settle(&state);
            drop(state);
            later.wake();
        }
    }
}

#[cfg(all(test, shuttle, feature = "memory"))]
mod tests;
