//! Records in memory, indexed: what the memory store is and what the file store reads from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, Utc};
use hashbrown::HashMap;

use crate::clock::from_micros;
use crate::record::Record;
use crate::store::{Direction, Found, LastUsed, Page, Query, StoreError, Stored, Version};
use crate::token::TokenId;

/// Locks among which the records are spread: growing one shard stops a 256th of the readers.
const SHARDS: usize = 256;

/// Records looked at for one page. A filter that few records pass gives short pages, not long waits.
const LOOKED_AT: usize = 10_000;

/// One record with what the store keeps beside it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) record: Record,
    pub(crate) version: Version,
    /// Microseconds since 1970; `None` is never.
    pub(crate) last_used: Option<i64>,
}

impl Row {
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

    fn ids(&self, query: &Query) -> Vec<TokenId> {
        let ids = match query.owner_filter() {
            None => &self.all,
            Some(owner) => match self.by_owner.get(owner) {
                None => return Vec::new(),
                Some(ids) => ids,
            },
        };
        let behind = query.cursor().map_or(Bound::Unbounded, Bound::Excluded);
        match query.order() {
            Direction::OldestFirst => {
                ids.range((behind, Bound::Unbounded)).take(LOOKED_AT).copied().collect()
            }
            Direction::NewestFirst => {
                ids.range((Bound::Unbounded, behind)).rev().take(LOOKED_AT).copied().collect()
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
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), order: RwLock::default() }
    }

    fn shard(&self, id: TokenId) -> &RwLock<HashMap<TokenId, Row>> {
        // The last byte of a version-7 id is random; of a chosen one, at worst all share a shard.
        &self.shards[usize::from(id.to_bytes()[15]) % SHARDS]
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

    /// Replaces a record that has the expected version.
    pub(crate) fn replace(&self, record: Record, expected: Version) -> Result<Version, StoreError> {
        let mut shard = write(self.shard(record.id()));
        let row = shard
            .get_mut(&record.id())
            .filter(|row| row.version == expected)
            .ok_or(StoreError::Conflict)?;
        StoreError::check_replacement(&row.record, &record)?;
        row.version = Version(expected.0 + 1);
        row.record = record;
        Ok(row.version)
    }

    /// Removes a record that has the expected version.
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

    /// Notes a use, if the record is there and none later is noted.
    pub(crate) fn touch(&self, id: TokenId, used: i64) {
        if let Some(row) = write(self.shard(id)).get_mut(&id) {
            row.last_used = row.last_used.max(Some(used));
        }
    }

    pub(crate) fn list(&self, query: &Query, now: DateTime<Utc>) -> Page {
        let ids = read(&self.order).ids(query);
        let mut items = Vec::new();
        for &id in &ids {
            if items.len() == query.page_len() {
                return Page {
                    next: items.last().map(|stored: &Stored| stored.record.id()),
                    items,
                };
            }
            self.visit(id, |row| {
                items.extend(
                    row.filter(|row| query.matches(&row.record, row.last_used(), now))
                        .map(Row::to_stored),
                );
            });
        }
        // Behind the last id looked at there may be more, unless fewer were there than one looks at.
        let next = ids.last().copied().filter(|_| ids.len() == LOOKED_AT);
        Page { items, next }
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    // No code that holds the lock leaves it half-changed, so a panic elsewhere spoils nothing.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
