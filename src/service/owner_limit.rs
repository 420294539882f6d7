//! The limit of live tokens for each owner, which holds against simultaneous issues of one service.
//!
//! An issue counts the owner's live tokens in the store and then inserts one. Several issues that count
//! at once would all find room. A lock from the count to the end of the insert would close that gap, but a
//! future that is not polled would then stop all other issues of the owner. So an issue reserves a
//! *place* in memory instead.
//!
//! 1. It registers a [`Count`], and lists the live tokens or has them counted.
//! 2. [`Count::take`] adds the places of other issues to them, under a short lock. A place has the id of its
//!    token, so a token that is already in the list is not counted twice. If the sum is below the limit,
//!    the issue gets a [`Place`] in the same critical section.
//! 3. It inserts the record and drops the place.
//!
//! **A number from the store.** A number has no ids, so [`Count::take_counted`] adds every place of another
//! issue, and may count a token twice. If that sum is below the limit, the exact one is too. If it is not, the
//! tokens have to be listed. An issue that begins while there are other places lists them at once.
//!
//! **A count in progress.** A token that was inserted after a count has listed its page is not in the list,
//! and its place may be dropped before the count ends. So a dropped place whose token was stored stays for
//! the counts that began before. They have a number for that, which grows with each event.
//!
//! **An unknown outcome.** If the future of an issue is dropped during the insert, or if the answer is lost
//! and reading again fails, the token may still appear in the store. Its place stays for [`UNKNOWN_FOR`], so
//! that a caller cannot pass the limit by giving up again and again. A repetition with the same id does
//! not count it.
//!
//! **A draft.** Its embedder inserts the record at a time that the service does not know. So the outcome is
//! unknown from the preparation on, until [`OwnerLimits::settle`] reports that the token is in the store.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::GuardedClock;
use crate::error::ManageError;
use crate::token::TokenId;

/// The time for which a place is held if the outcome of its insert is unknown.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

/// The places and the counts of all owners. An owner without either has no entry.
#[derive(Default)]
pub(super) struct OwnerLimits(Mutex<State>);

#[derive(Default)]
struct State {
    owners: HashMap<Arc<str>, Owner>,
    /// The number of the latest event, which orders the beginnings of counts and the ends of inserts.
    events: u64,
    /// The places with an unknown outcome, by the monotonic time at which each is given up.
    unknown: VecDeque<(Duration, Arc<str>, TokenId)>,
}

#[derive(Default)]
struct Owner {
    /// The numbers with which the counts in progress began.
    counts: BTreeSet<u64>,
    places: HashMap<TokenId, Reserved>,
}

/// The place of one token.
#[derive(Default)]
struct Reserved {
    /// The issues that hold the place. Several may have the same chosen id.
    holders: usize,
    /// The number of the event after which the token was in the store.
    stored: Option<u64>,
    /// The monotonic time until which the token may appear in the store.
    unknown_until: Option<Duration>,
}

impl Reserved {
    /// Returns whether a count that began with this number may not have seen the token.
    fn is_taken(&self, began: u64) -> bool {
        self.holders > 0
            || self.unknown_until.is_some()
            || self.stored.is_some_and(|stored| stored > began)
    }
}

impl Owner {
    /// Removes the places that no count in progress needs.
    fn prune(&mut self) {
        let first = self.counts.first().copied().unwrap_or(u64::MAX);
        self.places.retain(|_, place| place.is_taken(first));
    }
}

impl State {
    fn next_event(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    /// Gives up the places whose outcome has been unknown for long enough.
    fn expire(&mut self, now: Duration) {
        while self.unknown.front().is_some_and(|(until, ..)| *until <= now)
            && let Some((until, owner, id)) = self.unknown.pop_front()
        {
            self.change(&owner, |state| {
                if let Some(place) = state.places.get_mut(&id)
                    && place.unknown_until == Some(until)
                {
                    place.unknown_until = None;
                }
            });
        }
    }

    /// Changes an owner that has an entry, and removes the entry if nothing is left of it.
    fn change(&mut self, owner: &str, change: impl FnOnce(&mut Owner)) {
        let Some(state) = self.owners.get_mut(owner) else { return };
        change(state);
        state.prune();
        if state.counts.is_empty() && state.places.is_empty() {
            self.owners.remove(owner);
        }
    }
}

impl OwnerLimits {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a count of the owner's live tokens. Create it before the store is read.
    pub(super) fn count<'l>(&'l self, owner: &str, clock: &'l GuardedClock) -> Count<'l> {
        let owner: Arc<str> = owner.into();
        let now = clock.monotonic();
        let mut state = self.lock();
        state.expire(now);
        let began = state.next_event();
        let alone = !state.owners.contains_key(&owner);
        state.owners.entry(owner.clone()).or_default().counts.insert(began);
        Count { limits: self, clock, owner, began, alone, live: HashSet::new() }
    }

