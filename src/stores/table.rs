//! An indexed table of records in memory, used by the memory store and the file store.
//!
//! Design. The rows are in a concurrent hash map that is read without a lock, so a look-up never
//! waits for a writer. A second structure, the index, has all ids in order, in total and per owner.
//! It is behind a read-write lock. Every write to the map holds the write lock, so that each write
//! to both is one step for other writers and for lists. A list takes ids from the index in small
//! chunks and reads each row from the map, so it holds the lock only briefly. The last use is the
//! only part of a row that is modified in place, as an atomic number. It is raised under the write
//! lock, because otherwise it could be raised in a row that is being replaced.

#[cfg(feature = "file")]
mod loader;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, Utc};
use hashbrown::DefaultHashBuilder;
use papaya::HashMap;
#[cfg(feature = "file")]
use papaya::OccupiedError;

#[cfg(feature = "file")]
pub(crate) use loader::{Inserted, Loader, Loading, OwnerNumber, Owners};

use crate::clock::from_micros;
use crate::concurrency::yield_once::yield_once;
use crate::record::Record;
#[cfg(feature = "memory")]
use crate::store::StoreError;
use crate::store::{
    Filter, LastUsed, ListRequest, MAX_PAGE_LEN, Order, Page, RecordRef, StoredRecord, Version,
};
use crate::token::TokenId;

/// The maximum number of records that are scanned for one page. A filter that few records match
/// gives short pages and not long waits.
const MAX_SCANNED: usize = 10_000;

/// The number of ids that a list takes from the index at once, first and at most. The lock is held
/// briefly, and a page that fills early has scanned few ids.
const FIRST_CHUNK: usize = 64;
const MAX_CHUNK: usize = 1_024;

/// A record with the data that the store has in addition.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) record: Record,
    pub(crate) version: Version,
    last_used: UsedAt,
    /// The length of the record's encoding, in bytes.
    #[cfg(feature = "file")]
    pub(crate) encoded_len: u32,
}

impl Row {
    pub(crate) fn new(record: Record, version: Version) -> Self {
        Self {
            record,
            version,
            last_used: UsedAt::never(),
            #[cfg(feature = "file")]
            encoded_len: 0,
        }
    }

    /// Creates a row for a record whose encoding has this many bytes.
    #[cfg(feature = "file")]
    pub(crate) fn encoded(record: Record, version: Version, encoded_len: usize) -> Self {
        // Cannot overflow, because encodings are bounded by `MAX_RECORD_BYTES`.
        let encoded_len = u32::try_from(encoded_len).unwrap_or(u32::MAX);
        Self { encoded_len, ..Self::new(record, version) }
    }

    /// Returns the last use in microseconds since 1970, or `None` for never.
    #[cfg(feature = "file")]
    pub(crate) fn used_at(&self) -> Option<i64> {
        self.last_used.get()
    }

    /// Raises the last use, unless it is later already.
    pub(crate) fn touch(&self, used: Option<i64>) {
        self.last_used.raise(used);
    }

    fn last_used(&self) -> LastUsed {
        self.last_used.get().map_or(LastUsed::Never, |micros| LastUsed::At(from_micros(micros)))
    }

    fn to_stored(&self) -> StoredRecord {
        StoredRecord {
            record: self.record.clone(),
            version: self.version,
            last_used: self.last_used(),
        }
    }
}

/// The last use in microseconds since 1970, where the lowest number means never. This is the only
/// part of a row that is modified in place.
#[derive(Debug)]
struct UsedAt(AtomicI64);

impl UsedAt {
    const NEVER: i64 = i64::MIN;

    fn never() -> Self {
        Self(AtomicI64::new(Self::NEVER))
    }

    fn get(&self) -> Option<i64> {
        let micros = self.0.load(Ordering::Relaxed);
        (micros != Self::NEVER).then_some(micros)
    }

    fn raise(&self, used: Option<i64>) {
        self.0.fetch_max(used.unwrap_or(Self::NEVER), Ordering::Relaxed);
    }
}

/// The sorted ids of all records and of each owner.
#[derive(Debug, Default)]
struct Index {
    all: BTreeSet<TokenId>,
    by_owner: BTreeMap<Box<str>, BTreeSet<TokenId>>,
}

impl Index {
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

    /// Returns the next ids after a cursor in the request's order, at most `max` of them.
    fn ids(&self, request: &ListRequest, behind: Option<TokenId>, max: usize) -> Vec<TokenId> {
        let ids = match request.filter.owner.as_deref() {
            None => &self.all,
            Some(owner) => match self.by_owner.get(owner) {
                None => return Vec::new(),
                Some(ids) => ids,
            },
        };
        let behind = behind.map_or(Bound::Unbounded, Bound::Excluded);
        match request.order {
            Order::OldestFirst => {
                ids.range((behind, Bound::Unbounded)).take(max).copied().collect()
            }
            Order::NewestFirst => {
                ids.range((Bound::Unbounded, behind)).rev().take(max).copied().collect()
            }
        }
    }
}

type Rows = HashMap<TokenId, Row, DefaultHashBuilder>;

/// All records, by id and in order.
pub(crate) struct Table {
    /// Read without a lock. Modified only while the index is locked for writing, so that each write
    /// is atomic.
    rows: Rows,
    index: RwLock<Index>,
}

impl Table {
    #[cfg(feature = "memory")]
    pub(crate) fn new() -> Self {
        Self { rows: Rows::default(), index: RwLock::default() }
    }

