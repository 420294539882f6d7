//! Faults in inserting, replacing and removing.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use super::harness::{Answer, Backend, Fault};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::yield_now;
use service_tokens::store::{LastUsed, RecordRef, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};

pub(crate) struct InsertOverwrites;

#[async_trait]
impl Fault for InsertOverwrites {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        to.force(record).await
    }
}

pub(crate) struct InsertSaysYes;

#[async_trait]
impl Fault for InsertSaysYes {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        match to.find(record.id()).await? {
            Some(present) => Ok(present.version),
            None => to.insert(record).await,
        }
    }
}

pub(crate) struct InsertOfAnEqualSaysYes;

#[async_trait]
impl Fault for InsertOfAnEqualSaysYes {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        match to.find(record.id()).await? {
            Some(present) if present.record == *record => Ok(present.version),
            _ => to.insert(record).await,
        }
    }
}

pub(crate) struct InsertChecksThenWrites;

#[async_trait]
impl Fault for InsertChecksThenWrites {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        if to.find(record.id()).await?.is_some() {
            return Err(StoreError::Exists);
        }
        yield_now().await;
        to.force(record).await
    }
}

pub(crate) struct InsertIsForgotten;

#[async_trait]
impl Fault for InsertIsForgotten {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        // Only records with one label have the fault, because no test could run otherwise.
        if record.issued_to() == "inserted" && to.find(record.id()).await?.is_none() {
            return Ok(Version(1));
        }
        to.insert(record).await
    }
}

pub(crate) struct ReplaceIgnoresTheVersion;

#[async_trait]
impl Fault for ReplaceIgnoresTheVersion {
    async fn replace(&self, to: &Backend, record: &Record, _: Version) -> Answer<Version> {
        let present = to.find(record.id()).await?.ok_or(StoreError::Conflict)?;
        to.replace(record, present.version).await
    }
}

pub(crate) struct ReplaceIgnoresOlderVersions;

#[async_trait]
impl Fault for ReplaceIgnoresOlderVersions {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let present = to.find(record.id()).await?.ok_or(StoreError::Conflict)?;
        to.replace(record, present.version.max(expected)).await
    }
}

pub(crate) struct ReplaceCreates;

#[async_trait]
impl Fault for ReplaceCreates {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        match to.find(record.id()).await? {
            None => to.insert(record).await,
            Some(_) => to.replace(record, expected).await,
        }
    }
}

/// Compares the version only, as a bare compare-and-swap would.
async fn swap(to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
    match to.find(record.id()).await? {
        Some(present) if present.version == expected => to.force(record).await,
        _ => Err(StoreError::Conflict),
    }
}

pub(crate) struct ReplaceChangesTheOwner;

#[async_trait]
impl Fault for ReplaceChangesTheOwner {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let same_start = to.find(record.id()).await?.is_some_and(|present| {
            present.record.created_at() == record.created_at() && !present.record.is_newer()
        });
        if same_start {
            swap(to, record, expected).await
        } else {
            to.replace(record, expected).await
        }
    }
}

pub(crate) struct ReplaceChangesTheCreationTime;

#[async_trait]
impl Fault for ReplaceChangesTheCreationTime {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let same_owner = to.find(record.id()).await?.is_some_and(|present| {
            present.record.owner() == record.owner() && !present.record.is_newer()
        });
        if same_owner {
            swap(to, record, expected).await
        } else {
            to.replace(record, expected).await
        }
    }
}

pub(crate) struct ReplaceRewritesNewer;

#[async_trait]
impl Fault for ReplaceRewritesNewer {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        match to.replace(record, expected).await {
            Err(StoreError::NewerFormat) => swap(to, record, expected).await,
            answer => answer,
        }
    }
}

pub(crate) struct ReplaceWaitsInBetween;

#[async_trait]
impl Fault for ReplaceWaitsInBetween {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let present = to.find(record.id()).await?.ok_or(StoreError::Conflict)?;
        StoreError::check_replacement(&present.record, record)?;
        if present.version != expected {
            return Err(StoreError::Conflict);
        }
        yield_now().await;
        let present = to.find(record.id()).await?.ok_or(StoreError::Conflict)?;
        to.replace(record, present.version).await
    }
}

/// Does not await anything, so only another thread can write in between.
pub(crate) struct ReplaceHoldsNoLock;

#[async_trait]
impl Fault for ReplaceHoldsNoLock {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let present = to.find(record.id()).await?.ok_or(StoreError::Conflict)?;
        StoreError::check_replacement(&present.record, record)?;
        if present.version != expected {
            return Err(StoreError::Conflict);
        }
        std::thread::sleep(std::time::Duration::from_micros(20));
        let present = to.find(record.id()).await?.ok_or(StoreError::Conflict)?;
        to.replace(record, present.version).await
    }
}

/// Deletes and inserts, and yields in between.
pub(crate) struct ReplaceInTwoSteps;

