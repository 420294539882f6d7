//! A store that fails from a chosen call on.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{StoreError, Version};
use service_tokens::{ListRequest, MemoryStore, Page, Record, StoredRecord, TokenId, TokenStore};

/// What becomes of a call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Unavailable,
    /// Nobody knows whether it was done. It was not.
    Lost,
    /// It was done, and the answer is lost.
    DoneAndLost,
    /// Somebody else was first, always.
    Conflict,
    /// The store itself is broken.
    Panics,
    /// No answer ever comes.
    Hangs,
}

/// A memory store behind a wire: it offers no `find_now`, so that each verification is a `find`.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<MemoryStore>,
    finds: Countdown,
    replaces: Countdown,
}

/// How many calls go well before all others meet the fault.
#[derive(Debug)]
struct Countdown(Mutex<Option<(usize, Fault)>>, AtomicUsize);

impl Countdown {
    fn new() -> Self {
        Self(Mutex::new(None), AtomicUsize::new(0))
    }

    fn next(&self) -> Option<Fault> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let mut state = self.0.lock().expect("no panic inside");
        match &mut *state {
            Some((0, fault)) => Some(*fault),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    fn set(&self, fault: Option<(usize, Fault)>) {
        *self.0.lock().expect("no panic inside") = fault;
        self.1.store(0, Ordering::SeqCst);
    }
}

impl Faulty {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()))
    }

    pub(crate) fn over(inner: Arc<MemoryStore>) -> Self {
        Self { inner, finds: Countdown::new(), replaces: Countdown::new() }
    }

    /// From now on `find` goes well so often, and then never.
    pub(crate) fn fail_find(&self, after: usize, fault: Fault) {
        self.finds.set(Some((after, fault)));
    }

    /// From now on `replace` goes well so often, and then never.
    pub(crate) fn fail_replace(&self, after: usize, fault: Fault) {
        self.replaces.set(Some((after, fault)));
    }

    /// Everything goes well again.
    pub(crate) fn mend(&self) {
        self.finds.set(None);
        self.replaces.set(None);
    }

    /// How many `find`s there were since the last of these settings.
    pub(crate) fn finds(&self) -> usize {
        self.finds.1.load(Ordering::SeqCst)
    }

    /// As many `replace`s.
    pub(crate) fn replaces(&self) -> usize {
        self.replaces.1.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl TokenStore for Faulty {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.inner.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        let found = match self.finds.next() {
            None => self.inner.find(id).await,
            Some(Fault::Panics) => panic!("a secret of the store"),
            Some(Fault::Hangs) => pending().await,
            Some(_) => Err(StoreError::unavailable("the test says so")),
        };
        // So that others read the same version before it is replaced.
        tokio::task::yield_now().await;
        found
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        match self.replaces.next() {
            None => self.inner.replace(record, expected).await,
            Some(Fault::Unavailable) => Err(StoreError::unavailable("the test says so")),
            Some(Fault::Conflict) => Err(StoreError::Conflict),
            Some(Fault::Lost) => Err(StoreError::indeterminate("the test says so")),
            Some(Fault::Panics) => panic!("a secret of the store"),
            Some(Fault::Hangs) => pending().await,
            Some(Fault::DoneAndLost) => {
                self.inner.replace(record, expected).await?;
                Err(StoreError::indeterminate("the test says so"))
            }
        }
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.inner.list(query, now).await
    }

    fn tracks_last_used(&self) -> bool {
        self.inner.tracks_last_used()
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.inner.touch(uses).await
    }
}
