//! Checking cached records by their versions, for stores without a feed of changes.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::{poll_once, yield_now};
use service_tokens::store::{MAX_PAGE_LEN, StoreError};
use service_tokens::{IssueRequest, Refusal, TokenId};

use super::gathered::issue;
use super::harness::{Gathers, Harness, MAX_AGE, MICRO, Stores, any, builder, refusal_of, text};

behaviours! {
    check_invalidates_changed_records,
    check_leaves_unchanged_records,
    check_finds_new_and_removed_records,
    failed_check_leaves_its_records,
    check_asks_in_batches,
    record_read_during_check_is_judged_by_itself,
    read_from_before_check_is_not_cached,
    check_loop_continues_after_failures,
    check_without_cache_asks_nothing,
}

fn cached(stores: Stores, max_records: usize) -> Harness<Arc<Gathers>> {
    Harness::over_gathers(stores, None, |service| service.cache_records(MAX_AGE, max_records))
}

pub(crate) async fn check_invalidates_changed_records(stores: Stores) {
    let harness = cached(stores, 1_000);
    let issued = issue(&harness, 3).await;
    for issued in &issued {
        harness.verified(issued).await;
    }
    harness.revoke_elsewhere(issued[0].record.id()).await;
    let second = harness.rotate_elsewhere(issued[1].record.id()).await;
    harness.verified(&issued[0]).await;
    let checked = harness.service.check_cached_records().await.unwrap();
    assert_eq!((checked.checked, checked.invalidated), (3, 2));
    assert_eq!(refusal_of(harness.verify(&text(&issued[0])).await), Some(Refusal::Revoked));
    assert_eq!(refusal_of(harness.verify(&text(&issued[1])).await), Some(Refusal::SecretEnded));
    harness.verify(&second).await.unwrap();
    let checked = harness.service.check_cached_records().await.unwrap();
    assert_eq!((checked.checked, checked.invalidated), (3, 0));
}

/// A record that is unchanged stays, and its age is not extended.
pub(crate) async fn check_leaves_unchanged_records(stores: Stores) {
    let harness = cached(stores, 1_000);
    let issued = issue(&harness, 1).await;
    harness.verified(&issued[0]).await;
    harness.clock.advance(MAX_AGE);
    harness.service.check_cached_records().await.unwrap();
    assert_eq!(harness.verified(&issued[0]).await.staleness(), MAX_AGE);
    assert_eq!(harness.gathers().calls().len(), 1);
    harness.clock.advance(MICRO);
    harness.verified(&issued[0]).await;
    assert_eq!(harness.gathers().calls().len(), 2);
}

pub(crate) async fn check_finds_new_and_removed_records(stores: Stores) {
    let harness = cached(stores, 1_000);
    let other = builder(service_tokens::MemoryStore::new()).clock(harness.clock.clone());
    let other = other.build().unwrap();
    let unknown = other.owner("acme").issue(IssueRequest::new("connector", "x")).await.unwrap();
    let (id, early) = (unknown.record.id(), text(&unknown));
    let removed = issue(&harness, 1).await;
    harness.verified(&removed[0]).await;
    assert_eq!(refusal_of(harness.verify(&early).await), Some(Refusal::UnknownId));
    let checked = harness.service.check_cached_records().await.unwrap();
    assert_eq!((checked.checked, checked.invalidated), (2, 0));

    let request = IssueRequest::new("connector", "x").id(id);
    let _ = harness.elsewhere().owner("acme").issue(request).await.unwrap();
    let stored = harness.store.find(removed[0].record.id()).await.unwrap().unwrap();
    harness.store.remove(stored.record.id(), stored.version).await.unwrap();
    let checked = harness.service.check_cached_records().await.unwrap();
    assert_eq!((checked.checked, checked.invalidated), (2, 2));
    let outcome = harness.verify(&text(&removed[0])).await;
    assert_eq!(refusal_of(outcome), Some(Refusal::UnknownId));
}

pub(crate) async fn failed_check_leaves_its_records(stores: Stores) {
    for wrong_number in [false, true] {
        let harness = cached(stores, 1_000);
        let issued = issue(&harness, 2).await;
        for issued in &issued {
            harness.verified(issued).await;
            harness.revoke_elsewhere(issued.record.id()).await;
        }
        if wrong_number {
            harness.gathers().lose_a_version();
        } else {
            harness.gathers().fail_version(issued[0].record.id());
        }
        let failed = harness.service.check_cached_records().await.unwrap_err();
        assert_eq!(matches!(failed, StoreError::Corrupt { .. }), wrong_number, "{failed:?}");
        // A record without an answer stays until its age is over.
        harness.verified(&issued[0]).await;
        if wrong_number {
            harness.verified(&issued[1]).await;
        } else {
            assert_eq!(refusal_of(harness.verify(&text(&issued[1])).await), Some(Refusal::Revoked));
        }
        harness.clock.advance(MAX_AGE + MICRO);
        assert_eq!(refusal_of(harness.verify(&text(&issued[0])).await), Some(Refusal::Revoked));
    }
}

