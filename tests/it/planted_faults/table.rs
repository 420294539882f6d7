//! A store over a table whose rows can be read and written in separate steps, with one of many flaws.
//!
//! The other faults wrap a correct store, so they cannot split its writes. Here a flaw can wait between two
//! steps, write a column and not another, or answer without writing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use service_tokens::conformance::{Promise, StoreFactory, ThreadJob, run};
use service_tokens::store::{BoxError, LastUsed, StoreError, Version};
use service_tokens::{Record, StoredRecord, TokenId};
use tokio::sync::mpsc::UnboundedSender;

use super::flaws::Flaw;
use super::harness::Answer;

#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) bytes: Vec<u8>,
    pub(crate) version: u64,
    pub(crate) last_used: Option<i64>,
    /// The columns of the indexes, as a copy of the record that they were set from.
    pub(crate) indexed: Record,
}

impl Row {
    pub(crate) fn new(record: &Record, version: u64) -> Self {
        Self { bytes: record.to_bytes(), version, last_used: None, indexed: record.clone() }
    }

    pub(crate) fn read(&self) -> Answer<StoredRecord> {
        let used = self.last_used.and_then(chrono::DateTime::from_timestamp_micros);
        let record = Record::from_bytes(&self.bytes)?;
        let last_used = used.map_or(LastUsed::Never, LastUsed::At);
        Ok(StoredRecord::new(record, Version(self.version), last_used))
    }
}

pub(crate) type Rows = BTreeMap<TokenId, Row>;

/// The storage, which all handles share.
#[derive(Default)]
pub(crate) struct Table {
    rows: Mutex<Rows>,
    /// The ids that a list can show.
    pub(crate) listed: Mutex<BTreeSet<TokenId>>,
    pub(crate) versions: AtomicU64,
    pub(crate) down: AtomicBool,
    pub(crate) refuses: AtomicBool,
    pub(crate) loses: AtomicBool,
    /// Each feed, with the handle that opened it.
    pub(crate) feeds: Mutex<Vec<(usize, UnboundedSender<Option<TokenId>>)>>,
    pub(crate) handles: AtomicUsize,
}

impl Table {
    pub(crate) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    pub(crate) fn get(&self, id: TokenId) -> Option<Row> {
        self.rows().get(&id).cloned()
    }

    /// Writes a row, and makes it visible in lists.
    pub(crate) fn put(&self, id: TokenId, row: Row) {
        self.listed.lock().unwrap().insert(id);
        self.rows().insert(id, row);
    }

    pub(crate) fn delete(&self, id: TokenId) {
        self.listed.lock().unwrap().remove(&id);
        self.rows().remove(&id);
    }

    pub(crate) fn up(&self) -> Answer<()> {
        if self.down.load(Ordering::SeqCst) || self.refuses.swap(false, Ordering::SeqCst) {
            return Err(StoreError::unavailable("connection refused"));
        }
        Ok(())
    }

    /// Fails if the answer to this write is to be lost.
    pub(crate) fn arrives(&self) -> Answer<()> {
        if self.loses.swap(false, Ordering::SeqCst) {
            return Err(StoreError::indeterminate("connection reset"));
        }
        Ok(())
    }
}

/// A handle on the table.
pub(crate) struct TableStore {
    pub(crate) table: Arc<Table>,
    pub(crate) flaw: Flaw,
    pub(crate) handle: usize,
    /// The versions of a handle that counts by itself.
    pub(crate) own_versions: AtomicU64,
    /// Rows that this handle writes with its next touch.
    pub(crate) buffered: Mutex<HashMap<TokenId, Row>>,
    /// The write that is not yet in the table, for handles that write later.
    pub(crate) last_write: Mutex<Option<(TokenId, Option<Row>)>>,
    pub(crate) connections: AtomicUsize,
    /// The lock of a handle that locks only itself.
    pub(crate) own_lock: Mutex<()>,
}

impl TableStore {
    fn open(table: &Arc<Table>, flaw: Flaw) -> Self {
        let handle = table.handles.fetch_add(1, Ordering::SeqCst);
        let latest = table.rows().values().map(|row| row.version).max().unwrap_or(0);
        let own = if flaw == Flaw::VersionsFromTheLatestRow { latest } else { 0 };
        Self {
            table: table.clone(),
            flaw,
            handle,
            own_versions: AtomicU64::new(own),
            buffered: Mutex::default(),
            last_write: Mutex::default(),
            connections: AtomicUsize::new(super::flaws::POOL),
            own_lock: Mutex::default(),
        }
    }
}

/// Gives stores with a flaw, and offers everything that the suite can use.
#[derive(Clone, Copy)]
pub(crate) struct Tables(pub(crate) Flaw);

#[async_trait]
impl StoreFactory for Tables {
    type Store = TableStore;
    type Guard = Arc<Table>;

    async fn fresh(&self) -> Result<(TableStore, Arc<Table>), BoxError> {
        let table = Arc::default();
        Ok((TableStore::open(&table, self.0), table))
    }

    async fn reopen(
        &self,
        store: TableStore,
        table: &mut Arc<Table>,
    ) -> Option<Result<TableStore, BoxError>> {
        drop(store);
        Some(Ok(TableStore::open(table, self.0)))
    }

    async fn second(
        &self,
        _: &TableStore,
        table: &mut Arc<Table>,
    ) -> Option<Result<TableStore, BoxError>> {
        Some(Ok(TableStore::open(table, self.0)))
    }

    async fn make_unavailable(&self, _: &TableStore, table: &mut Arc<Table>) -> bool {
        table.down.store(true, Ordering::SeqCst);
        if self.0 != Flaw::FeedIsSilentAfterOutage {
            table.feeds.lock().unwrap().clear();
        }
        true
    }

    async fn make_available(&self, _: &TableStore, table: &mut Arc<Table>) -> bool {
        table.down.store(false, Ordering::SeqCst);
        if self.0 == Flaw::FeedIsSilentAfterOutage {
            // The channels stay open, and nothing sends to them.
            let feeds = std::mem::take(&mut *table.feeds.lock().unwrap());
            std::mem::forget(feeds);
        }
        true
    }

    async fn lose_next_answer(&self, _: &TableStore, table: &mut Arc<Table>) -> bool {
        table.loses.store(true, Ordering::SeqCst);
        true
    }

    async fn refuse_next_call(&self, _: &TableStore, table: &mut Arc<Table>) -> bool {
        table.refuses.store(true, Ordering::SeqCst);
        true
    }

    async fn plant_bytes(
        &self,
        _: &TableStore,
        table: &mut Arc<Table>,
        id: TokenId,
        bytes: &[u8],
    ) -> bool {
        table.rows().get_mut(&id).is_some_and(|row| {
            row.bytes = bytes.to_vec();
            true
        })
    }

    fn spawn_on_thread(&self, job: ThreadJob) -> bool {
        std::thread::spawn(move || futures_lite::future::block_on(job));
        true
    }
}

/// Returns the promises that a store with this flaw breaks.
pub(crate) fn broken(flaw: Flaw) -> Vec<(Promise, String)> {
    let report = futures_lite::future::block_on(run(&Tables(flaw)));
    assert_eq!(report.not_checked().collect::<Vec<_>>(), []);
    report.broken().map(|(promise, what)| (promise, what.to_owned())).collect()
}
