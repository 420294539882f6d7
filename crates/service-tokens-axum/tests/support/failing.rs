//! A store that must be waited for, and that fails when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{StoreError, Version};
use service_tokens::{ListRequest, MemoryStore, Page, Record, StoredRecord, TokenId, TokenStore};

/// A store that answers nothing while it fails.
#[derive(Clone, Default)]
pub(crate) struct Failing {
    inner: Arc<MemoryStore>,
    failing: Arc<AtomicBool>,
}

impl Failing {
    /// From now on, or no more.
    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    fn answer(&self) -> Result<&MemoryStore, StoreError> {
        match self.failing.load(Ordering::SeqCst) {
            true => Err(StoreError::unavailable("the secret name of a database")),
            false => Ok(&self.inner),
        }
    }
}

#[async_trait]
impl TokenStore for Failing {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.answer()?.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        // As with every store that is not in this process.
        tokio::task::yield_now().await;
        self.answer()?.find(id).await
    }

    async fn replace(&self, record: &Record, version: Version) -> Result<Version, StoreError> {
        self.answer()?.replace(record, version).await
    }

    async fn remove(&self, id: TokenId, version: Version) -> Result<(), StoreError> {
        self.answer()?.remove(id, version).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.answer()?.list(query, now).await
    }
}
