//! Kept records and many requests: who asks the store, who waits, and how many are kept.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use futures_lite::future::poll_once;
use service_tokens::clock::Clock;
use service_tokens::store::StoreError;
use service_tokens::{IssueRequest, Issued, Refusal, TokenId, TokenService, VerifyError};
use support::keeping::{LONGEST, Scene, refusal, scene, scene_with};
use support::{MICRO, Open, SharedStore, any, builder, over_stores, requirement, text};

over_stores! {
    many_misses_ask_once,
    an_old_question_answers_nobody_who_comes_later,
    another_takes_over_from_a_leader_that_gives_up,
    one_that_is_not_polled_holds_up_nobody,
    a_failure_reaches_all_who_waited_and_is_not_kept,
    a_refusal_asks_again_at_most_once_per_100_ms,
    a_refusal_over_a_kept_record_is_corrected,
    a_new_secret_works_for_many_requests_at_once,
    a_fresh_token_works_at_once,
    no_more_records_are_kept_than_asked_for,
    invented_ids_do_not_drive_records_out,
}

async fn many_misses_ask_once(open: Open) {
    let scene = scene(open);
    let requirement = any();
    let token = text(&scene.issue().await);
    scene.remote.hold(true);
    let mut waiting: Vec<_> =
        (0..50).map(|_| Box::pin(scene.service.verify(&token, &requirement))).collect();
    for verification in &mut waiting {
        assert!(poll_once(verification).await.is_none());
    }
    scene.asked(1);
    scene.clock.advance(Duration::from_secs(3));
    scene.remote.release(1);
    for verification in waiting {
        assert_eq!(verification.await.unwrap().staleness(), Duration::from_secs(3));
    }
    scene.asked(0);
}

/// The store read the record long ago and its answer is on the way since: who comes now must not take
/// it for one that is at most `LONGEST` old.
async fn an_old_question_answers_nobody_who_comes_later(open: Open) {
    let scene = scene(open);
    let requirement = any();
    let issued = scene.issue().await;
    let token = text(&issued);
    scene.remote.hold(true);
    let mut slow = std::pin::pin!(scene.service.verify(&token, &requirement));
    assert!(poll_once(&mut slow).await.is_none());
    scene.revoke_elsewhere(issued.record.id()).await;
    scene.clock.advance(LONGEST);
    let mut joins = std::pin::pin!(scene.service.verify(&token, &requirement));
    assert!(poll_once(&mut joins).await.is_none());
    scene.asked(1);
    scene.clock.advance(MICRO);
    let mut late = std::pin::pin!(scene.service.verify(&token, &requirement));
    assert!(poll_once(&mut late).await.is_none());
    scene.asked(1);
    scene.remote.release(2);
    assert!(slow.await.is_ok());
    // It joined in time and the answer took too long: it asks anew.
    assert_eq!(refusal(joins.await), Some(Refusal::Revoked));
    assert_eq!(refusal(late.await), Some(Refusal::Revoked));
    // The older answer landed first here; the later one is what is kept.
    scene.remote.hold(false);
    assert_eq!(refusal(scene.verify(&token).await), Some(Refusal::Revoked));
}

/// Whoever asked first may be neither polled nor dropped, as behind a `select!`.
async fn one_that_is_not_polled_holds_up_nobody(open: Open) {
    let scene = scene(open);
    let requirement = any();
    let token = text(&scene.issue().await);
    scene.remote.hold(true);
    let mut first = Box::pin(scene.service.verify(&token, &requirement));
    assert!(poll_once(&mut first).await.is_none());
    let mut second = Box::pin(scene.service.verify(&token, &requirement));
    assert!(poll_once(&mut second).await.is_none());
    scene.asked(1);
    scene.remote.release(1);
    second.await.unwrap();
    scene.asked(0);
    first.await.unwrap();
}

