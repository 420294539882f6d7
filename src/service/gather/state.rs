//! The queue, the calls in flight and their waiters. No function here runs code of the store or of a waker.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem::{replace, take};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::call::{Answers, CallFuture, Later, Polled, Results, Source, Turn};
use super::entry::{Answer, Entry, Status, Waiter};
use super::slab::Slab;
use crate::error::{other_record, wrong_number_of_results};
use crate::store::{Gathering, StoreError, StoredRecord};
use crate::token::TokenId;

/// A place for a call in flight.
#[derive(Default)]
struct Call {
    is_occupied: bool,
    /// The entries of the call in the order of its ids.
    entries: Vec<usize>,
    /// The number of entries that have waiters.
    wanted: usize,
    /// `None` while the call is polled or dropped.
    future: Option<CallFuture>,
    /// `None` while the call is polled, and before the first call of this place.
    waker: Option<Waker>,
    /// Whether the call was woken while it was polled.
    is_woken: bool,
}

impl Call {
    /// Occupies the place. The entries are set.
    fn open(&mut self, future: CallFuture) {
        self.is_occupied = true;
        self.is_woken = false;
        self.wanted = self.entries.len();
        self.future = Some(future);
    }
}

/// The state of a gatherer after a poll of a call.
pub(super) enum After {
    /// The call waits for the store, or it has ended and no look-up is queued.
    Waiting,
    /// The call has ended, and the next one is due.
    Sent,
    /// No look-up waits for the call any more. It ends with [`State::end`] after its future was dropped.
    Unwanted(CallFuture),
}

/// The look-ups and the calls of a gatherer.
pub(super) struct State {
    sizes: Gathering,
    entries: Slab<Entry>,
    /// The entries that are not sent, in the order of their arrival.
    queue: BTreeMap<u64, usize>,
    /// The same entries by id.
    queued: HashMap<TokenId, usize>,
    next_position: u64,
    /// Whether one place is taken by a look-up that was alone.
    is_alone: bool,
    calls: Vec<Call>,
    free: Vec<usize>,
    /// The places of the calls that have to be polled.
    due: VecDeque<usize>,
}

impl State {
    pub(super) fn new(sizes: Gathering) -> Self {
        Self {
            sizes,
            entries: Slab::default(),
            queue: BTreeMap::new(),
            queued: HashMap::new(),
            next_position: 0,
            is_alone: false,
            calls: Vec::new(),
            free: Vec::new(),
            due: VecDeque::new(),
        }
    }

    /// Adds a look-up. It is sent at once if a place is free. Otherwise it joins the queued entry of its id, or
    /// makes one.
    pub(super) fn add(&mut self, id: TokenId, waker: &Waker, source: &Arc<Source>) -> Waiter {
        if let Some(place) = self.free_place() {
            // Entries are only queued while all places are occupied, so the queue is empty.
            let entry = self.entries.insert(Entry::new(id, Status::InCall(place), waker));
            if let Some(call) = self.calls.get_mut(place) {
                call.entries.push(entry);
                call.open(source.call_one(id));
                self.due.push_front(place);
            }
            return Waiter { entry, number: 0 };
        }
        if let Some(entry) = self.queued.get(&id).copied()
            && let Some(joined) = self.entries.get_mut(entry)
        {
            return Waiter { entry, number: joined.join(waker) };
        }
        let position = self.next_position;
        self.next_position += 1;
        let entry = self.entries.insert(Entry::new(id, Status::Queued(position), waker));
        self.queue.insert(position, entry);
        self.queued.insert(id, entry);
        Waiter { entry, number: 0 }
    }

    /// Takes a place that is free.
    fn free_place(&mut self) -> Option<usize> {
        let in_flight = self.calls.len() - self.free.len() + usize::from(self.is_alone);
        if in_flight >= self.sizes.max_calls {
            return None;
        }
        Some(self.free.pop().unwrap_or_else(|| {
            self.calls.push(Call::default());
            self.calls.len() - 1
        }))
    }