    /// Notes that the token of a draft is in the store, so that its place is free for the counts that begin
    /// from now on. They find the token in the list.
    pub(super) fn settle(&self, owner: &str, id: TokenId) {
        let mut state = self.lock();
        let seen = state.next_event();
        state.change(owner, |owner| {
            if let Some(place) = owner.places.get_mut(&id)
                && place.unknown_until.take().is_some()
            {
                place.stored = Some(seen);
            }
        });
    }
}

/// A count of an owner's live tokens.
pub(super) struct Count<'l> {
    limits: &'l OwnerLimits,
    clock: &'l GuardedClock,
    owner: Arc<str>,
    began: u64,
    /// Whether the owner had no place and no other count when this one began.
    alone: bool,
    /// The live tokens that the store listed.
    live: HashSet<TokenId>,
}

impl<'l> Count<'l> {
    /// Returns whether a number from the store is likely to decide.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Returns a place for this token if the number of live tokens in the store and all places of other issues
    /// are below the maximum. Otherwise only a list of the tokens can decide.
    pub(super) fn take_counted(&self, id: TokenId, live: usize, max: usize) -> Option<Place<'l>> {
        let mut state = self.limits.lock();
        let owner = state.owners.entry(self.owner.clone()).or_default();
        let others = |(of, place): &(&TokenId, &Reserved)| **of != id && place.is_taken(self.began);
        if live.saturating_add(owner.places.iter().filter(others).count()) >= max {
            return None;
        }
        owner.places.entry(id).or_default().holders += 1;
        drop(state);
        Some(self.place(id))
    }

    /// Returns the value that holds a place which was entered for this token.
    fn place(&self, id: TokenId) -> Place<'l> {
        let (limits, clock, owner) = (self.limits, self.clock, self.owner.clone());
        Place { limits, clock, owner, id, outcome: Outcome::NotStored }
    }

    /// Adds live tokens that the store listed, and returns their number.
    pub(super) fn add(&mut self, live: impl Iterator<Item = TokenId>) -> usize {
        self.live.extend(live);
        self.live.len()
    }

    /// Returns a place for this token, unless the tokens in the store and the places of other issues reach
    /// the maximum.
    pub(super) fn take(self, id: TokenId, max: usize) -> Option<Place<'l>> {
        let mut state = self.limits.lock();
        let seen = state.next_event();
        let owner = state.owners.entry(self.owner.clone()).or_default();
        // A token that the store lists has a known outcome. Other counts may have missed it.
        for (_, place) in owner.places.iter_mut().filter(|(of, _)| self.live.contains(of)) {
            if place.unknown_until.take().is_some() {
                place.stored = Some(seen);
            }
        }
        let unseen = |(of, place): &(&TokenId, &Reserved)| {
            **of != id && !self.live.contains(of) && place.is_taken(self.began)
        };
        if self.live.len() + owner.places.iter().filter(unseen).count() >= max {
            return None;
        }
        owner.places.entry(id).or_default().holders += 1;
        drop(state);
        Some(self.place(id))
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.limits.lock().change(&self.owner, |owner| {
            owner.counts.remove(&self.began);
        });
    }
}

/// Whether the token of a place is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    NotStored,
    /// The token is in the store, or may still appear there, or neither.
    Unknown,
    Stored,
}

/// A place in the owner's limit, held until it is dropped.
pub(super) struct Place<'l> {
    limits: &'l OwnerLimits,
    clock: &'l GuardedClock,
    owner: Arc<str>,
    id: TokenId,
    outcome: Outcome,
}

impl Place<'_> {
    /// Notes that the insert begins, so that its outcome is unknown if its future is dropped.
    pub(super) fn begin_insert(&mut self) {
        self.outcome = Outcome::Unknown;
    }

    /// Leaves the place to a draft, for [`UNKNOWN_FOR`] from now.
    pub(super) fn leave_to_draft(mut self) {
        self.outcome = Outcome::Unknown;
    }

    /// Notes the outcome of the insert.
    pub(super) fn end_insert<T>(&mut self, inserted: &Result<T, ManageError>) {
        match inserted {
            Ok(_) => self.outcome = Outcome::Stored,
            Err(ManageError::Indeterminate { .. }) => {}
            Err(_) => self.outcome = Outcome::NotStored,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let unknown_until = self.clock.monotonic().saturating_add(UNKNOWN_FOR);
        let mut state = self.limits.lock();
        let ended = state.next_event();
        if self.outcome == Outcome::Unknown {
            state.unknown.push_back((unknown_until, self.owner.clone(), self.id));
        }
        state.change(&self.owner, |owner| {
            let Some(place) = owner.places.get_mut(&self.id) else { return };
            place.holders -= 1;
            match self.outcome {
                Outcome::NotStored => {}
                Outcome::Unknown => place.unknown_until = Some(unknown_until),
                Outcome::Stored => (place.stored, place.unknown_until) = (Some(ended), None),
            }
        });
    }
}

impl fmt::Debug for OwnerLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerLimits").field("owners", &self.lock().owners.len()).finish()
    }
}

#[cfg(test)]
mod tests;
