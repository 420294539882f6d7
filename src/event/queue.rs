//! A bounded queue between the service and a slow sink.
//!
//! [`Queue::push`] never waits. One thread delivers the events in order. Three classes of events share the
//! queue, so that no client can displace the events of management operations:
//!
//! | class | events | share | beyond the share |
//! | --- | --- | --- | --- |
//! | [open](Class::Open) | anyone can cause any number of them, for example refusals, and reads and failed attempts of tokens | 1/2 | they are summed by kind |
//! | [acts](Class::Act) of tokens | issuing and rotating on behalf of a token | 1/16 | the operation waits for [room](Queue::room) before it acts |
//! | the reserve, [endings](Class::Ending) | revocations by tokens, and ends of overlaps | 1/8 | they are summed by kind |
//! | the reserve, [the embedder](Class::Reserved) | the operations of the embedder and of operators, the state of the service | the rest, at least 5/16 | they are counted as lost |
//!
//! A revocation by a token does not wait, because a revocation must not depend on a sink. It does not take
//! the room of the embedder either. A bulk operation may fill 1/4 of the queue with its events and waits
//! beyond that, so that at least 1/16 remains for single operations. The other classes cannot fill the
//! reserve, so it never waits for their events. While it waits, the events of the embedder are delivered
//! before all others.
//!
//! Each event has a number, and the delivering thread takes the smallest one of all lanes. A sum has the
//! number of its first event, so it is delivered after all events before that one, also during a flood.
//! Because the number of kinds is bounded, the queue holds a bounded number of events even if the sink hangs.

mod flush;
mod room;
mod sums;
mod waiters;

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use self::flush::Flushes;
pub(crate) use self::room::{Purpose, Room};
use self::sums::Sums;
use self::waiters::Waiters;
use super::Event;
use super::class::Class;
use super::sink::guarded;

/// The largest number of events that the delivering thread takes at once. It is small, because these
/// events cannot be overtaken any more.
const BATCH: usize = 64;

/// The queue. The service pushes events, and one thread delivers them.
pub(crate) struct Queue {
    shares: Shares,
    state: Mutex<State>,
    /// Wakes the delivering thread.
    came: Condvar,
}

/// The numbers of events that the classes may have in the queue.
struct Shares {
    capacity: usize,
    open: usize,
    acts: usize,
    endings: usize,
    bulk: usize,
}

/// The events of one class, oldest first.
type Lane = VecDeque<Entry>;

struct Entry {
    number: u64,
    event: Event,
    at: DateTime<Utc>,
}

#[derive(Default)]
struct State {
    open: Lane,
    acts: Lane,
    endings: Lane,
    reserved: Lane,
    sums: Sums,
    lost: Option<Lost>,
    /// The number of the next event.
    next: u64,
    /// The smallest number among the events that are being delivered.
    delivering: Option<u64>,
    /// The numbers of operations that have taken room.
    taken_acts: usize,
    taken_bulk: usize,
    waiting_acts: Waiters,
    waiting_bulk: Waiters,
    flushes: Flushes,
    /// Whether the delivering thread sleeps. Waking it is the most expensive part of a push.
    asleep: bool,
    closed: bool,
}

/// The events of the embedder that did not fit.
struct Lost {
    number: u64,
    operations: u64,
    last: DateTime<Utc>,
}

/// The origin of the next event to deliver.
enum Next {
    Lane(Class),
    Sum,
    Lost,
}

impl Shares {
    fn of(capacity: usize) -> Self {
        Self {
            capacity,
            open: capacity / 2,
            acts: capacity / 16,
            endings: capacity / 8,
            bulk: capacity / 4,
        }
    }
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        let shares = Shares::of(capacity);
        Self { shares, state: Mutex::default(), came: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event if its share has room, and sums it or counts it as lost otherwise. Never waits for the
    /// sink.
    pub(super) fn push(&self, event: Event, at: DateTime<Utc>) {
        self.push_as(None, event, at);
    }

    /// Adds an event of the embedder as one that ends a token, because a report of a text caused it. A client that
    /// knows the texts of tokens can cause many, so they must not fill the reserve.
    pub(super) fn push_reported(&self, event: Event, at: DateTime<Utc>) {
        let class = match event.class() {
            Class::Reserved => Class::Ending,
            class => class,
        };
        self.add(class, false, event, at);
    }

    /// Adds an event to the lane in which room was taken for it, or to the lane of its class if it fits.
    fn push_as(&self, taken: Option<Class>, event: Event, at: DateTime<Utc>) {
        self.add(taken.unwrap_or_else(|| event.class()), taken.is_some(), event, at);
    }

    fn add(&self, class: Class, has_room: bool, event: Event, at: DateTime<Utc>) {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        if has_room || state.fits(class, &self.shares) {
            state.lane(class).push_back(Entry { number, event, at });
        } else if class == Class::Reserved {
            let lost = state.lost.get_or_insert(Lost { number, operations: 0, last: at });
            lost.operations += 1;
            lost.last = lost.last.max(at);
        } else {
            state.sums.add(number, &event, at);
        }
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.came.notify_one();
        }
    }