#[async_trait]
impl Fault for ReplaceInTwoSteps {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let present = to.find(record.id()).await?.ok_or(StoreError::Conflict)?;
        StoreError::check_replacement(&present.record, record)?;
        to.remove(record.id(), expected).await?;
        yield_now().await;
        to.insert(record).await?;
        to.memory.touch(&used(record.id(), present.last_used)).await?;
        // Continues at the version of the removed row.
        let mut version = Version(1);
        while version <= expected {
            version = to.memory.replace(record, version).await?;
        }
        Ok(version)
    }
}

fn used(id: TokenId, last_used: LastUsed) -> Vec<(TokenId, DateTime<Utc>)> {
    match last_used {
        LastUsed::At(time) => vec![(id, time)],
        _ => Vec::new(),
    }
}

#[derive(Default)]
pub(crate) struct ReplaceForgetsLastUse(Mutex<HashSet<TokenId>>);

impl ReplaceForgetsLastUse {
    fn forgetful(&self, stored: StoredRecord) -> StoredRecord {
        let forgotten = self.0.lock().unwrap().contains(&stored.record.id());
        let last_used = if forgotten { LastUsed::Never } else { stored.last_used };
        StoredRecord::new(stored.record, stored.version, last_used)
    }
}

#[async_trait]
impl Fault for ReplaceForgetsLastUse {
    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let version = to.replace(record, expected).await?;
        self.0.lock().unwrap().insert(record.id());
        Ok(version)
    }

    async fn touch(&self, to: &Backend, uses: &[(TokenId, DateTime<Utc>)]) -> Answer<()> {
        self.0.lock().unwrap().retain(|id| !uses.iter().any(|(used, _)| used == id));
        to.touch(uses).await
    }

    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        Ok(to.find(id).await?.map(|stored| self.forgetful(stored)))
    }

    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        let page = to.list(query, now).await?;
        let items = page.items.into_iter().map(|stored| self.forgetful(stored)).collect();
        Ok(Page::new(items, page.next))
    }

    fn find_now(&self, _: &Backend, _: TokenId, _: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        false
    }
}

/// Uses a hash of the content as the version, so the version repeats with the content.
pub(crate) struct VersionIsAHash;

fn hash(record: &Record) -> Version {
    let mut hasher = DefaultHasher::new();
    record.to_bytes().hash(&mut hasher);
    Version(hasher.finish())
}

impl VersionIsAHash {
    async fn real(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<Version> {
        match to.find(id).await? {
            Some(present) if hash(&present.record) == expected => Ok(present.version),
            _ => Err(StoreError::Conflict),
        }
    }
}

#[async_trait]
impl Fault for VersionIsAHash {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        to.insert(record).await.map(|_| hash(record))
    }

    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        let expected = self.real(to, record.id(), expected).await?;
        to.replace(record, expected).await.map(|_| hash(record))
    }

    async fn remove(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        let expected = self.real(to, id, expected).await?;
        to.remove(id, expected).await
    }

    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        let found = to.find(id).await?;
        Ok(found.map(|stored| {
            let version = hash(&stored.record);
            StoredRecord::new(stored.record, version, stored.last_used)
        }))
    }

    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        let mut page = to.list(query, now).await?;
        page.items.iter_mut().for_each(|stored| stored.version = hash(&stored.record));
        Ok(page)
    }

    fn find_now(&self, _: &Backend, _: TokenId, _: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        false
    }
}

pub(crate) struct RemoveIgnoresTheVersion;

#[async_trait]
impl Fault for RemoveIgnoresTheVersion {
    async fn remove(&self, to: &Backend, id: TokenId, _: Version) -> Answer<()> {
        let present = to.find(id).await?.ok_or(StoreError::Conflict)?;
        to.remove(id, present.version).await
    }
}

pub(crate) struct RemoveOfNothingSaysYes;

#[async_trait]
impl Fault for RemoveOfNothingSaysYes {
    async fn remove(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        match to.find(id).await? {
            None => Ok(()),
            Some(_) => to.remove(id, expected).await,
        }
    }
}

/// Removes the row but retains its last use.
#[derive(Default)]
pub(crate) struct RemoveLeavesLastUse(Mutex<Vec<(TokenId, DateTime<Utc>)>>);

#[async_trait]
impl Fault for RemoveLeavesLastUse {
    async fn remove(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        let last_used = to.find(id).await?.map(|stored| stored.last_used);
        to.remove(id, expected).await?;
        self.0.lock().unwrap().extend(last_used.into_iter().flat_map(|last| used(id, last)));
        Ok(())
    }

    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        let version = to.insert(record).await?;
        let left: Vec<_> = self.0.lock().unwrap().clone();
        let left: Vec<_> = left.into_iter().filter(|(id, _)| *id == record.id()).collect();
        to.touch(&left).await?;
        Ok(version)
    }
}

/// Never accepts an id again after its record was removed.
#[derive(Default)]
pub(crate) struct RemovedIdStaysTaken(Mutex<HashSet<TokenId>>);

#[async_trait]
impl Fault for RemovedIdStaysTaken {
    async fn remove(&self, to: &Backend, id: TokenId, expected: Version) -> Answer<()> {
        to.remove(id, expected).await?;
        self.0.lock().unwrap().insert(id);
        Ok(())
    }

    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        if self.0.lock().unwrap().contains(&record.id()) {
            return Err(StoreError::Exists);
        }
        to.insert(record).await
    }
}