pub(crate) async fn check_asks_in_batches(stores: Stores) {
    const RECORDS: usize = MAX_PAGE_LEN * 2 + 500;
    let harness = cached(stores, RECORDS * 2);
    let mut last = None;
    for issued in issue(&harness, RECORDS).await {
        harness.verified(&issued).await;
        last = Some(issued);
    }
    harness.revoke_elsewhere(last.as_ref().unwrap().record.id()).await;
    // It yields between the batches.
    let mut check = Box::pin(harness.service.check_cached_records());
    let mut polls = 1;
    let checked = loop {
        match poll_once(&mut check).await {
            Some(checked) => break checked.unwrap(),
            None => polls += 1,
        }
    };
    assert!(polls >= 3, "{polls} polls");
    assert_eq!((checked.checked, checked.invalidated), (RECORDS, 1));
    let calls = harness.gathers().version_calls();
    assert_eq!(calls, [MAX_PAGE_LEN, MAX_PAGE_LEN, 500]);
}

/// While the store answers, the entry is read again. It has the version of the answer then.
pub(crate) async fn record_read_during_check_is_judged_by_itself(stores: Stores) {
    let harness = cached(stores, 1_000);
    let issued = issue(&harness, 1).await;
    harness.verified(&issued[0]).await;
    let second = harness.rotate_elsewhere(issued[0].record.id()).await;
    harness.gathers().hold_versions(true);
    let mut check = Box::pin(harness.service.check_cached_records());
    assert!(poll_once(&mut check).await.is_none());
    harness.clock.advance(Duration::from_secs(1));
    harness.verify(&second).await.unwrap();
    harness.gathers().release_versions();
    let checked = check.await.unwrap();
    assert_eq!((checked.checked, checked.invalidated), (1, 0));
    let reads = harness.gathers().calls().len();
    harness.verify(&second).await.unwrap();
    assert_eq!(harness.gathers().calls().len(), reads);
}

/// A read was sent before a revocation and lands after the check that found it.
pub(crate) async fn read_from_before_check_is_not_cached(stores: Stores) {
    for is_cached in [false, true] {
        let harness = cached(stores, 1_000);
        let requirement = any();
        let issued = issue(&harness, 1).await;
        let token = text(&issued[0]);
        if is_cached {
            harness.verified(&issued[0]).await;
            harness.clock.advance(MAX_AGE + MICRO);
        }
        harness.gathers().hold(true);
        let mut slow = Box::pin(harness.service.verify(&token, &requirement));
        assert!(poll_once(&mut slow).await.is_none());
        harness.revoke_elsewhere(issued[0].record.id()).await;
        harness.service.check_cached_records().await.unwrap();
        harness.gathers().hold(false);
        harness.gathers().release(usize::from(is_cached));
        assert!(slow.await.is_ok(), "it began before the revocation");
        assert_eq!(refusal_of(harness.verify(&token).await), Some(Refusal::Revoked));
    }
}

pub(crate) async fn check_loop_continues_after_failures(stores: Stores) {
    let harness = cached(stores, 1_000);
    let issued = issue(&harness, 2).await;
    let id: TokenId = issued[0].record.id();
    for issued in &issued {
        harness.verified(issued).await;
    }
    harness.gathers().fail_version(id);
    let (mut failures, mut ticks) = (0, 0);
    {
        let tick = || {
            ticks += 1;
            yield_now()
        };
        let failed = |_| failures += 1;
        let mut checking = Box::pin(harness.service.check_cached_records_loop(tick, failed));
        for _ in 0..20 {
            assert!(poll_once(&mut checking).await.is_none());
        }
        harness.revoke_elsewhere(issued[1].record.id()).await;
        for _ in 0..20 {
            assert!(poll_once(&mut checking).await.is_none());
        }
    }
    assert!(failures > 2 && ticks - failures <= 1, "{ticks} ticks, {failures} failures");
    assert_eq!(refusal_of(harness.verify(&text(&issued[1])).await), Some(Refusal::Revoked));
}

pub(crate) async fn check_without_cache_asks_nothing(stores: Stores) {
    let harness = Harness::over_gathers(stores, None, |service| service);
    let issued = issue(&harness, 1).await;
    harness.verified(&issued[0]).await;
    let checked = harness.service.check_cached_records().await.unwrap();
    assert_eq!((checked.checked, checked.invalidated), (0, 0));
    assert!(harness.gathers().version_calls().is_empty());
}
