//! Records in memory, indexed: what the memory store is and what the file store reads from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(feature = "file")]
use std::thread::{Builder, scope};

use chrono::{DateTime, Utc};
use hashbrown::DefaultHashBuilder;
use papaya::HashMap;
#[cfg(feature = "file")]
use papaya::OccupiedError;

use crate::clock::from_micros;
use crate::record::Record;
#[cfg(feature = "memory")]
use crate::store::StoreError;
use crate::store::{
    LastUsed, ListRequest, MAX_PAGE_LEN, Order, Page, RecordRef, StoredRecord, Version,
};
use crate::token::TokenId;

/// Records looked at for one page. A filter that few records pass gives short pages, not long waits.
const LOOKED_AT: usize = 10_000;

/// Ids taken from the order at once, at first and at most: the lock on it is held briefly, and a page
/// that fills early has not walked far.
const CHUNK: (usize, usize) = (64, 1_024);

/// One record with what the store keeps beside it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) record: Record,
    pub(crate) version: Version,
    last_used: UsedAt,
    /// Bytes of the record's encoding.
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

    /// The row of a record whose encoding has so many bytes.
    #[cfg(feature = "file")]
    pub(crate) fn encoded(record: Record, version: Version, encoded_len: usize) -> Self {
        // Bounded by the longest encoding.
        let encoded_len = u32::try_from(encoded_len).unwrap_or(u32::MAX);
        Self { encoded_len, ..Self::new(record, version) }
    }

    /// Microseconds since 1970; `None` is never.
    #[cfg(feature = "file")]
    pub(crate) fn used_at(&self) -> Option<i64> {
        self.last_used.get()
    }

    /// Notes a use, unless a later one is noted.
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

/// Microseconds since 1970; the lowest number is never. The one part of a row that changes in place.
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

/// Where each id stands in the order of all and in that of its owner.
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

    /// The next ids behind a place, as many as there is room for.
    fn ids(&self, request: &ListRequest, behind: Option<TokenId>, most: usize) -> Vec<TokenId> {
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
                ids.range((behind, Bound::Unbounded)).take(most).copied().collect()
            }
            Order::NewestFirst => {
                ids.range((Bound::Unbounded, behind)).rev().take(most).copied().collect()
            }
        }
    }
}

type Rows = HashMap<TokenId, Row, DefaultHashBuilder>;

/// All records, found by id and walked in order.
pub(crate) struct Table {
    /// Read without a lock. Changed only while the order is locked for writing, so that each change is
    /// one step.
    rows: Rows,
    order: RwLock<Index>,
}

impl Table {
    #[cfg(feature = "memory")]
    pub(crate) fn new() -> Self {
        Self { rows: Rows::default(), order: RwLock::default() }
    }

