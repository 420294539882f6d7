//! Which requests count as uses, and which last use the views show.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    DAY, Fault, Faulty, HOUR, Harness, MICRO, MINUTE, Op, Remote, SharedStore, Stores, any,
    builder, requirement,
};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::clock::Clock;
use service_tokens::store::{LastUsed, StoreError, Version};
use service_tokens::{
    Filter, ListRequest, ManageError, Page, Record, RevokeRequest, StoredRecord, TokenId,
    TokenServiceBuilder, TokenStore,
};

behaviours! {
    use_is_shown_at_once_and_stored_by_flush,
    every_verify_path_records_uses,
    refused_verify_records_no_use,
    uses_within_resolution_record_the_first,
    stored_use_is_not_recorded_again,
    zero_resolution_records_every_use,
    unused_since_respects_resolution,
    unused_since_includes_pending_uses,
    disabled_last_used_is_not_tracked,
}

const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

pub(crate) async fn use_is_shown_at_once_and_stored_by_flush(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    let (other, _) = harness.issue_backup().await;
    assert_eq!(harness.last_used(id).await, LastUsed::Never);
    assert_eq!(harness.flush().await, 0);
    let used = harness.use_token(&token).await;
    assert_eq!(harness.last_used(id).await, LastUsed::At(used));
    assert_eq!(harness.stored_last_used(id).await, LastUsed::Never);
    assert_eq!(harness.flush().await, 1);
    assert_eq!(harness.stored_last_used(id).await, LastUsed::At(used));
    assert_eq!(harness.last_used(id).await, LastUsed::At(used));
    assert_eq!(harness.last_used(other).await, LastUsed::Never);
    assert_eq!(harness.flush().await, 0);
    // A later time in the store was flushed by another process.
    let later = used + TimeDelta::hours(1);
    harness.store.touch(&[(id, later)]).await.unwrap();
    assert_eq!(harness.last_used(id).await, LastUsed::At(later));
}

pub(crate) async fn every_verify_path_records_uses(stores: Stores) {
    async fn check<S: TokenStore>(harness: Harness<S>) {
        let (id, token) = harness.issue_backup().await;
        for uncached in [false, true, false] {
            harness.clock.advance(MINUTE);
            let outcome = match uncached {
                false => harness.service.verify(&token, &requirement("files:read")).await,
                true => harness.service.verify_uncached(&token, &requirement("files:read")).await,
            };
            outcome.unwrap();
            assert_eq!(
                harness.last_used(id).await,
                LastUsed::At(harness.clock.now()),
                "{uncached}"
            );
            harness.flush().await;
            assert_eq!(
                harness.stored_last_used(id).await,
                LastUsed::At(harness.clock.now()),
                "{uncached}"
            );
        }
    }
    check(Harness::new(stores)).await;
    check(Harness::over_remote(stores)).await;
    let keeping = |builder: TokenServiceBuilder<Arc<Remote>>| builder.cache_records(DAY, 100);
    check(Harness::builder(stores).remote().configure(keeping).build()).await;
}

pub(crate) async fn refused_verify_records_no_use(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    assert!(harness.service.verify(&token, &requirement("files:delete")).await.is_err());
    assert!(harness.service.verify_uncached(&token, &requirement("files:delete")).await.is_err());
    let (_, another) = harness.issue_backup().await;
    let wrong = format!("{}{}", &token[..token.len() - 49], &another[another.len() - 49..]);
    assert!(harness.service.verify(&wrong, &any()).await.is_err());
    assert_eq!(harness.last_used(id).await, LastUsed::Never);
    let used = harness.use_token(&token).await;
    harness.clock.advance(HOUR);
    harness.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    assert!(harness.service.verify(&token, &any()).await.is_err());
    let got = harness.service.owner("acme").get(id).await.unwrap();
    assert_eq!(got.last_used, LastUsed::At(used));
}

pub(crate) async fn uses_within_resolution_record_the_first(stores: Stores) {
    for flushed in [false, true] {
        let harness = Harness::new(stores);
        let (id, token) = harness.issue_backup().await;
        let first = harness.use_token(&token).await;
        if flushed {
            harness.flush().await;
        }
        harness.clock.advance(MINUTE - MICRO);
        harness.use_token(&token).await;
        assert_eq!(harness.last_used(id).await, LastUsed::At(first));
        assert_eq!(harness.flush().await, usize::from(!flushed));
        harness.clock.advance(MICRO);
        let next = harness.use_token(&token).await;
        assert_eq!(harness.last_used(id).await, LastUsed::At(next));
        assert_eq!(harness.flush().await, 1);
    }
}

/// Another process has flushed a use less than a resolution ago.
pub(crate) async fn stored_use_is_not_recorded_again(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let (id, token) = harness.issue_backup().await;
    let used = harness.clock.now();
    harness.store.touch(&[(id, used)]).await.unwrap();
    harness.clock.advance(MINUTE - MICRO);
    harness.use_token(&token).await;
    assert_eq!(harness.flush().await, 0);
    harness.clock.advance(MICRO);
    harness.use_token(&token).await;
    assert_eq!(harness.flush().await, 1);
    // After a use by a clock that runs ahead, no earlier use counts.
    let (id, token) = harness.issue_backup().await;
    let ahead = harness.clock.now() + TimeDelta::hours(1);
    harness.store.touch(&[(id, ahead)]).await.unwrap();
    harness.use_token(&token).await;
    assert_eq!(harness.flush().await, 0);
    assert_eq!(harness.last_used(id).await, LastUsed::At(ahead));
}

