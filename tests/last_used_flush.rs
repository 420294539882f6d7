//! Flushing last uses: nothing is lost, whatever goes wrong, and nobody is refused for it.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use chrono::TimeDelta;
use futures_lite::future::{block_on, poll_once};
use service_tokens::clock::Clock;
use service_tokens::store::LastUsed;
use service_tokens::{Event, Filter, ListRequest, TokenServiceBuilder, TokenStore};
use support::used::{faulty, remote, scene, scene_with};
use support::{DAY, Fault, HOUR, MICRO, MINUTE, Op, Open, SharedStore, any, over_stores};

over_stores! {
    a_failing_flush_loses_nothing_and_refuses_nobody,
    a_flush_that_is_dropped_loses_nothing,
    what_is_noted_during_a_flush_waits_for_the_next,
    two_flushes_at_once_are_one,
    a_list_that_began_before_a_flush_shows_what_it_brought,
    many_tokens_are_flushed_in_batches,
    uses_that_nobody_flushes_are_an_event,
    uses_that_are_flushed_are_no_event,
    a_removed_token_is_not_brought_back,
    threads_lose_no_use,
}

async fn a_failing_flush_loses_nothing_and_refuses_nobody(open: Open) {
    let scene = faulty(open);
    let (id, token) = scene.issue().await;
    let mut used = scene.use_it(&token).await;
    for fault in [Fault::Unavailable, Fault::LostBefore, Fault::ReadOnly, Fault::DoneAndLost] {
        scene.service.store().arm(&[fault], Fault::None);
        let error = scene.service.flush_last_used().await.unwrap_err();
        assert_eq!(scene.service.store().calls(), [(Op::Touch, fault)]);
        let events = scene.events();
        let [Event::LastUsedNotFlushed { waiting: 1, cause, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert!(cause.starts_with(&error.to_string()), "{cause}");
        assert_eq!(scene.shown(id).await, LastUsed::At(used));
        // Uses go on, and the later one waits in the place of the earlier.
        scene.clock.advance(MINUTE);
        used = scene.use_it(&token).await;
        assert_eq!(scene.shown(id).await, LastUsed::At(used));
    }
    scene.service.store().disarm();
    assert_eq!(scene.flush().await, 1);
    assert_eq!(scene.stored(id).await, LastUsed::At(used));
    assert_eq!(scene.events(), []);
}

async fn a_flush_that_is_dropped_loses_nothing(open: Open) {
    let scene = remote(open);
    let (id, token) = scene.issue().await;
    let used = scene.use_it(&token).await;
    scene.service.store().hold_writes(true);
    {
        let mut flush = std::pin::pin!(scene.service.flush_last_used());
        assert!(poll_once(&mut flush).await.is_none());
        assert_eq!(scene.shown(id).await, LastUsed::At(used), "while it is under way");
    }
    assert_eq!(scene.shown(id).await, LastUsed::At(used));
    assert_eq!(scene.stored(id).await, LastUsed::Never);
    scene.service.store().hold_writes(false);
    assert_eq!(scene.flush().await, 1);
    assert_eq!(scene.stored(id).await, LastUsed::At(used));
}

async fn what_is_noted_during_a_flush_waits_for_the_next(open: Open) {
    let scene = remote(open);
    let (id, token) = scene.issue().await;
    let (new, new_token) = scene.issue().await;
    let first = scene.use_it(&token).await;
    scene.service.store().hold_writes(true);
    let mut flush = std::pin::pin!(scene.service.flush_last_used());
    assert!(poll_once(&mut flush).await.is_none());
    scene.clock.advance(MINUTE);
    let later = scene.use_it(&token).await;
    scene.use_it(&new_token).await;
    scene.service.store().hold_writes(false);
    scene.service.store().release_writes(1);
    assert_eq!(flush.await.unwrap().tokens, 1);
    assert_eq!(scene.stored(id).await, LastUsed::At(first));
    for id in [id, new] {
        assert_eq!(scene.shown(id).await, LastUsed::At(later));
    }
    assert_eq!(scene.flush().await, 2);
    for id in [id, new] {
        assert_eq!(scene.stored(id).await, LastUsed::At(later));
    }
}

async fn two_flushes_at_once_are_one(open: Open) {
    let scene = remote(open);
    let (id, token) = scene.issue().await;
    let used = scene.use_it(&token).await;
    scene.service.store().hold_writes(true);
    let mut one = std::pin::pin!(scene.service.flush_last_used());
    let mut other = std::pin::pin!(scene.service.flush_last_used());
    assert!(poll_once(&mut one).await.is_none());
    assert!(poll_once(&mut other).await.is_none());
    scene.service.store().release_writes(1);
    one.await.unwrap();
    assert_eq!(scene.shown(id).await, LastUsed::At(used));
    scene.clock.advance(MINUTE);
    let later = scene.use_it(&token).await;
    // The slower one brings the earlier use and takes nothing of the later one with it.
    scene.service.store().release_writes(1);
    other.await.unwrap();
    assert_eq!(scene.shown(id).await, LastUsed::At(later));
    scene.service.store().hold_writes(false);
    assert_eq!(scene.flush().await, 1);
    assert_eq!(scene.stored(id).await, LastUsed::At(later));
}

/// The store's page is from before the flush, and the service looks at what waits after it.
async fn a_list_that_began_before_a_flush_shows_what_it_brought(open: Open) {
    let scene = remote(open);
    let (id, token) = scene.issue().await;
    scene.clock.advance(HOUR);
    let since = scene.clock.now();
    scene.use_it(&token).await;
    let remote = scene.service.store();
    remote.hold(true);
    let view = scene.service.owner("acme");
    let mut unused =
        std::pin::pin!(view.list(ListRequest::from(Filter::new().unused_since(since))));
    let mut all = std::pin::pin!(view.list(ListRequest::new()));
    let mut got = std::pin::pin!(view.get(id));
    assert!(poll_once(&mut unused).await.is_none());
    assert!(poll_once(&mut all).await.is_none());
    assert!(poll_once(&mut got).await.is_none());
    assert_eq!(scene.flush().await, 1);
    remote.hold(false);
    // A later use waits again, though the earlier one is only there for the views.
    scene.clock.advance(MINUTE);
    let again = scene.use_it(&token).await;
    assert_eq!(scene.flush().await, 1);
    assert_eq!(scene.stored(id).await, LastUsed::At(again));
    remote.release(3);
    assert_eq!(unused.await.unwrap().items, []);
    assert_eq!(all.await.unwrap().items[0].last_used, LastUsed::At(again));
    assert_eq!(got.await.unwrap().last_used, LastUsed::At(again));
    // It is not given to the store again for that.
    assert_eq!(scene.flush().await, 0);
    // Each keeps it by itself.
    let alone = {
        scene.clock.advance(MINUTE);
        let used = scene.use_it(&token).await;
        remote.hold(true);
        let mut got = std::pin::pin!(view.get(id));
        assert!(poll_once(&mut got).await.is_none());
        assert_eq!(scene.flush().await, 1);
        remote.hold(false);
        remote.release(1);
        (got.await.unwrap().last_used, LastUsed::At(used))
    };
    assert_eq!(alone.0, alone.1);
    // A view that nobody waits for any more leaves nothing behind.
    scene.clock.advance(MINUTE);
    let later = scene.use_it(&token).await;
    remote.hold(true);
    {
        let mut dropped = std::pin::pin!(view.get(id));
        assert!(poll_once(&mut dropped).await.is_none());
    }
    remote.hold(false);
    assert_eq!((scene.flush().await, scene.flush().await), (1, 0));
    assert_eq!(scene.shown(id).await, LastUsed::At(later));
}

async fn many_tokens_are_flushed_in_batches(open: Open) {
    let scene = faulty(open);
    let mut tokens = Vec::new();
    for _ in 0..2_500 {
        tokens.push(scene.issue().await);
    }
    let used = scene.clock.now();
    for (_, token) in &tokens {
        scene.use_it(token).await;
    }
    // The second of three batches fails: what is in stays in, the rest comes next time.
    scene.service.store().arm(&[Fault::None, Fault::Unavailable], Fault::None);
    assert!(scene.service.flush_last_used().await.is_err());
    let events = scene.events();
    let [Event::LastUsedNotFlushed { waiting: 1_500, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(scene.flush().await, 1_500);
    scene.service.store().disarm();
    assert_eq!(scene.flush().await, 0);
    for (id, _) in &tokens {
        assert_eq!(scene.stored(*id).await, LastUsed::At(used));
    }
}

async fn uses_that_nobody_flushes_are_an_event(open: Open) {
    // The step, and how long a use may wait.
    for (step, patience) in [(MINUTE, 10 * MINUTE), (MICRO, 10 * MINUTE), (HOUR, 10 * HOUR)] {
        let set = |builder: TokenServiceBuilder<SharedStore>| builder.last_used_resolution(step);
        let scene = scene_with(open, |store| store, set);
        let (id, token) = scene.issue().await;
        let (_, another) = scene.issue().await;
        let oldest = scene.use_it(&token).await;
        scene.clock.advance(patience);
        scene.use_it(&token).await;
        assert_eq!(scene.events(), [], "exactly at the bound");
        scene.clock.advance(step.max(MICRO));
        scene.use_it(&token).await;
        let events = scene.events();
        let [Event::LastUsedStalled { waiting: 1, oldest: told, .. }] = &events[..] else {
            panic!("{step:?}: {events:?}")
        };
        assert_eq!(*told, oldest);
        // Not again within that time, whoever is used.
        let told_at = scene.clock.now();
        while scene.clock.now() + TimeDelta::from_std(step.max(MINUTE)).unwrap()
            < told_at + TimeDelta::from_std(patience).unwrap()
        {
            scene.clock.advance(step.max(MINUTE));
            scene.use_it(&token).await;
            scene.use_it(&another).await;
        }
        assert_eq!(scene.events(), []);
        scene.clock.advance(step.max(MINUTE));
        scene.use_it(&token).await;
        let events = scene.events();
        let [Event::LastUsedStalled { waiting: 2, oldest: told, .. }] = &events[..] else {
            panic!("{step:?}: {events:?}")
        };
        assert_eq!(*told, oldest);
        // A flush ends it.
        scene.flush().await;
        scene.clock.advance(patience);
        let last = scene.use_it(&token).await;
        assert_eq!(scene.events(), []);
        assert_eq!(scene.shown(id).await, LastUsed::At(last));
    }
}

async fn uses_that_are_flushed_are_no_event(open: Open) {
    let scene = scene(open);
    let (_, token) = scene.issue().await;
    for _ in 0..100 {
        scene.use_it(&token).await;
        scene.clock.advance(MINUTE);
        scene.use_it(&token).await;
        scene.flush().await;
        scene.clock.advance(5 * MINUTE);
    }
    // Nobody needs to flush where nothing waits.
    scene.clock.advance(DAY);
    scene.use_it(&token).await;
    assert_eq!(scene.events(), []);
}

async fn a_removed_token_is_not_brought_back(open: Open) {
    let scene = scene(open);
    let (id, token) = scene.issue().await;
    scene.use_it(&token).await;
    let version = scene.store.find(id).await.unwrap().unwrap().version;
    scene.store.remove(id, version).await.unwrap();
    assert_eq!(scene.flush().await, 1);
    assert!(scene.store.find(id).await.unwrap().is_none());
    assert_eq!(scene.flush().await, 0);
}

/// Users, flushes and views on threads: what was used is never reported as unused, and in the end all
/// is in the store.
async fn threads_lose_no_use(open: Open) {
    let set =
        |builder: TokenServiceBuilder<SharedStore>| builder.last_used_resolution(Duration::ZERO);
    let scene = scene_with(open, |store| store, set);
    let mut tokens = Vec::new();
    for _ in 0..8 {
        tokens.push(scene.issue().await);
    }
    scene.clock.advance(HOUR);
    let since = scene.clock.now();
    for (_, token) in &tokens {
        scene.use_it(token).await;
    }
    let (service, clock) = (&scene.service, &scene.clock);
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
        let used = scene.use_it(token).await;
        assert_eq!(scene.shown(*id).await, LastUsed::At(used));
    }
    let used = scene.clock.now();
    assert_eq!(scene.flush().await, 8);
    for (id, _) in &tokens {
        assert_eq!(scene.stored(*id).await, LastUsed::At(used));
    }
}
