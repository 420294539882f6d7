//! A store that works only within a tokio runtime is checked on threads too.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::conformance::{Outcome, Promise, StoreFactory, ThreadJob, check};
use service_tokens::store::{BoxError, StoreError, Version};
use service_tokens::{ListRequest, MemoryStore, Page, Record, StoredRecord, TokenId, TokenStore};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// A store in memory, each of whose calls needs the runtime. One with a race compares the version before
/// it waits.
struct Networked {
    memory: MemoryStore,
    has_race: bool,
}

/// Waits for the runtime, and panics outside of one.
async fn wait() {
    spawn_blocking(|| ()).await.unwrap();
}

#[async_trait]
impl TokenStore for Networked {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        wait().await;
        self.memory.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        wait().await;
        self.memory.find(id).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        let present = self.memory.find(record.id()).await?;
        let present = present.filter(|stored| stored.version == expected);
        wait().await;
        match present {
            Some(_) if self.has_race => {
                let later = self.memory.find(record.id()).await?.ok_or(StoreError::Conflict)?;
                self.memory.replace(record, later.version).await
            }
            _ => self.memory.replace(record, expected).await,
        }
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        wait().await;
        self.memory.remove(id, expected).await
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        wait().await;
        self.memory.list(request, now).await
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        wait().await;
        self.memory.touch(uses).await
    }
}

struct OnARuntime {
    has_race: bool,
}

#[async_trait]
impl StoreFactory for OnARuntime {
    type Store = Networked;
    type Guard = ();

    async fn fresh(&self) -> Result<(Networked, ()), BoxError> {
        Ok((Networked { memory: MemoryStore::new(), has_race: self.has_race }, ()))
    }

    fn spawn_on_thread(&self, job: ThreadJob) -> bool {
        let runtime = Handle::current();
        std::thread::spawn(move || runtime.block_on(job));
        true
    }
}

#[tokio::test]
async fn threads_of_current_thread_runtime_agree() {
    let outcome = check(&OnARuntime { has_race: false }, Promise::ThreadsAgree).await;
    assert_eq!(outcome, Outcome::Kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_of_runtime_show_a_race() {
    let outcome = check(&OnARuntime { has_race: true }, Promise::ThreadsAgree).await;
    assert!(matches!(outcome, Outcome::Broken { .. }), "{outcome}");
}
