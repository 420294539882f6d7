//! Faults of a closed store.

use std::sync::atomic::{AtomicBool, Ordering};

use super::harness::{Answer, Backend, Fault};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{RecordRef, StoreError, Version};
use service_tokens::{ListRequest, Page, Record, StoredRecord, TokenId, TokenStore};

/// A store that reports something wrong once it was closed.
pub(crate) struct Closed {
    what: What,
    closed: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    RecordIsMissing,
    ListIsEmpty,
    InsertIsLost,
    ReplaceConflicts,
    LendsNothing,
    ClosesOnce,
}

impl Closed {
    pub(crate) fn with(what: What) -> Self {
        Self { what, closed: AtomicBool::new(false) }
    }

    fn is(&self, what: What) -> bool {
        self.what == what && self.closed.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Fault for Closed {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        if self.is(What::InsertIsLost) { Ok(Version(1)) } else { to.insert(record).await }
    }

    async fn find(&self, to: &Backend, id: TokenId) -> Answer<Option<StoredRecord>> {
        if self.is(What::RecordIsMissing) { Ok(None) } else { to.find(id).await }
    }

    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        if self.is(What::ReplaceConflicts) {
            return Err(StoreError::Conflict);
        }
        to.replace(record, expected).await
    }

    async fn list(&self, to: &Backend, query: &ListRequest, now: DateTime<Utc>) -> Answer<Page> {
        if self.is(What::ListIsEmpty) {
            return Ok(Page::new(Vec::new(), None));
        }
        to.list(query, now).await
    }

    fn find_now(
        &self,
        to: &Backend,
        id: TokenId,
        visit: &mut dyn FnMut(Option<RecordRef<'_>>),
    ) -> bool {
        if self.is(What::LendsNothing) {
            visit(None);
            return true;
        }
        to.find_now(id, visit)
    }

    async fn close(&self, _: &Backend) -> Answer<()> {
        let again = self.closed.swap(true, Ordering::SeqCst);
        if again && self.what == What::ClosesOnce {
            return Err(StoreError::unavailable("closed already"));
        }
        Ok(())
    }
}
