//! The cache in front of a remote store: how old an answer may be.

use std::time::Duration;

use super::harness::{DAY, HOUR, Harness, MAX_AGE, MICRO, Stores, any, builder, refusal_of, text};
use chrono::TimeDelta;
use futures_lite::future::poll_once;
use service_tokens::clock::Clock;
use service_tokens::store::{Change, StoreError};
use service_tokens::{
    IssueRequest, MemoryStore, Refusal, RevokeRequest, RotateRequest, TokenId, VerifyError,
};

behaviours! {
    verify_cached_respects_max_age_exactly,
    verify_cached_does_not_extend_age,
    verify_cached_expired_token_is_refused,
    writes_of_same_service_invalidate_cache,
    verify_uncached_always_reads_store,
    read_before_revoke_is_not_cached,
    read_before_remote_change_is_not_cached,
    old_read_does_not_replace_newer_read,
    verify_cached_survives_outage_up_to_max_age,
    follow_changes_invalidates_cached_records,
    follow_changes_without_stream_returns,
}

pub(crate) async fn verify_cached_respects_max_age_exactly(stores: Stores) {
    for longest in [Duration::ZERO, MICRO, MAX_AGE, DAY] {
        let harness = Harness::cached(stores, longest, 1_000);
        let issued = harness.issue_elsewhere().await;
        let token = text(&issued);
        assert_eq!(harness.verify(&token).await.unwrap().staleness(), Duration::ZERO);
        harness.expect_store_reads(1);
        harness.revoke_elsewhere(issued.record.id()).await;
        for step in [Duration::ZERO, longest.saturating_sub(MICRO)] {
            harness.clock.advance(step);
            assert_eq!(harness.verify(&token).await.unwrap().staleness(), step);
        }
        harness.clock.advance(longest - longest.saturating_sub(MICRO));
        assert_eq!(harness.verify(&token).await.unwrap().staleness(), longest);
        harness.expect_store_reads(0);
        harness.clock.advance(MICRO);
        assert_eq!(refusal_of(harness.verify(&token).await), Some(Refusal::Revoked));
        harness.expect_store_reads(1);
    }
}

pub(crate) async fn verify_cached_does_not_extend_age(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let issued = harness.issue_elsewhere().await;
    let token = text(&issued);
    harness.verify(&token).await.unwrap();
    harness.revoke_elsewhere(issued.record.id()).await;
    for second in 1..=60 {
        harness.clock.advance(Duration::from_secs(1));
        assert_eq!(harness.verify(&token).await.unwrap().staleness(), Duration::from_secs(second));
    }
    harness.expect_store_reads(1);
    harness.clock.advance(MICRO);
    assert!(harness.verify(&token).await.is_err());
    // A jump of the wall clock does not extend the age, because age is counted on the monotonic clock.
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let issued = harness.issue_elsewhere().await;
    harness.verify(&text(&issued)).await.unwrap();
    harness.clock.set(harness.clock.now() - TimeDelta::hours(5));
    harness.clock.advance(MAX_AGE + MICRO);
    harness.expect_store_reads(1);
    harness.verify(&text(&issued)).await.unwrap();
    harness.expect_store_reads(1);
}

pub(crate) async fn verify_cached_expired_token_is_refused(stores: Stores) {
    let harness = Harness::cached(stores, DAY, 1_000);
    let request = IssueRequest::new("connector", "b").expires_in(HOUR);
    let token = text(&harness.elsewhere().owner("acme").issue(request).await.unwrap());
    harness.verify(&token).await.unwrap();
    harness.clock.advance(HOUR - MICRO);
    harness.verify(&token).await.unwrap();
    harness.clock.advance(MICRO);
    assert_eq!(refusal_of(harness.verify(&token).await), Some(Refusal::Expired));
}

