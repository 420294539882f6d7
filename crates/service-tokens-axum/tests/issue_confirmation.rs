//! An issue whose acting token cannot be confirmed afterwards: what is told of it, and what a retry
//! finds.
#![cfg(feature = "management")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use service_tokens::store::{StoreError, Version};
use service_tokens::{ListRequest, MemoryStore, Page, Record, StoredRecord, TokenId, TokenStore};
use support::managed::{name, scene_with};

/// A store of which one `find` gets no answer.
#[derive(Default)]
struct Blinking {
    inner: MemoryStore,
    /// How many go well before that one, and one more.
    before: AtomicUsize,
}

#[async_trait]
impl TokenStore for Blinking {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.inner.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        let left = self.before.load(Ordering::SeqCst);
        self.before.store(left.saturating_sub(1), Ordering::SeqCst);
        if left == 1 {
            return Err(StoreError::unavailable("the test says so"));
        }
        self.inner.find(id).await
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
}

#[tokio::test]
async fn a_key_that_is_used_up_is_not_recommended_again() {
    let scene = scene_with(Blinking::default(), |builder| builder).await;
    let id = scene.service.new_id().unwrap();
    let key = format!("Idempotency-Key: {}", id.to_uuid().hyphenated());
    let body = r#"{"type":"connector","issued_to":"once"}"#;

    // The acting token is read by the verification, by the decision, and after the insert.
    scene.service.store().before.store(3, Ordering::SeqCst);
    let first = scene.with("/tokens", body, &[&key]).await;
    assert_eq!((first.status, &*name(&first)), (503, "unavailable"), "{first:?}");
    assert_eq!(first.json().get("token"), None);
    let made = scene.service.owner("acme").get(id).await.unwrap();
    assert!(made.record.revocation().is_some());
    assert!(!first.body.contains("Nothing was changed"), "{first:?}");

    // What the retry says holds for this token, too.
    let second = scene.with("/tokens", body, &[&key]).await;
    assert_eq!((second.status, &*name(&second)), (409, "exists"), "{second:?}");
    let detail = second.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("another key"), "{detail}");
}
