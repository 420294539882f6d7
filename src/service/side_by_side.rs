//! Several futures at a time within one task: nothing is spawned.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Drives futures, at most so many at a time, and gives out each outcome as it comes.
///
/// Whenever one wakes the task all that run are asked: for the few that may run at a time that costs
/// less than a waker for each.
pub(super) struct SideBySide<I: Iterator<Item: Future>> {
    most: usize,
    waiting: Option<I>,
    running: Vec<Pin<Box<I::Item>>>,
    /// The one to ask next.
    next: usize,
}

impl<I: Iterator<Item: Future>> SideBySide<I> {
    pub(super) fn new(most: usize, futures: I) -> Self {
        Self { most, waiting: Some(futures), running: Vec::with_capacity(most), next: 0 }
    }

    /// Starts no more; those that run go on to their end.
    pub(super) fn start_no_more(&mut self) {
        self.waiting = None;
    }

    /// The next outcome, or `None` when all are over.
    pub(super) async fn next(&mut self) -> Option<<I::Item as Future>::Output> {
        poll_fn(|context| {
            self.fill();
            for _ in 0..self.running.len() {
                self.next = (self.next + 1) % self.running.len();
                if let Poll::Ready(outcome) = self.running[self.next].as_mut().poll(context) {
                    self.running.swap_remove(self.next);
                    return Poll::Ready(Some(outcome));
                }
            }
            if self.running.is_empty() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    fn fill(&mut self) {
        while self.running.len() < self.most
            && let Some(future) = self.waiting.as_mut().and_then(Iterator::next)
        {
            self.running.push(Box::pin(future));
        }
    }
}
