//! Flushing last use: no use is lost when a flush fails, is dropped or runs twice.

use std::time::Duration;

use super::harness::{DAY, Fault, HOUR, Harness, MICRO, MINUTE, Op, SharedStore, Stores, any};
use chrono::TimeDelta;
use futures_lite::future::{block_on, poll_once};
use service_tokens::clock::Clock;
use service_tokens::store::LastUsed;
use service_tokens::{Event, Filter, ListRequest, TokenServiceBuilder, TokenStore};

behaviours! {
    failed_flush_loses_no_use,
    dropped_flush_loses_no_use,
    use_during_flush_waits_for_next_flush,
    concurrent_flushes_keep_the_later_use,
    list_begun_before_flush_shows_flushed_uses,
    flush_writes_in_batches,
    unflushed_uses_are_an_event,
    flushed_uses_are_not_an_event,
    flush_does_not_restore_removed_token,
    concurrent_flushes_lose_no_use,
}

pub(crate) async fn failed_flush_loses_no_use(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let (id, token) = harness.issue_backup().await;
    let mut used = harness.use_token(&token).await;
    for fault in [Fault::Unavailable, Fault::LostBefore, Fault::ReadOnly, Fault::DoneAndLost] {
        harness.faulty().arm(&[fault], Fault::None);
        let error = harness.service.flush_last_used().await.unwrap_err();
        assert_eq!(harness.faulty().calls(), [(Op::Touch, fault)]);
        let events = harness.last_used_events();
        let [Event::LastUsedNotFlushed { waiting: 1, cause, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert!(cause.starts_with(&error.to_string()), "{cause}");
        assert_eq!(harness.last_used(id).await, LastUsed::At(used));
        // The token is used again, and the later use replaces the pending one.
        harness.clock.advance(MINUTE);
        used = harness.use_token(&token).await;
        assert_eq!(harness.last_used(id).await, LastUsed::At(used));
    }
    harness.faulty().disarm();
    assert_eq!(harness.flush().await, 1);
    assert_eq!(harness.stored_last_used(id).await, LastUsed::At(used));
    assert_eq!(harness.last_used_events(), []);
}

pub(crate) async fn dropped_flush_loses_no_use(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let (id, token) = harness.issue_backup().await;
    let used = harness.use_token(&token).await;
    harness.remote().hold_writes(true);
    {
        let mut flush = std::pin::pin!(harness.service.flush_last_used());
        assert!(poll_once(&mut flush).await.is_none());
        assert_eq!(harness.last_used(id).await, LastUsed::At(used), "while it is under way");
    }
    assert_eq!(harness.last_used(id).await, LastUsed::At(used));
    assert_eq!(harness.stored_last_used(id).await, LastUsed::Never);
    harness.remote().hold_writes(false);
    assert_eq!(harness.flush().await, 1);
    assert_eq!(harness.stored_last_used(id).await, LastUsed::At(used));
}

pub(crate) async fn use_during_flush_waits_for_next_flush(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let (id, token) = harness.issue_backup().await;
    let (new, new_token) = harness.issue_backup().await;
    let first = harness.use_token(&token).await;
    harness.remote().hold_writes(true);
    let mut flush = std::pin::pin!(harness.service.flush_last_used());
    assert!(poll_once(&mut flush).await.is_none());
    harness.clock.advance(MINUTE);
    let later = harness.use_token(&token).await;
    harness.use_token(&new_token).await;
    harness.remote().hold_writes(false);
    harness.remote().release_writes(1);
    assert_eq!(flush.await.unwrap().tokens, 1);
    assert_eq!(harness.stored_last_used(id).await, LastUsed::At(first));
    for id in [id, new] {
        assert_eq!(harness.last_used(id).await, LastUsed::At(later));
    }
    assert_eq!(harness.flush().await, 2);
    for id in [id, new] {
        assert_eq!(harness.stored_last_used(id).await, LastUsed::At(later));
    }
}

pub(crate) async fn concurrent_flushes_keep_the_later_use(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let (id, token) = harness.issue_backup().await;
    let used = harness.use_token(&token).await;
    harness.remote().hold_writes(true);
    let mut one = std::pin::pin!(harness.service.flush_last_used());
    let mut other = std::pin::pin!(harness.service.flush_last_used());
    assert!(poll_once(&mut one).await.is_none());
    assert!(poll_once(&mut other).await.is_none());
    harness.remote().release_writes(1);
    one.await.unwrap();
    assert_eq!(harness.last_used(id).await, LastUsed::At(used));
    harness.clock.advance(MINUTE);
    let later = harness.use_token(&token).await;
    // The slower flush writes the earlier use and leaves the later one pending.
    harness.remote().release_writes(1);
    other.await.unwrap();
    assert_eq!(harness.last_used(id).await, LastUsed::At(later));
    harness.remote().hold_writes(false);
    assert_eq!(harness.flush().await, 1);
    assert_eq!(harness.stored_last_used(id).await, LastUsed::At(later));
}

/// The store read the page before the flush, and the service adds its pending uses after the flush.
pub(crate) async fn list_begun_before_flush_shows_flushed_uses(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let (id, token) = harness.issue_backup().await;
    harness.clock.advance(HOUR);
    let since = harness.clock.now();
    harness.use_token(&token).await;
    let remote = harness.remote();
    remote.hold(true);
    let view = harness.service.owner("acme");
    let mut unused =
        std::pin::pin!(view.list(ListRequest::from(Filter::new().unused_since(since))));
    let mut all = std::pin::pin!(view.list(ListRequest::new()));
    let mut got = std::pin::pin!(view.get(id));
    assert!(poll_once(&mut unused).await.is_none());
    assert!(poll_once(&mut all).await.is_none());
    assert!(poll_once(&mut got).await.is_none());
    assert_eq!(harness.flush().await, 1);
    remote.hold(false);
    // A later use is pending again, although the views could show the earlier one.
    harness.clock.advance(MINUTE);
    let again = harness.use_token(&token).await;
    assert_eq!(harness.flush().await, 1);
    assert_eq!(harness.stored_last_used(id).await, LastUsed::At(again));
    remote.release(3);
    assert_eq!(unused.await.unwrap().items, []);
    assert_eq!(all.await.unwrap().items[0].last_used, LastUsed::At(again));
    assert_eq!(got.await.unwrap().last_used, LastUsed::At(again));
    // The view does not add the use to the next flush.
    assert_eq!(harness.flush().await, 0);
    // Each process caches it separately.
    let alone = {
        harness.clock.advance(MINUTE);
        let used = harness.use_token(&token).await;
        remote.hold(true);
        let mut got = std::pin::pin!(view.get(id));
        assert!(poll_once(&mut got).await.is_none());
        assert_eq!(harness.flush().await, 1);
        remote.hold(false);
        remote.release(1);
        (got.await.unwrap().last_used, LastUsed::At(used))
    };
    assert_eq!(alone.0, alone.1);
    // A dropped list or read has no effect.
    harness.clock.advance(MINUTE);
    let later = harness.use_token(&token).await;
    remote.hold(true);
    {
        let mut dropped = std::pin::pin!(view.get(id));
        assert!(poll_once(&mut dropped).await.is_none());
    }
    remote.hold(false);
    assert_eq!((harness.flush().await, harness.flush().await), (1, 0));
    assert_eq!(harness.last_used(id).await, LastUsed::At(later));
}

pub(crate) async fn flush_writes_in_batches(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let mut tokens = Vec::new();
    for _ in 0..2_500 {
        tokens.push(harness.issue_backup().await);
    }
    let used = harness.clock.now();
    for (_, token) in &tokens {
        harness.use_token(token).await;
    }
    // The second of three batches fails. The written uses stay, and the next flush writes the rest.
    harness.faulty().arm(&[Fault::None, Fault::Unavailable], Fault::None);
    assert!(harness.service.flush_last_used().await.is_err());
    let events = harness.last_used_events();
    let [Event::LastUsedNotFlushed { waiting: 1_500, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(harness.flush().await, 1_500);
    harness.faulty().disarm();
    assert_eq!(harness.flush().await, 0);
    for (id, _) in &tokens {
        assert_eq!(harness.stored_last_used(*id).await, LastUsed::At(used));
    }
}

pub(crate) async fn unflushed_uses_are_an_event(stores: Stores) {
    // The resolution, and the time after which a pending use is reported.
    for (step, patience) in [(MINUTE, 10 * MINUTE), (MICRO, 10 * MINUTE), (HOUR, 10 * HOUR)] {
        let set = |builder: TokenServiceBuilder<SharedStore>| builder.last_used_resolution(step);
        let harness = Harness::builder(stores).configure(set).build();
        let (id, token) = harness.issue_backup().await;
        let (_, another) = harness.issue_backup().await;
        let oldest = harness.use_token(&token).await;
        harness.clock.advance(patience);
        harness.use_token(&token).await;
        assert_eq!(harness.last_used_events(), [], "exactly at the bound");
        harness.clock.advance(step.max(MICRO));
        harness.use_token(&token).await;
        let events = harness.last_used_events();
        let [Event::LastUsedStalled { waiting: 1, oldest: reported, .. }] = &events[..] else {
            panic!("{step:?}: {events:?}")
        };
        assert_eq!(*reported, oldest);
        // It is not reported again within that time, even if tokens are used.
        let reported_at = harness.clock.now();
        while harness.clock.now() + TimeDelta::from_std(step.max(MINUTE)).unwrap()
            < reported_at + TimeDelta::from_std(patience).unwrap()
        {
            harness.clock.advance(step.max(MINUTE));
            harness.use_token(&token).await;
            harness.use_token(&another).await;
        }
        assert_eq!(harness.last_used_events(), []);
        harness.clock.advance(step.max(MINUTE));
        harness.use_token(&token).await;
        let events = harness.last_used_events();
        let [Event::LastUsedStalled { waiting: 2, oldest: reported, .. }] = &events[..] else {
            panic!("{step:?}: {events:?}")
        };
        assert_eq!(*reported, oldest);
        // A flush ends the warning.
        harness.flush().await;
        harness.clock.advance(patience);
        let last = harness.use_token(&token).await;
        assert_eq!(harness.last_used_events(), []);
        assert_eq!(harness.last_used(id).await, LastUsed::At(last));
    }
}

pub(crate) async fn flushed_uses_are_not_an_event(stores: Stores) {
    let harness = Harness::new(stores);
    let (_, token) = harness.issue_backup().await;
    for _ in 0..100 {
        harness.use_token(&token).await;
        harness.clock.advance(MINUTE);
        harness.use_token(&token).await;
        harness.flush().await;
        harness.clock.advance(5 * MINUTE);
    }
    // Without pending uses no flush is needed.
    harness.clock.advance(DAY);
    harness.use_token(&token).await;
    assert_eq!(harness.last_used_events(), []);
}

pub(crate) async fn flush_does_not_restore_removed_token(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    harness.use_token(&token).await;
    let version = harness.store.find(id).await.unwrap().unwrap().version;
    harness.store.remove(id, version).await.unwrap();
    assert_eq!(harness.flush().await, 1);
    assert!(harness.store.find(id).await.unwrap().is_none());
    assert_eq!(harness.flush().await, 0);
}

/// Threads use tokens, flush and read views. No view reports a used token as unused, and in the end the
/// store has every use.
pub(crate) async fn concurrent_flushes_lose_no_use(stores: Stores) {
    let set =
        |builder: TokenServiceBuilder<SharedStore>| builder.last_used_resolution(Duration::ZERO);
    let harness = Harness::builder(stores).configure(set).build();
    let mut tokens = Vec::new();
    for _ in 0..8 {
        tokens.push(harness.issue_backup().await);
    }
    harness.clock.advance(HOUR);
    let since = harness.clock.now();
    for (_, token) in &tokens {
        harness.use_token(token).await;
    }
    let (service, clock) = (&harness.service, &harness.clock);
    std::thread::scope(|threads| {
        for (_, token) in &tokens {
            threads.spawn(move || {
                for _ in 0..100 {
                    block_on(service.verify(token, &any())).unwrap();
                    clock.advance(MICRO);
                }
            });
        }
        for _ in 0..2 {
            threads.spawn(move || {
                for _ in 0..50 {
                    block_on(service.flush_last_used()).unwrap();
                }
            });
        }
        threads.spawn(move || {
            for _ in 0..100 {
                let query = ListRequest::from(Filter::new().unused_since(since));
                assert_eq!(block_on(service.owner("acme").list(query)).unwrap().items, []);
            }
        });
    });
    for (id, token) in &tokens {
        let used = harness.use_token(token).await;
        assert_eq!(harness.last_used(*id).await, LastUsed::At(used));
    }
    let used = harness.clock.now();
    assert_eq!(harness.flush().await, 8);
    for (id, _) in &tokens {
        assert_eq!(harness.stored_last_used(*id).await, LastUsed::At(used));
    }
}
