//! The gate that every issue passes, so that issuing can be paused.
//!
//! The gate has the reason for a pause, and a count of the issues in progress. An issue takes a permit
//! before it does anything else, and holds it until its secret has been returned or dropped. A closed
//! gate gives no permits. A pause closes the gate and then waits until the count is zero, so that
//! afterwards no secret of an earlier issue can still appear.
//!
//! A pause also stops waiting when the gate has been opened since, because its purpose is gone. The
//! count of resumptions shows that, even if the gate has been closed again by another pause.
//!
//! A [draft](super::draft) does not count as an issue in progress, because its transaction may take any time. A pause
//! does not wait for it and ends it instead. The draft notes how often the gate had been closed, and its
//! confirmation gets no permit if the gate has been closed since.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::ManageError;

#[derive(Debug, Default)]
pub(super) struct IssueGate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The reason for the pause. The gate is closed while this is `Some`.
    reason: Option<String>,
    /// The number of permits in use.
    permits: usize,
    /// How often issuing was paused.
    pauses: u64,
    /// How often issuing was resumed.
    resumptions: u64,
    /// The tasks that wait in [`IssueGate::poll_idle`].
    wakers: Vec<Waker>,
}

impl IssueGate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the reason for the pause, if the gate is closed.
    pub(super) fn reason(&self) -> Option<String> {
        self.lock().reason.clone()
    }

    /// Returns a permit for one issue, unless the gate is closed.
    pub(super) fn enter(&self) -> Result<IssuePermit<'_>, ManageError> {
        let mut state = self.lock();
        if let Some(reason) = &state.reason {
            return Err(ManageError::IssuingPaused { reason: reason.clone() });
        }
        state.permits += 1;
        Ok(IssuePermit { gate: self, pauses: state.pauses })
    }

    /// Returns a permit to confirm a draft that was prepared after this number of pauses, or `None` if
    /// issuing was paused since.
    pub(super) fn enter_again(&self, pauses: u64) -> Option<IssuePermit<'_>> {
        let mut state = self.lock();
        if state.pauses != pauses {
            return None;
        }
        state.permits += 1;
        Some(IssuePermit { gate: self, pauses })
    }

    /// Closes the gate, and returns the number of resumptions until now for
    /// [`poll_idle`](Self::poll_idle).
    pub(super) fn close(&self, reason: &str) -> u64 {
        let mut state = self.lock();
        state.reason = Some(reason.to_owned());
        state.pauses += 1;
        state.resumptions
    }

    /// Opens the gate, and returns whether it was closed.
    pub(super) fn open(&self) -> bool {
        let mut state = self.lock();
        let was_closed = state.reason.take().is_some();
        state.resumptions += u64::from(was_closed);
        wake(state);
        was_closed
    }

    /// Waits until no permit is in use, or until the gate has been opened since [`close`](Self::close).
    pub(super) fn poll_idle(&self, resumptions: u64, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.permits == 0 || state.resumptions != resumptions {
            return Poll::Ready(());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// Wakes all waiting tasks after the lock is released, because a waker may poll at once.
fn wake(mut state: MutexGuard<'_, State>) {
    let wakers = std::mem::take(&mut state.wakers);
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

/// The right to issue one token. A pause waits until it is dropped.
pub(super) struct IssuePermit<'g> {
    gate: &'g IssueGate,
    /// How often issuing had been paused when the permit was given.
    pauses: u64,
}

impl IssuePermit<'_> {
    /// Returns the number of pauses for [`IssueGate::enter_again`].
    pub(super) fn pauses(&self) -> u64 {
        self.pauses
    }
}

impl Drop for IssuePermit<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.permits -= 1;
        if state.permits == 0 {
            wake(state);
        }
    }
}
