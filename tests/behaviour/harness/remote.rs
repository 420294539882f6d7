//! A remote store: it never answers `find_now`, counts its calls, and can be slow.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{Change, ChangeStream, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::SharedStore;

pub(crate) struct Remote {
    inner: SharedStore,
    finds: AtomicUsize,
    failing: AtomicBool,
    /// If set, an answer that was read waits for a permit.
    held: AtomicBool,
    released: Semaphore,
    /// If set, a replacement and a touch wait for a permit before they are done.
    writes_held: AtomicBool,
    writes_released: Semaphore,
    replaces: AtomicUsize,
    changes: Mutex<Option<UnboundedReceiver<Result<Change, StoreError>>>>,
    changes_fail: AtomicBool,
}

/// The sending side of the stream of changes.
pub(crate) type Changes = UnboundedSender<Result<Change, StoreError>>;

impl Remote {
    pub(crate) fn new(inner: SharedStore) -> Self {
        Self {
            inner,
            finds: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            held: AtomicBool::new(false),
            released: Semaphore::new(0),
            writes_held: AtomicBool::new(false),
            writes_released: Semaphore::new(0),
            replaces: AtomicUsize::new(0),
            changes: Mutex::new(None),
            changes_fail: AtomicBool::new(false),
        }
    }

    /// Returns the number of calls of `find` since the last call.
    pub(crate) fn finds(&self) -> usize {
        self.finds.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// Makes reads happen at once and their answers arrive late: after [`release`](Self::release).
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    /// Delivers this many delayed answers.
    pub(crate) fn release(&self, answers: usize) {
        self.released.add_permits(answers);
    }

    /// Returns the number of calls of `replace` since the last call.
    pub(crate) fn replaces(&self) -> usize {
        self.replaces.swap(0, Ordering::SeqCst)
    }

    /// Makes replacements and touches happen late: after [`release_writes`](Self::release_writes).
    pub(crate) fn hold_writes(&self, held: bool) {
        self.writes_held.store(held, Ordering::SeqCst);
    }

    /// Lets this many delayed writes happen.
    pub(crate) fn release_writes(&self, writes: usize) {
        self.writes_released.add_permits(writes);
    }

    async fn wait_to_answer(&self) {
        if self.held.load(Ordering::SeqCst) {
            self.released.acquire().await.unwrap().forget();
        }
    }

    async fn wait_to_write(&self) {
        if self.writes_held.load(Ordering::SeqCst) {
            self.writes_released.acquire().await.unwrap().forget();
        }
    }

    /// Makes the next [`TokenStore::changes`] return a stream of the items that are sent here.
    pub(crate) fn stream(&self) -> Changes {
        let (sender, receiver) = unbounded_channel();
        *self.changes.lock().unwrap() = Some(receiver);
        sender
    }

    pub(crate) fn fail_changes(&self) {
        self.changes_fail.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl TokenStore for Remote {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.inner.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.finds.fetch_add(1, Ordering::SeqCst);
        let answer = if self.failing.load(Ordering::SeqCst) {
            Err(StoreError::unavailable("no route to the store"))
        } else {
            self.inner.find(id).await
        };
        self.wait_to_answer().await;
        answer
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.replaces.fetch_add(1, Ordering::SeqCst);
        self.wait_to_write().await;
        self.inner.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        let answer = self.inner.list(query, now).await;
        self.wait_to_answer().await;
        answer
    }

    fn tracks_last_used(&self) -> bool {
        self.inner.tracks_last_used()
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.wait_to_write().await;
        self.inner.touch(uses).await
    }

    async fn changes(&self) -> Result<Option<Box<dyn ChangeStream>>, StoreError> {
        if self.changes_fail.load(Ordering::SeqCst) {
            return Err(StoreError::unavailable("no stream today"));
        }
        let receiver = self.changes.lock().unwrap().take();
        Ok(receiver.map(|receiver| Box::new(Stream(receiver)) as Box<dyn ChangeStream>))
    }
}

struct Stream(UnboundedReceiver<Result<Change, StoreError>>);

#[async_trait]
impl ChangeStream for Stream {
    async fn next(&mut self) -> Result<Change, StoreError> {
        self.0.recv().await.unwrap_or_else(|| Err(StoreError::unavailable("the stream ended")))
    }
}
