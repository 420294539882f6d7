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
