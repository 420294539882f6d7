//! A store across a network that takes many look-ups in one call. A test decides when each call answers, and
//! with what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{Gathering, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};
use tokio::sync::Semaphore;

use super::{Harness, SharedStore, Stores, TokenServiceBuilder};

type Found = Result<Option<StoredRecord>, StoreError>;

/// What a call does instead of returning its results.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// Every result is this error.
    Fail(fn() -> StoreError),
    /// The result with this index is this error.
    FailOne(usize, fn() -> StoreError),
    /// The last result is missing.
    Fewer,
    /// There is one more result.
    More,
    /// There are no results.
    Empty,
    /// Each result is there twice.
    Twice,
    /// The results are in the reverse order.
    Reversed,
    /// The store panics.
    Panic,
}

struct Call {
    ids: Vec<TokenId>,
    released: Arc<Semaphore>,
}

pub(crate) struct Gathers {
    inner: SharedStore,
    gathering: Option<Gathering>,
    /// If set, a call reads when it is sent, and answers after [`release`](Self::release).
    held: AtomicBool,
    calls: Mutex<Vec<Call>>,
    answers: Mutex<HashMap<usize, Answer>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    version_calls: Mutex<Vec<usize>>,
    failing_versions: Mutex<Vec<TokenId>>,
    versions_held: AtomicBool,
    versions_released: Semaphore,
    lose_a_version: AtomicBool,
}

impl Gathers {
    pub(crate) fn new(inner: SharedStore, gathering: Option<Gathering>) -> Self {
        Self {
            inner,
            gathering,
            held: AtomicBool::new(false),
            calls: Mutex::default(),
            answers: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            version_calls: Mutex::default(),
            failing_versions: Mutex::default(),
            versions_held: AtomicBool::new(false),
            versions_released: Semaphore::new(0),
            lose_a_version: AtomicBool::new(false),
        }
    }

    /// Makes calls read at once and answer late: after [`release`](Self::release).
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    /// Lets the call with this number answer. The first call has the number 0.
    pub(crate) fn release(&self, call: usize) {
        self.calls.lock().unwrap()[call].released.add_permits(1);
    }

    /// Determines the answer of the call with this number.
    pub(crate) fn answer(&self, call: usize, answer: Answer) {
        self.answers.lock().unwrap().insert(call, answer);
    }

    /// Returns the ids of each call so far.
    pub(crate) fn calls(&self) -> Vec<Vec<TokenId>> {
        self.calls.lock().unwrap().iter().map(|call| call.ids.clone()).collect()
    }

    /// Returns the number of calls whose futures are not dropped.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.most_in_flight.load(Ordering::SeqCst)
    }

    /// Returns the number of ids of each call of `versions` since the last call.
    pub(crate) fn version_calls(&self) -> Vec<usize> {
        std::mem::take(&mut *self.version_calls.lock().unwrap())
    }

    /// Makes the version of this id an error.
    pub(crate) fn fail_version(&self, id: TokenId) {
        self.failing_versions.lock().unwrap().push(id);
    }

    /// Makes `versions` read at once and answer after [`release_versions`](Self::release_versions).
    pub(crate) fn hold_versions(&self, held: bool) {
        self.versions_held.store(held, Ordering::SeqCst);
    }

    pub(crate) fn release_versions(&self) {
        self.versions_released.add_permits(1);
    }

    /// Makes `versions` return one result less than it has to.
    pub(crate) fn lose_a_version(&self) {
        self.lose_a_version.store(true, Ordering::SeqCst);
    }

    async fn call(&self, ids: &[TokenId]) -> Vec<Found> {
        let _in_flight = InFlight::new(self);
        let released = Arc::new(Semaphore::new(0));
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(Call { ids: ids.to_vec(), released: released.clone() });
            calls.len() - 1
        };
        let mut found: Vec<Found> = Vec::new();
        for id in ids {
            found.push(self.inner.find(*id).await);
        }
        if self.held.load(Ordering::SeqCst) {
            released.acquire().await.unwrap().forget();
        }
        let answer = self.answers.lock().unwrap().get(&number).copied();
        match answer {
            None => {}
            Some(Answer::Fail(error)) => found.iter_mut().for_each(|found| *found = Err(error())),
            Some(Answer::FailOne(index, error)) => found[index] = Err(error()),
            Some(Answer::Fewer) => drop(found.pop()),
            Some(Answer::More) => found.push(Ok(None)),
            Some(Answer::Empty) => found.clear(),
            Some(Answer::Twice) => {
                for id in ids {
                    found.push(self.inner.find(*id).await);
                }
            }
            Some(Answer::Reversed) => found.reverse(),
            Some(Answer::Panic) => panic!("the store panics as the test asked"),
        }
        found
    }
}

/// A call that is in flight until this is dropped.
struct InFlight<'s>(&'s Gathers);

impl<'s> InFlight<'s> {
    fn new(store: &'s Gathers) -> Self {
        let now = store.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        store.most_in_flight.fetch_max(now, Ordering::SeqCst);
        Self(store)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl TokenStore for Gathers {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.inner.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Found {
        self.call(&[id]).await.swap_remove(0)
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.inner.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.inner.list(query, now).await
    }

    fn gathering(&self) -> Option<Gathering> {
        self.gathering
    }

    fn tracks_last_used(&self) -> bool {
        self.inner.tracks_last_used()
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.inner.touch(uses).await
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Found> {
        self.call(ids).await
    }

    async fn versions(&self, ids: &[TokenId]) -> Vec<Result<Option<Version>, StoreError>> {
        self.version_calls.lock().unwrap().push(ids.len());
        let mut versions = Vec::new();
        for id in ids {
            let failing = self.failing_versions.lock().unwrap().contains(id);
            versions.push(if failing {
                Err(StoreError::unavailable("no route to this row"))
            } else {
                self.inner.find(*id).await.map(|found| found.map(|stored| stored.version))
            });
        }
        if self.versions_held.load(Ordering::SeqCst) {
            self.versions_released.acquire().await.unwrap().forget();
        }
        if self.lose_a_version.load(Ordering::SeqCst) {
            versions.pop();
        }
        versions
    }
}

impl Harness<Arc<Gathers>> {
    /// Creates a service over a store that takes this many ids in a call, and this many calls at once.
    pub(crate) fn gathering(stores: Stores, max_ids: usize, max_calls: usize) -> Self {
        let sizes = Some(Gathering::new(max_ids, max_calls));
        Self::over_gathers(stores, sizes, |service| service)
    }

    /// Creates a service over the same store, and changes it before it is built.
    pub(crate) fn over_gathers(
        stores: Stores,
        sizes: Option<Gathering>,
        change: impl FnOnce(TokenServiceBuilder<Arc<Gathers>>) -> TokenServiceBuilder<Arc<Gathers>>,
    ) -> Self {
        let builder = Harness::builder(stores).over(|store| Arc::new(Gathers::new(store, sizes)));
        builder.configure(change).build()
    }

    pub(crate) fn gathers(&self) -> &Arc<Gathers> {
        self.service.store()
    }
}
