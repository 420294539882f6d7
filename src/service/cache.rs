//! Cached records in front of a store across a network, and the reads that fill the cache.
//!
//! **Records, not verdicts.** The cache holds records. Each verification decides again, so expiry,
//! types and scopes take effect at once. A cached answer ages from the time *before* the store was
//! asked, and no later use extends its age.
//!
//! **Single-flight.** For one id there is at most one in-flight read that new verifications join. They
//! share its answer. The cache spawns no task. Each waiting verification polls the read when it is
//! polled itself, so a verification whose future is not polled any more does not stop the others. See
//! [`in_flight`].
//!
//! **Fence.** A read that started before a write may return the record from before it. So
//! [`Cache::invalidate`] removes the in-flight read from its shard together with the cached record. The
//! waiting verifications still get its answer, because they too started before the write ended. But
//! when the answer arrives, it is cached only if its read is still the one in the shard. A verification
//! that comes after the write starts a new read.
//!
//! **Locks.** Each shard has one lock, which is never held while a read is polled or a waker is called.
//! The number of waiters of a read grows only under the lock of its shard. So a read without waiters,
//! seen under that lock, has none and gets none, and can be cancelled.

mod in_flight;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::store::StoreError;
use crate::token::TokenId;
use in_flight::InFlightRead;
pub(super) use in_flight::{Answer, ReadFuture};

/// The shortest time between two reads of one id that a refusal by a cached record causes.
const REREAD_INTERVAL: Duration = Duration::from_millis(100);

/// The largest number of shards.
const MAX_SHARDS: usize = 64;

/// The smallest number of records for each shard.
const MIN_RECORDS_PER_SHARD: usize = 16;

/// The result of a look-up.
pub(super) enum Lookup {
    /// The cached answer is young enough.
    Cached(Answer),
    /// The store is being read. `started` says whether this look-up started the read or joined it.
    InFlight { waiter: Waiter, started: bool },
}

pub(super) struct Cache {
    max_age: Duration,
    max_per_shard: usize,
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<TokenId, CacheEntry>,
    /// The reads that new verifications can join. There are at most as many as waiting verifications.
    reads: HashMap<TokenId, Arc<InFlightRead>>,
}

struct CacheEntry {
    answer: Answer,
    /// The time at which a refusal by this entry last caused a read.
    reread_at: Option<Duration>,
}

impl Cache {
    pub(super) fn new(max_age: Duration, max_records: usize) -> Self {
        let shards = (max_records / MIN_RECORDS_PER_SHARD).clamp(1, MAX_SHARDS);
        Self {
            max_age,
            max_per_shard: max_records / shards,
            shards: (0..shards).map(|_| Mutex::default()).collect(),
        }
    }

