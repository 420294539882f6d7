//! A store that is far away: it answers nothing on the spot, counts questions and can be slow.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::{
    Change, ChangeStream, Page, Query, Record, StoreError, Stored, TokenId, TokenStore, Version,
};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::SharedStore;

pub(crate) struct Remote {
    inner: SharedStore,
    finds: AtomicUsize,
    failing: AtomicBool,
    /// While set, an answer that was read waits for a permit.
    held: AtomicBool,
    released: Semaphore,
    changes: Mutex<Option<UnboundedReceiver<Result<Change, StoreError>>>>,
    changes_fail: AtomicBool,
}

/// The far end of the stream of changes.
pub(crate) type Changes = UnboundedSender<Result<Change, StoreError>>;

impl Remote {
    pub(crate) fn new(inner: SharedStore) -> Self {
        Self {
            inner,
            finds: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            held: AtomicBool::new(false),
            released: Semaphore::new(0),
            changes: Mutex::new(None),
            changes_fail: AtomicBool::new(false),
        }
    }

    /// How often it was asked since the last call.
    pub(crate) fn finds(&self) -> usize {
        self.finds.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// From now on answers are read at once and delivered late: when [`release`](Self::release) says.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    /// Delivers this many answers that are held.
    pub(crate) fn release(&self, answers: usize) {
        self.released.add_permits(answers);
    }

    /// The next [`TokenStore::changes`] gives a stream of what is sent here.
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

    async fn find(&self, id: TokenId) -> Result<Option<Stored>, StoreError> {
        self.finds.fetch_add(1, Ordering::SeqCst);
        let answer = if self.failing.load(Ordering::SeqCst) {
            Err(StoreError::unavailable("no route to the store"))
        } else {
            self.inner.find(id).await
        };
        if self.held.load(Ordering::SeqCst) {
            self.released.acquire().await.unwrap().forget();
        }
        answer
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.inner.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }

    async fn list(&self, query: &Query, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.inner.list(query, now).await
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