    /// Returns whether no call is in flight, except one of a look-up that was alone.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.len() == self.free.len()
    }

    /// Sets whether a look-up is in flight that was alone. If it has ended, the next call takes its place.
    pub(super) fn set_alone(&mut self, is_alone: bool, source: &Arc<Source>) {
        self.is_alone = is_alone;
        if !self.queue.is_empty()
            && let Some(place) = self.free_place()
        {
            self.send(place, source);
        }
    }

    /// Makes the next call of the queued entries in a place that is free, and returns whether there is one.
    /// It is due before the calls that were woken again.
    fn send(&mut self, place: usize, source: &Arc<Source>) -> bool {
        let Some(call) = self.calls.get_mut(place) else { return false };
        let mut ids = Vec::with_capacity(self.queue.len().min(self.sizes.max_ids));
        while ids.len() < self.sizes.max_ids
            && let Some((_, key)) = self.queue.pop_first()
        {
            if let Some(entry) = self.entries.get_mut(key) {
                self.queued.remove(&entry.id);
                entry.status = Status::InCall(place);
                ids.push(entry.id);
                call.entries.push(key);
            }
        }
        match ids[..] {
            [] => {
                self.free.push(place);
                return false;
            }
            [id] => call.open(source.call_one(id)),
            _ => call.open(source.call_many(ids)),
        }
        self.due.push_front(place);
        true
    }

    /// Returns the number of calls that have to be polled.
    pub(super) fn due(&self) -> usize {
        self.due.len()
    }

    /// Takes a call that has to be polled. `waker` makes the waker of a new place.
    pub(super) fn take_due(&mut self, waker: impl FnOnce(usize) -> Waker) -> Option<Turn> {
        while let Some(place) = self.due.pop_front() {
            if let Some(call) = self.calls.get_mut(place)
                && let Some(future) = call.future.take()
            {
                let waker = call.waker.take().unwrap_or_else(|| waker(place));
                return Some(Turn { place, future, waker });
            }
        }
        None
    }

    /// Records the result of a poll.
    pub(super) fn polled(
        &mut self,
        place: usize,
        waker: Waker,
        polled: Polled,
        source: &Arc<Source>,
        later: &mut Later,
    ) -> After {
        let Some(call) = self.calls.get_mut(place) else { return After::Waiting };
        call.waker = Some(waker);
        let answers = match polled {
            Polled::Pending(future) if call.wanted == 0 => return After::Unwanted(future),
            Polled::Pending(future) => {
                call.future = Some(future);
                if replace(&mut call.is_woken, false) {
                    self.due.push_back(place);
                    self.take_wakers(place, later);
                }
                return After::Waiting;
            }
            Polled::Answered(answers) => Some(answers),
            Polled::Panicked => None,
        };
        self.answer(place, answers, later);
        if self.end(place, source) { After::Sent } else { After::Waiting }
    }

    /// Gives the results of a call to its entries. Without results the store has panicked.
    fn answer(&mut self, place: usize, answers: Option<Answers>, later: &mut Later) {
        let Some(call) = self.calls.get_mut(place) else { return };
        let keys = take(&mut call.entries);
        let sent_at = answers.as_ref().map_or(Duration::ZERO, |answers| answers.sent_at);
        match (answers.map(|answers| answers.found), &keys[..]) {
            (Some(Results::One(found)), [key]) => self.answer_entry(*key, found, sent_at, later),
            (Some(Results::Many(found)), keys) if found.len() == keys.len() => {
                for (key, found) in keys.iter().zip(found) {
                    let found = found.map(|found| found.map(Arc::new));
                    self.answer_entry(*key, found, sent_at, later);
                }
            }
            (wrong, keys) => {
                for key in keys {
                    let error = match wrong {
                        Some(_) => wrong_number_of_results(StoreError::corrupt),
                        None => StoreError::unavailable("the store panicked"),
                    };
                    self.answer_entry(*key, Err(error), sent_at, later);
                }
                later.wrong(wrong);
            }
        }
        if let Some(call) = self.calls.get_mut(place) {
            // The next call of this place uses the memory again.
            call.entries = keys;
            call.entries.clear();
        }
    }

    fn answer_entry(
        &mut self,
        key: usize,
        found: Result<Option<Arc<StoredRecord>>, StoreError>,
        sent_at: Duration,
        later: &mut Later,
    ) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if entry.waiters == 0 {
            let _ = self.entries.remove(key);
            later.unread(found);
            return;
        }
        let found = match found {
            Ok(Some(stored)) if stored.record.id() != entry.id => {
                later.unread(Ok(Some(stored)));
                Err(other_record())
            }
            found => found,
        };
        let found = found.map_err(Arc::new);
        entry.status = Status::Answered(Answer { found, sent_at });
        entry.take_wakers(later);
    }

    /// Ends a call whose future is dropped, and makes the next one in its place. Returns whether there is one.
    pub(super) fn end(&mut self, place: usize, source: &Arc<Source>) -> bool {
        let Some(call) = self.calls.get_mut(place) else { return false };
        call.is_occupied = false;
        for key in call.entries.drain(..) {
            let _ = self.entries.remove(key);
        }
        self.send(place, source)
    }

    /// Marks a call as woken, and takes the wakers of the look-ups that depend on it.
    pub(super) fn woken(&mut self, place: usize, later: &mut Later) {
        let Some(call) = self.calls.get_mut(place).filter(|call| call.is_occupied) else { return };
        if call.future.is_none() {
            // The look-up that polls it sees this afterwards.
            call.is_woken = true;
        } else if !self.due.contains(&place) {
            self.due.push_back(place);
            self.take_wakers(place, later);
        }
    }

    /// Takes the wakers of the calls that have to be polled.
    pub(super) fn wake_due(&mut self, later: &mut Later) {
        for place in self.due.clone() {
            self.take_wakers(place, later);
        }
    }

    /// Takes the wakers of the look-ups that depend on a call: its own, and all queued ones. Any of them may
    /// not be polled any more, and then the others must be able to poll the call.
    fn take_wakers(&mut self, place: usize, later: &mut Later) {
        let Some(call) = self.calls.get(place) else { return };
        for key in call.entries.iter().chain(self.queue.values()) {
            if let Some(entry) = self.entries.get_mut(*key) {
                entry.take_wakers(later);
            }
        }
    }

    /// Sets the waker of a look-up that is polled again, and returns the former one.
    pub(super) fn register(&mut self, waiter: Waiter, waker: &Waker) -> Option<Waker> {
        let entry = self.entries.get_mut(waiter.entry)?;
        match entry.status {
            Status::Answered(_) => None,
            Status::Queued(_) | Status::InCall(_) => entry.register(waiter.number, waker),
        }
    }

    /// Takes the answer of a look-up, which does not wait any more then.
    pub(super) fn take_answer(&mut self, waiter: Waiter) -> Option<Answer> {
        let entry = self.entries.get_mut(waiter.entry)?;
        let Status::Answered(answer) = &entry.status else { return None };
        if entry.waiters > 1 {
            entry.waiters -= 1;
            return Some(answer.clone());
        }
        match self.entries.remove(waiter.entry)?.status {
            Status::Answered(answer) => Some(answer),
            Status::Queued(_) | Status::InCall(_) => None,
        }
    }

    /// Removes a look-up that is dropped. The result is dropped by the caller, without a lock.
    pub(super) fn remove(&mut self, waiter: Waiter) -> Removed {
        let mut removed = Removed::default();
        let Some(entry) = self.entries.get_mut(waiter.entry) else { return removed };
        entry.waiters -= 1;
        removed.waker = entry.remove(waiter.number);
        if entry.waiters > 0 {
            return removed;
        }
        match entry.status {
            Status::InCall(place) => {
                if let Some(call) = self.calls.get_mut(place) {
                    call.wanted -= 1;
                    if call.wanted == 0
                        && let Some(future) = call.future.take()
                    {
                        self.due.retain(|due| *due != place);
                        removed.cancelled = Some((place, future));
                    }
                }
            }
            Status::Queued(position) => {
                self.queue.remove(&position);
                self.queued.remove(&entry.id);
                let _ = self.entries.remove(waiter.entry);
            }
            Status::Answered(_) => removed.entry = self.entries.remove(waiter.entry).map(Unread),
        }
        removed
    }
}

/// The parts that a dropped look-up leaves behind.
#[derive(Default)]
pub(super) struct Removed {
    waker: Option<Waker>,
    entry: Option<Unread>,
    /// The call without a look-up. Its place is free after [`State::end`].
    pub(super) cancelled: Option<(usize, CallFuture)>,
}

/// An entry whose answer no look-up took.
struct Unread(#[expect(dead_code, reason = "it is only dropped")] Entry);
