//! Records in memory, indexed: what the memory store is and what the file store reads from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, Utc};
use hashbrown::HashMap;

use crate::clock::from_micros;
use crate::record::Record;
#[cfg(feature = "memory")]
use crate::store::StoreError;
use crate::store::{Direction, Found, LastUsed, Page, Query, Stored, Version};
use crate::token::TokenId;

/// Locks among which the records are spread: growing one shard stops a 256th of the readers.
const SHARDS: usize = 256;

/// Records looked at for one page. A filter that few records pass gives short pages, not long waits.
const LOOKED_AT: usize = 10_000;

/// Ids taken from the order at once, at first and at most: the lock on it is held briefly, and a page
/// that fills early has not walked far.
const CHUNK: (usize, usize) = (64, 1_024);

/// One record with what the store keeps beside it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) record: Record,
    pub(crate) version: Version,
    /// Microseconds since 1970; `None` is never.
    pub(crate) last_used: Option<i64>,
    /// Bytes of the record's encoding.
    #[cfg(feature = "file")]
    pub(crate) encoded_len: u32,
}

impl Row {
    pub(crate) fn new(record: Record, version: Version) -> Self {
        Self {
            record,
            version,
            last_used: None,
            #[cfg(feature = "file")]
            encoded_len: 0,
        }
    }

    fn last_used(&self) -> LastUsed {
        self.last_used.map_or(LastUsed::Never, |micros| LastUsed::At(from_micros(micros)))
    }

    fn to_stored(&self) -> Stored {
        Stored { record: self.record.clone(), version: self.version, last_used: self.last_used() }
    }
}

/// Where each id stands in the order of all and in that of its owner.
#[derive(Debug, Default)]
struct Order {
    all: BTreeSet<TokenId>,
    by_owner: BTreeMap<Box<str>, BTreeSet<TokenId>>,
}

impl Order {
    fn insert(&mut self, record: &Record) {
        self.all.insert(record.id());
        if let Some(ids) = self.by_owner.get_mut(record.owner()) {
            ids.insert(record.id());
        } else {
            self.by_owner.insert(record.owner().into(), BTreeSet::from([record.id()]));
        }
    }

    fn remove(&mut self, record: &Record) {
        self.all.remove(&record.id());
        if let Some(ids) = self.by_owner.get_mut(record.owner()) {
            ids.remove(&record.id());
            if ids.is_empty() {
                self.by_owner.remove(record.owner());
            }
        }
    }

    /// The next ids behind a place, as many as there is room for.
    fn ids(&self, query: &Query, behind: Option<TokenId>, most: usize) -> Vec<TokenId> {
        let ids = match query.owner_filter() {
            None => &self.all,
            Some(owner) => match self.by_owner.get(owner) {
                None => return Vec::new(),
                Some(ids) => ids,
            },
        };
        let behind = behind.map_or(Bound::Unbounded, Bound::Excluded);
        match query.order() {
            Direction::OldestFirst => {
                ids.range((behind, Bound::Unbounded)).take(most).copied().collect()
            }
            Direction::NewestFirst => {
                ids.range((Bound::Unbounded, behind)).rev().take(most).copied().collect()
            }
        }
    }
}

/// All records, found by id and walked in order.
pub(crate) struct Table {
    shards: Box<[RwLock<HashMap<TokenId, Row>>]>,
    /// Locked after a shard, never before one.
    order: RwLock<Order>,
}

