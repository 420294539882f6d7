//! One answer from the writer's thread to one waiting future, on any executor.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

enum State<T> {
    Waiting(Option<Waker>),
    Answered(T),
    /// The answer was taken, or will never come.
    Over,
}

struct Shared<T>(Mutex<State<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, state: State<T>) {
        let before = std::mem::replace(&mut *self.lock(), state);
        if let State::Waiting(Some(waker)) = before
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake()))
        {
            // An executor's fault must not end the writer. What it threw might panic again.
            std::mem::forget(panic);
            tracing::error!("a waker panicked; whoever waits for that answer may wait for ever");
        }
    }
}

/// A promise and the future that waits for it.
pub(super) fn reply<T>() -> (Promise<T>, Reply<T>) {
    let shared = Arc::new(Shared(Mutex::new(State::Waiting(None))));
    (Promise(Some(shared.clone())), Reply(shared))
}

/// Keeps or breaks the promise of an answer. Dropped unkept, it tells the waiting future so.
pub(super) struct Promise<T>(Option<Arc<Shared<T>>>);

impl<T> Promise<T> {
    pub(super) fn keep(mut self, answer: T) {
        if let Some(shared) = self.0.take() {
            shared.settle(State::Answered(answer));
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.settle(State::Over);
        }
    }
}

/// Resolves to the answer, or to `None` if the promise was broken.
pub(super) struct Reply<T>(Arc<Shared<T>>);

impl<T> Future for Reply<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        match &mut *state {
            State::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => *waker = Some(context.waker().clone()),
                }
                Poll::Pending
            }
            _ => match std::mem::replace(&mut *state, State::Over) {
                State::Answered(answer) => Poll::Ready(Some(answer)),
                _ => Poll::Ready(None),
            },
        }
    }
}
