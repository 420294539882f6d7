//! Records kept in front of a store across a network: how old an answer may be, and never older.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_lite::future::{block_on, poll_once};
use service_tokens::{
    Change, Clock, IssueRequest, Issued, ManualClock, Refusal, RevokeRequest, RotateRequest,
    StoreError, TokenId, TokenService, TokenStore, VerifiedToken, VerifyError,
};
use support::{
    DAY, HOUR, MICRO, MINUTE, Open, Remote, SharedStore, any, builder, need, over_stores, text,
};

over_stores! {
    the_bound_holds_to_the_microsecond,
    nothing_slides,
    what_expires_while_it_is_kept_is_expired,
    changes_through_the_same_service_count_at_once,
    a_strict_verification_always_asks,
    an_answer_from_before_a_change_is_not_kept_after_it,
    an_answer_from_before_a_change_elsewhere_is_not_kept_after_it,
    an_answer_from_before_a_change_is_not_kept_while_another_is_awaited,
    many_misses_ask_once,
    an_old_question_answers_nobody_who_comes_later,
    another_takes_over_from_a_leader_that_gives_up,
    one_that_is_not_polled_holds_up_nobody,
    a_failure_reaches_all_who_waited_and_is_not_kept,
    a_refusal_asks_again_at_most_once_per_100_ms,
    a_refusal_over_a_kept_record_is_corrected,
    a_new_secret_works_for_many_requests_at_once,
    a_fresh_token_works_at_once,
    a_failing_store_is_bridged_within_the_bound,
    the_stream_of_changes_brings_them_in,
    without_a_stream_there_is_nothing_to_follow,
    no_more_records_are_kept_than_asked_for,
    invented_ids_do_not_drive_records_out,
}

const LONGEST: Duration = MINUTE;

struct Scene {
    clock: Arc<ManualClock>,
    remote: Arc<Remote>,
    /// Keeps records.
    service: TokenService<Arc<Remote>>,
    /// Another process over the same records, which keeps none.
    elsewhere: TokenService<SharedStore>,
    _guard: Box<dyn std::any::Any>,
}

fn scene_with(open: Open, longest: Duration, most: usize) -> Scene {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let remote = Arc::new(Remote::new(opened.store.clone()));
    let service = builder(remote.clone()).clock(clock.clone()).keep_records(longest, most);
    let service = service.build().unwrap();
    let elsewhere = builder(opened.store).clock(clock.clone()).build().unwrap();
    Scene { clock, remote, service, elsewhere, _guard: opened.guard }
}

fn scene(open: Open) -> Scene {
    scene_with(open, LONGEST, 1_000)
}

type Verified = Result<VerifiedToken, VerifyError>;

impl Scene {
    async fn issue(&self) -> Issued {
        let request = IssueRequest::new("acme", "connector", "backup");
        self.elsewhere.issue(request).await.unwrap()
    }

    async fn verify(&self, token: &str) -> Verified {
        self.service.verify(token, &any()).await
    }

    #[track_caller]
    fn asked(&self, times: usize) {
        assert_eq!(self.remote.finds(), times, "questions to the store");
    }

    async fn revoke_elsewhere(&self, id: TokenId) {
        let words = RevokeRequest::new();
        self.elsewhere.every_owner().revoke(id, words).await.unwrap();
    }

    async fn rotate_elsewhere(&self, id: TokenId) -> String {
        let rotation = RotateRequest::at_once();
        text(&self.elsewhere.every_owner().rotate(id, rotation).await.unwrap())
    }
}

fn refusal(outcome: Verified) -> Option<Refusal> {
    outcome.unwrap_err().refusal()
}

