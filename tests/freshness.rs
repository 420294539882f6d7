//! Records kept in front of a store across a network: how old an answer may be, and never older.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use chrono::TimeDelta;
use futures_lite::future::{block_on, poll_once};
use service_tokens::clock::Clock;
use service_tokens::store::{Change, StoreError};
use service_tokens::{
    IssueRequest, Refusal, RevokeRequest, RotateRequest, TokenId, TokenStore, VerifyError,
};
use support::keeping::{LONGEST, refusal, scene, scene_with};
use support::{DAY, HOUR, MICRO, Open, Remote, any, builder, over_stores, text};

over_stores! {
    the_bound_holds_to_the_microsecond,
    nothing_slides,
    what_expires_while_it_is_kept_is_expired,
    changes_through_the_same_service_count_at_once,
    a_strict_verification_always_asks,
    an_answer_from_before_a_change_is_not_kept_after_it,
    an_answer_from_before_a_change_elsewhere_is_not_kept_after_it,
    an_answer_from_before_a_change_is_not_kept_while_another_is_awaited,
    a_failing_store_is_bridged_within_the_bound,
    the_stream_of_changes_brings_them_in,
    without_a_stream_there_is_nothing_to_follow,
}

async fn the_bound_holds_to_the_microsecond(open: Open) {
    for longest in [Duration::ZERO, MICRO, LONGEST, DAY] {
        let scene = scene_with(open, longest, 1_000);
        let issued = scene.issue().await;
        let token = text(&issued);
        assert_eq!(scene.verify(&token).await.unwrap().staleness(), Duration::ZERO);
        scene.asked(1);
        scene.revoke_elsewhere(issued.record.id()).await;
        for step in [Duration::ZERO, longest.saturating_sub(MICRO)] {
            scene.clock.advance(step);
            assert_eq!(scene.verify(&token).await.unwrap().staleness(), step);
        }
        scene.clock.advance(longest - longest.saturating_sub(MICRO));
        assert_eq!(scene.verify(&token).await.unwrap().staleness(), longest);
        scene.asked(0);
        scene.clock.advance(MICRO);
        assert_eq!(refusal(scene.verify(&token).await), Some(Refusal::Revoked));
        scene.asked(1);
    }
}

async fn nothing_slides(open: Open) {
    let scene = scene(open);
    let issued = scene.issue().await;
    let token = text(&issued);
    scene.verify(&token).await.unwrap();
    scene.revoke_elsewhere(issued.record.id()).await;
    for second in 1..=60 {
        scene.clock.advance(Duration::from_secs(1));
        assert_eq!(scene.verify(&token).await.unwrap().staleness(), Duration::from_secs(second));
    }
    scene.asked(1);
    scene.clock.advance(MICRO);
    assert!(scene.verify(&token).await.is_err());
    // A jump of the wall clock prolongs nothing either: age is counted on the monotonic one.
    let scene = self::scene(open);
    let issued = scene.issue().await;
    scene.verify(&text(&issued)).await.unwrap();
    scene.clock.set(scene.clock.now() - TimeDelta::hours(5));
    scene.clock.advance(LONGEST + MICRO);
    scene.asked(1);
    scene.verify(&text(&issued)).await.unwrap();
    scene.asked(1);
}

async fn what_expires_while_it_is_kept_is_expired(open: Open) {
    let scene = scene_with(open, DAY, 1_000);
    let request = IssueRequest::new("connector", "b").expires_in(HOUR);
    let token = text(&scene.elsewhere.owner("acme").issue(request).await.unwrap());
    scene.verify(&token).await.unwrap();
    scene.clock.advance(HOUR - MICRO);
    scene.verify(&token).await.unwrap();
    scene.clock.advance(MICRO);
    assert_eq!(refusal(scene.verify(&token).await), Some(Refusal::Expired));
}

async fn changes_through_the_same_service_count_at_once(open: Open) {
    let scene = scene(open);
    let issued = scene.issue().await;
    let (id, first) = (issued.record.id(), text(&issued));
    scene.verify(&first).await.unwrap();
    let view = scene.service.owner("acme");
    let second = text(&view.rotate(id, RotateRequest::at_once()).await.unwrap());
    assert_eq!(refusal(scene.verify(&first).await), Some(Refusal::SecretEnded));
    scene.verify(&second).await.unwrap();
    view.revoke(id, RevokeRequest::new()).await.unwrap();
    assert_eq!(refusal(scene.verify(&second).await), Some(Refusal::Revoked));

    // Also an id that was asked for before there was a record.
    let millis = u128::try_from(scene.clock.now().timestamp_millis()).unwrap();
    let id = TokenId::from_bytes((millis << 80 | 7 << 76 | 0b10 << 62 | 1).to_be_bytes());
    let request = || IssueRequest::new("connector", "b").id(id);
    let other = builder(support::memory().store).clock(scene.clock.clone()).build().unwrap();
    let early = text(&other.owner("acme").issue(request()).await.unwrap());
    assert_eq!(refusal(scene.verify(&early).await), Some(Refusal::UnknownId));
    assert_eq!(refusal(scene.verify(&early).await), Some(Refusal::UnknownId));
    let token = text(&scene.service.owner("acme").issue(request()).await.unwrap());
    scene.verify(&token).await.unwrap();
}

