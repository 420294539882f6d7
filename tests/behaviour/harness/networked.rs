//! A store across a network: it implements every call about many rows, counts calls and rows, and meets a
//! scripted fate at each call.

use std::collections::{HashMap, VecDeque};
use std::future::{pending, poll_fn};
use std::sync::{Mutex, MutexGuard};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::yield_now;
use service_tokens::store::{ChangeStream, Gathering, RecordRef, StoreError, Version};
use service_tokens::{Filter, ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};

use super::{Rival, SharedStore};

/// A method of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Method {
    Insert,
    Find,
    Replace,
    Remove,
    List,
    FindMany,
    Versions,
    ReplaceMany,
    RemoveMany,
    Count,
    Touch,
}

impl Method {
    fn writes(self) -> bool {
        use Method::{Insert, Remove, RemoveMany, Replace, ReplaceMany};
        matches!(self, Insert | Replace | Remove | ReplaceMany | RemoveMany)
    }
}

/// The fate of one call.
#[derive(Default)]
pub(crate) enum Fate {
    /// It is done and answered at once.
    #[default]
    Fine,
    /// It waits for this many polls before it is done, and as many before its answer arrives.
    Late(u32),
    /// It is done at once. Its answer waits for [`Networked::release`], so answers can arrive in any order.
    Held,
    /// The store reports that it did not happen.
    Unavailable,
    /// It is done, and the answer is lost.
    Lost,
    /// It is not done, and the answer is lost.
    LostBefore,
    /// It is done for this many rows. The others are reported as not done.
    First(usize),
    /// It is done for this many rows, and the answer is lost.
    FirstAndLost(usize),
    /// It is done, and the first results of the answer are missing.
    Fewer(usize),
    /// It is done, and the answer begins with results that belong to no row.
    More(usize),
    /// It is done twice, and the answer is that of the second time.
    Twice,
    /// It is not done, and no answer arrives.
    Never,
    /// It is done, and no answer arrives.
    DoneAndNever,
    /// Another process uses the store first.
    After(Box<dyn FnOnce(SharedStore) -> Rival + Send + Sync>),
}

impl Fate {
    /// Returns the number of rows for which the call is done.
    fn rows(&self, rows: usize) -> usize {
        match self {
            Self::First(first) | Self::FirstAndLost(first) => rows.min(*first),
            Self::Unavailable | Self::LostBefore => 0,
            _ => rows,
        }
    }

    fn times(&self) -> usize {
        if matches!(self, Self::Twice) { 2 } else { 1 }
    }
}

#[derive(Default)]
struct State {
    /// The numbers of calls and of their rows.
    traffic: HashMap<Method, (usize, usize)>,
    scripts: HashMap<Method, VecDeque<Fate>>,
    /// Whether each held answer was released, in the order of the calls.
    held: Vec<(bool, Option<Waker>)>,
}

/// Passes calls on to a store, over a network. Put it over a [`MemoryStore`](service_tokens::MemoryStore).
///
/// It has no `find_now`, so that verification uses `find` or `find_many`.
pub(crate) struct Networked {
    inner: SharedStore,
    gathering: Option<Gathering>,
    state: Mutex<State>,
}

impl Networked {
    pub(crate) fn new(inner: SharedStore) -> Self {
        Self { inner, gathering: None, state: Mutex::default() }
    }

