//! Faults of the calls about many records that show only in a certain setting, such as a race, an outage or
//! a large batch. The single calls of these stores are right.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::yield_now;
use service_tokens::record::State;
use service_tokens::store::{States, StoreError, Version};
use service_tokens::{Filter, Record, StoredRecord, TokenId, TokenStore};

use super::harness::{Answer, Backend, Fault};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Many {
    /// `replace_many` sends only full statements of this many rows, and says yes to the rest.
    ReplacesFullStatementsOf(usize),
    /// `remove_many` sends only full statements of this many rows, and says yes to the rest.
    RemovesFullStatementsOf(usize),
    /// `find_many` answers from the last of its statements of this many ids.
    FindsTheLastOf(usize),
    /// `versions` asks for at most this many ids.
    VersionsEndAt(usize),
    /// `replace_many` compares the version in one step and writes in another.
    ReplaceComparesThenWrites,
    /// `remove_many` compares the version in one step and removes in another.
    RemoveComparesThenRemoves,
    /// The same with no point of waiting in between.
    RemoveHoldsNoLock,
    /// `replace_many` removes the rows and inserts them again in a second step.
    ReplaceInTwoSteps,
    /// `versions` answers for a removed record.
    VersionsOfTheRemoved,
    /// `find_many` answers for a removed record.
    RemovedIsFound,
    /// `replace_many` does not compare the owner.
    ReplacesTheOwner,
    /// `replace_many` forgets the last use.
    ReplaceForgetsLastUse,
    /// `replace_many` reports no change.
    ReplacesAreNotReported,
    /// `remove_many` reports the first of its rows only.
    FirstRemovalIsReported,
    /// `versions` answers from a cache of this handle, which only its own writes change.
    HandleCachesVersions,
    /// `find_many` answers from a cache of this handle, which only its own writes change.
    HandleCachesRows,
    /// The rows that `replace_many` wrote are the earlier ones after the store was opened again.
    ReplacesAreLostAtReopening,
    /// During an outage, `find_many` says that there is no record.
    FailureIsNotFound,
    /// `count` says zero during an outage.
    FailureIsCountedAsZero,
    /// `replace_many` acknowledges rows during an outage.
    FailedReplaceSaysYes,
    /// `versions` says after `close` that there is no record.
    ClosedHasNoVersions,
    /// `count` says zero after `close`.
    ClosedCountsZero,
    /// An error of `replace_many` quotes the rows.
    ErrorQuotesRows,
    /// `count` takes "active only" for "live".
    ActiveCountsAsLive,
    /// `count` takes a pair of states for its first state.
    FirstStateIsCounted,
    /// Counters under the key `owner:type`.
    KeyIsConcatenated,
    /// Counters of a handle, which do not know the writes of others.
    CountsOwnWrites,
}

use Many::*;

/// A store with one of the faults.
pub(crate) struct Setting {
    fault: Many,
    closed: AtomicBool,
    rows: Mutex<HashMap<TokenId, StoredRecord>>,
    versions: Mutex<HashMap<TokenId, Version>>,
    written: Mutex<i64>,
}

impl Setting {
    pub(crate) fn with(fault: Many) -> Self {
        Self {
            fault,
            closed: AtomicBool::new(false),
            rows: Mutex::default(),
            versions: Mutex::default(),
            written: Mutex::default(),
        }
    }

    fn is(&self, fault: Many) -> bool {
        self.fault == fault
    }

    fn is_closed(&self, fault: Many) -> bool {
        self.fault == fault && self.closed.load(Ordering::SeqCst)
    }

    /// Changes the caches of this handle.
    fn wrote(&self, id: TokenId) {
        if !matches!(self.fault, HandleCachesVersions | HandleCachesRows) {
            return;
        }
        self.rows.lock().unwrap().remove(&id);
        self.versions.lock().unwrap().remove(&id);
    }

