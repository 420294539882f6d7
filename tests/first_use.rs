//! Rotation until first use: the older secret ends when the new one is used, and never because of
//! anything else.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_lite::future::poll_once;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::{Field, ReplacedSecret, Rule};
use service_tokens::store::LastUsed;
use service_tokens::{
    Event, IssueRequest, ListRequest, ManageError, Policy, Refusal, RevokeRequest, RotateRequest,
    TokenService, TokenStore, VerifyError,
};
use support::rotated::{Scene, remote, scene, scene_over};
use support::{
    DAY, HOUR, MICRO, MINUTE, Open, Opened, Remote, SharedStore, any, builder, over_stores,
    requirement, text,
};

over_stores! {
    the_first_use_ends_the_older_secret_on_every_path,
    without_a_use_the_latest_end_holds,
    what_is_no_use_ends_nothing,
    a_rotation_says_that_it_lasts_until_first_use,
    the_policy_bounds_the_latest_end,
    a_second_rotation_says_which_secret_it_replaces,
    a_use_from_before_another_rotation_does_not_end_that_one_s_overlap,
    whoever_comes_while_it_is_under_way_does_not_wait,
    a_caller_that_gives_up_is_an_event,
    over_a_kept_record_too,
    a_kept_record_that_is_out_of_date_is_forgotten,
}

async fn the_first_use_ends_the_older_secret_on_every_path(open: Open) {
    async fn check<S: TokenStore>(scene: Scene<S>, uncached: bool, path: &str) {
        let (id, older, newer) = scene.rotated().await;
        // The older one's use is none of the new one's.
        assert!(scene.accepts(&older).await, "{path}");
        assert_eq!(scene.events(), [], "{path}");
        let first = match uncached {
            false => scene.service.verify(&newer, &requirement("files:read")).await,
            true => scene.service.verify_uncached(&newer, &requirement("files:read")).await,
        };
        assert_eq!(first.unwrap().id(), id, "{path}");
        scene.overlap_ended(id);
        let ended = scene.service.verify(&older, &any()).await.unwrap_err();
        assert_eq!(ended.refusal(), Some(Refusal::SecretEnded), "{path}");
        let ended = scene.service.verify_uncached(&older, &any()).await.unwrap_err();
        assert_eq!(ended.refusal(), Some(Refusal::SecretEnded), "{path}");
        assert!(!scene.overlap_runs(id).await, "{path}");
        let _ = scene.events();
        // The second use has nothing left to end.
        assert!(scene.accepts(&newer).await, "{path}");
        assert_eq!(scene.events(), [], "{path}");
    }
    for uncached in [false, true] {
        check(scene(open), uncached, "on the spot").await;
        check(remote(open).1, uncached, "after a question").await;
        let Opened { store, guard } = open();
        let mut kept = scene_over(Arc::new(Remote::new(store.clone())), guard);
        kept.service = builder(Arc::new(Remote::new(store)))
            .clock(kept.clock.clone())
            .events(kept.collected.sink())
            .cache_records(DAY, 100)
            .build()
            .unwrap();
        check(kept, uncached, "kept").await;
    }
}

async fn without_a_use_the_latest_end_holds(open: Open) {
    let scene = scene(open);
    for by_time in [false, true] {
        let (id, older) = scene.issue().await;
        let latest = scene.clock.now() + TimeDelta::hours(1);
        let request = match by_time {
            false => RotateRequest::until_first_use(HOUR),
            true => RotateRequest::until_first_use_or(latest),
        };
        let newer = scene.rotate(id, request).await;
        scene.clock.advance(HOUR - MICRO);
        assert!(scene.accepts(&older).await);
        scene.clock.advance(MICRO);
        assert!(!scene.accepts(&older).await);
        let _ = scene.events();
        // There is no overlap any more that this could end.
        assert!(scene.accepts(&newer).await);
        assert_eq!(scene.events(), []);
    }
    // No time at all is at once.
    let (id, older) = scene.issue().await;
    scene.rotate(id, RotateRequest::until_first_use(Duration::ZERO)).await;
    assert!(!scene.accepts(&older).await);
}