    /// Lends the row of an id.
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
        read(&self.order).all.len()
    }

    /// Inserts a row unless there is one.
    #[cfg(feature = "memory")]
    pub(crate) fn insert(&self, row: Row) -> Result<Version, StoreError> {
        let (id, version) = (row.record.id(), row.version);
        let mut order = write(&self.order);
        let rows = self.rows.pin();
        let row = rows.try_insert(id, row).map_err(|_| StoreError::Exists)?;
        order.insert(&row.record);
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
        let _order = write(&self.order);
        let rows = self.rows.pin();
        let present = rows
            .get(&record.id())
            .filter(|row| row.version == expected)
            .ok_or(StoreError::Conflict)?;
        StoreError::check_replacement(&present.record, &record)?;
        let row = Row::new(record, new);
        row.touch(present.last_used.get());
        rows.insert(row.record.id(), row);
        Ok(new)
    }

    /// Removes a record that has the expected version.
    #[cfg(feature = "memory")]
    pub(crate) fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        let mut order = write(&self.order);
        let rows = self.rows.pin();
        if rows.get(&id).is_none_or(|row| row.version != expected) {
            return Err(StoreError::Conflict);
        }
        if let Some(row) = rows.remove(&id) {
            order.remove(&row.record);
        }
        Ok(())
    }

    /// Puts a row in the place of the one with its id, which is of the same owner; the later of their
    /// last uses stays.
    #[cfg(feature = "file")]
    pub(crate) fn put(&self, row: Row) {
        let id = row.record.id();
        let mut order = write(&self.order);
        let rows = self.rows.pin();
        match rows.try_insert(id, row) {
            Ok(row) => order.insert(&row.record),
            Err(OccupiedError { current, not_inserted: row }) => {
                row.touch(current.last_used.get());
                rows.insert(id, row);
            }
        }
    }

    /// Removes the record with this id, whatever its version.
    #[cfg(feature = "file")]
    pub(crate) fn delete(&self, id: TokenId) {
        let mut order = write(&self.order);
        if let Some(row) = self.rows.pin().remove(&id) {
            order.remove(&row.record);
        }
    }

    /// Notes uses of records that are there, where none later is noted.
    pub(crate) fn touch(&self, uses: impl IntoIterator<Item = (TokenId, i64)>) {
        // No row may be replaced meanwhile: the use would be noted in one that is gone.
        let _order = write(&self.order);
        let rows = self.rows.pin();
        for (id, used) in uses {
            if let Some(row) = rows.get(&id) {
                row.touch(Some(used));
            }
        }
    }

    pub(crate) fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Page {
        let mut items: Vec<StoredRecord> = Vec::new();
        // The service refuses other limits. A direct caller must not get an endless list or a huge page.
        let most = request.limit.clamp(1, MAX_PAGE_LEN);
        let (mut behind, mut looked_at, mut chunk) = (request.after, 0, CHUNK.0);
        while looked_at < LOOKED_AT {
            let ids = read(&self.order).ids(request, behind, chunk);
            for &id in &ids {
                // Only another record that may be shown makes a next page.
                if items.len() == most {
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
            looked_at += ids.len();
            chunk = (chunk * 2).min(CHUNK.1);
        }
        Page { items, next: behind }
    }
}

/// A table that one thread fills before others see it: the order is made at the end.
#[cfg(feature = "file")]
pub(crate) struct Loader(Rows);

#[cfg(feature = "file")]
impl Loader {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self(Rows::with_capacity_and_hasher(rows, DefaultHashBuilder::default()))
    }

    /// Lends the row of an id.
    pub(crate) fn visit<T>(&self, id: TokenId, visit: impl FnOnce(Option<&Row>) -> T) -> T {
        visit(self.0.pin().get(&id))
    }

    /// Puts a row, unless its id has one: then it comes back.
    pub(crate) fn put_new(&self, row: Row) -> Option<Row> {
        let rows = self.0.pin();
        rows.try_insert(row.record.id(), row).err().map(|occupied| occupied.not_inserted)
    }

    pub(crate) fn put(&self, row: Row) {
        self.0.pin().insert(row.record.id(), row);
    }

    pub(crate) fn delete(&self, id: TokenId) {
        self.0.pin().remove(&id);
    }

    pub(crate) fn into_table(self) -> Table {
        let rows = &self.0;
        // Both walk over all rows. Where no thread is to be had, one after the other.
        let (all, by_owner) = scope(|scope| {
            let all = Builder::new().spawn_scoped(scope, || all_ids(rows));
            let by_owner = ids_by_owner(rows);
            let all = all.ok().and_then(|thread| thread.join().ok());
            (all.unwrap_or_else(|| all_ids(rows)), by_owner)
        });
        Table { rows: self.0, order: RwLock::new(Index { all, by_owner }) }
    }
}

// Sets are made fastest from what is collected first: they sort once.

#[cfg(feature = "file")]
fn all_ids(rows: &Rows) -> BTreeSet<TokenId> {
    let ids: Vec<TokenId> = rows.pin().keys().copied().collect();
    ids.into_iter().collect()
}

#[cfg(feature = "file")]
fn ids_by_owner(rows: &Rows) -> BTreeMap<Box<str>, BTreeSet<TokenId>> {
    let rows = rows.pin();
    let mut by_owner: hashbrown::HashMap<&str, Vec<TokenId>> = hashbrown::HashMap::new();
    for (&id, row) in rows.iter() {
        by_owner.entry(row.record.owner()).or_default().push(id);
    }
    by_owner.into_iter().map(|(owner, ids)| (owner.into(), ids.into_iter().collect())).collect()
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    // No code that holds the lock leaves it half-changed, so a panic elsewhere spoils nothing.
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