    async fn replace_row(
        &self,
        to: &Backend,
        record: &Record,
        expected: Version,
    ) -> Answer<Version> {
        self.wrote(record.id());
        let present = || async {
            let found = to.find(record.id()).await?;
            found.filter(|found| found.version == expected).ok_or(StoreError::Conflict)
        };
        match self.fault {
            ReplaceComparesThenWrites => {
                let found = present().await?;
                StoreError::check_replacement(&found.record, record)?;
                yield_now().await;
                let later = to.find(record.id()).await?.ok_or(StoreError::Conflict)?;
                to.replace(record, later.version).await
            }
            ReplaceInTwoSteps => {
                let found = present().await?;
                StoreError::check_replacement(&found.record, record)?;
                to.remove(record.id(), expected).await?;
                yield_now().await;
                to.insert(record).await
            }
            ReplacesTheOwner => {
                let found = present().await?;
                if found.record.is_newer() {
                    return Err(StoreError::NewerFormat);
                }
                if found.record.owner() == record.owner() {
                    return to.replace(record, expected).await;
                }
                to.force(record).await
            }
            ReplaceForgetsLastUse => {
                let found = present().await?;
                StoreError::check_replacement(&found.record, record)?;
                to.memory.remove(record.id(), expected).await?;
                to.insert(record).await
            }
            ReplacesAreNotReported => {
                if to.find(record.id()).await.is_err() {
                    return to.replace(record, expected).await;
                }
                to.memory.replace(record, expected).await
            }
            ReplacesAreLostAtReopening => {
                let earlier = to.find(record.id()).await?;
                let version = to.replace(record, expected).await?;
                self.rows.lock().unwrap().extend(earlier.map(|row| (record.id(), row)));
                Ok(version)
            }
            ErrorQuotesRows => to.replace(record, expected).await.map_err(|error| match error {
                StoreError::Unavailable { .. } => {
                    StoreError::unavailable(format!("update of {:?}", record.owner()))
                }
                error => error,
            }),
            FailedReplaceSaysYes => match to.replace(record, expected).await {
                Err(StoreError::Unavailable { .. }) => Ok(Version(1)),
                answer => answer,
            },
            _ => to.replace(record, expected).await,
        }
    }

