//! Rotation until first use: the older secret ends when the newer one is used, and for no other reason.

use std::time::Duration;

use super::harness::{DAY, HOUR, Harness, MICRO, MINUTE, Stores, any, requirement, text};
use chrono::TimeDelta;
use futures_lite::future::poll_once;
use service_tokens::clock::Clock;
use service_tokens::record::{Field, ReplacedSecret, Rule};
use service_tokens::store::LastUsed;
use service_tokens::{
    Event, IssueRequest, ListRequest, ManageError, Policy, Refusal, RevokeRequest, RotateRequest,
    TokenStore, VerifyError,
};

behaviours! {
    first_use_ends_older_secret_on_every_path,
    overlap_without_use_ends_at_its_limit,
    refused_use_does_not_end_overlap,
    rotate_reports_end_on_first_use,
    rotate_beyond_max_overlap_is_refused,
    rotate_in_overlap_names_replaced_secret,
    use_before_rotation_leaves_its_overlap,
    verify_during_first_use_does_not_wait,
    dropped_first_use_is_an_event,
    first_use_over_cached_record_ends_overlap,
    first_use_over_stale_record_refreshes_cache,
}

pub(crate) async fn first_use_ends_older_secret_on_every_path(stores: Stores) {
    async fn check<S: TokenStore>(harness: Harness<S>, uncached: bool, path: &str) {
        let (id, older, newer) = harness.rotate_until_first_use().await;
        // A use of the older secret is not a use of the newer one.
        assert!(harness.accepts(&older).await, "{path}");
        assert_eq!(harness.events_but_refusals(), [], "{path}");
        let first = match uncached {
            false => harness.service.verify(&newer, &requirement("files:read")).await,
            true => harness.service.verify_uncached(&newer, &requirement("files:read")).await,
        };
        assert_eq!(first.unwrap().id(), id, "{path}");
        harness.expect_overlap_ended(id);
        let ended = harness.service.verify(&older, &any()).await.unwrap_err();
        assert_eq!(ended.refusal(), Some(Refusal::SecretEnded), "{path}");
        let ended = harness.service.verify_uncached(&older, &any()).await.unwrap_err();
        assert_eq!(ended.refusal(), Some(Refusal::SecretEnded), "{path}");
        assert!(!harness.has_overlap(id).await, "{path}");
        let _ = harness.events_but_refusals();
        // There is no overlap left for a second use to end.
        assert!(harness.accepts(&newer).await, "{path}");
        assert_eq!(harness.events_but_refusals(), [], "{path}");
    }
    for uncached in [false, true] {
        check(Harness::new(stores), uncached, "on the spot").await;
        check(Harness::over_remote(stores), uncached, "after a question").await;
        check(Harness::cached(stores, DAY, 100), uncached, "cached").await;
    }
}

pub(crate) async fn overlap_without_use_ends_at_its_limit(stores: Stores) {
    let harness = Harness::new(stores);
    for by_time in [false, true] {
        let (id, older) = harness.issue_backup().await;
        let latest = harness.clock.now() + TimeDelta::hours(1);
        let request = match by_time {
            false => RotateRequest::until_first_use(HOUR),
            true => RotateRequest::until_first_use_or(latest),
        };
        let newer = harness.rotate(id, request).await;
        harness.clock.advance(HOUR - MICRO);
        assert!(harness.accepts(&older).await);
        harness.clock.advance(MICRO);
        assert!(!harness.accepts(&older).await);
        let _ = harness.events_but_refusals();
        // The overlap has ended, so this use ends none.
        assert!(harness.accepts(&newer).await);
        assert_eq!(harness.events_but_refusals(), []);
    }
    // An overlap of zero ends at once.
    let (id, older) = harness.issue_backup().await;
    harness.rotate(id, RotateRequest::until_first_use(Duration::ZERO)).await;
    assert!(!harness.accepts(&older).await);
}