    /// Passes `visit` the row of an id.
    pub(crate) fn visit<T>(&self, id: TokenId, visit: impl FnOnce(Option<&Row>) -> T) -> T {
        visit(self.rows.pin().get(&id))
    }

    pub(crate) fn find(&self, id: TokenId) -> Option<StoredRecord> {
        self.visit(id, |row| row.map(Row::to_stored))
    }

    pub(crate) fn find_now(
        &self,
        id: TokenId,
        visit: &mut dyn FnMut(Option<RecordRef<'_>>),
    ) -> bool {
        self.visit(id, |row| {
            visit(row.map(|row| RecordRef::used_at(&row.record, row.version, row.last_used.get())));
        });
        true
    }

    pub(crate) fn len(&self) -> usize {
        read(&self.index).all.len()
    }

    /// Inserts a row unless its id has one.
    #[cfg(feature = "memory")]
    pub(crate) fn insert(&self, row: Row) -> Result<Version, StoreError> {
        let (id, version) = (row.record.id(), row.version);
        let mut index = write(&self.index);
        let rows = self.rows.pin();
        let row = rows.try_insert(id, row).map_err(|_| StoreError::Exists)?;
        index.insert(&row.record);
        Ok(version)
    }

    /// Replaces a record that has the expected version. The row gets the version `new`.
    #[cfg(feature = "memory")]
    pub(crate) fn replace(
        &self,
        record: Record,
        expected: Version,
        new: Version,
    ) -> Result<Version, StoreError> {
        let _index = write(&self.index);
        let rows = self.rows.pin();
        let current = rows
            .get(&record.id())
            .filter(|row| row.version == expected)
            .ok_or(StoreError::Conflict)?;
        StoreError::check_replacement(&current.record, &record)?;
        let row = Row::new(record, new);
        row.touch(current.last_used.get());
        rows.insert(row.record.id(), row);
        Ok(new)
    }

    /// Removes a record that has the expected version.
    #[cfg(feature = "memory")]
    pub(crate) fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        let mut index = write(&self.index);
        let rows = self.rows.pin();
        if rows.get(&id).is_none_or(|row| row.version != expected) {
            return Err(StoreError::Conflict);
        }
        if let Some(row) = rows.remove(&id) {
            index.remove(&row.record);
        }
        Ok(())
    }

    /// Inserts a row, or replaces the one with its id, which has the same owner. The later last use
    /// of the two is retained.
    #[cfg(feature = "file")]
    pub(crate) fn put(&self, row: Row) {
        let id = row.record.id();
        let mut index = write(&self.index);
        let rows = self.rows.pin();
        match rows.try_insert(id, row) {
            Ok(row) => index.insert(&row.record),
            Err(OccupiedError { current, not_inserted: row }) => {
                row.touch(current.last_used.get());
                rows.insert(id, row);
            }
        }
    }

    /// Removes the record with this id, regardless of its version.
    #[cfg(feature = "file")]
    pub(crate) fn delete(&self, id: TokenId) {
        let mut index = write(&self.index);
        if let Some(row) = self.rows.pin().remove(&id) {
            index.remove(&row.record);
        }
    }

    /// Raises the last use of records. Ids without a record are ignored.
    pub(crate) fn touch(&self, uses: impl IntoIterator<Item = (TokenId, i64)>) {
        // Locked because a row must not be replaced meanwhile. Its use would be recorded in the old
        // row.
        let _index = write(&self.index);
        let rows = self.rows.pin();
        for (id, used) in uses {
            if let Some(row) = rows.get(&id) {
                row.touch(Some(used));
            }
        }
    }

    /// Returns the version of an id's record.
    pub(crate) fn version(&self, id: TokenId) -> Option<Version> {
        self.visit(id, |row| row.map(|row| row.version))
    }

    /// Counts the records that match, without a copy of any. Other tasks of the thread run in between.
    pub(crate) async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> u64 {
        let request = ListRequest::from(filter.clone()).order(Order::OldestFirst);
        let (mut behind, mut count) = (None, 0);
        loop {
            let ids = read(&self.index).ids(&request, behind, MAX_PAGE_LEN);
            let matches = |id: &&TokenId| {
                self.visit(**id, |row| {
                    row.is_some_and(|row| filter.matches(&row.record, row.last_used(), now))
                })
            };
            count += ids.iter().filter(matches).count() as u64;
            if ids.len() < MAX_PAGE_LEN {
                return count;
            }
            behind = ids.last().copied();
            yield_once().await;
        }
    }

    pub(crate) fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Page {
        let mut items: Vec<StoredRecord> = Vec::new();
        let limit = request.limit.clamp(1, MAX_PAGE_LEN);
        let (mut behind, mut scanned, mut chunk) = (request.after, 0, FIRST_CHUNK);
        while scanned < MAX_SCANNED {
            let ids = read(&self.index).ids(request, behind, chunk);
            for &id in &ids {
                // A full page has a next page only if another record matches.
                if items.len() == limit {
                    return Page { next: behind, items };
                }
                behind = Some(id);
                self.visit(id, |row| {
                    items.extend(
                        row.filter(|row| request.filter.matches(&row.record, row.last_used(), now))
                            .map(Row::to_stored),
                    );
                });
            }
            if ids.len() < chunk {
                return Page { items, next: None };
            }
            scanned += ids.len();
            chunk = (chunk * 2).min(MAX_CHUNK);
        }
        Page { items, next: behind }
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    // Code that holds the lock never leaves the data half-modified, so a panic elsewhere does no
    // harm.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