async fn what_is_no_use_ends_nothing(open: Open) {
    let scene = scene(open);
    let (id, older, newer) = scene.rotated().await;
    let missing = scene.service.verify(&newer, &requirement("files:delete")).await;
    assert!(matches!(missing, Err(VerifyError::MissingScope(_))), "{missing:?}");
    let uncached = scene.service.verify_uncached(&newer, &requirement("files:delete")).await;
    assert!(matches!(uncached, Err(VerifyError::MissingScope(_))), "{uncached:?}");
    let (_, another) = scene.issue().await;
    let wrong = format!("{}{}", &newer[..newer.len() - 49], &another[another.len() - 49..]);
    assert!(scene.service.verify(&wrong, &any()).await.is_err());
    let _ = scene.service.owner("acme").get(id).await.unwrap();
    let _ = scene.service.owner("acme").list(ListRequest::new()).await.unwrap();
    let in_vain = scene.service.owner("globex").revoke(id, RevokeRequest::new()).await;
    assert!(in_vain.is_err());
    assert!(scene.accepts(&older).await);
    assert!(scene.overlap_runs(id).await);
    // An overlap until a time is not ended by a use.
    let (id, older) = scene.issue().await;
    let newer = scene.rotate(id, RotateRequest::with_overlap(HOUR)).await;
    assert!(scene.accepts(&newer).await && scene.accepts(&older).await);
    // A token that the service cannot accept was not used.
    let (id, older, newer) = scene.rotated().await;
    scene.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    assert!(!scene.accepts(&newer).await && !scene.accepts(&older).await);
    assert!(!scene.events().iter().any(|e| matches!(e, Event::OverlapEnded { .. })));
}