async fn another_takes_over_from_a_leader_that_gives_up(open: Open) {
    let scene = scene(open);
    let requirement = any();
    let token = text(&scene.issue().await);
    scene.remote.hold(true);
    let mut leader = Box::pin(scene.service.verify(&token, &requirement));
    let mut second = Box::pin(scene.service.verify(&token, &requirement));
    let mut third = Box::pin(scene.service.verify(&token, &requirement));
    for verification in [&mut leader, &mut second, &mut third] {
        assert!(poll_once(verification).await.is_none());
    }
    scene.asked(1);
    // The question under way is anybody's: it is not asked again.
    drop(leader);
    assert!(poll_once(&mut second).await.is_none());
    assert!(poll_once(&mut third).await.is_none());
    drop(second);
    assert!(poll_once(&mut third).await.is_none());
    scene.asked(0);
    scene.remote.release(1);
    third.await.unwrap();
    // And the answer of the last is kept.
    scene.remote.hold(false);
    scene.verify(&token).await.unwrap();
    scene.asked(0);
    // Those who wait are woken, whoever else there is to poll them.
    let other = text(&scene.issue().await);
    scene.remote.hold(true);
    let mut leader = Box::pin(scene.service.verify(&other, &requirement));
    assert!(poll_once(&mut leader).await.is_none());
    let waiting = scene.service.verify(&other, &requirement);
    let giving_up = async {
        futures_lite::future::yield_now().await;
        drop(leader);
        scene.remote.release(1);
    };
    let (verified, ()) = futures_lite::future::zip(waiting, giving_up).await;
    verified.unwrap();
}

async fn a_failure_reaches_all_who_waited_and_is_not_kept(open: Open) {
    let scene = scene(open);
    let requirement = any();
    let token = text(&scene.issue().await);
    scene.remote.fail(true);
    scene.remote.hold(true);
    let mut waiting: Vec<_> =
        (0..3).map(|_| Box::pin(scene.service.verify(&token, &requirement))).collect();
    for verification in &mut waiting {
        assert!(poll_once(verification).await.is_none());
    }
    scene.remote.release(1);
    for verification in waiting {
        let outcome = verification.await;
        let Err(VerifyError::Unavailable(cause)) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(*cause, StoreError::Unavailable { .. }), "{cause:?}");
    }
    scene.asked(1);
    scene.remote.hold(false);
    scene.remote.fail(false);
    scene.verify(&token).await.unwrap();
    scene.asked(1);
}

/// A token with this token's id that no record knows the secret of.
async fn forged(scene: &Scene, issued: &Issued) -> String {
    let other = builder(support::memory().store).clock(scene.clock.clone()).build().unwrap();
    let request = IssueRequest::new("connector", "x").id(issued.record.id());
    text(&other.owner("x").issue(request).await.unwrap())
}

async fn a_refusal_asks_again_at_most_once_per_100_ms(open: Open) {
    let scene = scene(open);
    let issued = scene.issue().await;
    let (token, forged) = (text(&issued), forged(&scene, &issued).await);
    scene.verify(&token).await.unwrap();
    scene.asked(1);
    for _ in 0..3 {
        for _ in 0..100 {
            assert_eq!(refusal(scene.verify(&forged).await), Some(Refusal::WrongSecret));
        }
        scene.asked(1);
        scene.clock.advance(Duration::from_millis(100) - MICRO);
        assert!(scene.verify(&forged).await.is_err());
        scene.asked(0);
        scene.clock.advance(MICRO);
    }
    // A missing scope is a refusal like the others, and an unknown id too.
    for _ in 0..100 {
        let outcome = scene.service.verify(&token, &requirement("files:delete")).await;
        assert!(matches!(outcome, Err(VerifyError::MissingScope(_))));
    }
    scene.asked(1);
    let unknown = builder(support::memory().store).build().unwrap();
    let unknown = IssueRequest::new("connector", "x").id(unknown_id(&unknown).await);
    let other = builder(support::memory().store).build().unwrap();
    let unknown = text(&other.owner("acme").issue(unknown).await.unwrap());
    for _ in 0..100 {
        assert_eq!(refusal(scene.verify(&unknown).await), Some(Refusal::UnknownId));
    }
    // Once because it was not kept, once because a kept absence led to a refusal.
    assert!(scene.remote.finds() <= 2);
}

async fn unknown_id(service: &TokenService<SharedStore>) -> TokenId {
    service.owner("x").issue(IssueRequest::new("connector", "x")).await.unwrap().record.id()
}