    /// Delivers events in order until the queue is closed and empty.
    pub(super) fn drain(&self, deliver: impl Fn(&Event, DateTime<Utc>)) {
        loop {
            let mut state = self.lock();
            state.asleep = false;
            state.delivering = None;
            let batch = state.take_batch();
            let oldest = state.oldest();
            let flushed = state.flushes.ended(oldest);
            if batch.is_empty() && flushed.is_empty() {
                if state.closed {
                    return;
                }
                state.asleep = true;
                drop(self.came.wait(state));
                continue;
            }
            drop(state);
            self.wake(&[Purpose::Bulk, Purpose::Act]);
            for waker in flushed {
                guarded(|| waker.wake());
            }
            for (event, at) in batch {
                deliver(&event, at);
            }
        }
    }

    /// Closes the queue. The delivering thread delivers the remaining events and ends.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.came.notify_one();
    }
}

impl State {
    fn lane(&mut self, class: Class) -> &mut Lane {
        match class {
            Class::Open => &mut self.open,
            Class::Act => &mut self.acts,
            Class::Ending => &mut self.endings,
            Class::Reserved => &mut self.reserved,
        }
    }

    fn waiters(&mut self, purpose: Purpose) -> &mut Waiters {
        match purpose {
            Purpose::Act => &mut self.waiting_acts,
            Purpose::Bulk => &mut self.waiting_bulk,
        }
    }

    fn taken(&mut self, purpose: Purpose) -> &mut usize {
        match purpose {
            Purpose::Act => &mut self.taken_acts,
            Purpose::Bulk => &mut self.taken_bulk,
        }
    }

    /// Returns the number of events in the queue, with the room that acts have taken.
    fn filled(&self) -> usize {
        let lanes = [&self.open, &self.acts, &self.endings, &self.reserved];
        lanes.iter().map(|lane| lane.len()).sum::<usize>() + self.taken_acts
    }

    fn fits(&self, class: Class, shares: &Shares) -> bool {
        self.filled() < shares.capacity
            && match class {
                Class::Open => self.open.len() < shares.open,
                Class::Act => self.acts.len() + self.taken_acts < shares.acts,
                Class::Ending => self.endings.len() < shares.endings,
                Class::Reserved => true,
            }
    }

    /// Returns the numbers of the first event of each lane, of the sums and of the lost events.
    fn heads(&self) -> impl Iterator<Item = (u64, Next)> {
        let first = |lane: &Lane, class| Some((lane.front()?.number, Next::Lane(class)));
        let heads = [
            first(&self.open, Class::Open),
            first(&self.acts, Class::Act),
            first(&self.endings, Class::Ending),
            first(&self.reserved, Class::Reserved),
            self.sums.first_number().map(|number| (number, Next::Sum)),
            self.lost.as_ref().map(|lost| (lost.number, Next::Lost)),
        ];
        heads.into_iter().flatten()
    }

    /// Returns the number of the oldest event that was not delivered, or of the next event.
    fn oldest(&self) -> u64 {
        let heads = self.heads().map(|(number, _)| number);
        heads.chain(self.delivering).min().unwrap_or(self.next)
    }

    fn take_batch(&mut self) -> Vec<(Event, DateTime<Utc>)> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some((number, event)) = self.pop()
        {
            batch.push(event);
            self.delivering = Some(self.delivering.map_or(number, |least| least.min(number)));
        }
        batch
    }

    /// Removes the next event to deliver, with its number.
    fn pop(&mut self) -> Option<(u64, (Event, DateTime<Utc>))> {
        let overtakes = !self.waiting_bulk.is_empty() && !self.reserved.is_empty();
        let (number, next) = match overtakes {
            true => (0, Next::Lane(Class::Reserved)),
            false => self.heads().min_by_key(|(number, _)| *number)?,
        };
        match next {
            Next::Lane(class) => {
                let Entry { number, event, at } = self.lane(class).pop_front()?;
                Some((number, (event, at)))
            }
            Next::Sum => Some((number, self.sums.pop()?)),
            Next::Lost => {
                let Lost { operations, last, .. } = self.lost.take()?;
                Some((number, (Event::Lost { operations }, last)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
