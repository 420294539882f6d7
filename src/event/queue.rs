//! A bounded queue between the service and a slow sink.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Event, guarded};

pub(crate) struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    /// Something came or the queue closed.
    came: Condvar,
    /// A batch was delivered.
    delivered: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<(Event, DateTime<Utc>)>,
    lost: Option<Lost>,
    /// How many came, lost ones included, and how many of those the sink has had or been told of.
    came: u64,
    delivered: u64,
    /// Bulk acts that wait for room.
    wakers: Vec<Waker>,
    closed: bool,
}

/// What did not fit since the last delivery.
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

    /// Takes an event if there is room, and counts it as lost otherwise. Never waits for the sink.
    pub(super) fn push(&self, event: Event, at: DateTime<Utc>) {
        let mut waiting = self.lock();
        // Whoever delivers looks again before it sleeps; waking it is the dearest part.
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

    /// Whether there is room for the events of a bulk act; wakes when there may be. It leaves a
    /// quarter of the queue to single acts, and has a quarter that no refusal takes.
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

    /// Waits until all that came so far was delivered, or for `longest`; whether it was.
    pub(super) fn flush(&self, longest: Duration) -> bool {
        let waiting = self.lock();
        let so_far = waiting.came;
        let (waiting, _) = self
            .delivered
            .wait_timeout_while(waiting, longest, |waiting| waiting.delivered < so_far)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.delivered >= so_far
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_one();
    }
}
