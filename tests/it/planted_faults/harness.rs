//! A correct store, and a wrapper that puts a fault in front of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::conformance::{Outcome, Promise, StoreFactory, check, run};
use service_tokens::store::{
    BoxError, Change, ChangeStream, Order, RecordRef, States, StoreError, Version,
};
use service_tokens::{
    Filter, ListRequest, MemoryStore, Page, Record, StoredRecord, TokenId, TokenStore,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) type Answer<T> = Result<T, StoreError>;

/// The storage behind the faults. It keeps every promise and offers everything that the suite can use.
#[derive(Default)]
pub(crate) struct Backend {
    pub(crate) memory: MemoryStore,
    down: AtomicBool,
    listeners: Mutex<Vec<UnboundedSender<TokenId>>>,
}

impl Backend {
    /// Inserts a record without a report to the feeds.
    pub(crate) async fn insert_silently(&self, record: &Record) -> Answer<Version> {
        self.up()?;
        self.memory.insert(record).await
    }

    fn up(&self) -> Answer<()> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("the storage is gone"));
        }
        Ok(())
    }

    pub(crate) fn listen(&self, listener: UnboundedSender<TokenId>) {
        self.listeners.lock().unwrap().push(listener);
    }

    pub(crate) fn notify(&self, id: TokenId) {
        self.listeners.lock().unwrap().retain(|listener| listener.send(id).is_ok());
    }

    /// Returns every record, oldest first.
    pub(crate) async fn rows(&self) -> Answer<Vec<StoredRecord>> {
        let mut rows = Vec::new();
        let mut query = ListRequest::from(Filter::new().states(States::ALL))
            .order(Order::OldestFirst)
            .limit(1_000);
        loop {
            let page = self.list(&query, DateTime::UNIX_EPOCH).await?;
            rows.extend(page.items);
            let Some(next) = page.next else { return Ok(rows) };
            query = query.after(next);
        }
    }

    /// Writes without checking the version, owner, creation time or format.
    pub(crate) async fn force(&self, record: &Record) -> Answer<Version> {
        while let Some(present) = self.find(record.id()).await? {
            match self.memory.replace(record, present.version).await {
                Ok(version) => {
                    self.notify(record.id());
                    return Ok(version);
                }
                Err(_) => match self.memory.remove(record.id(), present.version).await {
                    Ok(()) | Err(_) => continue,
                },
            }
        }
        self.insert(record).await
    }
}

#[async_trait]
impl TokenStore for Backend {
    async fn insert(&self, record: &Record) -> Answer<Version> {
        self.up()?;
        let version = self.memory.insert(record).await?;
        self.notify(record.id());
        Ok(version)
    }

    async fn find(&self, id: TokenId) -> Answer<Option<StoredRecord>> {
        self.up()?;
        self.memory.find(id).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Answer<Version> {
        self.up()?;
        let version = self.memory.replace(record, expected).await?;
        self.notify(record.id());
        Ok(version)
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Answer<()> {
        self.up()?;
        self.memory.remove(id, expected).await?;
        self.notify(id);
        Ok(())
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        self.up()?;
        self.memory.list(query, now).await
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        self.up()?;
        self.memory.touch(uses).await
    }

    async fn changes(&self) -> Answer<Option<Box<dyn ChangeStream>>> {
        self.up()?;
        let (listener, changes) = unbounded_channel();
        self.listen(listener);
        Ok(Some(Box::new(Changes(changes))))
    }

    fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        self.up().is_ok() && self.memory.find_now(id, visit)
    }
}

pub(crate) struct Changes(pub(crate) UnboundedReceiver<TokenId>);

#[async_trait]
impl ChangeStream for Changes {
    async fn next(&mut self) -> Answer<Change> {
        let lost = || StoreError::unavailable("the stream ended");
        self.0.recv().await.map(Change::Record).ok_or_else(lost)
    }
}

/// The methods that a faulty store changes. Each default is correct.
#[async_trait]
pub(crate) trait Fault: Send + Sync {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        to.insert(record).await
    }

    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        to.find(id).await
    }

    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        to.replace(record, expected).await
    }

    async fn remove(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        to.remove(id, expected).await
    }

    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        to.list(query, now).await
    }

    async fn find_many(&self, to: &Backend, ids: &[TokenId]) -> Vec<Answer<Option<StoredRecord>>> {
        let mut results = Vec::new();
        for id in ids {
            results.push(self.find(to, *id).await);
        }
        results
    }

    async fn versions(&self, to: &Backend, ids: &[TokenId]) -> Vec<Answer<Option<Version>>> {
        let found = self.find_many(to, ids).await.into_iter();
        found.map(|found| Ok(found?.map(|stored| stored.version))).collect()
    }

    async fn replace_many(
        &self,
        to: &Backend,
        writes: &[(Record, Version)],
    ) -> Vec<Answer<Version>> {
        let mut results = Vec::new();
        for (record, expected) in writes {
            results.push(self.replace(to, record, *expected).await);
        }
        results
    }

    async fn remove_many(&self, to: &Backend, removals: &[(TokenId, Version)]) -> Vec<Answer<()>> {
        let mut results = Vec::new();
        for (id, expected) in removals {
            results.push(self.remove(to, *id, *expected).await);
        }
        results
    }

    async fn count(&self, to: &Backend, filter: &Filter, now: DateTime<Utc>) -> Answer<u64> {
        let mut request = ListRequest::from(filter.clone()).order(Order::OldestFirst).limit(1_000);
        let mut count = 0;
        loop {
            let page = self.list(to, &request, now).await?;
            count += page.items.len() as u64;
            let Some(next) = page.next else { return Ok(count) };
            request = request.after(next);
        }
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        to.touch(uses).await
    }

    async fn changes(&self, to: &Backend) -> Answer<Option<Box<dyn ChangeStream>>> {
        to.changes().await
    }

    fn find_now(
        &self,
        to: &Backend,
        id: TokenId,
        visit: &mut dyn FnMut(Option<RecordRef<'_>>),
    ) -> bool {
        to.find_now(id, visit)
    }

    async fn close(&self, to: &Backend) -> Answer<()> {
        to.close().await
    }

    /// Runs while the store is closed, and may change the storage.
    async fn reopened(&self, to: &Backend) -> Answer<()> {
        let _ = to;
        Ok(())
    }
}

