//! A store across a network, each of whose calls is several steps, with flaws that show only if other calls
//! run between two steps, or if a call is dropped there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::yield_now;
use service_tokens::conformance::{Promise, StoreFactory, ThreadJob};
use service_tokens::store::{BoxError, LastUsed, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};

use super::harness::{Answer, expect_broken};
use super::rows::{Rows, expect_kept, flawed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delay {
    Correct,
    /// Each call holds the only connection until its end.
    HoldsTheConnection,
    CacheIsFilledLate,
    MissingIsCachedLate,
    CacheIsDroppedBeforeTheWrite,
    WatchFollowsRead,
    RemovalWatchesLate,
    RemovalIsByIdOnly,
    InsertFollowsRead,
    ConflictIsRetried,
    VersionIsReadBack,
    ContentIsCompared,
    TouchWritesTheRecord,
    TouchWritesTheOlderUse,
    ReplaceWritesTheUse,
    RemovalForgetsTheUseLate,
    /// The store is slow at first, so that the suite need not count for it.
    VersionsOfSixteenBits,
    DroppedReplaceLeavesTransaction,
    DroppedInsertLeavesTransaction,
    DroppedTouchLeavesTransaction,
}

use Delay::*;

/// The server, with a cache that all handles share.
#[derive(Default)]
pub(crate) struct Server {
    rows: Mutex<Rows>,
    cache: Mutex<HashMap<TokenId, Option<StoredRecord>>>,
    versions: AtomicU64,
}

impl Server {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    fn version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::SeqCst) + 1
    }
}

type Work = Box<dyn Fn(&mut Rows) + Send>;

/// A transaction of a session: the rows as it sees them, and its writes.
struct Transaction {
    rows: Rows,
    writes: Vec<Work>,
}

pub(crate) struct Steps {
    server: Arc<Server>,
    delay: Delay,
    /// The open transaction of the session.
    open: Mutex<Option<Transaction>>,
    connection: Arc<tokio::sync::Semaphore>,
}

impl Steps {
    fn open(server: &Arc<Server>, delay: Delay) -> Self {
        let connection = Arc::new(tokio::sync::Semaphore::new(1));
        Self { server: server.clone(), delay, open: Mutex::default(), connection }
    }

    fn is(&self, delay: Delay) -> bool {
        self.delay == delay
    }

    fn version(&self) -> u64 {
        let version = self.server.version();
        if !self.is(VersionsOfSixteenBits) {
            return version;
        }
        if version < 700 {
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        version & 0xffff
    }

    async fn connect(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        if !self.is(HoldsTheConnection) {
            return None;
        }
        Some(self.connection.acquire().await.unwrap())
    }

    /// Runs one statement, within the transaction if one is open.
    async fn statement<T>(&self, run: impl Fn(&mut Rows) -> T + Send + 'static) -> T {
        yield_now().await;
        let answer = match &mut *self.open.lock().unwrap() {
            Some(open) => {
                let answer = run(&mut open.rows);
                open.writes.push(Box::new(move |rows| drop(run(rows))));
                answer
            }
            None => run(&mut self.server.rows()),
        };
        yield_now().await;
        answer
    }

    fn begin(&self) {
        let rows = self.server.rows().clone();
        let mut open = self.open.lock().unwrap();
        open.get_or_insert_with(|| Transaction { rows, writes: Vec::new() });
    }

    fn commit(&self) {
        let open = self.open.lock().unwrap().take();
        for write in open.into_iter().flat_map(|open| open.writes) {
            write(&mut self.server.rows());
        }
    }

    /// Runs a statement in a transaction of its own, which a dropped call leaves open.
    async fn transaction<T>(&self, run: impl Fn(&mut Rows) -> T + Send + 'static) -> T {
        self.begin();
        let answer = self.statement(run).await;
        self.commit();
        answer
    }

    fn caches(&self) -> bool {
        matches!(self.delay, CacheIsFilledLate | MissingIsCachedLate | CacheIsDroppedBeforeTheWrite)
    }

    fn forget(&self, id: TokenId) {
        self.server.cache.lock().unwrap().remove(&id);
    }

    fn forget_before(&self, id: TokenId) {
        if matches!(self.delay, MissingIsCachedLate | CacheIsDroppedBeforeTheWrite) {
            self.forget(id);
        }
    }

    fn forget_after(&self, id: TokenId) {
        if !self.is(CacheIsDroppedBeforeTheWrite) {
            self.forget(id);
        }
    }

    async fn read(&self, id: TokenId) -> Option<StoredRecord> {
        self.statement(move |rows| rows.find(id)).await
    }

    /// Returns the version that a write compares with, if a flaw reads it in a step of its own.
    async fn watched(&self, id: TokenId, expected: Version) -> Answer<Version> {
        let current = self.read(id).await.filter(|stored| stored.version == expected);
        current.ok_or(StoreError::Conflict)?;
        Ok(self.read(id).await.ok_or(StoreError::Conflict)?.version)
    }
}

fn write(
    record: &Record,
    expected: Version,
    version: u64,
) -> impl Fn(&mut Rows) -> Answer<()> + use<> {
    let record = record.clone();
    move |rows| {
        rows.may_replace(&record, expected)?;
        rows.put(&record, version);
        Ok(())
    }
}

/// Gives handles on a server.
#[derive(Clone, Copy)]
pub(crate) struct Servers(pub(crate) Delay);

#[async_trait]
impl StoreFactory for Servers {
    type Store = Steps;
    type Guard = Arc<Server>;

