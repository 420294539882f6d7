//! The cache under many requests: which request reads the store, which ones wait, and how many records are
//! cached.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    Harness, MAX_AGE, MICRO, Remote, Stores, any, builder, refusal_of, requirement, text,
};
use futures_lite::future::poll_once;
use service_tokens::clock::Clock;
use service_tokens::store::StoreError;
use service_tokens::{
    IssueRequest, Issued, MemoryStore, Refusal, TokenId, TokenService, VerifyError,
};

behaviours! {
    concurrent_misses_share_one_read,
    slow_read_does_not_serve_later_requests,
    dropped_leader_hands_read_to_waiter,
    unpolled_waiter_does_not_block_others,
    failed_read_reaches_waiters_uncached,
    refusals_reread_at_most_every_100_ms,
    refusal_over_stale_record_is_reread,
    new_secret_is_accepted_with_one_reread,
    new_token_after_cached_absence_is_accepted,
    cache_stays_within_max_records,
    unknown_ids_do_not_evict_records,
}

pub(crate) async fn concurrent_misses_share_one_read(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let requirement = any();
    let token = text(&harness.issue_elsewhere().await);
    harness.remote().hold(true);
    let mut waiting: Vec<_> =
        (0..50).map(|_| Box::pin(harness.service.verify(&token, &requirement))).collect();
    for verification in &mut waiting {
        assert!(poll_once(verification).await.is_none());
    }
    harness.expect_store_reads(1);
    harness.clock.advance(Duration::from_secs(3));
    harness.remote().release(1);
    for verification in waiting {
        assert_eq!(verification.await.unwrap().staleness(), Duration::from_secs(3));
    }
    harness.expect_store_reads(0);
}

/// The store read the record long ago, and its answer is still on the way. A request that arrives now must
/// not treat the answer as at most `MAX_AGE` old.
pub(crate) async fn slow_read_does_not_serve_later_requests(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let requirement = any();
    let issued = harness.issue_elsewhere().await;
    let token = text(&issued);
    harness.remote().hold(true);
    let mut slow = std::pin::pin!(harness.service.verify(&token, &requirement));
    assert!(poll_once(&mut slow).await.is_none());
    harness.revoke_elsewhere(issued.record.id()).await;
    harness.clock.advance(MAX_AGE);
    let mut joins = std::pin::pin!(harness.service.verify(&token, &requirement));
    assert!(poll_once(&mut joins).await.is_none());
    harness.expect_store_reads(1);
    harness.clock.advance(MICRO);
    let mut late = std::pin::pin!(harness.service.verify(&token, &requirement));
    assert!(poll_once(&mut late).await.is_none());
    harness.expect_store_reads(1);
    harness.remote().release(2);
    assert!(slow.await.is_ok());
    // It joined in time, but the answer took too long, so it reads the store again.
    assert_eq!(refusal_of(joins.await), Some(Refusal::Revoked));
    assert_eq!(refusal_of(late.await), Some(Refusal::Revoked));
    // The older answer arrived first. The later one is cached.
    harness.remote().hold(false);
    assert_eq!(refusal_of(harness.verify(&token).await), Some(Refusal::Revoked));
}

/// The first request may be neither polled nor dropped, as behind a `select!`.
pub(crate) async fn unpolled_waiter_does_not_block_others(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let requirement = any();
    let token = text(&harness.issue_elsewhere().await);
    harness.remote().hold(true);
    let mut first = Box::pin(harness.service.verify(&token, &requirement));
    assert!(poll_once(&mut first).await.is_none());
    let mut second = Box::pin(harness.service.verify(&token, &requirement));
    assert!(poll_once(&mut second).await.is_none());
    harness.expect_store_reads(1);
    harness.remote().release(1);
    second.await.unwrap();
    harness.expect_store_reads(0);
    first.await.unwrap();
}