async fn the_bound_holds_to_the_microsecond(open: Open) {
    for longest in [Duration::ZERO, MICRO, LONGEST, DAY] {
        let scene = scene_with(open, longest, 1_000);
        let issued = scene.issue().await;
        let token = text(&issued);
        assert_eq!(scene.verify(&token).await.unwrap().age(), Duration::ZERO);
        scene.asked(1);
        scene.revoke_elsewhere(issued.record.id()).await;
        for step in [Duration::ZERO, longest.saturating_sub(MICRO)] {
            scene.clock.advance(step);
            assert_eq!(scene.verify(&token).await.unwrap().age(), step);
        }
        scene.clock.advance(longest - longest.saturating_sub(MICRO));
        assert_eq!(scene.verify(&token).await.unwrap().age(), longest);
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
        assert_eq!(scene.verify(&token).await.unwrap().age(), Duration::from_secs(second));
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
    let request = IssueRequest::new("acme", "connector", "b").expires_in(HOUR);
    let token = text(&scene.elsewhere.issue(request).await.unwrap());
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
    let request = || IssueRequest::new("acme", "connector", "b").id(id);
    let other = builder(support::memory().store).clock(scene.clock.clone()).build().unwrap();
    let early = text(&other.issue(request()).await.unwrap());
    assert_eq!(refusal(scene.verify(&early).await), Some(Refusal::UnknownId));
    assert_eq!(refusal(scene.verify(&early).await), Some(Refusal::UnknownId));
    let token = text(&scene.service.issue(request()).await.unwrap());
    scene.verify(&token).await.unwrap();
}

async fn a_strict_verification_always_asks(open: Open) {
    let scene = scene(open);
    let issued = scene.issue().await;
    let token = text(&issued);
    scene.verify(&token).await.unwrap();
    for _ in 0..3 {
        let strict = scene.service.verify_strict(&token, &any()).await.unwrap();
        assert_eq!(strict.age(), Duration::ZERO);
    }
    scene.asked(4);
    scene.revoke_elsewhere(issued.record.id()).await;
    let strict = scene.service.verify_strict(&token, &any()).await;
    assert_eq!(refusal(strict), Some(Refusal::Revoked));
    scene.remote.fail(true);
    let strict = scene.service.verify_strict(&token, &any()).await;
    assert!(matches!(strict, Err(VerifyError::Unavailable(_))), "{strict:?}");

    // How long the store took is part of the age.
    scene.remote.fail(false);
    let issued = scene.issue().await;
    scene.remote.hold(true);
    let token = text(&issued);
    let need = any();
    let mut strict = std::pin::pin!(scene.service.verify_strict(&token, &need));
    assert!(poll_once(&mut strict).await.is_none());
    scene.clock.advance(HOUR);
    scene.remote.release(1);
    assert_eq!(strict.await.unwrap().age(), HOUR);
}

async fn an_answer_from_before_a_change_is_not_kept_after_it(open: Open) {
    let scene = scene(open);
    let need = any();
    let issued = scene.issue().await;
    let (id, token) = (issued.record.id(), text(&issued));
    scene.remote.hold(true);
    let mut slow = std::pin::pin!(scene.service.verify(&token, &need));
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
        let need = any();
        let issued = scene.issue().await;
        let (id, token) = (issued.record.id(), text(&issued));
        let changes = scene.remote.stream();
        let mut following = std::pin::pin!(scene.service.follow_changes());
        assert!(poll_once(&mut following).await.is_none());
        scene.remote.hold(true);
        let mut slow = std::pin::pin!(scene.service.verify(&token, &need));
        assert!(poll_once(&mut slow).await.is_none());
        scene.remote.hold(false);
        scene.revoke_elsewhere(id).await;
        changes.send(Ok(if missed { Change::Missed } else { Change::Of(id) })).unwrap();
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
    let need = any();
    let issued = scene.issue().await;
    let (id, token) = (issued.record.id(), text(&issued));
    scene.remote.hold(true);
    let mut before = std::pin::pin!(scene.service.verify(&token, &need));
    assert!(poll_once(&mut before).await.is_none());
    scene.remote.hold(false);
    scene.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    scene.remote.hold(true);
    let mut after = std::pin::pin!(scene.service.verify(&token, &need));
    assert!(poll_once(&mut after).await.is_none());
    let _ = scene.remote.finds();
    scene.remote.release(1);
    let _ = poll_once(&mut before).await.unwrap();
    // Neither the older answer nor a question of its own: the one under way is waited for.
    let mut third = std::pin::pin!(scene.service.verify(&token, &need));
    assert!(poll_once(&mut third).await.is_none());
    scene.asked(0);
    scene.remote.hold(false);
    scene.remote.release(1);
    assert_eq!(refusal(after.await), Some(Refusal::Revoked));
    assert_eq!(refusal(third.await), Some(Refusal::Revoked));
}

async fn many_misses_ask_once(open: Open) {
    let scene = scene(open);
    let need = any();
    let token = text(&scene.issue().await);
    scene.remote.hold(true);
    let mut waiting: Vec<_> =
        (0..50).map(|_| Box::pin(scene.service.verify(&token, &need))).collect();
    for verification in &mut waiting {
        assert!(poll_once(verification).await.is_none());
    }
    scene.asked(1);
    scene.clock.advance(Duration::from_secs(3));
    scene.remote.release(1);
    for verification in waiting {
        assert_eq!(verification.await.unwrap().age(), Duration::from_secs(3));
    }
    scene.asked(0);
}

/// The store read the record long ago and its answer is on the way since: who comes now must not take
/// it for one that is at most `LONGEST` old.
async fn an_old_question_answers_nobody_who_comes_later(open: Open) {
    let scene = scene(open);
    let need = any();
    let issued = scene.issue().await;
    let token = text(&issued);
    scene.remote.hold(true);
    let mut slow = std::pin::pin!(scene.service.verify(&token, &need));
    assert!(poll_once(&mut slow).await.is_none());
    scene.revoke_elsewhere(issued.record.id()).await;
    scene.clock.advance(LONGEST);
    let mut joins = std::pin::pin!(scene.service.verify(&token, &need));
    assert!(poll_once(&mut joins).await.is_none());
    scene.asked(1);
    scene.clock.advance(MICRO);
    let mut late = std::pin::pin!(scene.service.verify(&token, &need));
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
    let need = any();
    let token = text(&scene.issue().await);
    scene.remote.hold(true);
    let mut first = Box::pin(scene.service.verify(&token, &need));
    assert!(poll_once(&mut first).await.is_none());
    let mut second = Box::pin(scene.service.verify(&token, &need));
    assert!(poll_once(&mut second).await.is_none());
    scene.asked(1);
    scene.remote.release(1);
    second.await.unwrap();
    scene.asked(0);
    first.await.unwrap();
}

async fn another_takes_over_from_a_leader_that_gives_up(open: Open) {
    let scene = scene(open);
    let need = any();
    let token = text(&scene.issue().await);
    scene.remote.hold(true);
    let mut leader = Box::pin(scene.service.verify(&token, &need));
    let mut second = Box::pin(scene.service.verify(&token, &need));
    let mut third = Box::pin(scene.service.verify(&token, &need));
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
    let mut leader = Box::pin(scene.service.verify(&other, &need));
    assert!(poll_once(&mut leader).await.is_none());
    let waiting = scene.service.verify(&other, &need);
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
    let need = any();
    let token = text(&scene.issue().await);
    scene.remote.fail(true);
    scene.remote.hold(true);
    let mut waiting: Vec<_> =
        (0..3).map(|_| Box::pin(scene.service.verify(&token, &need))).collect();
    for verification in &mut waiting {
        assert!(poll_once(verification).await.is_none());
    }
    scene.remote.release(1);
    for verification in waiting {
        let outcome = verification.await;
        let Err(VerifyError::Unavailable(StoreError::Unavailable { .. })) = outcome else {
            panic!("{outcome:?}")
        };
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
    let request = IssueRequest::new("x", "connector", "x").id(issued.record.id());
    text(&other.issue(request).await.unwrap())
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
        let outcome = scene.service.verify(&token, &need("files:delete")).await;
        assert!(matches!(outcome, Err(VerifyError::MissingScope { .. })));
    }
    scene.asked(1);
    let unknown = builder(support::memory().store).build().unwrap();
    let unknown = IssueRequest::new("x", "connector", "x").id(unknown_id(&unknown).await);
    let other = builder(support::memory().store).build().unwrap();
    let unknown = text(&other.issue(unknown).await.unwrap());
    for _ in 0..100 {
        assert_eq!(refusal(scene.verify(&unknown).await), Some(Refusal::UnknownId));
    }
    // Once because it was not kept, once because a kept absence led to a refusal.
    assert!(scene.remote.finds() <= 2);
}

async fn unknown_id(service: &TokenService<SharedStore>) -> TokenId {
    service.issue(IssueRequest::new("x", "connector", "x")).await.unwrap().record.id()
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
    let need = any();
    let issued = scene.issue().await;
    scene.verify(&text(&issued)).await.unwrap();
    let second = scene.rotate_elsewhere(issued.record.id()).await;
    scene.asked(1);
    scene.remote.hold(true);
    let mut waiting: Vec<_> =
        (0..8).map(|_| Box::pin(scene.service.verify(&second, &need))).collect();
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
    let request = || IssueRequest::new("acme", "connector", "b").id(id);
    let other = builder(support::memory().store).clock(scene.clock.clone()).build().unwrap();
    let early = text(&other.issue(request()).await.unwrap());
    assert_eq!(refusal(scene.verify(&early).await), Some(Refusal::UnknownId));
    let token = text(&scene.elsewhere.issue(request()).await.unwrap());
    scene.verify(&token).await.unwrap();
}

async fn a_failing_store_is_bridged_within_the_bound(open: Open) {
    let scene = scene(open);
    let token = text(&scene.issue().await);
    scene.verify(&token).await.unwrap();
    scene.remote.fail(true);
    scene.clock.advance(LONGEST);
    assert_eq!(scene.verify(&token).await.unwrap().age(), LONGEST);
    scene.clock.advance(MICRO);
    for _ in 0..3 {
        let outcome = scene.verify(&token).await;
        assert!(matches!(outcome, Err(VerifyError::Unavailable(_))), "{outcome:?}");
    }
    scene.remote.fail(false);
    assert_eq!(scene.verify(&token).await.unwrap().age(), Duration::ZERO);
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
    changes.send(Ok(Change::Of(one.record.id()))).unwrap();
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
        let invented = IssueRequest::new("x", "connector", "x");
        let invented = text(&elsewhere.issue(invented).await.unwrap());
        assert_eq!(refusal(scene.verify(&invented).await), Some(Refusal::UnknownId));
    }
    let after = kept(&scene).await;
    assert!(after * 10 >= before * 8, "{after} of {before} are left");
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
