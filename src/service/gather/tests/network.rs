//! A store whose calls are answered by threads of their own, and the records of the models.

use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::block_on;

use crate::record::Record;
use crate::scope::TokenType;
use crate::service::{IssueRequest, TokenService};
use crate::store::{
    Gathering, LastUsed, ListRequest, Page, StoreError, StoredRecord, TokenStore, Version,
};
use crate::stores::MemoryStore;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::token::TokenId;

pub(super) type Found = Result<Option<StoredRecord>, StoreError>;

/// Returns the texts and records of three tokens. They are issued once, outside of the models.
pub(super) fn issued() -> &'static [(String, Record)] {
    static ISSUED: OnceLock<Vec<(String, Record)>> = OnceLock::new();
    ISSUED.get_or_init(|| {
        let service = TokenService::builder(MemoryStore::new(), "acme_live")
            .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
            .build()
            .unwrap();
        let issue = |_| {
            let request = IssueRequest::new("connector", "backup");
            let issued = block_on(service.owner("acme").issue(request)).unwrap();
            (issued.token.expose_secret().to_owned(), issued.record)
        };
        (0..3).map(issue).collect()
    })
}

pub(super) fn id(number: usize) -> TokenId {
    issued()[number].1.id()
}

pub(super) struct Network {
    gathering: Option<Gathering>,
    records: Mutex<HashMap<TokenId, StoredRecord>>,
    /// Not of the model checker, because it would let other threads run while this one is unwinding.
    in_flight: std::sync::atomic::AtomicUsize,
    calls: AtomicUsize,
    /// Whether management operations make no calls, so that the number of calls in flight has its limit.
    pub(super) is_limited: bool,
    /// The call with this number panics after it was answered.
    pub(super) panics: Option<usize>,
    /// The id whose result is an error.
    pub(super) corrupt: Option<TokenId>,
}

impl Network {
    pub(super) fn new(gathering: Option<Gathering>) -> Arc<Self> {
        Arc::new(Self::with(gathering))
    }

    pub(super) fn with(gathering: Option<Gathering>) -> Self {
        let stored = |record: &Record| {
            (record.id(), StoredRecord::new(record.clone(), Version(1), LastUsed::NotTracked))
        };
        Self {
            gathering,
            records: Mutex::new(issued().iter().map(|(_, record)| stored(record)).collect()),
            in_flight: std::sync::atomic::AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            is_limited: true,
            panics: None,
            corrupt: None,
        }
    }

    pub(super) fn gathering(&self) -> Gathering {
        self.gathering.unwrap_or(Gathering::new(1, 1))
    }

    /// Gives a record another version, as another process does.
    pub(super) fn change(&self, id: TokenId, version: u64) {
        if let Some(stored) = self.records.lock().unwrap().get_mut(&id) {
            stored.version = Version(version);
        }
    }

    /// Replaces a record, as another process does.
    pub(super) fn put(&self, record: Record, version: u64) {
        let stored = StoredRecord::new(record, Version(version), LastUsed::NotTracked);
        self.records.lock().unwrap().insert(stored.record.id(), stored);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    fn read(&self, id: TokenId) -> Found {
        if self.corrupt == Some(id) {
            return Err(StoreError::corrupt("wrong checksum"));
        }
        Ok(self.records.lock().unwrap().get(&id).cloned())
    }

    /// A call for records, which is one of those that the gathering limits.
    async fn call(&self, ids: &[TokenId]) -> Vec<Found> {
        let _in_flight = InFlight::new(self);
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let sizes = self.gathering.unwrap_or(Gathering::new(1, usize::MAX));
        assert!((1..=sizes.max_ids).contains(&ids.len()), "{} ids", ids.len());
        assert!(ids.iter().enumerate().all(|(n, id)| !ids[..n].contains(id)), "an id twice");
        assert!(!self.is_limited || self.in_flight() <= sizes.max_calls, "too many calls");
        let found = ids.iter().map(|id| self.read(*id)).collect();
        answered().await;
        if self.panics == Some(number) {
            // Not `panic!`, because the hook of the model checker would print the order.
            resume_unwind(Box::new("the store panics as the model asked"));
        }
        found
    }
}

/// A call that is in flight until this is dropped.
struct InFlight<'n>(&'n Network);

impl<'n> InFlight<'n> {
    fn new(network: &'n Network) -> Self {
        network.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(network)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for another thread.
async fn answered() {
    let exchange: Arc<Mutex<(bool, Option<Waker>)>> = Arc::default();
    let answering = exchange.clone();
    shuttle::thread::spawn(move || {
        let waker = {
            let mut exchange = answering.lock().unwrap();
            exchange.0 = true;
            exchange.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    });
    poll_fn(|context| {
        let mut exchange = exchange.lock().unwrap();
        if exchange.0 {
            return Poll::Ready(());
        }
        let _former = exchange.1.replace(context.waker().clone());
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl TokenStore for Network {
    async fn insert(&self, _: &Record) -> Result<Version, StoreError> {
        Err(StoreError::ReadOnly)
    }

    async fn find(&self, id: TokenId) -> Found {
        self.call(&[id]).await.swap_remove(0)
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        let mut records = self.records.lock().unwrap();
        let stored = records.get_mut(&record.id()).ok_or(StoreError::Conflict)?;
        if stored.version != expected {
            return Err(StoreError::Conflict);
        }
        stored.record = record.clone();
        stored.version = Version(expected.0 + 1);
        Ok(stored.version)
    }

    async fn remove(&self, _: TokenId, _: Version) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    async fn list(&self, _: &ListRequest, _: DateTime<Utc>) -> Result<Page, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn gathering(&self) -> Option<Gathering> {
        self.gathering
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Found> {
        self.call(ids).await
    }

    async fn versions(&self, ids: &[TokenId]) -> Vec<Result<Option<Version>, StoreError>> {
        let found = ids.iter().map(|id| Ok(self.read(*id)?.map(|stored| stored.version))).collect();
        answered().await;
        found
    }
}
