//! Faults in finding, and in sharing and reopening a store.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::content::edited;
use super::harness::{Answer, Backend, Changes, Fault};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{Change, ChangeStream, LastUsed, RecordRef, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};
use tokio::sync::mpsc::unbounded_channel;

type Visit<'v> = &'v mut dyn FnMut(Option<RecordRef<'_>>);

pub(crate) struct IdsHaveNoCase;

#[async_trait]
impl Fault for IdsHaveNoCase {
    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        let text = id.to_string();
        let alike =
            |stored: &StoredRecord| text.eq_ignore_ascii_case(&stored.record.id().to_string());
        Ok(to.rows().await?.into_iter().find(alike))
    }

    fn find_now(&self, _: &Backend, _: TokenId, _: Visit<'_>) -> bool {
        false
    }
}

pub(crate) struct IdsAreHalves;

#[async_trait]
impl Fault for IdsAreHalves {
    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        if let Some(stored) = to.find(id).await? {
            return Ok(Some(stored));
        }
        let alike =
            |stored: &StoredRecord| stored.record.id().to_bytes()[8..] == id.to_bytes()[8..];
        Ok(to.rows().await?.into_iter().find(alike))
    }

    fn find_now(&self, _: &Backend, _: TokenId, _: Visit<'_>) -> bool {
        false
    }
}

pub(crate) struct FindTakesTheNext;

#[async_trait]
impl Fault for FindTakesTheNext {
    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        Ok(to.rows().await?.into_iter().find(|stored| stored.record.id() >= id))
    }

    fn find_now(&self, _: &Backend, _: TokenId, _: Visit<'_>) -> bool {
        false
    }
}

/// Returns the record of before a write once more.
#[derive(Default)]
pub(crate) struct FindIsStale(Mutex<HashMap<TokenId, StoredRecord>>);

#[async_trait]
impl Fault for FindIsStale {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let before = to.find(record.id()).await?;
        let version = to.replace(record, expected).await?;
        self.0.lock().unwrap().extend(before.map(|before| (record.id(), before)));
        Ok(version)
    }

    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        let stale = self.0.lock().unwrap().remove(&id);
        if stale.is_some() { Ok(stale) } else { to.find(id).await }
    }
}

/// Each handle caches every record that it finds, and drops it only on its own writes.
#[derive(Default)]
pub(crate) struct HandleCachesReads(Mutex<HashMap<TokenId, Option<StoredRecord>>>);

#[async_trait]
impl Fault for HandleCachesReads {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        self.0.lock().unwrap().remove(&record.id());
        to.insert(record).await
    }

    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        self.0.lock().unwrap().remove(&record.id());
        to.replace(record, expected).await
    }

    async fn remove(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        self.0.lock().unwrap().remove(&id);
        to.remove(id, expected).await
    }

    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        self.0.lock().unwrap().clear();
        to.touch(uses).await
    }

    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        let kept = self.0.lock().unwrap().get(&id).cloned();
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let found = to.find(id).await?;
        self.0.lock().unwrap().insert(id, found.clone());
        Ok(found)
    }

    fn find_now(&self, _: &Backend, _: TokenId, _: Visit<'_>) -> bool {
        false
    }
}

pub(crate) struct FindNowCallsTwice;

impl Fault for FindNowCallsTwice {
    fn find_now(&self, to: &Backend, id: TokenId, visit: Visit<'_>) -> bool {
        to.find_now(id, visit) && to.find_now(id, visit)
    }
}

pub(crate) struct FindNowNeverCalls;

impl Fault for FindNowNeverCalls {
    fn find_now(&self, to: &Backend, id: TokenId, _: Visit<'_>) -> bool {
        to.find_now(id, &mut |_| {})
    }
}

pub(crate) struct FindNowTakesItBack;

impl Fault for FindNowTakesItBack {
    fn find_now(&self, to: &Backend, id: TokenId, visit: Visit<'_>) -> bool {
        to.find_now(id, visit);
        false
    }
}

/// Always lends the record that it lent first.
#[derive(Default)]
pub(crate) struct FindNowIsStale(Mutex<HashMap<TokenId, Record>>);

impl Fault for FindNowIsStale {
    fn find_now(&self, to: &Backend, id: TokenId, visit: Visit<'_>) -> bool {
        let mut kept = self.0.lock().unwrap();
        to.find_now(id, &mut |found| {
            visit(found.map(|found| {
                let record = kept.entry(id).or_insert_with(|| found.record.clone());
                RecordRef::new(record, found.version, found.last_used())
            }));
        })
    }
}

pub(crate) struct FindNowKnowsNoLastUse;