/// A store without a fault.
pub(crate) struct Correct;

impl Fault for Correct {}

pub(crate) struct Planted {
    backend: Arc<Backend>,
    fault: Box<dyn Fault>,
}

#[async_trait]
impl TokenStore for Planted {
    async fn insert(&self, record: &Record) -> Answer<Version> {
        self.fault.insert(&self.backend, record).await
    }

    async fn find(&self, id: TokenId) -> Answer<Option<StoredRecord>> {
        self.fault.find(&self.backend, id).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Answer<Version> {
        self.fault.replace(&self.backend, record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Answer<()> {
        self.fault.remove(&self.backend, id, expected).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        self.fault.list(&self.backend, query, now).await
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Answer<Option<StoredRecord>>> {
        self.fault.find_many(&self.backend, ids).await
    }

    async fn versions(&self, ids: &[TokenId]) -> Vec<Answer<Option<Version>>> {
        self.fault.versions(&self.backend, ids).await
    }

    async fn replace_many(&self, writes: &[(Record, Version)]) -> Vec<Answer<Version>> {
        self.fault.replace_many(&self.backend, writes).await
    }

    async fn remove_many(&self, removals: &[(TokenId, Version)]) -> Vec<Answer<()>> {
        self.fault.remove_many(&self.backend, removals).await
    }

    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Answer<u64> {
        self.fault.count(&self.backend, filter, now).await
    }

    fn tracks_last_used(&self) -> bool {
        self.fault.tracks_last_used()
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        self.fault.touch(&self.backend, uses).await
    }

    async fn changes(&self) -> Answer<Option<Box<dyn ChangeStream>>> {
        self.fault.changes(&self.backend).await
    }

    fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        self.fault.find_now(&self.backend, id, visit)
    }

    async fn close(&self) -> Answer<()> {
        self.fault.close(&self.backend).await
    }
}

/// Gives stores with a fault.
pub(crate) struct Factory<M>(pub(crate) M);

#[async_trait]
impl<M, F> StoreFactory for Factory<M>
where
    M: Fn() -> F + Send + Sync,
    F: Fault + 'static,
{
    type Store = Planted;
    type Guard = ();

    async fn fresh(&self) -> Result<(Planted, ()), BoxError> {
        Ok((Planted { backend: Arc::default(), fault: Box::new(self.0()) }, ()))
    }

    async fn reopen(&self, store: Planted, _: &mut ()) -> Option<Result<Planted, BoxError>> {
        if let Err(error) = store.fault.reopened(&store.backend).await {
            return Some(Err(error.into()));
        }
        Some(Ok(store))
    }

    async fn second(&self, store: &Planted, _: &mut ()) -> Option<Result<Planted, BoxError>> {
        Some(Ok(Planted { backend: store.backend.clone(), fault: Box::new(self.0()) }))
    }

    async fn make_unavailable(&self, store: &Planted, _: &mut ()) -> bool {
        store.backend.down.store(true, Ordering::SeqCst);
        true
    }

    async fn make_available(&self, store: &Planted, _: &mut ()) -> bool {
        store.backend.down.store(false, Ordering::SeqCst);
        true
    }

    fn runtime_free(&self) -> bool {
        true
    }
}

/// Returns the promises that a store with this fault breaks, each with the finding of the suite.
pub(crate) fn broken<F: Fault + 'static>(
    fault: impl Fn() -> F + Send + Sync,
) -> Vec<(Promise, String)> {
    let report = block_on(run(&Factory(&fault)));
    let untracked = !fault().tracks_last_used();
    for (promise, why) in report.not_checked() {
        let last_use = [
            Promise::LatestTouchWins,
            Promise::ReplacePreservesLastUse,
            Promise::TouchBatchIsComplete,
        ];
        // Only the table offers these operations.
        let of_the_table = [
            Promise::LostAnswersAreIndeterminate,
            Promise::RefusedCallsAreUnavailable,
            Promise::DamageIsReported,
            Promise::LostRowsAreIndeterminate,
            Promise::RefusedRowsAreUnavailable,
            Promise::DamagedRowsAreReported,
        ];
        let absent = untracked && last_use.contains(&promise) || of_the_table.contains(&promise);
        assert!(absent, "{promise} is not checked: {why}");
    }
    report.broken().map(|(promise, what)| (promise, what.to_owned())).collect()
}

/// Checks that the suite finds a fault under this promise. A race on threads also depends on the scheduler, so it has
/// several attempts.
pub(crate) fn expect_broken<F: StoreFactory>(factory: &F, promise: Promise) {
    let on_threads = matches!(promise, Promise::ThreadsAgree | Promise::ManyAgreeOnThreads);
    let mut outcome = block_on(check(factory, promise));
    for _ in 0..if on_threads { 3 } else { 0 } {
        if let Outcome::Broken { .. } = outcome {
            return;
        }
        outcome = block_on(check(factory, promise));
    }
    assert!(matches!(outcome, Outcome::Broken { .. }), "{outcome}");
}