pub(crate) async fn zero_resolution_records_every_use(stores: Stores) {
    let set =
        |builder: TokenServiceBuilder<SharedStore>| builder.last_used_resolution(Duration::ZERO);
    let harness = Harness::builder(stores).configure(set).build();
    let (id, token) = harness.issue_backup().await;
    for _ in 0..3 {
        let used = harness.use_token(&token).await;
        assert_eq!(harness.last_used(id).await, LastUsed::At(used));
        assert_eq!(harness.flush().await, 1);
        harness.clock.advance(MICRO);
    }
    let last = harness.clock.now() - MICROSECOND;
    harness.clock.advance(HOUR);
    assert_eq!(harness.unused_since(last).await, []);
    assert_eq!(harness.unused_since(last + MICROSECOND).await, [id]);
}

/// To the microsecond: the real use can be later than the recorded one, by less than the resolution.
pub(crate) async fn unused_since_respects_resolution(stores: Stores) {
    for flushed in [false, true] {
        let harness = Harness::new(stores);
        let (id, token) = harness.issue_backup().await;
        harness.clock.advance(HOUR);
        let before = harness.clock.now();
        assert_eq!(harness.unused_since(before).await, [id], "never used");
        let noted = harness.use_token(&token).await;
        harness.clock.advance(MINUTE - MICRO);
        let unnoted = harness.use_token(&token).await;
        assert_eq!(harness.last_used(id).await, LastUsed::At(noted));
        if flushed {
            harness.flush().await;
        }
        harness.clock.advance(HOUR);
        for time in [before, noted, noted + MICROSECOND, unnoted] {
            assert_eq!(harness.unused_since(time).await, [], "{time}");
        }
        assert_eq!(harness.unused_since(unnoted + MICROSECOND).await, [id]);
    }
}

pub(crate) async fn unused_since_includes_pending_uses(stores: Stores) {
    let harness = Harness::new(stores);
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(harness.issue_backup().await);
    }
    harness.clock.advance(DAY);
    let since = harness.clock.now();
    harness.clock.advance(HOUR);
    for (_, token) in tokens.iter().step_by(2) {
        harness.use_token(token).await;
    }
    // Page for page, and no use has reached the store.
    let mut query = ListRequest::from(Filter::new().unused_since(since)).limit(3);
    let mut unused = Vec::new();
    loop {
        let page = harness.service.all_owners().list(query.clone()).await.unwrap();
        unused.extend(page.items.iter().map(|stored| stored.record.id()));
        match page.next {
            Some(next) => query = query.after(next),
            None => break,
        }
    }
    unused.sort_unstable();
    let mut expected: Vec<_> = tokens.iter().skip(1).step_by(2).map(|(id, _)| *id).collect();
    expected.sort_unstable();
    assert_eq!(unused, expected);
}

pub(crate) async fn disabled_last_used_is_not_tracked(stores: Stores) {
    let off = |builder: TokenServiceBuilder<Arc<Faulty>>| builder.disable_last_used();
    let harness = Harness::builder(stores).faulty().configure(off).build();
    let (id, token) = harness.issue_backup().await;
    harness.faulty().arm(&[], Fault::None);
    harness.use_token(&token).await;
    assert_eq!(harness.flush().await, 0);
    assert_eq!(harness.faulty().calls(), [(Op::Find, Fault::None)]);
    // It is neither "never", which would be wrong, nor the time that another process wrote.
    assert_eq!(harness.last_used(id).await, LastUsed::NotTracked);
    harness.store.touch(&[(id, harness.clock.now())]).await.unwrap();
    assert_eq!(harness.last_used(id).await, LastUsed::NotTracked);
    let query = ListRequest::from(Filter::new().unused_since(harness.clock.now()));
    let refused = harness.service.owner("acme").list(query).await;
    let Err(ManageError::Store(StoreError::Unsupported { .. })) = refused else {
        panic!("{refused:?}")
    };
    // A store that does not track last use behaves the same.
    let forgetful = builder(Forgetful(harness.store.clone())).clock(harness.clock.clone());
    let forgetful = forgetful.build().unwrap();
    forgetful.verify(&token, &any()).await.unwrap();
    assert_eq!(forgetful.flush_last_used().await.unwrap().tokens, 0);
    assert_eq!(forgetful.owner("acme").get(id).await.unwrap().last_used, LastUsed::NotTracked);
    let query = ListRequest::from(Filter::new().unused_since(harness.clock.now()));
    let refused = forgetful.owner("acme").list(query).await;
    let Err(ManageError::Store(StoreError::Unsupported { .. })) = refused else {
        panic!("{refused:?}")
    };
}

/// Hides the last use of a store that tracks it.
pub(crate) struct Forgetful(pub(crate) SharedStore);

fn forgotten(mut stored: StoredRecord) -> StoredRecord {
    stored.last_used = LastUsed::NotTracked;
    stored
}

#[async_trait]
impl TokenStore for Forgetful {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.0.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        Ok(self.0.find(id).await?.map(forgotten))
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.0.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.0.remove(id, expected).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        if query.filter.unused_since.is_some() {
            return Err(StoreError::last_use_not_tracked());
        }
        let page = self.0.list(query, now).await?;
        Ok(Page::new(page.items.into_iter().map(forgotten).collect(), page.next))
    }
}
