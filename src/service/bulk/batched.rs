//! The futures of a page, whose calls travel together.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

use super::super::records::{Batch, Records};
use crate::concurrency::{BoxFuture, CONCURRENCY};
use crate::store::TokenStore;

/// Polls the futures of one page, and returns each result as it arrives. When none of them can go on, their
/// collected calls are sent as one.
///
/// At most [`CONCURRENCY`] futures wait for something else than a call, such as room in the queue of events,
/// because each of them is polled at every wake-up.
pub(super) struct BatchedFutures<'f, S, T> {
    /// The call in flight. It is the first field, so it is dropped before the futures that wait for it.
    call: Option<BoxFuture<'f, ()>>,
    records: &'f Records<S>,
    batch: &'f Batch,
    /// The most futures that may have started and not ended.
    max: usize,
    waiting: Box<dyn Iterator<Item = BoxFuture<'f, T>> + Send + 'f>,
    /// The futures that have started, by number. Those that have ended are `None`.
    started: Vec<Option<BoxFuture<'f, T>>>,
    ended: usize,
    /// The numbers of the futures that wait for something else than a call.
    running: Vec<usize>,
    /// The numbers of the futures whose answers have arrived.
    answered: VecDeque<usize>,
}

impl<'f, S: TokenStore, T: 'f> BatchedFutures<'f, S, T> {
    pub(super) fn new(
        records: &'f Records<S>,
        batch: &'f Batch,
        max: usize,
        futures: impl Iterator<Item = BoxFuture<'f, T>> + Send + 'f,
    ) -> Self {
        Self {
            call: None,
            records,
            batch,
            max,
            waiting: Box::new(futures),
            started: Vec::new(),
            ended: 0,
            running: Vec::new(),
            answered: VecDeque::new(),
        }
    }

    /// Drops the futures that were not started. The others continue.
    pub(super) fn stop_starting(&mut self) {
        self.waiting = Box::new(std::iter::empty());
    }

    /// Returns the next result, or `None` when all futures have ended.
    pub(super) async fn next(&mut self) -> Option<T> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut polls_running = true;
        loop {
            while let Some(number) = self.answered.pop_front() {
                if let Some(result) = self.poll(number, context) {
                    return Poll::Ready(Some(result));
                }
            }
            if let Some(call) = &mut self.call
                && call.as_mut().poll(context).is_ready()
            {
                self.call = None;
                self.answered.extend(self.batch.take_answered());
                continue;
            }
            if std::mem::take(&mut polls_running) {
                for number in std::mem::take(&mut self.running) {
                    // They take turns in the queue of events, so the order has no effect.
                    self.answered.push_back(number);
                }
                continue;
            }
            if let Some(result) = self.start(context) {
                return Poll::Ready(Some(result));
            }
            if self.call.is_none()
                && let Some(call) = self.records.send(self.batch)
            {
                self.call = Some(call);
                continue;
            }
            let is_over = self.ended == self.started.len();
            return if is_over { Poll::Ready(None) } else { Poll::Pending };
        }
    }

    /// Starts futures until one has a result, or no more may be started.
    fn start(&mut self, context: &mut Context<'_>) -> Option<T> {
        while self.running.len() < CONCURRENCY
            && self.started.len() - self.ended < self.max
            && let Some(future) = self.waiting.next()
        {
            self.started.push(Some(future));
            if let Some(result) = self.poll(self.started.len() - 1, context) {
                return Some(result);
            }
        }
        None
    }

    /// Polls one future. If it has no result and is not parked, it runs on.
    fn poll(&mut self, number: usize, context: &mut Context<'_>) -> Option<T> {
        let slot = self.started.get_mut(number)?;
        let future = slot.as_mut()?;
        match self.batch.poll(number, future.as_mut(), context) {
            (Poll::Ready(result), _) => {
                *slot = None;
                self.ended += 1;
                Some(result)
            }
            (Poll::Pending, parked) => {
                if !parked {
                    self.running.push(number);
                }
                None
            }
        }
    }
}