pub(crate) async fn refused_use_does_not_end_overlap(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, older, newer) = harness.rotate_until_first_use().await;
    let missing = harness.service.verify(&newer, &requirement("files:delete")).await;
    assert!(matches!(missing, Err(VerifyError::MissingScope(_))), "{missing:?}");
    let uncached = harness.service.verify_uncached(&newer, &requirement("files:delete")).await;
    assert!(matches!(uncached, Err(VerifyError::MissingScope(_))), "{uncached:?}");
    let (_, another) = harness.issue_backup().await;
    let wrong = format!("{}{}", &newer[..newer.len() - 49], &another[another.len() - 49..]);
    assert!(harness.service.verify(&wrong, &any()).await.is_err());
    let _ = harness.service.owner("acme").get(id).await.unwrap();
    let _ = harness.service.owner("acme").list(ListRequest::new()).await.unwrap();
    let in_vain = harness.service.owner("globex").revoke(id, RevokeRequest::new()).await;
    assert!(in_vain.is_err());
    assert!(harness.accepts(&older).await);
    assert!(harness.has_overlap(id).await);
    // An overlap until a time is not ended by a use.
    let (id, older) = harness.issue_backup().await;
    let newer = harness.rotate(id, RotateRequest::with_overlap(HOUR)).await;
    assert!(harness.accepts(&newer).await && harness.accepts(&older).await);
    // A token that the service cannot accept was not used.
    let (id, older, newer) = harness.rotate_until_first_use().await;
    harness.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    assert!(!harness.accepts(&newer).await && !harness.accepts(&older).await);
    assert!(!harness.events_but_refusals().iter().any(|e| matches!(e, Event::OverlapEnded { .. })));
}