pub(crate) async fn dropped_leader_hands_read_to_waiter(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let requirement = any();
    let token = text(&harness.issue_elsewhere().await);
    harness.remote().hold(true);
    let mut leader = Box::pin(harness.service.verify(&token, &requirement));
    let mut second = Box::pin(harness.service.verify(&token, &requirement));
    let mut third = Box::pin(harness.service.verify(&token, &requirement));
    for verification in [&mut leader, &mut second, &mut third] {
        assert!(poll_once(verification).await.is_none());
    }
    harness.expect_store_reads(1);
    // Every request may join the read in flight, so the record is not read a second time.
    drop(leader);
    assert!(poll_once(&mut second).await.is_none());
    assert!(poll_once(&mut third).await.is_none());
    drop(second);
    assert!(poll_once(&mut third).await.is_none());
    harness.expect_store_reads(0);
    harness.remote().release(1);
    third.await.unwrap();
    // The answer of the last read is cached.
    harness.remote().hold(false);
    harness.verify(&token).await.unwrap();
    harness.expect_store_reads(0);
    // Every waiter is woken.
    let other = text(&harness.issue_elsewhere().await);
    harness.remote().hold(true);
    let mut leader = Box::pin(harness.service.verify(&other, &requirement));
    assert!(poll_once(&mut leader).await.is_none());
    let waiting = harness.service.verify(&other, &requirement);
    let giving_up = async {
        futures_lite::future::yield_now().await;
        drop(leader);
        harness.remote().release(1);
    };
    let (verified, ()) = futures_lite::future::zip(waiting, giving_up).await;
    verified.unwrap();
}

pub(crate) async fn failed_read_reaches_waiters_uncached(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let requirement = any();
    let token = text(&harness.issue_elsewhere().await);
    harness.remote().fail(true);
    harness.remote().hold(true);
    let mut waiting: Vec<_> =
        (0..3).map(|_| Box::pin(harness.service.verify(&token, &requirement))).collect();
    for verification in &mut waiting {
        assert!(poll_once(verification).await.is_none());
    }
    harness.remote().release(1);
    for verification in waiting {
        let outcome = verification.await;
        let Err(VerifyError::Unavailable(cause)) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(*cause, StoreError::Unavailable { .. }), "{cause:?}");
    }
    harness.expect_store_reads(1);
    harness.remote().hold(false);
    harness.remote().fail(false);
    harness.verify(&token).await.unwrap();
    harness.expect_store_reads(1);
}

/// Returns a token with this id and with a secret that no record has.
async fn forged(harness: &Harness<Arc<Remote>>, issued: &Issued) -> String {
    let other = builder(MemoryStore::new()).clock(harness.clock.clone()).build().unwrap();
    let request = IssueRequest::new("connector", "x").id(issued.record.id());
    text(&other.owner("x").issue(request).await.unwrap())
}

pub(crate) async fn refusals_reread_at_most_every_100_ms(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let issued = harness.issue_elsewhere().await;
    let (token, forged) = (text(&issued), forged(&harness, &issued).await);
    harness.verify(&token).await.unwrap();
    harness.expect_store_reads(1);
    for _ in 0..3 {
        for _ in 0..100 {
            assert_eq!(refusal_of(harness.verify(&forged).await), Some(Refusal::WrongSecret));
        }
        harness.expect_store_reads(1);
        harness.clock.advance(Duration::from_millis(100) - MICRO);
        assert!(harness.verify(&forged).await.is_err());
        harness.expect_store_reads(0);
        harness.clock.advance(MICRO);
    }
    // A missing scope is a refusal like the others, and an unknown id too.
    for _ in 0..100 {
        let outcome = harness.service.verify(&token, &requirement("files:delete")).await;
        assert!(matches!(outcome, Err(VerifyError::MissingScope(_))));
    }
    harness.expect_store_reads(1);
    let unknown = builder(MemoryStore::new()).build().unwrap();
    let unknown = IssueRequest::new("connector", "x").id(unknown_id(&unknown).await);
    let other = builder(MemoryStore::new()).build().unwrap();
    let unknown = text(&other.owner("x").issue(unknown).await.unwrap());
    for _ in 0..100 {
        assert_eq!(refusal_of(harness.verify(&unknown).await), Some(Refusal::UnknownId));
    }
    // One read for the missing record, and one because a cached absence led to a refusal.
    assert!(harness.remote().finds() <= 2);
}

async fn unknown_id(service: &TokenService<MemoryStore>) -> TokenId {
    service.owner("x").issue(IssueRequest::new("connector", "x")).await.unwrap().record.id()
}

