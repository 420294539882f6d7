//! One answer from the writer's thread to one waiting future, on any executor.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

enum ReplyState<T> {
    Waiting(Option<Waker>),
    Answered(T),
    /// The answer was taken, or will never come.
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
            // An executor's fault must not end the writer. What it threw might panic again.
            std::mem::forget(panic);
            tracing::error!("a waker panicked; whoever waits for that answer may wait for ever");
        }
    }
}

/// A promise and the future that waits for it.
pub(super) fn reply<T>() -> (ReplySender<T>, Reply<T>) {
    let shared = Arc::new(ReplySlot(Mutex::new(ReplyState::Waiting(None))));
    (ReplySender(Some(shared.clone())), Reply(shared))
}

/// Keeps or breaks the promise of an answer. Dropped unkept, it tells the waiting future so.
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

/// Resolves to the answer, or to `None` if the promise was broken.
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