    async fn fresh(&self) -> Result<(Steps, Arc<Server>), BoxError> {
        let server = Arc::default();
        Ok((Steps::open(&server, self.0), server))
    }

    async fn reopen(&self, _: Steps, server: &mut Arc<Server>) -> Option<Result<Steps, BoxError>> {
        Some(Ok(Steps::open(server, self.0)))
    }

    async fn second(&self, _: &Steps, server: &mut Arc<Server>) -> Option<Result<Steps, BoxError>> {
        Some(Ok(Steps::open(server, self.0)))
    }

    fn spawn_on_thread(&self, job: ThreadJob) -> bool {
        std::thread::spawn(move || futures_lite::future::block_on(job));
        true
    }
}

#[test]
fn correct_steps_break_no_promise() {
    expect_kept(&Servers(Correct));
}

#[test]
#[ignore = "campaign: cargo xtask campaigns"]
fn only_connection_breaks_no_promise_campaign() {
    expect_kept(&Servers(HoldsTheConnection));
}

flawed! { Servers:
    cache_is_filled_late: CacheIsFilledLate => DelayedCallsAgree;
    missing_is_cached_late: MissingIsCachedLate => DelayedCallsAgree;
    cache_is_dropped_before_the_write: CacheIsDroppedBeforeTheWrite => DelayedCallsAgree;
    watch_follows_read: WatchFollowsRead => DelayedCallsAgree;
    removal_watches_late: RemovalWatchesLate => DelayedCallsAgree;
    removal_is_by_id_only: RemovalIsByIdOnly => DelayedCallsAgree;
    insert_follows_read: InsertFollowsRead => DelayedCallsAgree;
    conflict_is_retried: ConflictIsRetried => DelayedCallsAgree;
    version_is_read_back: VersionIsReadBack => DelayedCallsAgree;
    content_is_compared: ContentIsCompared => DelayedCallsAgree;
    touch_writes_the_record: TouchWritesTheRecord => DelayedCallsAgree;
    touch_writes_the_older_use: TouchWritesTheOlderUse => DelayedCallsAgree;
    replace_writes_the_use: ReplaceWritesTheUse => DelayedCallsAgree;
    versions_of_sixteen_bits: VersionsOfSixteenBits => VersionsAreNew;
    removal_forgets_the_use_late: RemovalForgetsTheUseLate => DelayedCallsAgree;
    dropped_replace_leaves_transaction: DroppedReplaceLeavesTransaction => DroppedCallsAreAtomic;
    dropped_insert_leaves_transaction: DroppedInsertLeavesTransaction => DroppedCallsAreAtomic;
    dropped_touch_leaves_transaction: DroppedTouchLeavesTransaction => DroppedCallsAreAtomic;
}

#[path = "delayed_store.rs"]
mod store;