    /// Sets the sizes in which look-ups are gathered.
    pub(crate) fn gathering(self, gathering: Gathering) -> Self {
        Self { gathering: Some(gathering), ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Gives the next calls of a method these fates. The calls after them are fine.
    pub(crate) fn script(&self, method: Method, fates: impl IntoIterator<Item = Fate>) {
        self.lock().scripts.insert(method, fates.into_iter().collect());
    }

    /// Returns the number of calls of a method since the last [`reset`](Self::reset), and that of their rows.
    /// A list has the rows of its page.
    pub(crate) fn calls(&self, method: Method) -> (usize, usize) {
        self.lock().traffic.get(&method).copied().unwrap_or_default()
    }

    /// Forgets the calls and the scripts.
    pub(crate) fn reset(&self) {
        *self.lock() = State::default();
    }

    /// Lets the answer of a held call arrive. Held calls are counted from zero, in the order in which they
    /// were sent.
    pub(crate) fn release(&self, held: usize) {
        let waker = {
            let mut state = self.lock();
            let (released, waker) = &mut state.held[held];
            *released = true;
            waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Returns the number of calls that were held.
    pub(crate) fn held(&self) -> usize {
        self.lock().held.len()
    }

    /// Counts a call, and waits until it is done.
    async fn begin(&self, method: Method, rows: usize) -> Fate {
        let fate = {
            let mut state = self.lock();
            let (calls, all_rows) = state.traffic.entry(method).or_default();
            (*calls, *all_rows) = (*calls + 1, *all_rows + rows);
            state.scripts.get_mut(&method).and_then(VecDeque::pop_front).unwrap_or_default()
        };
        match fate {
            Fate::Late(polls) => {
                for _ in 0..polls {
                    yield_now().await;
                }
                fate
            }
            Fate::Never => pending().await,
            Fate::After(rival) => {
                rival(self.inner.clone()).await;
                Fate::Fine
            }
            fate => fate,
        }
    }

    /// Waits until the answer arrives.
    async fn arrive(&self, fate: &Fate) {
        match fate {
            Fate::Late(polls) => {
                for _ in 0..*polls {
                    yield_now().await;
                }
            }
            Fate::DoneAndNever => pending().await,
            Fate::Held => {
                let number = {
                    let mut state = self.lock();
                    state.held.push((false, None));
                    state.held.len() - 1
                };
                poll_fn(|context| {
                    let (released, waker) = &mut self.lock().held[number];
                    if *released {
                        return Poll::Ready(());
                    }
                    *waker = Some(context.waker().clone());
                    Poll::Pending
                })
                .await;
            }
            _ => {}
        }
    }

    /// Returns the answer of a call about one row, or about no row.
    async fn one<T>(
        &self,
        method: Method,
        fate: &Fate,
        done: Option<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.arrive(fate).await;
        match fate {
            Fate::Lost | Fate::LostBefore | Fate::FirstAndLost(_) => Err(lost(method)),
            _ => done.unwrap_or_else(|| Err(StoreError::unavailable("no route to the store"))),
        }
    }

    /// Returns the answer of a call about many rows, of which some were done.
    async fn many<T>(
        &self,
        method: Method,
        fate: &Fate,
        rows: usize,
        mut done: Vec<Result<T, StoreError>>,
    ) -> Vec<Result<T, StoreError>> {
        self.arrive(fate).await;
        match fate {
            Fate::Lost | Fate::LostBefore | Fate::FirstAndLost(_) => {
                (0..rows).map(|_| Err(lost(method))).collect()
            }
            Fate::Fewer(fewer) => done.into_iter().skip(*fewer).collect(),
            Fate::More(more) => (0..*more).map(|_| Err(StoreError::Conflict)).chain(done).collect(),
            _ => {
                done.resize_with(rows, || Err(StoreError::unavailable("no route to the store")));
                done
            }
        }
    }
}

/// Returns the error of a lost answer.
fn lost(method: Method) -> StoreError {
    if method.writes() {
        StoreError::indeterminate("connection reset")
    } else {
        StoreError::unavailable("connection reset")
    }
}

/// Makes a call about one row as often as its fate says, and answers it.
macro_rules! one {
    ($self:ident, $method:ident, $call:expr) => {{
        let fate = $self.begin(Method::$method, 1).await;
        let mut done = None;
        if fate.rows(1) == 1 {
            for _ in 0..fate.times() {
                done = Some($call.await);
            }
        }
        $self.one(Method::$method, &fate, done).await
    }};
}

/// Makes a call about many rows as often as its fate says, and answers it.
macro_rules! many {
    ($self:ident, $method:ident, $call:ident, $rows:ident) => {{
        let fate = $self.begin(Method::$method, $rows.len()).await;
        let first = fate.rows($rows.len());
        let mut done = Vec::new();
        if first > 0 {
            for _ in 0..fate.times() {
                done = $self.inner.$call(&$rows[..first]).await;
            }
        }
        $self.many(Method::$method, &fate, $rows.len(), done).await
    }};
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl TokenStore for Networked {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        one!(self, Insert, self.inner.insert(record))
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        one!(self, Find, self.inner.find(id))
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        one!(self, Replace, self.inner.replace(record, expected))
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        one!(self, Remove, self.inner.remove(id, expected))
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        let page = one!(self, List, self.inner.list(request, now));
        if let Ok(page) = &page {
            // The call was counted as one row.
            let mut state = self.lock();
            let (_, rows) = state.traffic.entry(Method::List).or_default();
            *rows = *rows + page.items.len() - 1;
        }
        page
    }

    fn gathering(&self) -> Option<Gathering> {
        self.gathering
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Result<Option<StoredRecord>, StoreError>> {
        many!(self, FindMany, find_many, ids)
    }

    async fn versions(&self, ids: &[TokenId]) -> Vec<Result<Option<Version>, StoreError>> {
        many!(self, Versions, versions, ids)
    }

    async fn replace_many(&self, writes: &[(Record, Version)]) -> Vec<Result<Version, StoreError>> {
        many!(self, ReplaceMany, replace_many, writes)
    }

    async fn remove_many(&self, removals: &[(TokenId, Version)]) -> Vec<Result<(), StoreError>> {
        many!(self, RemoveMany, remove_many, removals)
    }

    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<u64, StoreError> {
        one!(self, Count, self.inner.count(filter, now))
    }

    fn tracks_last_used(&self) -> bool {
        self.inner.tracks_last_used()
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        let fate = self.begin(Method::Touch, uses.len()).await;
        let first = fate.rows(uses.len());
        let done = self.inner.touch(&uses[..first]).await;
        self.one(Method::Touch, &fate, (first == uses.len()).then_some(done)).await
    }

    async fn changes(&self) -> Result<Option<Box<dyn ChangeStream>>, StoreError> {
        self.inner.changes().await
    }

    fn find_now(&self, _: TokenId, _: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        false
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
