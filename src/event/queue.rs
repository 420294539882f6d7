//! A bounded queue between the service and a slow sink.
//!
//! [`Queue::push`] never waits. If an event does not fit, the queue counts it as lost, and the next
//! delivery reports the counts. Refusals may fill only half of the queue, because a client can cause any
//! number of them. A bulk operation waits while three quarters are filled, so that a quarter remains for
//! single operations. One thread delivers the events in order.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Event;
use super::sink::guarded;

/// The queue. The service pushes events, and one thread delivers them.
pub(crate) struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    /// Signals that an event was pushed or that the queue was closed.
    came: Condvar,
    /// Signals that a batch was delivered.
    delivered: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<(Event, DateTime<Utc>)>,
    lost: Option<Lost>,
    /// The number of pushed events, including lost ones.
    came: u64,
    /// The number of pushed events that were delivered or reported as lost.
    delivered: u64,
    /// The wakers of bulk operations that wait for room.
    wakers: Vec<Waker>,
    closed: bool,
}

/// The events that did not fit since the last delivery.
#[derive(Default)]
struct Lost {
    operations: u64,
    refusals: u64,
    last: Option<DateTime<Utc>>,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            waiting: Mutex::default(),
            came: Condvar::new(),
            delivered: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event if there is room, and counts it as lost otherwise. Never waits for the sink.
    pub(super) fn push(&self, event: Event, at: DateTime<Utc>) {
        let mut waiting = self.lock();
        // The delivering thread checks the queue before it sleeps, so it needs a signal only if everything
        // was delivered. The signal is the most expensive part of a push.
        let asleep = waiting.came == waiting.delivered;
        waiting.came += 1;
        let refusal = event.is_refusal();
        let room = if refusal { self.capacity / 2 } else { self.capacity };
        if waiting.events.len() < room {
            waiting.events.push_back((event, at));
        } else {
            let lost = waiting.lost.get_or_insert_default();
            lost.refusals += u64::from(refusal);
            lost.operations += u64::from(!refusal);
            lost.last = Some(at);
        }
        drop(waiting);
        if asleep {
            self.came.notify_one();
        }
    }

    /// Returns ready if there is room for the events of a bulk operation, and wakes the task when there may
    /// be room. Bulk operations fill at most three quarters of the queue, and refusals at most half. So a
    /// quarter remains for single operations, and refusals cannot keep bulk operations waiting.
    pub(super) fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        let mut waiting = self.lock();
        if waiting.events.len() < self.capacity / 4 * 3 {
            return Poll::Ready(());
        }
        if !waiting.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Delivers events in order until the queue is closed and empty.
    pub(super) fn drain(&self, deliver: impl Fn(&Event, DateTime<Utc>)) {
        loop {
            let mut waiting = self.lock();
            while waiting.events.is_empty() && waiting.lost.is_none() {
                if waiting.closed {
                    return;
                }
                waiting = self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let events = std::mem::take(&mut waiting.events);
            let lost = waiting.lost.take();
            let came = waiting.came;
            let wakers = std::mem::take(&mut waiting.wakers);
            drop(waiting);
            for waker in wakers {
                guarded(|| waker.wake());
            }
            events.iter().for_each(|(event, at)| deliver(event, *at));
            if let Some(Lost { operations, refusals, last: Some(at) }) = lost {
                deliver(&Event::Lost { operations, refusals }, at);
            }
            self.lock().delivered = came;
            self.delivered.notify_all();
        }
    }

    /// Waits until all events so far were delivered, at most for `longest`. Returns whether they were.
    pub(super) fn flush(&self, longest: Duration) -> bool {
        let waiting = self.lock();
        let so_far = waiting.came;
        let (waiting, _) = self
            .delivered
            .wait_timeout_while(waiting, longest, |waiting| waiting.delivered < so_far)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.delivered >= so_far
    }

    /// Closes the queue. The delivering thread delivers the remaining events and ends.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_one();
    }
}