    async fn remove_row(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        self.wrote(id);
        match self.fault {
            RemoveComparesThenRemoves | RemoveHoldsNoLock => {
                let found = to.find(id).await?.ok_or(StoreError::Conflict)?;
                if found.version != expected {
                    return Err(StoreError::Conflict);
                }
                if self.is(RemoveHoldsNoLock) {
                    std::thread::sleep(Duration::from_micros(20));
                } else {
                    yield_now().await;
                }
                match to.find(id).await? {
                    Some(later) => to.remove(id, later.version).await,
                    None => Err(StoreError::Conflict),
                }
            }
            _ => {
                to.remove(id, expected).await?;
                *self.written.lock().unwrap() -= 1;
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Fault for Setting {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        let version = to.insert(record).await?;
        self.wrote(record.id());
        *self.written.lock().unwrap() += 1;
        Ok(version)
    }

    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        self.wrote(record.id());
        to.replace(record, expected).await
    }

    async fn remove(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        self.wrote(id);
        to.remove(id, expected).await?;
        *self.written.lock().unwrap() -= 1;
        Ok(())
    }

    async fn find_many(&self, to: &Backend, ids: &[TokenId]) -> Vec<Answer<Option<StoredRecord>>> {
        let mut results = to.find_many(ids).await;
        match self.fault {
            FindsTheLastOf(size) => {
                let last = (ids.len() - 1) / size * size;
                results.iter_mut().take(last).for_each(|result| *result = Ok(None));
            }
            FailureIsNotFound => {
                for result in &mut results {
                    if result.is_err() {
                        *result = Ok(None);
                    }
                }
            }
            RemovedIsFound => {
                let mut rows = self.rows.lock().unwrap();
                for (id, result) in ids.iter().zip(&mut results) {
                    match result {
                        Ok(Some(found)) => drop(rows.insert(*id, found.clone())),
                        Ok(None) => *result = Ok(rows.get(id).cloned()),
                        Err(_) => {}
                    }
                }
            }
            HandleCachesRows => {
                let mut rows = self.rows.lock().unwrap();
                for (id, result) in ids.iter().zip(&mut results) {
                    if let Some(cached) = rows.get(id) {
                        *result = Ok(Some(cached.clone()));
                    } else if let Ok(Some(found)) = result {
                        rows.insert(*id, found.clone());
                    }
                }
            }
            _ => {}
        }
        results
    }

    async fn versions(&self, to: &Backend, ids: &[TokenId]) -> Vec<Answer<Option<Version>>> {
        if self.is_closed(ClosedHasNoVersions) {
            return ids.iter().map(|_| Ok(None)).collect();
        }
        let mut results = to.versions(ids).await;
        match self.fault {
            VersionsEndAt(size) => {
                results.iter_mut().skip(size).for_each(|result| *result = Ok(None));
            }
            VersionsOfTheRemoved => {
                let mut versions = self.versions.lock().unwrap();
                for (id, result) in ids.iter().zip(&mut results) {
                    match result {
                        Ok(Some(version)) => drop(versions.insert(*id, *version)),
                        Ok(None) => *result = Ok(versions.get(id).copied()),
                        Err(_) => {}
                    }
                }
            }
            HandleCachesVersions => {
                let mut versions = self.versions.lock().unwrap();
                for (id, result) in ids.iter().zip(&mut results) {
                    if let Some(cached) = versions.get(id) {
                        *result = Ok(Some(*cached));
                    } else if let Ok(Some(version)) = result {
                        versions.insert(*id, *version);
                    }
                }
            }
            _ => {}
        }
        results
    }

    async fn replace_many(
        &self,
        to: &Backend,
        writes: &[(Record, Version)],
    ) -> Vec<Answer<Version>> {
        let sent = match self.fault {
            ReplacesFullStatementsOf(size) if writes.len() > size => writes.len() / size * size,
            _ => writes.len(),
        };
        let mut results = Vec::new();
        for (record, expected) in &writes[..sent] {
            results.push(self.replace_row(to, record, *expected).await);
        }
        results.extend(writes[sent..].iter().map(|(_, expected)| Ok(Version(expected.0 + 1))));
        results
    }

    async fn remove_many(&self, to: &Backend, removals: &[(TokenId, Version)]) -> Vec<Answer<()>> {
        let sent = match self.fault {
            RemovesFullStatementsOf(size) if removals.len() > size => removals.len() / size * size,
            _ => removals.len(),
        };
        let mut results = Vec::new();
        for (id, expected) in &removals[..sent] {
            let reported = results.iter().any(Result::is_ok);
            results.push(match self.fault {
                FirstRemovalIsReported if reported => to.memory.remove(*id, *expected).await,
                _ => self.remove_row(to, *id, *expected).await,
            });
        }
        results.extend(removals[sent..].iter().map(|_| Ok(())));
        results
    }

    async fn count(&self, to: &Backend, filter: &Filter, now: DateTime<Utc>) -> Answer<u64> {
        if self.is_closed(ClosedCountsZero) {
            return Ok(0);
        }
        match self.fault {
            FailureIsCountedAsZero => Ok(to.count(filter, now).await.unwrap_or(0)),
            ActiveCountsAsLive if filter.states == States::from(State::Active) => {
                to.count(&filter.clone().states(States::LIVE), now).await
            }
            FirstStateIsCounted => {
                let given: Vec<State> =
                    State::ALL.into_iter().filter(|state| filter.states.contains(*state)).collect();
                match given[..] {
                    [first, _] => to.count(&filter.clone().states(first), now).await,
                    _ => to.count(filter, now).await,
                }
            }
            KeyIsConcatenated if filter.states == States::ALL && filter.owner.is_some() => {
                let owner = filter.owner.clone().unwrap_or_default();
                let mut counters: BTreeMap<String, u64> = BTreeMap::new();
                for row in to.rows().await? {
                    let (owner, of_type) = (row.record.owner(), row.record.token_type());
                    *counters.entry(format!("{owner}:{of_type}")).or_default() += 1;
                    *counters.entry(owner.to_owned()).or_default() += 1;
                }
                let key = match &filter.token_type {
                    Some(of_type) => format!("{owner}:{of_type}"),
                    None => owner,
                };
                Ok(counters.get(&key).copied().unwrap_or(0))
            }
            CountsOwnWrites if *filter == Filter::new().states(States::ALL) => {
                Ok(u64::try_from(*self.written.lock().unwrap()).unwrap_or(0))
            }
            _ => to.count(filter, now).await,
        }
    }

    async fn close(&self, _: &Backend) -> Answer<()> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn reopened(&self, to: &Backend) -> Answer<()> {
        let rows: Vec<_> = self.rows.lock().unwrap().drain().collect();
        for (_, earlier) in rows {
            if self.is(ReplacesAreLostAtReopening) && to.find(earlier.record.id()).await?.is_some()
            {
                to.force(&earlier.record).await?;
            }
        }
        Ok(())
    }
}
