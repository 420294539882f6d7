//! A store in memory only.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::table::{Row, Table};
use crate::record::Record;
use crate::store::{
    Filter, ListRequest, Page, RecordRef, StoreError, StoredRecord, TokenStore, Version,
};
use crate::token::TokenId;

/// A store that holds its records in memory, for tests and for services that issue new tokens at
/// every start.
///
/// It answers without waiting ([`TokenStore::find_now`]) and tracks last use. Share it as
/// `Arc<MemoryStore>`. Its records are lost when it is dropped.
///
/// ```
/// use service_tokens::{MemoryStore, ListRequest, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), service_tokens::store::StoreError> {
/// let store = MemoryStore::new();
/// assert!(store.list(&ListRequest::new(), chrono::DateTime::UNIX_EPOCH).await?.items.is_empty());
/// # Ok(()) }
/// ```
pub struct MemoryStore {
    table: Table,
    /// One counter for all records, so that a version is not reused when an id is.
    last_version: AtomicU64,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self { table: Table::new(), last_version: AtomicU64::new(0) }
    }

    fn next_version(&self) -> Version {
        Version(self.last_version.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("records", &self.table.len()).finish()
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.table.insert(Row::new(record.clone(), self.next_version()))
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        Ok(self.table.find(id))
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.table.replace(record.clone(), expected, self.next_version())
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.table.remove(id, expected)
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        Ok(self.table.list(request, now))
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Result<Option<StoredRecord>, StoreError>> {
        ids.iter().map(|id| Ok(self.table.find(*id))).collect()
    }

    async fn versions(&self, ids: &[TokenId]) -> Vec<Result<Option<Version>, StoreError>> {
        ids.iter().map(|id| Ok(self.table.version(*id))).collect()
    }

    async fn replace_many(&self, writes: &[(Record, Version)]) -> Vec<Result<Version, StoreError>> {
        let replace = |(record, expected): &(Record, Version)| {
            self.table.replace(record.clone(), *expected, self.next_version())
        };
        writes.iter().map(replace).collect()
    }

    async fn remove_many(&self, removals: &[(TokenId, Version)]) -> Vec<Result<(), StoreError>> {
        removals.iter().map(|(id, expected)| self.table.remove(*id, *expected)).collect()
    }

    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(self.table.count(filter, now).await)
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.table.touch(uses.iter().map(|(id, used)| (*id, used.timestamp_micros())));
        Ok(())
    }

    fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        self.table.find_now(id, visit)
    }
}
