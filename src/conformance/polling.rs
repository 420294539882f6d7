//! Polling of several futures in turn, without a runtime.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Polls a future this many times, each time after it was woken, and returns its output if it is ready
/// by then. So the future stands at its n-th point of waiting.
pub(super) async fn poll_times<T>(
    mut future: Pin<&mut (dyn Future<Output = T> + Send + '_)>,
    polls: usize,
) -> Option<T> {
    if polls == 0 {
        return None;
    }
    let mut left = polls;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(ready) => Poll::Ready(Some(ready)),
        Poll::Pending => {
            left = left.saturating_sub(1);
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// Polls the first future `lead` times, then starts the second one, and completes both.
pub(super) async fn staggered<T>(
    mut first: Boxed<'_, T>,
    lead: usize,
    second: Boxed<'_, T>,
) -> Option<(T, T)> {
    if let Some(ready) = poll_times(first.as_mut(), lead).await {
        return Some((ready, second.await));
    }
    let mut both = join(vec![first, second]).await.into_iter();
    both.next().zip(both.next())
}

/// Returns the output of a future, or `None` after this duration.
pub(super) async fn within<T>(longest: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let end = Instant::now() + longest;
    let mut alarm = None;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(ready) => Poll::Ready(Some(ready)),
        Poll::Pending if Instant::now() >= end => Poll::Ready(None),
        Poll::Pending => {
            let alarm: &mut Alarm = alarm.get_or_insert_with(|| Alarm::at(end));
            alarm.set_waker(cx);
            // The alarm may have rung before it had the waker.
            if Instant::now() >= end { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// A thread that wakes a task at a time, because the suite cannot assume the timer of a runtime.
struct Alarm {
    shared: Arc<AlarmState>,
    thread: Option<Thread>,
}

#[derive(Default)]
struct AlarmState {
    waker: Mutex<Option<Waker>>,
    cancelled: AtomicBool,
}

impl Alarm {
    fn at(end: Instant) -> Self {
        let shared = Arc::<AlarmState>::default();
        let state = shared.clone();
        let wait = move || {
            while !state.cancelled.load(Ordering::SeqCst) && Instant::now() < end {
                thread::park_timeout(end.saturating_duration_since(Instant::now()));
            }
            let waker = state.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        };
        let thread = thread::Builder::new().spawn(wait).ok();
        Self { shared, thread: thread.map(|thread| thread.thread().clone()) }
    }

    /// Sets the waker of the task that is woken at the end. Without a thread, the task wakes itself in a loop.
    fn set_waker(&self, cx: &Context<'_>) {
        if self.thread.is_none() {
            thread::yield_now();
            cx.waker().wake_by_ref();
        }
        let mut waker = self.shared.waker.lock().unwrap_or_else(PoisonError::into_inner);
        *waker = Some(cx.waker().clone());
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_ends_if_the_alarm_rings_early() {
        for micros in 0..2_000 {
            let never = std::future::pending::<()>();
            assert_eq!(block_on(within(Duration::from_micros(micros % 200), never)), None);
        }
    }
}
