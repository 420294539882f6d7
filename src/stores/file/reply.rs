//! A channel for one answer from the writer thread to a future, on any executor.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

enum ReplyState<T> {
    Waiting(Option<Waker>),
    Answered(T),
    /// The answer was taken, or the sender was dropped without one.
    Over,
}

struct ReplySlot<T>(Mutex<ReplyState<T>>);

impl<T> ReplySlot<T> {
    fn lock(&self) -> MutexGuard<'_, ReplyState<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, state: ReplyState<T>) {
        let before = std::mem::replace(&mut *self.lock(), state);
        if let ReplyState::Waiting(Some(waker)) = before
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake()))
        {
            // A panic in an executor's waker must not end the writer. The payload is leaked because
            // dropping it might panic too.
            std::mem::forget(panic);
            tracing::error!(
                "a waker panicked, so the future that it should wake may never complete"
            );
        }
    }
}

/// Creates a channel.
pub(super) fn reply<T>() -> (ReplySender<T>, Reply<T>) {
    let shared = Arc::new(ReplySlot(Mutex::new(ReplyState::Waiting(None))));
    (ReplySender(Some(shared.clone())), Reply(shared))
}

/// The sending half. Dropping it without an answer completes the receiver with `None`.
pub(super) struct ReplySender<T>(Option<Arc<ReplySlot<T>>>);

impl<T> ReplySender<T> {
    pub(super) fn send(mut self, answer: T) {
        if let Some(shared) = self.0.take() {
            shared.settle(ReplyState::Answered(answer));
        }
    }
}

impl<T> Drop for ReplySender<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.settle(ReplyState::Over);
        }
    }
}

/// The receiving half, a future of the answer. Resolves to `None` if the sender was dropped without
/// one.
pub(super) struct Reply<T>(Arc<ReplySlot<T>>);

impl<T> Future for Reply<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        match &mut *state {
            ReplyState::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => *waker = Some(context.waker().clone()),
                }
                Poll::Pending
            }
            _ => match std::mem::replace(&mut *state, ReplyState::Over) {
                ReplyState::Answered(answer) => Poll::Ready(Some(answer)),
                _ => Poll::Ready(None),
            },
        }
    }
}
