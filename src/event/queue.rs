//! A bounded queue between the service and a slow sink.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Event;

pub(crate) struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    /// Something came or the queue closed.
    came: Condvar,
    /// Everything was delivered.
    emptied: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    lost: u64,
    delivering: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, waiting: Mutex::default(), came: Condvar::new(), emptied: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event if there is room, and counts it as lost otherwise. Never waits for the sink.
    pub(super) fn push(&self, event: Event) {
        let mut waiting = self.lock();
        // Whoever delivers looks again before it sleeps; waking it is the dearest part.
        let asleep = !waiting.delivering && waiting.events.is_empty() && waiting.lost == 0;
        if waiting.events.len() < self.capacity {
            waiting.events.push_back(event);
        } else {
            waiting.lost += 1;
        }
        drop(waiting);
        if asleep {
            self.came.notify_one();
        }
    }

    /// Delivers events in order until the queue is closed and empty.
    pub(super) fn drain(&self, deliver: impl Fn(&Event)) {
        loop {
            let mut waiting = self.lock();
            waiting.delivering = false;
            while waiting.events.is_empty() && waiting.lost == 0 {
                self.emptied.notify_all();
                if waiting.closed {
                    return;
                }
                waiting = self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let events = std::mem::take(&mut waiting.events);
            let lost = std::mem::take(&mut waiting.lost);
            waiting.delivering = true;
            drop(waiting);
            events.iter().for_each(&deliver);
            if lost > 0 {
                deliver(&Event::Lost { events: lost });
            }
        }
    }

    /// Waits until all was delivered, or for `longest`; whether it was.
    pub(super) fn flush(&self, longest: Duration) -> bool {
        let busy = |w: &mut Waiting| w.delivering || !w.events.is_empty() || w.lost > 0;
        let (mut waiting, _) = self
            .emptied
            .wait_timeout_while(self.lock(), longest, busy)
            .unwrap_or_else(PoisonError::into_inner);
        !busy(&mut waiting)
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_one();
    }
}