pub(crate) async fn rotate_reports_end_on_first_use(stores: Stores) {
    let harness = Harness::new(stores);
    for (request, expected) in [
        (RotateRequest::until_first_use(HOUR), (true, true)),
        (RotateRequest::with_overlap(HOUR), (true, false)),
        (RotateRequest::at_once(), (false, false)),
    ] {
        let (id, _) = harness.issue_backup().await;
        let _ = harness.events_but_refusals();
        let issued = harness.service.owner("acme").rotate(id, request).await.unwrap();
        let events = harness.events_but_refusals();
        let [Event::Rotated { older_ends_at, older_ends_on_first_use, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((older_ends_at.is_some(), *older_ends_on_first_use), expected);
        let overlap = issued.record.overlap(harness.clock.now());
        assert_eq!(overlap.map(|overlap| overlap.ends_at), *older_ends_at);
        assert!(overlap.is_none_or(|o| o.ends_on_first_use == *older_ends_on_first_use));
    }
}

pub(crate) async fn rotate_beyond_max_overlap_is_refused(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new().max_overlap(HOUR));
    let (service, clock) = (&harness.service, &harness.clock);
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

/// All combinations of two rotations within an overlap, and the secrets that remain after a use of the last
/// one.
pub(crate) async fn rotate_in_overlap_names_replaced_secret(stores: Stores) {
    type Make = fn() -> RotateRequest;
    let until_first_use: Make = || RotateRequest::until_first_use(HOUR);
    let with_overlap: Make = || RotateRequest::with_overlap(HOUR);
    let at_once: Make = RotateRequest::at_once;
    let (oldest, newest) = (ReplacedSecret::Oldest, ReplacedSecret::Newest);
    // The acceptance of the first and the second secret, before and after a use of the third.
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
        let harness = Harness::new(stores);
        let (id, one) = harness.issue_backup().await;
        let two = harness.rotate(id, first()).await;
        harness.clock.advance(MINUTE);
        let unsaid = harness.service.owner("acme").rotate(id, second()).await;
        assert!(matches!(unsaid, Err(ManageError::NotRotated(_))), "{n}: {unsaid:?}");
        let three = harness.rotate(id, second().replacing(replaces)).await;
        let accepted = async |token: &str| harness.service.verify(token, &any()).await.is_ok();
        // A use of the second secret does not end the overlap, because it is not the newest.
        assert_eq!([accepted(&two).await, accepted(&one).await], [before[1], before[0]], "{n}");
        assert!(harness.accepts(&three).await, "{n}");
        assert_eq!([accepted(&one).await, accepted(&two).await], after, "{n}");
    }
    // The first use has ended the overlap, so a rotation need not name the replaced secret.
    let harness = Harness::new(stores);
    let (id, _, newer) = harness.rotate_until_first_use().await;
    assert!(harness.accepts(&newer).await);
    harness.rotate(id, RotateRequest::until_first_use(HOUR)).await;
}

/// The store answers a verification, and then a rotation makes the presented secret the older one.
pub(crate) async fn use_before_rotation_leaves_its_overlap(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let remote = harness.remote();
    let (id, one, two) = harness.rotate_until_first_use().await;
    remote.hold(true);
    let requirement = any();
    let verifying = harness.service.verify(&two, &requirement);
    let mut verifying = std::pin::pin!(verifying);
    assert!(poll_once(&mut verifying).await.is_none());
    let again = RotateRequest::until_first_use(HOUR).replacing(ReplacedSecret::Oldest);
    let three = text(&harness.elsewhere().owner("acme").rotate(id, again).await.unwrap());
    remote.hold(false);
    remote.release(1);
    verifying.await.unwrap();
    assert_eq!(harness.events_but_refusals(), [], "there was nothing for it to end");
    assert!(!harness.accepts(&one).await);
    assert!(harness.accepts(&two).await, "of the new overlap the older one");
    assert!(harness.accepts(&three).await);
    assert!(!harness.accepts(&two).await);
}

pub(crate) async fn verify_during_first_use_does_not_wait(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let remote = harness.remote();
    let (id, older, newer) = harness.rotate_until_first_use().await;
    remote.replaces();
    remote.hold_writes(true);
    let requirement = any();
    let first = harness.service.verify(&newer, &requirement);
    let mut first = std::pin::pin!(first);
    assert!(poll_once(&mut first).await.is_none());
    for _ in 0..3 {
        assert!(harness.accepts(&newer).await && harness.accepts(&older).await);
    }
    assert_eq!(remote.replaces(), 1);
    // The use was recorded before, and the failing write does not undo the acceptance.
    let stored = harness.service.owner("acme").get(id).await.unwrap();
    assert_eq!(stored.last_used, LastUsed::At(harness.clock.now()));
    let _ = harness.events_but_refusals();
    remote.release_writes(1);
    first.await.unwrap();
    harness.expect_overlap_ended(id);
    assert!(!harness.accepts(&older).await);
}

pub(crate) async fn dropped_first_use_is_an_event(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let remote = harness.remote();
    let (id, older, newer) = harness.rotate_until_first_use().await;
    remote.hold_writes(true);
    {
        let requirement = any();
        let first = harness.service.verify(&newer, &requirement);
        let mut first = std::pin::pin!(first);
        assert!(poll_once(&mut first).await.is_none());
    }
    let events = harness.events_but_refusals();
    let [Event::OverlapNotEnded { id: of, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*of, id);
    assert!(harness.accepts(&older).await);
    // A use a minute later ends the overlap.
    remote.hold_writes(false);
    harness.clock.advance(MINUTE - MICRO);
    assert!(harness.accepts(&newer).await && harness.accepts(&older).await);
    harness.clock.advance(MICRO);
    assert!(harness.accepts(&newer).await && !harness.accepts(&older).await);
    harness.expect_overlap_ended(id);
}

pub(crate) async fn first_use_over_cached_record_ends_overlap(stores: Stores) {
    let here = Harness::cached(stores, DAY, 100);
    let remote = here.remote();
    let (id, older, newer) = here.rotate_until_first_use().await;
    // The use of the older secret caches the record.
    assert!(here.accepts(&older).await);
    remote.finds();
    let first = here.service.verify(&newer, &any()).await.unwrap();
    assert_eq!(first.staleness(), Duration::ZERO);
    assert_eq!((remote.finds(), remote.replaces()), (1, 2), "with the rotation's own");
    here.expect_overlap_ended(id);
    assert!(!here.accepts(&older).await);
    assert!(here.accepts(&newer).await);
    assert_eq!(remote.replaces(), 0);
}

pub(crate) async fn first_use_over_stale_record_refreshes_cache(stores: Stores) {
    let here = Harness::cached(stores, DAY, 100);
    let remote = here.remote();
    let (_, older, newer) = here.rotate_until_first_use().await;
    assert!(here.accepts(&older).await);
    here.elsewhere().verify(&newer, &any()).await.unwrap();
    // This process does not see the change until its maximum staleness.
    assert!(here.accepts(&older).await);
    remote.finds();
    remote.replaces();
    // It reads once, finds no overlap, and caches the new record.
    assert!(here.accepts(&newer).await);
    assert_eq!((remote.finds(), remote.replaces()), (1, 0));
    assert_eq!(here.events_but_refusals(), []);
    assert!(!here.accepts(&older).await);
    for _ in 0..3 {
        assert!(here.accepts(&newer).await);
    }
    assert_eq!(remote.replaces(), 0);
}