impl Fault for FindNowKnowsNoLastUse {
    fn find_now(&self, to: &Backend, id: TokenId, visit: Visit<'_>) -> bool {
        to.find_now(id, &mut |found| {
            visit(found.map(|found| RecordRef::new(found.record, found.version, LastUsed::Never)));
        })
    }
}

/// The effect of reopening on the last write.
pub(crate) enum Reopening {
    LosesARecord,
    LosesLastUse,
    RevivesARecord,
}

/// Accepts any version after reopening.
#[derive(Default)]
pub(crate) struct ReopeningForgetsVersions(AtomicBool);

#[async_trait]
impl Fault for ReopeningForgetsVersions {
    async fn reopened(&self, _: &Backend) -> Answer<()> {
        self.0.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let expected = match to.find(record.id()).await? {
            Some(present) if self.0.load(Ordering::SeqCst) => present.version,
            _ => expected,
        };
        to.replace(record, expected).await
    }
}

#[async_trait]
impl Fault for Reopening {
    async fn reopened(&self, to: &Backend) -> Answer<()> {
        let rows = to.rows().await?;
        match self {
            Self::LosesARecord => {
                let last = &rows[rows.len() - 1];
                to.remove(last.record.id(), last.version).await
            }
            // The same rows are inserted again, without a last use.
            Self::LosesLastUse => {
                for row in rows {
                    to.remove(row.record.id(), row.version).await?;
                    to.insert(&row.record).await?;
                }
                Ok(())
            }
            Self::RevivesARecord => {
                let renamed = edited(&rows[1].record, |tag, content| {
                    let mut content = content.to_vec();
                    if tag == 1 {
                        content[15] ^= 1;
                    }
                    Some(content)
                });
                match to.insert(&renamed).await {
                    Ok(_) | Err(StoreError::Exists) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

pub(crate) struct FailureIsNotFound;

#[async_trait]
impl Fault for FailureIsNotFound {
    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        to.find(id).await.or(Ok(None))
    }
}

pub(crate) struct FailureIsAnEmptyList;

#[async_trait]
impl Fault for FailureIsAnEmptyList {
    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        to.list(query, now).await.or(Ok(Page::new(Vec::new(), None)))
    }
}

pub(crate) struct FailureIsAConflict;

#[async_trait]
impl Fault for FailureIsAConflict {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        to.replace(record, expected).await.map_err(|error| match error {
            StoreError::Unavailable { .. } => StoreError::Conflict,
            error => error,
        })
    }
}

pub(crate) struct FailureIsExists;

#[async_trait]
impl Fault for FailureIsExists {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        to.insert(record).await.map_err(|_| StoreError::Exists)
    }
}

/// Repeats the statement in its errors, as some drivers do.
pub(crate) enum ErrorQuotes {
    Texts,
    Bytes,
}

#[async_trait]
impl Fault for ErrorQuotes {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        to.insert(record).await.map_err(|error| match (error, self) {
            (StoreError::Unavailable { .. }, Self::Texts) => {
                StoreError::unavailable(format!("INSERT failed: {}", record.issued_to()))
            }
            (StoreError::Unavailable { .. }, Self::Bytes) => {
                let bytes =
                    record.to_bytes().iter().map(|b| format!("{b:02X}")).collect::<String>();
                StoreError::unavailable(format!("INSERT failed: x'{bytes}'"))
            }
            (error, _) => error,
        })
    }
}

pub(crate) struct RemovalIsNotReported;

#[async_trait]
impl Fault for RemovalIsNotReported {
    async fn remove(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        to.memory.remove(id, expected).await
    }
}

/// Not a fault, because no cached record depends on an insert.
pub(crate) struct InsertsAreNotReported;

#[async_trait]
impl Fault for InsertsAreNotReported {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        to.insert_silently(record).await
    }
}

pub(crate) struct ChangeIsReportedTooEarly;

#[async_trait]
impl Fault for ChangeIsReportedTooEarly {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        to.notify(record.id());
        futures_lite::future::yield_now().await;
        to.memory.replace(record, expected).await
    }
}

/// Buffers one change while no reader waits, like a channel with a capacity of one.
pub(crate) struct OneChangeIsBuffered;

struct Lossy(Changes);

#[async_trait]
impl ChangeStream for Lossy {
    async fn next(&mut self) -> Answer<Change> {
        let mut change = self.0.next().await?;
        while let Ok(later) = self.0.0.try_recv() {
            change = Change::Record(later);
        }
        Ok(change)
    }
}

#[async_trait]
impl Fault for OneChangeIsBuffered {
    async fn changes(&self, to: &Backend) -> Answer<Option<Box<dyn ChangeStream>>> {
        let (listener, changes) = unbounded_channel();
        to.listen(listener);
        Ok(Some(Box::new(Lossy(Changes(changes)))))
    }
}
