//! Several futures at once within one task.

pub(crate) mod yield_once;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// The number of records for which a bulk operation or a default of the store's contract works at once. A store that commits in groups, or
/// that is far away, is slow if the records are processed one by one.
pub(crate) const CONCURRENCY: usize = 64;

/// A future that may move to another thread. Its type is erased, because otherwise the compiler cannot
/// prove `Send` for a future that awaits many of them.
pub(crate) type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// Polls at most `max` futures at once, and returns each result as it arrives.
///
/// When one of them wakes the task, all running futures are polled. For so few futures that costs less
/// than a waker for each.
pub(crate) struct ConcurrentFutures<'f, T> {
    max: usize,
    waiting: Box<dyn Iterator<Item = BoxFuture<'f, T>> + Send + 'f>,
    running: Vec<BoxFuture<'f, T>>,
    /// The index of the future that was polled last. It rotates, so that each future gets its turn.
    position: usize,
}

impl<'f, T: 'f> ConcurrentFutures<'f, T> {
    pub(crate) fn new(
        max: usize,
        futures: impl Iterator<Item = BoxFuture<'f, T>> + Send + 'f,
    ) -> Self {
        Self { max, waiting: Box::new(futures), running: Vec::with_capacity(max), position: 0 }
    }

    /// Drops the futures that were not started. The running ones continue.
    pub(crate) fn stop_starting(&mut self) {
        self.waiting = Box::new(std::iter::empty());
    }

    /// Returns the next result, or `None` when all futures have ended.
    pub(crate) async fn next(&mut self) -> Option<T> {
        poll_fn(|context| {
            while self.running.len() < self.max
                && let Some(future) = self.waiting.next()
            {
                self.running.push(future);
            }
            for _ in 0..self.running.len() {
                self.position = (self.position + 1) % self.running.len();
                if let Poll::Ready(result) = self.running[self.position].as_mut().poll(context) {
                    drop(self.running.swap_remove(self.position));
                    return Poll::Ready(Some(result));
                }
            }
            if self.running.is_empty() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_lite::future::{block_on, yield_now};

    use super::*;

    #[test]
    fn next_runs_all_futures_within_the_limit() {
        for (max, count) in [(1, 10), (3, 10), (64, 1_000), (64, 0), (10, 3)] {
            let (running, highest) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
            let futures = (0..count).map(|n| -> BoxFuture<'_, usize> {
                Box::pin(async move {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    highest.fetch_max(now, Ordering::SeqCst);
                    for _ in 0..n * 7 % 5 {
                        yield_now().await;
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    n
                })
            });
            let mut all = ConcurrentFutures::new(max, futures);
            let mut ended = Vec::new();
            while let Some(n) = block_on(all.next()) {
                ended.push(n);
            }
            ended.sort_unstable();
            assert_eq!(ended, (0..count).collect::<Vec<_>>());
            assert!(highest.load(Ordering::SeqCst) <= max);
            assert_eq!(block_on(all.next()), None);
        }
    }

    #[test]
    fn stop_starting_finishes_running_futures() {
        let futures = (0..100).map(|n| -> BoxFuture<'_, usize> {
            Box::pin(async move {
                yield_now().await;
                n
            })
        });
        let mut all = ConcurrentFutures::new(8, futures);
        assert!(block_on(all.next()).is_some());
        all.stop_starting();
        let mut ended = 1;
        while block_on(all.next()).is_some() {
            ended += 1;
        }
        assert_eq!(ended, 8);
    }
}
