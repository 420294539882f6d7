//! Records kept for a while in front of a store across a network.
//!
//! What is kept is the record, never the verdict. How old it is counts from before the store was
//! asked, and nothing prolongs that. A change fences: what was asked before it is not kept after it.

mod flight;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::Record;
use crate::store::StoreError;
use crate::token::TokenId;
pub(super) use flight::{Flight, Lead};

/// How often the store is asked again for one id because a kept record led to a refusal.
const REREAD_EVERY: Duration = Duration::from_millis(100);

const SHARDS: usize = 64;

/// An answer of the store, and the monotonic time before it was asked.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) record: Option<Arc<Record>>,
    pub(super) asked_at: Duration,
}

/// How to come by a record.
pub(super) enum Way {
    /// It is kept and fresh enough.
    Kept(Answer),
    /// Somebody is asking the store for it.
    Join(Arc<Flight>),
    /// Ask the store, and tell those who join.
    Lead(Lead),
}

pub(super) struct Kept {
    longest: Duration,
    most_per_shard: usize,
    /// Fences: each entry's number changes with every change of its record and is never used twice.
    fences: AtomicU64,
    shards: Box<[Mutex<HashMap<TokenId, Entry>>]>,
}

struct Entry {
    fence: u64,
    answer: Option<Answer>,
    flight: Option<Arc<Flight>>,
    reread_at: Option<Duration>,
}

impl Kept {
    pub(super) fn new(longest: Duration, most: usize) -> Self {
        Self {
            longest,
            most_per_shard: most.div_ceil(SHARDS).max(1),
            fences: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    fn shard(&self, id: TokenId) -> MutexGuard<'_, HashMap<TokenId, Entry>> {
        let shard = &self.shards[usize::from(id.to_bytes()[15]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fence(&self) -> u64 {
        self.fences.fetch_add(1, Ordering::Relaxed)
    }

    /// The way to a record that is at most as old as allowed.
    pub(super) fn way(self: &Arc<Self>, id: TokenId, now: Duration) -> Way {
        let mut shard = self.shard(id);
        let entry = self.entry(&mut shard, id);
        if let Some(answer) = &entry.answer
            && now.saturating_sub(answer.asked_at) <= self.longest
        {
            return Way::Kept(answer.clone());
        }
        if let Some(flight) = &entry.flight {
            return Way::Join(flight.clone());
        }
        Way::Lead(self.take_off(entry, id, now))
    }

    /// Permission to ask the store again for a record that led to a refusal, if there is one to be
    /// had at this time.
    pub(super) fn reread(self: &Arc<Self>, id: TokenId, now: Duration) -> Option<Lead> {
        let mut shard = self.shard(id);
        let entry = self.entry(&mut shard, id);
        if entry.reread_at.is_some_and(|last| now.saturating_sub(last) < REREAD_EVERY) {
            return None;
        }
        entry.reread_at = Some(now);
        Some(self.take_off(entry, id, now))
    }

    fn take_off(self: &Arc<Self>, entry: &mut Entry, id: TokenId, now: Duration) -> Lead {
        let flight = Arc::new(Flight::new(now));
        entry.flight = Some(flight.clone());
        Lead::new(self.clone(), flight, id, entry.fence)
    }

    fn entry<'m>(&self, shard: &'m mut HashMap<TokenId, Entry>, id: TokenId) -> &'m mut Entry {
        if shard.len() >= self.most_per_shard && !shard.contains_key(&id) {
            // The least useful of a few, whichever come first: good enough, and it costs the same at any
            // size. Ids without a record go first, so that inventing ids does not drive records out.
            let worth = |entry: &Entry| {
                entry.answer.as_ref().map(|answer| (answer.record.is_some(), answer.asked_at))
            };
            let oldest = shard.iter().take(8).min_by_key(|(_, entry)| worth(entry));
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                shard.remove(&oldest);
            }
        }
        match shard.entry(id) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => slot.insert(Entry {
                fence: self.next_fence(),
                answer: None,
                flight: None,
                reread_at: None,
            }),
        }
    }

    /// A flight has landed: its answer is kept unless a change came between.
    fn land(&self, id: TokenId, fence: u64, flight: &Arc<Flight>, answer: Option<&Answer>) {
        let mut shard = self.shard(id);
        let Some(entry) = shard.get_mut(&id).filter(|entry| entry.fence == fence) else { return };
        if entry.flight.as_ref().is_some_and(|current| Arc::ptr_eq(current, flight)) {
            entry.flight = None;
        }
        // Of two flights under way the later question has the better answer.
        let known = entry.answer.as_ref().map(|known| known.asked_at);
        if let Some(answer) = answer.filter(|answer| known.is_none_or(|at| at <= answer.asked_at)) {
            entry.answer = Some(answer.clone());
        }
    }

    /// The record of an id has changed, or may have.
    pub(super) fn forget(&self, id: TokenId) {
        if let Some(entry) = self.shard(id).get_mut(&id) {
            entry.forget(self.next_fence());
        }
    }

    /// Any record may have changed.
    pub(super) fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values_mut().for_each(|entry| entry.forget(self.next_fence()));
        }
    }
}

impl Entry {
    fn forget(&mut self, fence: u64) {
        self.fence = fence;
        self.answer = None;
        // Whoever comes from now on asks anew.
        self.flight = None;
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("longest", &self.longest).finish_non_exhaustive()
    }
}

/// A read that others made and that failed, told to those who waited for it.
pub(super) fn shared_failure(cause: &str) -> StoreError {
    StoreError::unavailable(cause.to_owned())
}