async fn a_strict_verification_always_asks(open: Open) {
    let scene = scene(open);
    let issued = scene.issue().await;
    let token = text(&issued);
    scene.verify(&token).await.unwrap();
    for _ in 0..3 {
        let uncached = scene.service.verify_uncached(&token, &any()).await.unwrap();
        assert_eq!(uncached.staleness(), Duration::ZERO);
    }
    scene.asked(4);
    scene.revoke_elsewhere(issued.record.id()).await;
    let uncached = scene.service.verify_uncached(&token, &any()).await;
    assert_eq!(refusal(uncached), Some(Refusal::Revoked));
    scene.remote.fail(true);
    let uncached = scene.service.verify_uncached(&token, &any()).await;
    assert!(matches!(uncached, Err(VerifyError::Unavailable(_))), "{uncached:?}");

    // How long the store took is part of the age.
    scene.remote.fail(false);
    let issued = scene.issue().await;
    scene.remote.hold(true);
    let token = text(&issued);
    let requirement = any();
    let mut uncached = std::pin::pin!(scene.service.verify_uncached(&token, &requirement));
    assert!(poll_once(&mut uncached).await.is_none());
    scene.clock.advance(HOUR);
    scene.remote.release(1);
    assert_eq!(uncached.await.unwrap().staleness(), HOUR);
}

async fn an_answer_from_before_a_change_is_not_kept_after_it(open: Open) {
    let scene = scene(open);
    let requirement = any();
    let issued = scene.issue().await;
    let (id, token) = (issued.record.id(), text(&issued));
    scene.remote.hold(true);
    let mut slow = std::pin::pin!(scene.service.verify(&token, &requirement));
    assert!(poll_once(&mut slow).await.is_none());
    scene.remote.hold(false);
    scene.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    scene.remote.release(1);
    // It was asked before the revocation and may be answered as of then.
    let _ = slow.await;
    let _ = scene.remote.finds();
    assert_eq!(refusal(scene.verify(&token).await), Some(Refusal::Revoked));
    scene.asked(1);
}

async fn an_answer_from_before_a_change_elsewhere_is_not_kept_after_it(open: Open) {
    for missed in [false, true] {
        let scene = scene(open);
        let requirement = any();
        let issued = scene.issue().await;
        let (id, token) = (issued.record.id(), text(&issued));
        let changes = scene.remote.stream();
        let mut following = std::pin::pin!(scene.service.follow_changes());
        assert!(poll_once(&mut following).await.is_none());
        scene.remote.hold(true);
        let mut slow = std::pin::pin!(scene.service.verify(&token, &requirement));
        assert!(poll_once(&mut slow).await.is_none());
        scene.remote.hold(false);
        scene.revoke_elsewhere(id).await;
        changes.send(Ok(if missed { Change::Missed } else { Change::Record(id) })).unwrap();
        assert!(poll_once(&mut following).await.is_none());
        // Who comes now does not wait for the old question.
        assert_eq!(refusal(scene.verify(&token).await), Some(Refusal::Revoked));
        scene.remote.release(1);
        let _ = slow.await;
        assert_eq!(refusal(scene.verify(&token).await), Some(Refusal::Revoked));
    }
}

async fn an_answer_from_before_a_change_is_not_kept_while_another_is_awaited(open: Open) {
    let scene = scene(open);
    let requirement = any();
    let issued = scene.issue().await;
    let (id, token) = (issued.record.id(), text(&issued));
    scene.remote.hold(true);
    let mut before = std::pin::pin!(scene.service.verify(&token, &requirement));
    assert!(poll_once(&mut before).await.is_none());
    scene.remote.hold(false);
    scene.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    scene.remote.hold(true);
    let mut after = std::pin::pin!(scene.service.verify(&token, &requirement));
    assert!(poll_once(&mut after).await.is_none());
    let _ = scene.remote.finds();
    scene.remote.release(1);
    let _ = poll_once(&mut before).await.unwrap();
    // Neither the older answer nor a question of its own: the one under way is waited for.
    let mut third = std::pin::pin!(scene.service.verify(&token, &requirement));
    assert!(poll_once(&mut third).await.is_none());
    scene.asked(0);
    scene.remote.hold(false);
    scene.remote.release(1);
    assert_eq!(refusal(after.await), Some(Refusal::Revoked));
    assert_eq!(refusal(third.await), Some(Refusal::Revoked));
}