pub(crate) async fn refusal_over_stale_record_is_reread(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let issued = harness.issue_elsewhere().await;
    harness.verify(&text(&issued)).await.unwrap();
    let second = harness.rotate_elsewhere(issued.record.id()).await;
    harness.expect_store_reads(1);
    harness.verify(&second).await.unwrap();
    harness.expect_store_reads(1);
    // The record of the second read is cached, so the older secret ends here too.
    assert_eq!(refusal_of(harness.verify(&text(&issued)).await), Some(Refusal::SecretEnded));
    harness.verify(&second).await.unwrap();
    harness.expect_store_reads(0);
    // If the store fails then, the result is an error and never an acceptance.
    harness.clock.advance(Duration::from_millis(100));
    let third = harness.rotate_elsewhere(issued.record.id()).await;
    harness.remote().fail(true);
    let outcome = harness.verify(&third).await;
    assert!(matches!(outcome, Err(VerifyError::Unavailable(_))), "{outcome:?}");
    harness.remote().fail(false);
    harness.clock.advance(Duration::from_millis(100));
    harness.verify(&third).await.unwrap();
}

/// A client with many connections changes to the new secret. All of its requests find the old record in
/// the cache, and only one of them reads the store.
pub(crate) async fn new_secret_is_accepted_with_one_reread(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let requirement = any();
    let issued = harness.issue_elsewhere().await;
    harness.verify(&text(&issued)).await.unwrap();
    let second = harness.rotate_elsewhere(issued.record.id()).await;
    harness.expect_store_reads(1);
    harness.remote().hold(true);
    let mut waiting: Vec<_> =
        (0..8).map(|_| Box::pin(harness.service.verify(&second, &requirement))).collect();
    for verification in &mut waiting {
        let early = poll_once(verification).await;
        assert!(early.is_none(), "{early:?}");
    }
    harness.expect_store_reads(1);
    harness.remote().release(1);
    for verification in waiting {
        verification.await.unwrap();
    }
    harness.expect_store_reads(0);
}

pub(crate) async fn new_token_after_cached_absence_is_accepted(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let millis = u128::try_from(harness.clock.now().timestamp_millis()).unwrap();
    let id = TokenId::from_bytes((millis << 80 | 7 << 76 | 0b10 << 62 | 1).to_be_bytes());
    let request = || IssueRequest::new("connector", "b").id(id);
    let other = builder(MemoryStore::new()).clock(harness.clock.clone()).build().unwrap();
    let early = text(&other.owner("acme").issue(request()).await.unwrap());
    assert_eq!(refusal_of(harness.verify(&early).await), Some(Refusal::UnknownId));
    let token = text(&harness.elsewhere().owner("acme").issue(request()).await.unwrap());
    harness.verify(&token).await.unwrap();
}

pub(crate) async fn cache_stays_within_max_records(stores: Stores) {
    for most in [1, 10, 63, 64, 100, 1_000] {
        let harness = Harness::cached(stores, MAX_AGE, most);
        let mut tokens = Vec::new();
        for _ in 0..most * 2 + 64 {
            tokens.push(text(&harness.issue_elsewhere().await));
        }
        for token in &tokens {
            harness.verify(token).await.unwrap();
        }
        let _ = harness.remote().finds();
        // The newest tokens are verified first, because each new entry can evict an older one.
        let mut cached = 0;
        for token in tokens.iter().rev() {
            harness.verify(token).await.unwrap();
            cached += usize::from(harness.remote().finds() == 0);
        }
        assert!(cached <= most, "{cached} of {most}");
        // The cache uses most of its capacity.
        assert!(cached * 4 >= most, "{cached} of {most}");
    }
}

pub(crate) async fn unknown_ids_do_not_evict_records(stores: Stores) {
    const MAX_RECORDS: usize = 6_400;
    let harness = Harness::cached(stores, MAX_AGE, MAX_RECORDS);
    let mut tokens = Vec::new();
    for _ in 0..MAX_RECORDS * 2 {
        let token = text(&harness.issue_elsewhere().await);
        harness.verify(&token).await.unwrap();
        tokens.push(token);
    }
    let elsewhere = builder(MemoryStore::new()).clock(harness.clock.clone()).build().unwrap();
    let cached = async |harness: &Harness<Arc<Remote>>| {
        let mut cached = HashSet::new();
        harness.remote().fail(true);
        for token in &tokens {
            if harness.verify(token).await.is_ok() {
                cached.insert(token);
            }
        }
        harness.remote().fail(false);
        cached.len()
    };
    let before = cached(&harness).await;
    for _ in 0..MAX_RECORDS * 3 {
        let invented = IssueRequest::new("connector", "x");
        let invented = text(&elsewhere.owner("x").issue(invented).await.unwrap());
        assert_eq!(refusal_of(harness.verify(&invented).await), Some(Refusal::UnknownId));
    }
    let after = cached(&harness).await;
    assert!(after * 10 >= before * 8, "{after} of {before} are left");
}
