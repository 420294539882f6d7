//! Cached records in front of a store across a network, and the reads that fill the cache.
//!
//! **Records, not verdicts.** The cache holds records. Each verification decides again, so expiry,
//! types and scopes take effect at once. The age of a cached result counts from the time *before* the
//! store was asked, and no later use extends it. All times here are monotonic offsets since the clock was
//! created.
//!
//! **Single-flight.** For one id there is at most one in-flight read that new verifications join. They
//! share its result. The cache spawns no task. Each waiting verification polls the read when it is
//! polled itself, so a verification whose future is not polled any more does not stop the others. See
//! [`in_flight`].
//!
//! **Fence.** A read that starts before a write may return the old record. [`Cache::invalidate`]
//! therefore detaches it, which means that it removes the read from its shard. The waiters still get
//! the record, because they too started before the write ended. But it is not cached, because a result
//! is cached only if its read is still in the shard. A verification after the write starts a new read.
//!
//! **Locks.** Each shard has one lock, which is never held while a read is polled or a waker is called.
//! The number of waiters of a read grows only under the lock of its shard. So a read without waiters,
//! seen under that lock, has none and gets none, and can be cancelled.

mod in_flight;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::store::{StoreError, Version};
use crate::sync::{Mutex, MutexGuard};
use crate::token::TokenId;
use in_flight::InFlightRead;
pub(super) use in_flight::{ReadFuture, ReadResult};

/// The minimum interval between two store reads of one id that refusals by its cached record trigger.
/// The time of the last such read is in the entry, so it is lost when the entry is evicted or
/// invalidated.
const REREAD_INTERVAL: Duration = Duration::from_millis(100);

/// The largest number of shards.
const MAX_SHARDS: usize = 64;

/// The minimum number of records for each shard. A cache for fewer than twice this many records has one
/// shard.
const MIN_RECORDS_PER_SHARD: usize = 16;

/// The result of a look-up.
pub(super) enum Lookup {
    /// The cached result is young enough.
    Cached(ReadResult),
    /// The store is being read. `started` says whether this look-up started the read or joined it.
    InFlight { waiter: Waiter, started: bool },
}

pub(super) struct Cache {
    max_age: Duration,
    /// An equal part of the maximum number of records, rounded down.
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
    result: ReadResult,
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

    /// Returns a cached result that is young enough, or joins the in-flight read, or starts one.
    pub(super) fn get(
        self: &Arc<Self>,
        id: TokenId,
        now: Duration,
        read: impl FnOnce(Duration) -> ReadFuture,
    ) -> Lookup {
        let mut shard = self.shard(id);
        if let Some(entry) = shard.entries.get(&id)
            && self.is_fresh(entry.result.asked_at, now)
        {
            return Lookup::Cached(entry.result.clone());
        }
        match self.join(&shard, id, now) {
            Some(joined) => joined,
            None => self.start(&mut shard, id, now, read),
        }
    }

