//! Polling of several futures in turn, without a runtime.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

pub(super) type Boxed<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// Polls all futures in turn until each is ready.
pub(super) async fn join<T>(mut futures: Vec<Boxed<'_, T>>) -> Vec<T> {
    let mut answers: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, answer) in futures.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *answer = Some(ready);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// Polls a future up to this many times and drops it.
pub(super) async fn poll_and_drop<T>(
    future: impl Future<Output = T>,
    mut polls: usize,
) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(ready) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(ready));
        }
        polls = polls.saturating_sub(1);
        if polls == 0 { Poll::Ready(None) } else { again(cx) }
    })
    .await
}

/// Returns the output of a future, or `None` after this duration. Wakes itself in a loop, because
/// the suite cannot assume a timer.
pub(super) async fn within<T>(longest: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let started = Instant::now();
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(ready) => Poll::Ready(Some(ready)),
        Poll::Pending if started.elapsed() > longest => Poll::Ready(None),
        Poll::Pending => {
            thread::sleep(Duration::from_micros(100));
            again(cx)
        }
    })
    .await
}

fn again<T>(cx: &Context<'_>) -> Poll<T> {
    thread::yield_now();
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Blocks the thread until a future is ready.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(ready) => return ready,
            Poll::Pending => thread::park(),
        }
    }
}