impl Table {
    #[cfg(feature = "memory")]
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), order: RwLock::default() }
    }

    fn shard(&self, id: TokenId) -> &RwLock<HashMap<TokenId, Row>> {
        &self.shards[shard_of(id)]
    }

    /// Lends the row of an id.
    pub(crate) fn visit<T>(&self, id: TokenId, visit: impl FnOnce(Option<&Row>) -> T) -> T {
        visit(read(self.shard(id)).get(&id))
    }

    pub(crate) fn find(&self, id: TokenId) -> Option<Stored> {
        self.visit(id, |row| row.map(Row::to_stored))
    }

    pub(crate) fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<Found<'_>>)) -> bool {
        self.visit(id, |row| {
            visit(row.map(|row| Found {
                record: &row.record,
                version: row.version,
                last_used: row.last_used(),
            }));
        });
        true
    }

    pub(crate) fn len(&self) -> usize {
        read(&self.order).all.len()
    }

    /// Inserts a row unless there is one.
    #[cfg(feature = "memory")]
    pub(crate) fn insert(&self, row: Row) -> Result<Version, StoreError> {
        let id = row.record.id();
        let mut shard = write(self.shard(id));
        if shard.contains_key(&id) {
            return Err(StoreError::Exists);
        }
        let version = row.version;
        write(&self.order).insert(&row.record);
        shard.insert(id, row);
        Ok(version)
    }

    /// Replaces a record that has the expected version, under a new one.
    #[cfg(feature = "memory")]
    pub(crate) fn replace(
        &self,
        record: Record,
        expected: Version,
        new: Version,
    ) -> Result<Version, StoreError> {
        let mut shard = write(self.shard(record.id()));
        let row = shard
            .get_mut(&record.id())
            .filter(|row| row.version == expected)
            .ok_or(StoreError::Conflict)?;
        StoreError::check_replacement(&row.record, &record)?;
        row.version = new;
        row.record = record;
        Ok(new)
    }

    /// Removes a record that has the expected version.
    #[cfg(feature = "memory")]
    pub(crate) fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        let mut shard = write(self.shard(id));
        if shard.get(&id).is_none_or(|row| row.version != expected) {
            return Err(StoreError::Conflict);
        }
        if let Some(row) = shard.remove(&id) {
            write(&self.order).remove(&row.record);
        }
        Ok(())
    }

    /// Puts a row in the place of the one with its id, which is of the same owner; the later of their
    /// last uses stays.
    #[cfg(feature = "file")]
    pub(crate) fn put(&self, mut row: Row) {
        let id = row.record.id();
        let mut shard = write(self.shard(id));
        if let Some(present) = shard.get_mut(&id) {
            row.last_used = row.last_used.max(present.last_used);
            *present = row;
        } else {
            write(&self.order).insert(&row.record);
            shard.insert(id, row);
        }
    }

    /// Removes the record with this id, whatever its version.
    #[cfg(feature = "file")]
    pub(crate) fn delete(&self, id: TokenId) {
        let mut shard = write(self.shard(id));
        if let Some(row) = shard.remove(&id) {
            write(&self.order).remove(&row.record);
        }
    }

    /// Notes a use, if the record is there and none later is noted.
    pub(crate) fn touch(&self, id: TokenId, used: i64) {
        if let Some(row) = write(self.shard(id)).get_mut(&id) {
            row.last_used = row.last_used.max(Some(used));
        }
    }

    pub(crate) fn list(&self, query: &Query, now: DateTime<Utc>) -> Page {
        let mut items: Vec<Stored> = Vec::new();
        let (mut behind, mut looked_at, mut chunk) = (query.cursor(), 0, CHUNK.0);
        while looked_at < LOOKED_AT {
            let ids = read(&self.order).ids(query, behind, chunk);
            for &id in &ids {
                // Only another record that may be shown makes a next page.
                if items.len() == query.page_len() {
                    return Page { next: behind, items };
                }
                behind = Some(id);
                self.visit(id, |row| {
                    items.extend(
                        row.filter(|row| query.matches(&row.record, row.last_used(), now))
                            .map(Row::to_stored),
                    );
                });
            }
            if ids.len() < chunk {
                return Page { items, next: None };
            }
            looked_at += ids.len();
            chunk = (chunk * 2).min(CHUNK.1);
        }
        Page { items, next: behind }
    }
}

fn shard_of(id: TokenId) -> usize {
    // The last byte of a version-7 id is random; of a chosen one, at worst all share a shard.
    usize::from(id.to_bytes()[15]) % SHARDS
}

/// A table that one thread fills before others see it: no locks, and the order is made at the end.
#[cfg(feature = "file")]
pub(crate) struct Loader(Vec<HashMap<TokenId, Row>>);

#[cfg(feature = "file")]
impl Loader {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self((0..SHARDS).map(|_| HashMap::with_capacity(rows / SHARDS)).collect())
    }

    /// The rows among which an id's is or would be.
    pub(crate) fn rows(&mut self, id: TokenId) -> &mut HashMap<TokenId, Row> {
        &mut self.0[shard_of(id)]
    }

    pub(crate) fn into_table(self) -> Table {
        let mut all = Vec::with_capacity(self.0.iter().map(HashMap::len).sum());
        let mut by_owner: HashMap<&str, Vec<TokenId>> = HashMap::new();
        for (&id, row) in self.0.iter().flatten() {
            all.push(id);
            by_owner.entry(row.record.owner()).or_default().push(id);
        }
        // Sets are made fastest from what is collected first: they sort once.
        let by_owner =
            by_owner.into_iter().map(|(owner, ids)| (owner.into(), ids.into_iter().collect()));
        let order = Order { by_owner: by_owner.collect(), all: all.into_iter().collect() };
        Table { shards: self.0.into_iter().map(RwLock::new).collect(), order: RwLock::new(order) }
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    // No code that holds the lock leaves it half-changed, so a panic elsewhere spoils nothing.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