    /// Returns a later result than the one that led to a refusal, or `None` if none is available now.
    ///
    /// A result that arrived since, or an in-flight read, causes no work for the store. If the id has an
    /// entry, a new read is started at most once per [`REREAD_INTERVAL`], so that refused requests cannot
    /// overload the store. Without an entry, each such request may start a read, as it would without a
    /// cache.
    pub(super) fn reread(
        self: &Arc<Self>,
        id: TokenId,
        refused: &ReadResult,
        now: Duration,
        read: impl FnOnce(Duration) -> ReadFuture,
    ) -> Option<Lookup> {
        let mut shard = self.shard(id);
        if let Some(entry) = shard.entries.get(&id)
            && !entry.result.is_same(refused)
            && entry.result.asked_at >= refused.asked_at
        {
            return Some(Lookup::Cached(entry.result.clone()));
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

    /// Returns whether the result of a read that started at `asked_at` is young enough.
    pub(super) fn is_fresh(&self, asked_at: Duration, now: Duration) -> bool {
        now.saturating_sub(asked_at) <= self.max_age
    }

    /// Joins the in-flight read, unless it started so long ago that its result is too old by now.
    fn join(self: &Arc<Self>, shard: &Shard, id: TokenId, now: Duration) -> Option<Lookup> {
        let read = shard.reads.get(&id).filter(|read| self.is_fresh(read.started_at(), now))?;
        Some(Lookup::InFlight { waiter: self.waiter(read, id), started: false })
    }

    fn start(
        self: &Arc<Self>,
        shard: &mut Shard,
        id: TokenId,
        now: Duration,
        read: impl FnOnce(Duration) -> ReadFuture,
    ) -> Lookup {
        let read = InFlightRead::new(now, read(now));
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

    /// Removes a read that has ended, and caches its result if no write came in between.
    fn complete(&self, id: TokenId, read: &Arc<InFlightRead>, result: Option<&ReadResult>) {
        let mut shard = self.shard(id);
        if shard.reads.get(&id).is_some_and(|current| Arc::ptr_eq(current, read)) {
            shard.reads.remove(&id);
            if let Some(result) = result {
                shard.insert(id, result, self.max_per_shard);
            }
        }
    }

    /// Invalidates one record, because it has changed or may have changed.
    pub(super) fn invalidate(&self, id: TokenId) {
        let mut shard = self.shard(id);
        shard.entries.remove(&id);
        shard.reads.remove(&id);
    }

    /// Returns the ids of each shard that are cached, or that are being read, one shard after the other. A read
    /// that started before a check may land after it.
    pub(super) fn ids(&self) -> impl Iterator<Item = Vec<TokenId>> {
        self.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let read = shard.reads.keys().filter(|id| !shard.entries.contains_key(*id));
            shard.entries.keys().chain(read).copied().collect()
        })
    }

    /// Invalidates a record if it has another version than the store, which was asked at `asked_at`. A read
    /// that started before that time is detached, because it may have read an older record. Returns whether a
    /// cached record was invalidated.
    pub(super) fn check(&self, id: TokenId, version: Option<Version>, asked_at: Duration) -> bool {
        let mut shard = self.shard(id);
        let is_outdated =
            shard.entries.get(&id).is_some_and(|entry| entry.result.version() != version);
        if is_outdated {
            shard.entries.remove(&id);
        }
        if shard.reads.get(&id).is_some_and(|read| read.started_at() <= asked_at) {
            shard.reads.remove(&id);
        }
        is_outdated
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
    fn insert(&mut self, id: TokenId, result: &ReadResult, max_entries: usize) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.result = result.clone();
            return;
        }
        if self.entries.len() >= max_entries {
            // A client that invents ids must not evict records.
            if result.stored.is_none() || max_entries == 0 {
                return;
            }
            // Evicts the least useful of eight arbitrary entries. The cost does not grow with the size.
            let usefulness =
                |entry: &CacheEntry| (entry.result.stored.is_some(), entry.result.asked_at);
            let evicted = self.entries.iter().take(8).min_by_key(|(_, entry)| usefulness(entry));
            if let Some(evicted) = evicted.map(|(id, _)| *id) {
                self.entries.remove(&evicted);
            }
        }
        self.entries.insert(id, CacheEntry { result: result.clone(), reread_at: None });
    }
}

/// A future that waits for an in-flight read. A waiter that gets the result caches it, and the first one wakes
/// the others. The last waiter that is dropped cancels the read.
pub(super) struct Waiter {
    cache: Arc<Cache>,
    read: Arc<InFlightRead>,
    id: TokenId,
}

impl Future for Waiter {
    type Output = Result<ReadResult, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready((outcome, first)) = self.read.poll(context) else {
            return Poll::Pending;
        };
        // Also for the others. The first may not have done it yet, and then a waiter whose token is refused
        // would join the same read again and again.
        self.cache.complete(self.id, &self.read, outcome.as_ref().ok());
        if first {
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