async fn a_refusal_over_a_kept_record_is_corrected(open: Open) {
    let scene = scene(open);
    let issued = scene.issue().await;
    scene.verify(&text(&issued)).await.unwrap();
    let second = scene.rotate_elsewhere(issued.record.id()).await;
    scene.asked(1);
    scene.verify(&second).await.unwrap();
    scene.asked(1);
    // What was read again is kept: the older secret ends here too.
    assert_eq!(refusal(scene.verify(&text(&issued)).await), Some(Refusal::SecretEnded));
    scene.verify(&second).await.unwrap();
    scene.asked(0);
    // A store that fails then gives no answer, and no acceptance.
    scene.clock.advance(Duration::from_millis(100));
    let third = scene.rotate_elsewhere(issued.record.id()).await;
    scene.remote.fail(true);
    let outcome = scene.verify(&third).await;
    assert!(matches!(outcome, Err(VerifyError::Unavailable(_))), "{outcome:?}");
    scene.remote.fail(false);
    scene.clock.advance(Duration::from_millis(100));
    scene.verify(&third).await.unwrap();
}

/// A client with many connections changes to the new secret: all of its requests find the record of
/// before, and only one of them asks.
async fn a_new_secret_works_for_many_requests_at_once(open: Open) {
    let scene = scene(open);
    let requirement = any();
    let issued = scene.issue().await;
    scene.verify(&text(&issued)).await.unwrap();
    let second = scene.rotate_elsewhere(issued.record.id()).await;
    scene.asked(1);
    scene.remote.hold(true);
    let mut waiting: Vec<_> =
        (0..8).map(|_| Box::pin(scene.service.verify(&second, &requirement))).collect();
    for verification in &mut waiting {
        let early = poll_once(verification).await;
        assert!(early.is_none(), "{early:?}");
    }
    scene.asked(1);
    scene.remote.release(1);
    for verification in waiting {
        verification.await.unwrap();
    }
    scene.asked(0);
}

async fn a_fresh_token_works_at_once(open: Open) {
    let scene = scene(open);
    let millis = u128::try_from(scene.clock.now().timestamp_millis()).unwrap();
    let id = TokenId::from_bytes((millis << 80 | 7 << 76 | 0b10 << 62 | 1).to_be_bytes());
    let request = || IssueRequest::new("connector", "b").id(id);
    let other = builder(support::memory().store).clock(scene.clock.clone()).build().unwrap();
    let early = text(&other.owner("acme").issue(request()).await.unwrap());
    assert_eq!(refusal(scene.verify(&early).await), Some(Refusal::UnknownId));
    let token = text(&scene.elsewhere.owner("acme").issue(request()).await.unwrap());
    scene.verify(&token).await.unwrap();
}

async fn no_more_records_are_kept_than_asked_for(open: Open) {
    for most in [1, 10, 63, 64, 100, 1_000] {
        let scene = scene_with(open, LONGEST, most);
        let mut tokens = Vec::new();
        for _ in 0..most * 2 + 64 {
            tokens.push(text(&scene.issue().await));
        }
        for token in &tokens {
            scene.verify(token).await.unwrap();
        }
        let _ = scene.remote.finds();
        // The last ones first: what is asked for now drives out the others.
        let mut kept = 0;
        for token in tokens.iter().rev() {
            scene.verify(token).await.unwrap();
            kept += usize::from(scene.remote.finds() == 0);
        }
        assert!(kept <= most, "{kept} of {most}");
        // Much of the room is used.
        assert!(kept * 4 >= most, "{kept} of {most}");
    }
}

async fn invented_ids_do_not_drive_records_out(open: Open) {
    const MOST: usize = 6_400;
    let scene = scene_with(open, LONGEST, MOST);
    let mut tokens = Vec::new();
    for _ in 0..MOST * 2 {
        let token = text(&scene.issue().await);
        scene.verify(&token).await.unwrap();
        tokens.push(token);
    }
    let elsewhere = builder(support::memory().store).clock(scene.clock.clone()).build().unwrap();
    let kept = async |scene: &Scene| {
        let mut kept = HashSet::new();
        scene.remote.fail(true);
        for token in &tokens {
            if scene.verify(token).await.is_ok() {
                kept.insert(token);
            }
        }
        scene.remote.fail(false);
        kept.len()
    };
    let before = kept(&scene).await;
    for _ in 0..MOST * 3 {
        let invented = IssueRequest::new("connector", "x");
        let invented = text(&elsewhere.owner("acme").issue(invented).await.unwrap());
        assert_eq!(refusal(scene.verify(&invented).await), Some(Refusal::UnknownId));
    }
    let after = kept(&scene).await;
    assert!(after * 10 >= before * 8, "{after} of {before} are left");
}