pub(crate) async fn writes_of_same_service_invalidate_cache(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let issued = harness.issue_elsewhere().await;
    let (id, first) = (issued.record.id(), text(&issued));
    harness.verify(&first).await.unwrap();
    let view = harness.service.owner("acme");
    let second = text(&view.rotate(id, RotateRequest::at_once()).await.unwrap());
    assert_eq!(refusal_of(harness.verify(&first).await), Some(Refusal::SecretEnded));
    harness.verify(&second).await.unwrap();
    view.revoke(id, RevokeRequest::new()).await.unwrap();
    assert_eq!(refusal_of(harness.verify(&second).await), Some(Refusal::Revoked));

    // An id that was presented before it had a record behaves the same.
    let millis = u128::try_from(harness.clock.now().timestamp_millis()).unwrap();
    let id = TokenId::from_bytes((millis << 80 | 7 << 76 | 0b10 << 62 | 1).to_be_bytes());
    let request = || IssueRequest::new("connector", "b").id(id);
    let other = builder(MemoryStore::new()).clock(harness.clock.clone()).build().unwrap();
    let early = text(&other.owner("acme").issue(request()).await.unwrap());
    assert_eq!(refusal_of(harness.verify(&early).await), Some(Refusal::UnknownId));
    assert_eq!(refusal_of(harness.verify(&early).await), Some(Refusal::UnknownId));
    let token = text(&harness.service.owner("acme").issue(request()).await.unwrap());
    harness.verify(&token).await.unwrap();
}

pub(crate) async fn verify_uncached_always_reads_store(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let issued = harness.issue_elsewhere().await;
    let token = text(&issued);
    harness.verify(&token).await.unwrap();
    for _ in 0..3 {
        let uncached = harness.service.verify_uncached(&token, &any()).await.unwrap();
        assert_eq!(uncached.staleness(), Duration::ZERO);
    }
    harness.expect_store_reads(4);
    harness.revoke_elsewhere(issued.record.id()).await;
    let uncached = harness.service.verify_uncached(&token, &any()).await;
    assert_eq!(refusal_of(uncached), Some(Refusal::Revoked));
    harness.remote().fail(true);
    let uncached = harness.service.verify_uncached(&token, &any()).await;
    assert!(matches!(uncached, Err(VerifyError::Unavailable(_))), "{uncached:?}");

    // How long the store took is part of the age.
    harness.remote().fail(false);
    let issued = harness.issue_elsewhere().await;
    harness.remote().hold(true);
    let token = text(&issued);
    let requirement = any();
    let mut uncached = std::pin::pin!(harness.service.verify_uncached(&token, &requirement));
    assert!(poll_once(&mut uncached).await.is_none());
    harness.clock.advance(HOUR);
    harness.remote().release(1);
    assert_eq!(uncached.await.unwrap().staleness(), HOUR);
}

pub(crate) async fn read_before_revoke_is_not_cached(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let requirement = any();
    let issued = harness.issue_elsewhere().await;
    let (id, token) = (issued.record.id(), text(&issued));
    harness.remote().hold(true);
    let mut slow = std::pin::pin!(harness.service.verify(&token, &requirement));
    assert!(poll_once(&mut slow).await.is_none());
    harness.remote().hold(false);
    harness.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    harness.remote().release(1);
    // The read began before the revocation, so the answer may show the state before it.
    let _ = slow.await;
    let _ = harness.remote().finds();
    assert_eq!(refusal_of(harness.verify(&token).await), Some(Refusal::Revoked));
    harness.expect_store_reads(1);
}

pub(crate) async fn read_before_remote_change_is_not_cached(stores: Stores) {
    for missed in [false, true] {
        let harness = Harness::cached(stores, MAX_AGE, 1_000);
        let requirement = any();
        let issued = harness.issue_elsewhere().await;
        let (id, token) = (issued.record.id(), text(&issued));
        let changes = harness.remote().stream();
        let mut following = std::pin::pin!(harness.service.follow_changes());
        assert!(poll_once(&mut following).await.is_none());
        harness.remote().hold(true);
        let mut slow = std::pin::pin!(harness.service.verify(&token, &requirement));
        assert!(poll_once(&mut slow).await.is_none());
        harness.remote().hold(false);
        harness.revoke_elsewhere(id).await;
        changes.send(Ok(if missed { Change::Missed } else { Change::Record(id) })).unwrap();
        assert!(poll_once(&mut following).await.is_none());
        // A later request does not wait for the old read.
        assert_eq!(refusal_of(harness.verify(&token).await), Some(Refusal::Revoked));
        harness.remote().release(1);
        let _ = slow.await;
        assert_eq!(refusal_of(harness.verify(&token).await), Some(Refusal::Revoked));
    }
}

