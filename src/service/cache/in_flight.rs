//! One read from the store for which several verifications wait.
//!
//! Each waiter that is polled polls the read, under the lock of its state. The read gets a waker that
//! wakes all waiters ([`WakerSet`]), so it does not matter which of them is polled next. A waiter whose
//! task does not poll any more only keeps its place in the set.
//!
//! The read ends in one of three ways. Its result arrives, and all waiters get a copy. All waiters are
//! dropped, and it is cancelled. Or the store panics while it is polled, which poisons the lock: then
//! each waiter gets an error, and the future is not polled again.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::store::{StoreError, StoredRecord, Version};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// The result of a read from the store, which is a record or none.
#[derive(Debug, Clone)]
pub(in super::super) struct ReadResult {
    /// Its last use is the one of that time, and the service does not use it.
    pub(in super::super) stored: Option<Arc<StoredRecord>>,
    /// The monotonic time at which the store was asked. It is after the start of the read if the read had
    /// to wait in the queue of the gatherer.
    pub(in super::super) asked_at: Duration,
}

impl ReadResult {
    /// Returns whether both are copies of the same result.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same = match (&self.stored, &other.stored) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same && self.asked_at == other.asked_at
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.stored.as_ref().map(|stored| stored.version)
    }
}

/// A read from the store.
pub(in super::super) type ReadFuture =
    Pin<Box<dyn Future<Output = Result<ReadResult, StoreError>> + Send>>;

pub(super) struct InFlightRead {
    started_at: Duration,
    state: Mutex<ReadState>,
    wakers: Arc<WakerSet>,
    /// The number of waiters. It is incremented only under the lock of the shard.
    waiters: AtomicUsize,
}

enum ReadState {
    Pending(ReadFuture),
    Done(Result<ReadResult, StoreError>),
    Cancelled,
}

/// The wakers of all waiters. As a waker it wakes each of them.
#[derive(Default)]
struct WakerSet(Mutex<Vec<Waker>>);

impl WakerSet {
    fn insert(&self, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for WakerSet {
    fn wake(self: Arc<Self>) {
        let wakers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl InFlightRead {
    pub(super) fn new(started_at: Duration, read: ReadFuture) -> Arc<Self> {
        Arc::new(Self {
            started_at,
            state: Mutex::new(ReadState::Pending(read)),
            wakers: Arc::default(),
            waiters: AtomicUsize::new(0),
        })
    }

    /// Returns the monotonic time at which the read started.
    pub(super) fn started_at(&self) -> Duration {
        self.started_at
    }

    pub(super) fn add_waiter(&self) {
        self.waiters.fetch_add(1, Ordering::AcqRel);
    }

    /// Removes a waiter, and returns whether it was the last.
    pub(super) fn remove_waiter(&self) -> bool {
        self.waiters.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(super) fn has_waiters(&self) -> bool {
        self.waiters.load(Ordering::Acquire) > 0
    }

    /// Polls the read. Returns the result, and whether this call was the first to get it.
    pub(super) fn poll(
        &self,
        context: &Context<'_>,
    ) -> Poll<(Result<ReadResult, StoreError>, bool)> {
        let Ok(mut state) = self.state.lock() else {
            return Poll::Ready((Err(StoreError::unavailable("the store panicked")), false));
        };
        let outcome = match &mut *state {
            ReadState::Done(outcome) => return Poll::Ready((duplicate(outcome), false)),
            ReadState::Cancelled => {
                return Poll::Ready((
                    Err(StoreError::unavailable("the read was cancelled")),
                    false,
                ));
            }
            ReadState::Pending(read) => {
                self.wakers.insert(context.waker());
                let waker = Waker::from(self.wakers.clone());
                match read.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(outcome) => outcome,
                }
            }
        };
        let shared = duplicate(&outcome);
        // The store's future is dropped after the lock is released, because its destructor may do
        // anything.
        let read = std::mem::replace(&mut *state, ReadState::Done(shared));
        drop(state);
        drop(read);
        Poll::Ready((outcome, true))
    }

    pub(super) fn wake_waiters(&self) {
        self.wakers.clone().wake();
    }

    /// Drops the store's future, because its last waiter was dropped.
    pub(super) fn cancel(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let read = std::mem::replace(&mut *state, ReadState::Cancelled);
        drop(state);
        drop(read);
    }
}

/// Copies an outcome for another waiter. An error has the same kind.
fn duplicate(outcome: &Result<ReadResult, StoreError>) -> Result<ReadResult, StoreError> {
    match outcome {
        Ok(result) => Ok(result.clone()),
        Err(error) => Err(error.duplicate()),
    }
}