async fn a_failing_store_is_bridged_within_the_bound(open: Open) {
    let scene = scene(open);
    let token = text(&scene.issue().await);
    scene.verify(&token).await.unwrap();
    scene.remote.fail(true);
    scene.clock.advance(LONGEST);
    assert_eq!(scene.verify(&token).await.unwrap().staleness(), LONGEST);
    scene.clock.advance(MICRO);
    for _ in 0..3 {
        let outcome = scene.verify(&token).await;
        assert!(matches!(outcome, Err(VerifyError::Unavailable(_))), "{outcome:?}");
    }
    scene.remote.fail(false);
    assert_eq!(scene.verify(&token).await.unwrap().staleness(), Duration::ZERO);
}

async fn the_stream_of_changes_brings_them_in(open: Open) {
    let scene = scene(open);
    let (one, two) = (scene.issue().await, scene.issue().await);
    let changes = scene.remote.stream();
    scene.verify(&text(&one)).await.unwrap();
    let mut following = Box::pin(scene.service.follow_changes());
    assert!(poll_once(&mut following).await.is_none());
    scene.asked(1);
    // What changed before the stream was open, nobody tells.
    scene.verify(&text(&one)).await.unwrap();
    scene.verify(&text(&two)).await.unwrap();
    scene.asked(2);

    scene.revoke_elsewhere(one.record.id()).await;
    scene.verify(&text(&one)).await.unwrap();
    scene.asked(0);
    changes.send(Ok(Change::Record(one.record.id()))).unwrap();
    assert!(poll_once(&mut following).await.is_none());
    assert_eq!(refusal(scene.verify(&text(&one)).await), Some(Refusal::Revoked));
    scene.asked(1);
    scene.verify(&text(&two)).await.unwrap();
    scene.asked(0);

    scene.revoke_elsewhere(two.record.id()).await;
    changes.send(Ok(Change::Missed)).unwrap();
    assert!(poll_once(&mut following).await.is_none());
    assert_eq!(refusal(scene.verify(&text(&two)).await), Some(Refusal::Revoked));

    // The stream breaks: what is kept counts as missed, and the error is told.
    let three = scene.issue().await;
    scene.verify(&text(&three)).await.unwrap();
    scene.revoke_elsewhere(three.record.id()).await;
    changes.send(Err(StoreError::unavailable("connection reset"))).unwrap();
    assert!(following.await.is_err());
    assert_eq!(refusal(scene.verify(&text(&three)).await), Some(Refusal::Revoked));

    // A revocation between the break and the next stream.
    let four = scene.issue().await;
    scene.verify(&text(&four)).await.unwrap();
    scene.revoke_elsewhere(four.record.id()).await;
    let _changes = scene.remote.stream();
    let mut following = Box::pin(scene.service.follow_changes());
    assert!(poll_once(&mut following).await.is_none());
    assert_eq!(refusal(scene.verify(&text(&four)).await), Some(Refusal::Revoked));
}

async fn without_a_stream_there_is_nothing_to_follow(open: Open) {
    let scene = scene(open);
    scene.service.follow_changes().await.unwrap();
    scene.elsewhere.follow_changes().await.unwrap();
    scene.remote.fail_changes();
    assert!(scene.service.follow_changes().await.is_err());
}

/// Readers and a revoker on real threads: after the revocation has returned nobody is accepted.
#[test]
fn after_a_revocation_through_the_service_nobody_is_accepted() {
    for _ in 0..50 {
        let scene = scene(support::memory);
        let (issued, service) = (block_on(scene.issue()), &scene.service);
        let (id, token) = (issued.record.id(), &text(&issued));
        let revoked = &std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(move || {
                    for _ in 0..300 {
                        let before = revoked.load(std::sync::atomic::Ordering::SeqCst);
                        let accepted = block_on(service.verify(token, &any())).is_ok();
                        assert!(!(before && accepted), "accepted after the revocation");
                    }
                });
            }
            threads.spawn(move || {
                block_on(service.owner("acme").revoke(id, RevokeRequest::new())).unwrap();
                revoked.store(true, std::sync::atomic::Ordering::SeqCst);
            });
        });
    }
}

/// What the scenes rest on: the double is never asked on the spot.
#[test]
fn the_double_answers_nothing_on_the_spot() {
    let remote = Remote::new(support::memory().store);
    assert!(!remote.find_now(TokenId::from_bytes([0; 16]), &mut |_| panic!("visited")));
}