pub(crate) async fn old_read_does_not_replace_newer_read(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let requirement = any();
    let issued = harness.issue_elsewhere().await;
    let (id, token) = (issued.record.id(), text(&issued));
    harness.remote().hold(true);
    let mut before = std::pin::pin!(harness.service.verify(&token, &requirement));
    assert!(poll_once(&mut before).await.is_none());
    harness.remote().hold(false);
    harness.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    harness.remote().hold(true);
    let mut after = std::pin::pin!(harness.service.verify(&token, &requirement));
    assert!(poll_once(&mut after).await.is_none());
    let _ = harness.remote().finds();
    harness.remote().release(1);
    let _ = poll_once(&mut before).await.unwrap();
    // The request gets neither the older answer nor a read of its own. It waits for the read in flight.
    let mut third = std::pin::pin!(harness.service.verify(&token, &requirement));
    assert!(poll_once(&mut third).await.is_none());
    harness.expect_store_reads(0);
    harness.remote().hold(false);
    harness.remote().release(1);
    assert_eq!(refusal_of(after.await), Some(Refusal::Revoked));
    assert_eq!(refusal_of(third.await), Some(Refusal::Revoked));
}

pub(crate) async fn verify_cached_survives_outage_up_to_max_age(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let token = text(&harness.issue_elsewhere().await);
    harness.verify(&token).await.unwrap();
    harness.remote().fail(true);
    harness.clock.advance(MAX_AGE);
    assert_eq!(harness.verify(&token).await.unwrap().staleness(), MAX_AGE);
    harness.clock.advance(MICRO);
    for _ in 0..3 {
        let outcome = harness.verify(&token).await;
        assert!(matches!(outcome, Err(VerifyError::Unavailable(_))), "{outcome:?}");
    }
    harness.remote().fail(false);
    assert_eq!(harness.verify(&token).await.unwrap().staleness(), Duration::ZERO);
}

pub(crate) async fn follow_changes_invalidates_cached_records(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let (one, two) = (harness.issue_elsewhere().await, harness.issue_elsewhere().await);
    let changes = harness.remote().stream();
    harness.verify(&text(&one)).await.unwrap();
    let mut following = Box::pin(harness.service.follow_changes());
    assert!(poll_once(&mut following).await.is_none());
    harness.expect_store_reads(1);
    // The stream does not report changes from before it was open.
    harness.verify(&text(&one)).await.unwrap();
    harness.verify(&text(&two)).await.unwrap();
    harness.expect_store_reads(2);

    harness.revoke_elsewhere(one.record.id()).await;
    harness.verify(&text(&one)).await.unwrap();
    harness.expect_store_reads(0);
    changes.send(Ok(Change::Record(one.record.id()))).unwrap();
    assert!(poll_once(&mut following).await.is_none());
    assert_eq!(refusal_of(harness.verify(&text(&one)).await), Some(Refusal::Revoked));
    harness.expect_store_reads(1);
    harness.verify(&text(&two)).await.unwrap();
    harness.expect_store_reads(0);

    harness.revoke_elsewhere(two.record.id()).await;
    changes.send(Ok(Change::Missed)).unwrap();
    assert!(poll_once(&mut following).await.is_none());
    assert_eq!(refusal_of(harness.verify(&text(&two)).await), Some(Refusal::Revoked));

    // The stream breaks. Every cached record is invalid then, and the caller gets the error.
    let three = harness.issue_elsewhere().await;
    harness.verify(&text(&three)).await.unwrap();
    harness.revoke_elsewhere(three.record.id()).await;
    changes.send(Err(StoreError::unavailable("connection reset"))).unwrap();
    assert!(following.await.is_err());
    assert_eq!(refusal_of(harness.verify(&text(&three)).await), Some(Refusal::Revoked));

    // A revocation between the break and the next stream.
    let four = harness.issue_elsewhere().await;
    harness.verify(&text(&four)).await.unwrap();
    harness.revoke_elsewhere(four.record.id()).await;
    let _changes = harness.remote().stream();
    let mut following = Box::pin(harness.service.follow_changes());
    assert!(poll_once(&mut following).await.is_none());
    assert_eq!(refusal_of(harness.verify(&text(&four)).await), Some(Refusal::Revoked));
}

pub(crate) async fn follow_changes_without_stream_returns(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    harness.service.follow_changes().await.unwrap();
    harness.elsewhere().follow_changes().await.unwrap();
    harness.remote().fail_changes();
    assert!(harness.service.follow_changes().await.is_err());
}
