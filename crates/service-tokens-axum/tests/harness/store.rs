//! A store over memory whose calls fail as a test plans it.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{LastUsed, StoreError, Version};
use service_tokens::{ListRequest, MemoryStore, Page, Record, StoredRecord, TokenId, TokenStore};

/// The calls that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Insert,
    Find,
    Replace,
    Remove,
    List,
}

/// The effect of a failing call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call was not done, and the store reports that.
    Unavailable,
    /// The call was not done, and the answer is lost.
    Lost,
    /// The call was done, and the answer is lost.
    DoneAndLost,
    /// Another writer was first.
    Conflict,
    /// The store panics.
    Panics,
    /// The call never returns.
    Hangs,
}

/// A memory store without `find_now`, so that each verification awaits a `find`.
///
/// Clones share the records and the plan.
#[derive(Debug, Clone)]
pub(crate) struct FaultyStore {
    inner: Arc<MemoryStore>,
    plan: Arc<Mutex<Plan>>,
    tracks_last_used: bool,
}

#[derive(Debug, Default)]
struct Plan {
    faults: HashMap<Call, Planned>,
    calls: HashMap<Call, usize>,
    hidden: Option<(TokenId, usize)>,
}

/// A fault of the calls after the next `after` ones: of all of them, or only of the first.
#[derive(Debug, Clone, Copy)]
struct Planned {
    after: usize,
    fault: Fault,
    once: bool,
}

impl FaultyStore {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()))
    }

    /// A second way to the records of this memory store.
    pub(crate) fn over(inner: Arc<MemoryStore>) -> Self {
        Self { inner, plan: Arc::default(), tracks_last_used: true }
    }

    /// A store that does not track when a token was last used.
    pub(crate) fn without_last_used() -> Self {
        Self { tracks_last_used: false, ..Self::new() }
    }

    /// Makes this call fail, after the next `after` ones.
    pub(crate) fn fail(&self, call: Call, after: usize, fault: Fault) {
        self.set(call, Planned { after, fault, once: false });
    }

    /// Makes one call fail, after the next `after` ones.
    pub(crate) fn fail_once(&self, call: Call, after: usize, fault: Fault) {
        self.set(call, Planned { after, fault, once: true });
    }

    /// Makes every call fail at once.
    pub(crate) fn fail_all(&self) {
        for call in [Call::Insert, Call::Find, Call::Replace, Call::Remove, Call::List] {
            self.fail(call, 0, Fault::Unavailable);
        }
    }

    fn set(&self, call: Call, planned: Planned) {
        let mut plan = self.plan();
        plan.faults.insert(call, planned);
        plan.calls.insert(call, 0);
    }

    /// Makes every call work again.
    pub(crate) fn repair(&self) {
        let mut plan = self.plan();
        plan.faults.clear();
        plan.calls.clear();
    }

    /// After `after` reads of this record, `find` does not return it any more.
    pub(crate) fn hide(&self, id: TokenId, after: usize) {
        self.plan().hidden = Some((id, after));
    }

    /// How often this was called since it was last made to fail or to work.
    pub(crate) fn calls(&self, call: Call) -> usize {
        self.plan().calls.get(&call).copied().unwrap_or_default()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("no panic while it is locked")
    }

    fn is_hidden(&self, id: TokenId) -> bool {
        match &mut self.plan().hidden {
            Some((hidden, 0)) => *hidden == id,
            Some((hidden, left)) if *hidden == id => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }

    /// Returns a record as this store answers with it.
    fn seen(&self, stored: StoredRecord) -> StoredRecord {
        if self.tracks_last_used {
            return stored;
        }
        StoredRecord::new(stored.record, stored.version, LastUsed::NotTracked)
    }

    fn next_fault(&self, call: Call) -> Option<Fault> {
        let mut plan = self.plan();
        *plan.calls.entry(call).or_default() += 1;
        let planned = plan.faults.get_mut(&call)?;
        if planned.after > 0 {
            planned.after -= 1;
            return None;
        }
        let Planned { fault, once, .. } = *planned;
        if once {
            plan.faults.remove(&call);
        }
        Some(fault)
    }

    async fn run<T>(
        &self,
        call: Call,
        done: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // No answer may repeat these words.
        match self.next_fault(call) {
            None => done.await,
            Some(Fault::Unavailable) => Err(StoreError::unavailable("a secret of the driver")),
            Some(Fault::Lost) => Err(StoreError::indeterminate("a secret of the driver")),
            Some(Fault::DoneAndLost) => {
                done.await?;
                Err(StoreError::indeterminate("a secret of the driver"))
            }
            Some(Fault::Conflict) => Err(StoreError::Conflict),
            Some(Fault::Panics) => panic!("a secret of the driver"),
            Some(Fault::Hangs) => pending().await,
        }
    }
}

#[async_trait]
impl TokenStore for FaultyStore {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.run(Call::Insert, self.inner.insert(record)).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        if self.is_hidden(id) {
            return Ok(None);
        }
        let found = self.run(Call::Find, self.inner.find(id)).await;
        let found = found.map(|found| found.map(|stored| self.seen(stored)));
        // As over a network: other requests read the same version before it is replaced.
        tokio::task::yield_now().await;
        found
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.run(Call::Replace, self.inner.replace(record, expected)).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.run(Call::Remove, self.inner.remove(id, expected)).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        if query.filter.unused_since.is_some() && !self.tracks_last_used {
            return Err(StoreError::last_use_not_tracked());
        }
        let page = self.run(Call::List, self.inner.list(query, now)).await?;
        let items = page.items.into_iter().map(|stored| self.seen(stored)).collect();
        Ok(Page::new(items, page.next))
    }

    fn tracks_last_used(&self) -> bool {
        self.tracks_last_used
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        if self.tracks_last_used { self.inner.touch(uses).await } else { Ok(()) }
    }
}