    fn shard(&self, id: TokenId) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(id.to_bytes()[15]) % self.shards.len()];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a cached answer that is young enough, or joins the in-flight read, or starts one.
    pub(super) fn get(
        self: &Arc<Self>,
        id: TokenId,
        now: Duration,
        read: impl FnOnce() -> ReadFuture,
    ) -> Lookup {
        let mut shard = self.shard(id);
        if let Some(entry) = shard.entries.get(&id)
            && self.is_fresh(entry.answer.asked_at, now)
        {
            return Lookup::Cached(entry.answer.clone());
        }
        match self.join(&shard, id, now) {
            Some(joined) => joined,
            None => self.start(&mut shard, id, now, read),
        }
    }

    /// Returns a later answer than the one that led to a refusal, or `None` if none is available now.
    ///
    /// An answer that arrived since, or an in-flight read, causes no work for the store. A new read is
    /// started at most once per [`REREAD_INTERVAL`], so that refused requests cannot overload the
    /// store.
    pub(super) fn reread(
        self: &Arc<Self>,
        id: TokenId,
        refused: &Answer,
        now: Duration,
        read: impl FnOnce() -> ReadFuture,
    ) -> Option<Lookup> {
        let mut shard = self.shard(id);
        if let Some(entry) = shard.entries.get(&id)
            && !entry.answer.is_same(refused)
            && entry.answer.asked_at >= refused.asked_at
        {
            return Some(Lookup::Cached(entry.answer.clone()));
        }
        if let Some(joined) = self.join(&shard, id, now) {
            return Some(joined);
        }
        if let Some(entry) = shard.entries.get_mut(&id) {
            if entry.reread_at.is_some_and(|last| now.saturating_sub(last) < REREAD_INTERVAL) {
                return None;
            }
            entry.reread_at = Some(now);
        }
        Some(self.start(&mut shard, id, now, read))
    }

    /// Returns whether an answer to a read that started at `asked_at` is young enough.
    pub(super) fn is_fresh(&self, asked_at: Duration, now: Duration) -> bool {
        now.saturating_sub(asked_at) <= self.max_age
    }

    /// Joins the in-flight read, unless it started so long ago that its answer is too old by now.
    fn join(self: &Arc<Self>, shard: &Shard, id: TokenId, now: Duration) -> Option<Lookup> {
        let read = shard.reads.get(&id).filter(|read| self.is_fresh(read.asked_at(), now))?;
        Some(Lookup::InFlight { waiter: self.waiter(read, id), started: false })
    }

    fn start(
        self: &Arc<Self>,
        shard: &mut Shard,
        id: TokenId,
        now: Duration,
        read: impl FnOnce() -> ReadFuture,
    ) -> Lookup {
        let read = InFlightRead::new(now, read());
        let waiter = self.waiter(&read, id);
        shard.reads.insert(id, read);
        Lookup::InFlight { waiter, started: true }
    }

    /// Adds a waiter. The caller holds the lock of the shard.
    fn waiter(self: &Arc<Self>, read: &Arc<InFlightRead>, id: TokenId) -> Waiter {
        read.add_waiter();
        Waiter { cache: self.clone(), read: read.clone(), id }
    }

    /// Removes a read that lost its last waiter, and returns whether it is still without waiters.
    fn abandon(&self, id: TokenId, read: &Arc<InFlightRead>) -> bool {
        let mut shard = self.shard(id);
        if read.has_waiters() {
            return false;
        }
        if shard.reads.get(&id).is_some_and(|current| Arc::ptr_eq(current, read)) {
            shard.reads.remove(&id);
        }
        true
    }

    /// Removes a read that has ended, and caches its answer if no write came in between.
    fn complete(&self, id: TokenId, read: &Arc<InFlightRead>, answer: Option<&Answer>) {
        let mut shard = self.shard(id);
        if shard.reads.get(&id).is_some_and(|current| Arc::ptr_eq(current, read)) {
            shard.reads.remove(&id);
            if let Some(answer) = answer {
                shard.insert(id, answer, self.max_per_shard);
            }
        }
    }

    /// Invalidates one record, because it has changed or may have changed.
    pub(super) fn invalidate(&self, id: TokenId) {
        let mut shard = self.shard(id);
        shard.entries.remove(&id);
        shard.reads.remove(&id);
    }

    /// Invalidates all records.
    pub(super) fn invalidate_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.entries.clear();
            shard.reads.clear();
        }
    }
}

impl Shard {
    fn insert(&mut self, id: TokenId, answer: &Answer, max_entries: usize) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.answer = answer.clone();
            return;
        }
        if self.entries.len() >= max_entries {
            // A client that invents ids must not evict records.
            if answer.record.is_none() || max_entries == 0 {
                return;
            }
            // Evicts the least useful of eight arbitrary entries. The cost does not grow with the size.
            let usefulness =
                |entry: &CacheEntry| (entry.answer.record.is_some(), entry.answer.asked_at);
            let evicted = self.entries.iter().take(8).min_by_key(|(_, entry)| usefulness(entry));
            if let Some(evicted) = evicted.map(|(id, _)| *id) {
                self.entries.remove(&evicted);
            }
        }
        self.entries.insert(id, CacheEntry { answer: answer.clone(), reread_at: None });
    }
}

/// A future that waits for an in-flight read. The first waiter that gets the answer caches it and wakes
/// the others. The last waiter that is dropped cancels the read.
pub(super) struct Waiter {
    cache: Arc<Cache>,
    read: Arc<InFlightRead>,
    id: TokenId,
}

impl Future for Waiter {
    type Output = Result<Answer, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready((outcome, first)) = self.read.poll(context) else {
            return Poll::Pending;
        };
        if first {
            self.cache.complete(self.id, &self.read, outcome.as_ref().ok());
            self.read.wake_waiters();
        }
        Poll::Ready(outcome)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.read.remove_waiter() && self.cache.abandon(self.id, &self.read) {
            self.read.cancel();
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("max_age", &self.max_age).finish_non_exhaustive()
    }
}
