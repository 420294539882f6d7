//! Several futures at a time within one task: nothing is spawned.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// A future that may go to another thread. Its type is erased, or the compiler could not tell that of
/// whoever awaits many.
pub(super) type Boxed<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// Drives futures, at most so many at a time, and gives out each outcome as it comes.
///
/// Whenever one wakes the task all that run are asked: for the few that may run at a time that costs
/// less than a waker for each.
pub(super) struct SideBySide<'f, T> {
    most: usize,
    waiting: Box<dyn Iterator<Item = Boxed<'f, T>> + Send + 'f>,
    running: Vec<Boxed<'f, T>>,
    /// The one to ask next.
    next: usize,
}

impl<'f, T: 'f> SideBySide<'f, T> {
    pub(super) fn new(
        most: usize,
        futures: impl Iterator<Item = Boxed<'f, T>> + Send + 'f,
    ) -> Self {
        Self { most, waiting: Box::new(futures), running: Vec::with_capacity(most), next: 0 }
    }

    /// Starts no more; those that run go on to their end.
    pub(super) fn start_no_more(&mut self) {
        self.waiting = Box::new(std::iter::empty());
    }

    /// The next outcome, or `None` when all are over.
    pub(super) async fn next(&mut self) -> Option<T> {
        poll_fn(|context| {
            while self.running.len() < self.most
                && let Some(future) = self.waiting.next()
            {
                self.running.push(future);
            }
            for _ in 0..self.running.len() {
                self.next = (self.next + 1) % self.running.len();
                if let Poll::Ready(outcome) = self.running[self.next].as_mut().poll(context) {
                    drop(self.running.swap_remove(self.next));
                    return Poll::Ready(Some(outcome));
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
    fn all_futures_finish_within_the_limit() {
        for (most, many) in [(1, 10), (3, 10), (64, 1_000), (64, 0), (10, 3)] {
            let (running, highest) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
            let futures = (0..many).map(|n| -> Boxed<'_, usize> {
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
            let mut all = SideBySide::new(most, futures);
            let mut ended = Vec::new();
            while let Some(n) = block_on(all.next()) {
                ended.push(n);
            }
            ended.sort_unstable();
            assert_eq!(ended, (0..many).collect::<Vec<_>>());
            assert!(highest.load(Ordering::SeqCst) <= most);
            assert_eq!(block_on(all.next()), None);
        }
    }

    #[test]
    fn running_futures_finish_after_stop() {
        let futures = (0..100).map(|n| -> Boxed<'_, usize> {
            Box::pin(async move {
                yield_now().await;
                n
            })
        });
        let mut all = SideBySide::new(8, futures);
        assert!(block_on(all.next()).is_some());
        all.start_no_more();
        let mut ended = 1;
        while block_on(all.next()).is_some() {
            ended += 1;
        }
        assert_eq!(ended, 8);
    }
}
