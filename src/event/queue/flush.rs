//! Waiting until the sink has received all events so far.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::Queue;

/// The tasks that wait for a flush, by the number of the first event that they do not wait for.
#[derive(Default)]
pub(super) struct Flushes {
    last: u64,
    pub(super) waiting: BTreeMap<(u64, u64), Waker>,
}

impl Flushes {
    /// Removes the tasks for which every event before `oldest` is enough.
    pub(super) fn ended(&mut self, oldest: u64) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= oldest
        {
            wakers.push(first.remove());
        }
        wakers
    }
}

/// A future that is ready when the sink has received all events that were pushed before it was created.
pub(in super::super) struct Flush<'q> {
    queue: &'q Queue,
    until: u64,
    id: Option<u64>,
}

impl Queue {
    pub(in super::super) fn flush(&self) -> Flush<'_> {
        Flush { queue: self, until: self.lock().next, id: None }
    }

    /// Blocks the thread until all events so far were delivered, at most for `longest`. Returns whether they
    /// were.
    pub(in super::super) fn flush_blocking(&self, longest: Duration) -> bool {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let end = Instant::now().checked_add(longest);
        let mut flush = pin!(self.flush());
        while flush.as_mut().poll(&mut context).is_pending() {
            let Some(end) = end else {
                thread::park();
                continue;
            };
            match end.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return false,
                left => thread::park_timeout(left),
            }
        }
        true
    }
}

impl Future for Flush<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.queue.lock();
        if state.oldest() >= self.until {
            return Poll::Ready(());
        }
        let id = self.id.unwrap_or_else(|| {
            state.flushes.last += 1;
            state.flushes.last
        });
        state.flushes.waiting.insert((self.until, id), context.waker().clone());
        drop(state);
        self.id = Some(id);
        Poll::Pending
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.queue.lock().flushes.waiting.remove(&(self.until, id));
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
