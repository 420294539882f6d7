//! A store that fails at chosen calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};

use super::SharedStore;

/// The fault of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call succeeds.
    None,
    /// The call is done, and the answer is lost.
    DoneAndLost,
    /// The call is not done, and the answer is lost.
    LostBefore,
    /// The answer is lost, and a write is done later: before the next write, or when the test calls
    /// [`settle`](Faulty::settle).
    Late,
    /// The call is not done, and the store reports that.
    Unavailable,
    /// The call fails, because the stored bytes are not a valid record.
    Corrupt,
    /// The call fails, because the store is read-only.
    ReadOnly,
    /// A rival writes before the call. The number selects the rival's action.
    Rival(u8),
    /// A rival writes after the call and before its answer.
    RivalAfter(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Insert,
    Find,
    Replace,
    Remove,
    List,
    Touch,
}

impl Op {
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Insert | Self::Replace | Self::Remove)
    }
}

pub(crate) type Rival = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Passes calls on to a store. After arming, each call meets the next fault of the script. Later calls meet
/// the fault that is given for the rest.
///
/// It has no `find_now`, so that verification uses `find`.
pub(crate) struct Faulty {
    inner: SharedStore,
    armed: Mutex<Armed>,
    rival: Box<dyn Fn(u8) -> Rival + Send + Sync>,
}

#[derive(Default)]
struct Armed {
    script: Vec<Fault>,
    rest: Option<Fault>,
    calls: Vec<(Op, Fault)>,
    written: usize,
    late: Option<Write>,
}

#[derive(Clone)]
enum Write {
    Insert(Record),
    Replace(Record, Version),
}

impl Faulty {
    pub(crate) fn new(inner: SharedStore) -> Self {
        Self::with_rival(inner, |_| Box::pin(async {}))
    }

    pub(crate) fn with_rival(
        inner: SharedStore,
        rival: impl Fn(u8) -> Rival + Send + Sync + 'static,
    ) -> Self {
        Self { inner, armed: Mutex::default(), rival: Box::new(rival) }
    }

    pub(crate) fn arm(&self, script: &[Fault], rest: Fault) {
        let script = script.to_vec();
        *self.armed.lock().unwrap() = Armed { script, rest: Some(rest), ..Armed::default() };
    }

    pub(crate) fn disarm(&self) {
        self.arm(&[], Fault::None);
    }

    /// Returns the calls since arming, each with its fault.
    pub(crate) fn calls(&self) -> Vec<(Op, Fault)> {
        self.armed.lock().unwrap().calls.clone()
    }

    /// Returns how many writes reached the store since arming, with or without an answer.
    pub(crate) fn written(&self) -> usize {
        self.armed.lock().unwrap().written
    }

    /// Does the pending write whose answer was lost.
    pub(crate) async fn settle(&self) {
        let late = self.armed.lock().unwrap().late.take();
        let landed = match &late {
            Some(Write::Insert(record)) => self.inner.insert(record).await.is_ok(),
            Some(Write::Replace(record, expected)) => {
                self.inner.replace(record, *expected).await.is_ok()
            }
            None => false,
        };
        self.armed.lock().unwrap().written += usize::from(landed);
    }

    async fn call<T>(
        &self,
        op: Op,
        write: Option<Write>,
        run: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fault = {
            let mut armed = self.armed.lock().unwrap();
            let next = armed.calls.len();
            let fault = armed.script.get(next).copied().or(armed.rest).unwrap_or(Fault::None);
            armed.calls.push((op, fault));
            fault
        };
        if op.writes() {
            self.settle().await;
        }
        match fault {
            Fault::Late => {
                self.armed.lock().unwrap().late = write;
                return Err(StoreError::indeterminate("connection reset"));
            }
            Fault::Unavailable => return Err(StoreError::unavailable("no route to the store")),
            Fault::Corrupt => return Err(StoreError::corrupt("a bit flipped")),
            Fault::ReadOnly => return Err(StoreError::ReadOnly),
            Fault::LostBefore => return Err(StoreError::indeterminate("connection reset")),
            Fault::Rival(what) => (self.rival)(what).await,
            Fault::None | Fault::DoneAndLost | Fault::RivalAfter(_) => {}
        }
        let outcome = run.await;
        if op.writes() && outcome.is_ok() {
            self.armed.lock().unwrap().written += 1;
        }
        if let Fault::RivalAfter(what) = fault {
            (self.rival)(what).await;
        }
        match (fault, outcome) {
            (Fault::DoneAndLost, _) => Err(StoreError::indeterminate("connection reset")),
            (_, outcome) => outcome,
        }
    }
}

#[async_trait]
impl TokenStore for Faulty {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.call(Op::Insert, Some(Write::Insert(record.clone())), self.inner.insert(record)).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.call(Op::Find, None, self.inner.find(id)).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.call(
            Op::Replace,
            Some(Write::Replace(record.clone(), expected)),
            self.inner.replace(record, expected),
        )
        .await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.call(Op::Remove, None, self.inner.remove(id, expected)).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.call(Op::List, None, self.inner.list(query, now)).await
    }
    fn tracks_last_used(&self) -> bool {
        self.inner.tracks_last_used()
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.call(Op::Touch, None, self.inner.touch(uses)).await
    }
}