async fn a_rotation_says_that_it_lasts_until_first_use(open: Open) {
    let scene = scene(open);
    for (request, expected) in [
        (RotateRequest::until_first_use(HOUR), (true, true)),
        (RotateRequest::with_overlap(HOUR), (true, false)),
        (RotateRequest::at_once(), (false, false)),
    ] {
        let (id, _) = scene.issue().await;
        let _ = scene.events();
        let issued = scene.service.owner("acme").rotate(id, request).await.unwrap();
        let events = scene.events();
        let [Event::Rotated { older_ends_at, older_ends_on_first_use, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((older_ends_at.is_some(), *older_ends_on_first_use), expected);
        let overlap = issued.record.overlap(scene.clock.now());
        assert_eq!(overlap.map(|overlap| overlap.ends_at), *older_ends_at);
        assert!(overlap.is_none_or(|o| o.ends_on_first_use == *older_ends_on_first_use));
    }
}

async fn the_policy_bounds_the_latest_end(open: Open) {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let policy = Policy::new().max_overlap(HOUR);
    let service = builder(opened.store).clock(clock.clone()).policy(policy).build().unwrap();
    let request = IssueRequest::new("connector", "b");
    let id = service.owner("acme").issue(request).await.unwrap().record.id();
    let latest = clock.now() + TimeDelta::hours(1);
    let micro = TimeDelta::microseconds(1);
    for (request, rule) in [
        (RotateRequest::until_first_use(HOUR + MICRO), Rule::TooLate { latest }),
        (RotateRequest::until_first_use_or(latest + micro), Rule::TooLate { latest }),
        (RotateRequest::until_first_use_or(clock.now()), Rule::NotAfterNow),
        (RotateRequest::until_first_use(Duration::MAX), Rule::OutOfRange),
    ] {
        let refused = service.owner("acme").rotate(id, request).await;
        let Err(ManageError::Invalid(invalid)) = refused else { panic!("{refused:?}") };
        assert_eq!((invalid.field, invalid.rule), (Field::OlderEnds, rule));
    }
    assert!(service.owner("acme").rotate(id, RotateRequest::until_first_use(HOUR)).await.is_ok());
}

/// All combinations of two rotations within an overlap, and what a use of the last secret leaves.
async fn a_second_rotation_says_which_secret_it_replaces(open: Open) {
    type Make = fn() -> RotateRequest;
    let until_first_use: Make = || RotateRequest::until_first_use(HOUR);
    let with_overlap: Make = || RotateRequest::with_overlap(HOUR);
    let at_once: Make = RotateRequest::at_once;
    let (oldest, newest) = (ReplacedSecret::Oldest, ReplacedSecret::Newest);
    // Before the third secret is used and after: who of the first and the second is accepted.
    for (n, (first, second, replaces, before, after)) in [
        (until_first_use, until_first_use, newest, [true, false], [false, false]),
        (until_first_use, with_overlap, newest, [true, false], [false, false]),
        (until_first_use, at_once, newest, [false, false], [false, false]),
        (with_overlap, until_first_use, newest, [true, false], [true, false]),
        (until_first_use, until_first_use, oldest, [false, true], [false, false]),
        (with_overlap, until_first_use, oldest, [false, true], [false, false]),
        (until_first_use, with_overlap, oldest, [false, true], [false, true]),
        (until_first_use, at_once, oldest, [false, false], [false, false]),
    ]
    .into_iter()
    .enumerate()
    {
        let scene = scene(open);
        let (id, one) = scene.issue().await;
        let two = scene.rotate(id, first()).await;
        scene.clock.advance(MINUTE);
        let unsaid = scene.service.owner("acme").rotate(id, second()).await;
        assert!(matches!(unsaid, Err(ManageError::NotRotated(_))), "{n}: {unsaid:?}");
        let three = scene.rotate(id, second().replacing(replaces)).await;
        let accepted = async |token: &str| scene.service.verify(token, &any()).await.is_ok();
        // The second one's use ends nothing: it is not the newest.
        assert_eq!([accepted(&two).await, accepted(&one).await], [before[1], before[0]], "{n}");
        assert!(scene.accepts(&three).await, "{n}");
        assert_eq!([accepted(&one).await, accepted(&two).await], after, "{n}");
    }
    // Once the first use has ended it, no overlap runs that a rotation would have to name.
    let scene = scene(open);
    let (id, _, newer) = scene.rotated().await;
    assert!(scene.accepts(&newer).await);
    scene.rotate(id, RotateRequest::until_first_use(HOUR)).await;
}

/// The store had answered a verification before the secret that it presents became the older one.
async fn a_use_from_before_another_rotation_does_not_end_that_one_s_overlap(open: Open) {
    let Opened { store, guard } = open();
    let remote = Arc::new(Remote::new(store.clone()));
    let scene = scene_over(remote.clone(), guard);
    let elsewhere = builder(store).clock(scene.clock.clone()).build().unwrap();
    let (id, one, two) = scene.rotated().await;
    remote.hold(true);
    let requirement = any();
    let verifying = scene.service.verify(&two, &requirement);
    let mut verifying = std::pin::pin!(verifying);
    assert!(poll_once(&mut verifying).await.is_none());
    let again = RotateRequest::until_first_use(HOUR).replacing(ReplacedSecret::Oldest);
    let three = text(&elsewhere.owner("acme").rotate(id, again).await.unwrap());
    remote.hold(false);
    remote.release(1);
    verifying.await.unwrap();
    assert_eq!(scene.events(), [], "there was nothing for it to end");
    assert!(!scene.accepts(&one).await);
    assert!(scene.accepts(&two).await, "of the new overlap the older one");
    assert!(scene.accepts(&three).await);
    assert!(!scene.accepts(&two).await);
}

async fn whoever_comes_while_it_is_under_way_does_not_wait(open: Open) {
    let (remote, scene) = remote(open);
    let (id, older, newer) = scene.rotated().await;
    remote.replaces();
    remote.hold_writes(true);
    let requirement = any();
    let first = scene.service.verify(&newer, &requirement);
    let mut first = std::pin::pin!(first);
    assert!(poll_once(&mut first).await.is_none());
    for _ in 0..3 {
        assert!(scene.accepts(&newer).await && scene.accepts(&older).await);
    }
    assert_eq!(remote.replaces(), 1);
    // A use is noted before: what the store does now does not undo the acceptance.
    let stored = scene.service.owner("acme").get(id).await.unwrap();
    assert_eq!(stored.last_used, LastUsed::At(scene.clock.now()));
    let _ = scene.events();
    remote.release_writes(1);
    first.await.unwrap();
    scene.overlap_ended(id);
    assert!(!scene.accepts(&older).await);
}

async fn a_caller_that_gives_up_is_an_event(open: Open) {
    let (remote, scene) = remote(open);
    let (id, older, newer) = scene.rotated().await;
    remote.hold_writes(true);
    {
        let requirement = any();
        let first = scene.service.verify(&newer, &requirement);
        let mut first = std::pin::pin!(first);
        assert!(poll_once(&mut first).await.is_none());
    }
    let events = scene.events();
    let [Event::OverlapNotEnded { id: of, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*of, id);
    assert!(scene.accepts(&older).await);
    // A use a minute later does it.
    remote.hold_writes(false);
    scene.clock.advance(MINUTE - MICRO);
    assert!(scene.accepts(&newer).await && scene.accepts(&older).await);
    scene.clock.advance(MICRO);
    assert!(scene.accepts(&newer).await && !scene.accepts(&older).await);
    scene.overlap_ended(id);
}

struct Kept {
    remote: Arc<Remote>,
    here: Scene<Arc<Remote>>,
    elsewhere: TokenService<SharedStore>,
}

fn kept(open: Open) -> Kept {
    let Opened { store, guard } = open();
    let remote = Arc::new(Remote::new(store.clone()));
    let mut here = scene_over(remote.clone(), guard);
    here.service = builder(remote.clone())
        .clock(here.clock.clone())
        .events(here.collected.sink())
        .cache_records(DAY, 100)
        .build()
        .unwrap();
    let elsewhere = builder(store).clock(here.clock.clone()).build().unwrap();
    Kept { remote, here, elsewhere }
}

async fn over_a_kept_record_too(open: Open) {
    let Kept { remote, here, .. } = kept(open);
    let (id, older, newer) = here.rotated().await;
    // The record comes to be kept with the older one's use.
    assert!(here.accepts(&older).await);
    remote.finds();
    let first = here.service.verify(&newer, &any()).await.unwrap();
    assert_eq!(first.staleness(), Duration::ZERO);
    assert_eq!((remote.finds(), remote.replaces()), (1, 2), "with the rotation's own");
    here.overlap_ended(id);
    assert!(!here.accepts(&older).await);
    assert!(here.accepts(&newer).await);
    assert_eq!(remote.replaces(), 0);
}

async fn a_kept_record_that_is_out_of_date_is_forgotten(open: Open) {
    let Kept { remote, here, elsewhere } = kept(open);
    let (_, older, newer) = here.rotated().await;
    assert!(here.accepts(&older).await);
    elsewhere.verify(&newer, &any()).await.unwrap();
    // Nobody told this process: up to the staleness it allowed.
    assert!(here.accepts(&older).await);
    remote.finds();
    remote.replaces();
    // It asks once, sees that there is nothing left to end, and knows better from then on.
    assert!(here.accepts(&newer).await);
    assert_eq!((remote.finds(), remote.replaces()), (1, 0));
    assert_eq!(here.events(), []);
    assert!(!here.accepts(&older).await);
    for _ in 0..3 {
        assert!(here.accepts(&newer).await);
    }
    assert_eq!(remote.replaces(), 0);
}
