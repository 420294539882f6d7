//! Each time a microsecond before it, at it and after it, and clocks that go wrong.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::policy::InvalidPolicy;
use service_tokens::record::{Field, Rule};
use service_tokens::{
    BuildError, Event, Filter, ListRequest, ManageError, Policy, Refusal, RevokeRequest,
    RotateRequest, State,
};
use support::scene::{delta, refused, request, scene, scene_with};
use support::{Collected, DAY, HOUR, MICRO, Open, any, builder, over_stores, records, text};

over_stores! {
    an_end_is_exclusive,
    a_start_is_inclusive,
    an_overlap_ends_exclusively,
    lifetimes_follow_the_policy,
    a_lifetime_of_a_rotation_follows_the_policy,
    an_end_comes_after_now_and_after_the_start,
    no_end_only_where_allowed,
    overlaps_follow_the_policy,
    times_that_cannot_be_are_errors,
    a_clock_at_the_ends_of_time_panics_nowhere,
    a_clock_that_is_set_back_revives_nothing,
    a_jump_is_one_event,
}

async fn an_end_is_exclusive(open: Open) {
    let scene = scene(open);
    let issued = scene.issue(request().expires_in(HOUR)).await;
    scene.clock.advance(HOUR - MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, None);
    assert_eq!(scene.state(issued.record.id()).await, State::Active);
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::Expired));
    assert_eq!(scene.state(issued.record.id()).await, State::Expired);
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::Expired));
}

async fn a_start_is_inclusive(open: Open) {
    let scene = scene(open);
    let start = scene.clock.now() + delta(HOUR);
    let issued = scene.issue(request().not_before(start)).await;
    let id = issued.record.id();
    scene.clock.advance(HOUR - MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::NotYetActive));
    let rotated = scene.service.all_owners().rotate(id, RotateRequest::at_once()).await;
    assert!(matches!(rotated, Err(ManageError::NotRotated(_))), "{rotated:?}");
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, None);
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&issued)).await, None);
}

async fn an_overlap_ends_exclusively(open: Open) {
    let scene = scene(open);
    let older = scene.issue(request()).await;
    let tokens = scene.service.all_owners();
    let rotation = RotateRequest::with_overlap(HOUR);
    let newer = tokens.rotate(older.record.id(), rotation).await.unwrap();
    scene.clock.advance(HOUR - MICRO);
    assert_eq!(scene.refusal(&text(&older)).await, None);
    let again = tokens.rotate(older.record.id(), RotateRequest::at_once()).await;
    assert!(matches!(again, Err(ManageError::NotRotated(_))), "{again:?}");
    scene.clock.advance(MICRO);
    assert_eq!(scene.refusal(&text(&older)).await, Some(Refusal::SecretEnded));
    assert_eq!(scene.refusal(&text(&newer)).await, None);
    assert!(tokens.rotate(older.record.id(), RotateRequest::at_once()).await.is_ok());
}

async fn lifetimes_follow_the_policy(open: Open) {
    let policy = Policy::new().default_lifetime(HOUR).max_lifetime(DAY);
    let scene = scene_with(open, policy);
    let now = scene.clock.now();
    let by_default = scene.issue(request()).await.record;
    assert_eq!(by_default.expires_at(), Some(now + delta(HOUR)));
    let latest = now + delta(DAY);
    for lifetime in [MICRO, DAY - MICRO, DAY] {
        let issued = scene.issue(request().expires_in(lifetime)).await.record;
        assert_eq!(issued.expires_at(), Some(now + delta(lifetime)));
        let issued = scene.issue(request().expires_at(now + delta(lifetime))).await.record;
        assert_eq!(issued.expires_at(), Some(now + delta(lifetime)));
    }
    let too_late = Rule::TooLate { latest };
    let over = scene.service.owner("acme").issue(request().expires_in(DAY + MICRO)).await;
    refused(over, Field::ExpiresAt, too_late);
    let over = scene.service.owner("acme").issue(request().expires_at(latest + delta(MICRO))).await;
    refused(over, Field::ExpiresAt, too_late);
    // Less than a microsecond is cut off, and what is left obeys.
    let below = latest + TimeDelta::nanoseconds(999);
    assert_eq!(scene.issue(request().expires_at(below)).await.record.expires_at(), Some(latest));

    let unlimited = scene_with(open, Policy::new().max_lifetime(None));
    assert!(
        unlimited
            .service
            .owner("acme")
            .issue(request().expires_in(1_000 * 366 * DAY))
            .await
            .is_ok()
    );
}

async fn a_lifetime_of_a_rotation_follows_the_policy(open: Open) {
    let scene = scene_with(open, Policy::new().default_lifetime(DAY).max_lifetime(2 * DAY));
    let issued = scene.issue(request()).await.record;
    let tokens = scene.service.all_owners();
    scene.clock.advance(HOUR);
    let now = scene.clock.now();
    let over = RotateRequest::at_once().expires_in(2 * DAY + MICRO);
    let latest = now + delta(2 * DAY);
    let refusal = tokens.rotate(issued.id(), over).await;
    refused(refusal, Field::ExpiresAt, Rule::TooLate { latest });
    let never = tokens.rotate(issued.id(), RotateRequest::at_once().never_expires()).await;
    refused(never, Field::ExpiresAt, Rule::Required);
    let past = tokens.rotate(issued.id(), RotateRequest::at_once().expires_at(now)).await;
    refused(past, Field::ExpiresAt, Rule::NotAfterNow);
    // The end stays unless a new one is asked for, which counts from the rotation.
    let kept = tokens.rotate(issued.id(), RotateRequest::at_once()).await.unwrap().record;
    assert_eq!(kept.expires_at(), issued.expires_at());
    let longest = RotateRequest::at_once().expires_in(2 * DAY);
    let moved = tokens.rotate(issued.id(), longest).await.unwrap().record;
    assert_eq!(moved.expires_at(), Some(latest));
}

async fn an_end_comes_after_now_and_after_the_start(open: Open) {
    let scene = scene(open);
    let now = scene.clock.now();
    for end in [now, now - delta(MICRO), now + TimeDelta::nanoseconds(999)] {
        let outcome = scene.service.owner("acme").issue(request().expires_at(end)).await;
        refused(outcome, Field::ExpiresAt, Rule::NotAfterNow);
    }
    refused(
        scene.service.owner("acme").issue(request().expires_in(Duration::ZERO)).await,
        Field::ExpiresAt,
        Rule::NotAfterNow,
    );
    refused(
        scene.service.owner("acme").issue(request().expires_in(Duration::from_nanos(999))).await,
        Field::ExpiresAt,
        Rule::NotAfterNow,
    );
    let start = now + delta(HOUR);
    for end in [start, start - delta(MICRO)] {
        let outcome =
            scene.service.owner("acme").issue(request().not_before(start).expires_at(end)).await;
        refused(outcome, Field::ExpiresAt, Rule::NotAfterNotBefore);
    }
    let brief = request().not_before(start).expires_at(start + delta(MICRO));
    assert!(scene.service.owner("acme").issue(brief).await.is_ok());
    assert_eq!(records(scene.service.store()).await.len(), 1);
}

async fn no_end_only_where_allowed(open: Open) {
    let scene = scene(open);
    refused(
        scene.service.owner("acme").issue(request().never_expires()).await,
        Field::ExpiresAt,
        Rule::Required,
    );
    let allowing = scene_with(open, Policy::new().allow_never(true));
    let endless = allowing.owner("acme").issue(request().never_expires()).await;
    assert_eq!(endless.record.expires_at(), None);
    allowing.clock.advance(7_000 * 365 * DAY);
    assert_eq!(allowing.refusal(&text(&endless)).await, None);

    let by_default = Policy::new().allow_never(true).default_lifetime(None);
    assert_eq!(
        scene_with(open, by_default).owner("acme").issue(request()).await.record.expires_at(),
        None
    );
}

#[test]
fn contradictory_policies_build_nothing() {
    let invalid = |policy: Policy| match builder(support::memory().store).policy(policy).build() {
        Err(BuildError::Policy(invalid)) => invalid,
        other => panic!("{other:?}"),
    };
    let policy = Policy::new();
    assert_eq!(invalid(policy.clone().default_lifetime(None)), InvalidPolicy::DefaultNever);
    assert_eq!(invalid(policy.clone().default_lifetime(Duration::ZERO)), InvalidPolicy::NoLifetime);
    assert_eq!(invalid(policy.clone().max_lifetime(Duration::ZERO)), InvalidPolicy::NoMaxLifetime);
    for bytes in [0, 1_025, usize::MAX] {
        let text = invalid(policy.clone().max_text_len(bytes));
        assert_eq!(text, InvalidPolicy::MaxTextLen { max: 1_024 });
        let reason = invalid(policy.clone().max_reason_len(bytes));
        assert_eq!(reason, InvalidPolicy::MaxReasonLen { max: 1_024 });
    }
    let entries = invalid(policy.clone().max_metadata_entries(65));
    assert_eq!(entries, InvalidPolicy::MaxMetadataEntries { max: 64 });
    let bytes = invalid(policy.clone().max_metadata_bytes(8_193));
    assert_eq!(bytes, InvalidPolicy::MaxMetadataBytes { max: 8_192 });
    let over = policy.clone().default_lifetime(DAY + MICRO).max_lifetime(DAY);
    assert_eq!(invalid(over), InvalidPolicy::DefaultTooLong);
    let equal = policy.default_lifetime(DAY).max_lifetime(DAY);
    assert!(builder(support::memory().store).policy(equal).build().is_ok());
}

async fn overlaps_follow_the_policy(open: Open) {
    let scene = scene_with(open, Policy::new().max_overlap(HOUR));
    let now = scene.clock.now();
    let id = scene.issue(request()).await.record.id();
    let tokens = scene.service.all_owners();
    let latest = now + delta(HOUR);
    let over = tokens.rotate(id, RotateRequest::with_overlap(HOUR + MICRO)).await;
    refused(over, Field::OlderEnds, Rule::TooLate { latest });
    let until = RotateRequest::with_overlap_until(latest + delta(MICRO));
    refused(tokens.rotate(id, until).await, Field::OlderEnds, Rule::TooLate { latest });
    let until = RotateRequest::with_overlap_until(now);
    refused(tokens.rotate(id, until).await, Field::OlderEnds, Rule::NotAfterNow);
    let rotated = tokens.rotate(id, RotateRequest::with_overlap(HOUR)).await.unwrap().record;
    assert_eq!(rotated.overlap(now).unwrap().ends_at, latest);
    assert_eq!(rotated.overlap(latest - delta(MICRO)).unwrap().ends_at, latest);
    assert_eq!(rotated.overlap(latest), None);
}

async fn times_that_cannot_be_are_errors(open: Open) {
    let policy = Policy::new().max_lifetime(None).max_overlap(Duration::MAX);
    let scene = scene_with(open, policy);
    let out = Rule::OutOfRange;
    let year_10_000: DateTime<Utc> = "9999-12-31T23:59:59.999999Z".parse().unwrap();
    let year_10_000 = year_10_000 + delta(MICRO);
    let end = Field::ExpiresAt;
    for lifetime in [Duration::MAX, Duration::from_micros(i64::MAX as u64), 10_000 * 366 * DAY] {
        refused(scene.service.owner("acme").issue(request().expires_in(lifetime)).await, end, out);
    }
    for time in [DateTime::<Utc>::MAX_UTC, year_10_000] {
        refused(scene.service.owner("acme").issue(request().expires_at(time)).await, end, out);
        refused(
            scene.service.owner("acme").issue(request().not_before(time)).await,
            Field::NotBefore,
            out,
        );
    }
    let before_1970 = DateTime::<Utc>::UNIX_EPOCH - delta(MICRO);
    for time in [DateTime::<Utc>::MIN_UTC, before_1970] {
        refused(scene.service.owner("acme").issue(request().expires_at(time)).await, end, out);
        refused(
            scene.service.owner("acme").issue(request().not_before(time)).await,
            Field::NotBefore,
            out,
        );
    }
    assert!(records(scene.service.store()).await.is_empty());
    let issued = scene.issue(request().expires_at(year_10_000 - delta(MICRO))).await;
    let (id, tokens) = (issued.record.id(), scene.service.all_owners());
    for overlap in [Duration::MAX, Duration::from_micros(i64::MAX as u64)] {
        let rotation = RotateRequest::with_overlap(overlap);
        refused(tokens.rotate(id, rotation).await, Field::OlderEnds, out);
        let rotation = RotateRequest::at_once().expires_in(overlap);
        refused(tokens.rotate(id, rotation).await, end, out);
    }
    for time in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC, year_10_000] {
        let rotation = RotateRequest::with_overlap_until(time);
        refused(tokens.rotate(id, rotation).await, Field::OlderEnds, out);
        // Filters may be any time at all.
        let query = ListRequest::from(
            Filter::new().expires_before(time).created_before(time).unused_since(time),
        );
        assert!(tokens.list(query).await.is_ok());
    }
    assert_eq!(scene.refusal(&text(&issued)).await, None);

    // Policies so wide that no end lies beyond them.
    let wide = Policy::new().max_lifetime(Duration::MAX).max_overlap(Duration::MAX);
    let wide = scene_with(open, wide);
    assert!(
        wide.service.owner("acme").issue(request().expires_in(7_000 * 365 * DAY)).await.is_ok()
    );
    refused(wide.service.owner("acme").issue(request().expires_in(Duration::MAX)).await, end, out);
    let by_default = Policy::new().max_lifetime(None).default_lifetime(Duration::MAX);
    refused(scene_with(open, by_default).service.owner("acme").issue(request()).await, end, out);
}

async fn a_clock_at_the_ends_of_time_panics_nowhere(open: Open) {
    let ends = [
        DateTime::<Utc>::MIN_UTC,
        DateTime::<Utc>::UNIX_EPOCH - delta(MICRO),
        DateTime::<Utc>::UNIX_EPOCH,
        "9999-12-31T23:59:59.999999Z".parse().unwrap(),
        "+10000-01-01T00:00:00Z".parse().unwrap(),
        DateTime::<Utc>::MAX_UTC,
    ];
    for first in ends {
        for then in ends {
            let scene = scene_with(open, Policy::new().allow_never(true));
            scene.clock.set(first);
            let store = scene.service.store().clone();
            let clock = scene.clock.clone();
            let policy = scene.service.policy().clone();
            let service = builder(store.clone()).policy(policy).clock(clock).build().unwrap();
            let issued = service.owner("acme").issue(request().never_expires()).await;
            scene.clock.set(then);
            let _ = service.has_clock_jumped();
            if let Ok(issued) = &issued {
                let tokens = service.all_owners();
                let id = issued.record.id();
                assert!(service.verify(&text(issued), &any()).await.is_ok(), "{first} {then}");
                let rotated = tokens.rotate(id, RotateRequest::at_once()).await;
                let token = rotated.as_ref().map_or_else(|_| text(issued), text);
                let _ = tokens.list(ListRequest::new()).await.unwrap();
                let revoked = tokens.revoke(id, RevokeRequest::new()).await.unwrap();
                assert!(!revoked.already_revoked);
                assert!(service.verify(&token, &any()).await.is_err());
                // What was stored can be read again.
                let stored = tokens.get(id).await.unwrap().record;
                let read = service_tokens::Record::from_bytes(&stored.to_bytes());
                assert_eq!(read.as_ref(), Ok(&stored), "{first} {then}");
            }
            let _ = service.owner("acme").issue(request()).await;
            for record in records(&*store).await {
                let read = service_tokens::Record::from_bytes(&record.to_bytes());
                assert_eq!(read.as_ref(), Ok(&record), "{first} {then}");
            }
        }
    }
}

async fn a_clock_that_is_set_back_revives_nothing(open: Open) {
    let scene = scene(open);
    let start = scene.clock.now();
    let issued = scene.issue(request().expires_in(HOUR)).await;
    scene.clock.advance(HOUR);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::Expired));
    scene.clock.set(start);
    assert_eq!(scene.refusal(&text(&issued)).await, Some(Refusal::Expired));
    assert_eq!(scene.service.now(), start + delta(HOUR));
    // It is not listed as live, and nothing that is issued now ends before it begins.
    assert!(scene.service.owner("acme").list(ListRequest::new()).await.unwrap().items.is_empty());
    let later = scene.issue(request().expires_in(HOUR)).await;
    assert_eq!(later.record.created_at(), start + delta(HOUR));
    assert_eq!(scene.refusal(&text(&later)).await, None);
}

async fn a_jump_is_one_event(open: Open) {
    for sign in [-1, 1] {
        let opened = open();
        let clock = Arc::new(ManualClock::default());
        let collected = Collected::default();
        let service = builder(opened.store).clock(clock.clone()).events(collected.sink());
        let service = service.build().unwrap();
        let token = text(&service.owner("acme").issue(request()).await.unwrap());
        assert!(!service.has_clock_jumped());
        let _ = collected.take(&service);

        clock.set(clock.now() + TimeDelta::minutes(1) * sign);
        service.verify(&token, &any()).await.unwrap();
        assert!(!service.has_clock_jumped(), "a minute is none");
        assert_eq!(collected.take(&service), []);

        let by = TimeDelta::hours(2) * sign;
        clock.set(clock.now() + by);
        for _ in 0..3 {
            service.verify(&token, &any()).await.unwrap();
            assert!(service.has_clock_jumped());
        }
        let events = collected.take(&service);
        let [Event::ClockJumped(jump)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((jump.by, jump.noticed_at), (by + TimeDelta::minutes(1) * sign, clock.now()));
        assert!(service.acknowledge_clock_jump().is_some());
        assert!(!service.acknowledge_clock_jump().is_some());
        assert!(!service.has_clock_jumped());

        // The new offset counts from here; time that passes on both clocks is no jump.
        clock.advance(10 * DAY);
        assert!(!service.has_clock_jumped());
        clock.set(clock.now() - by);
        assert!(service.has_clock_jumped());
        assert_eq!(collected.take(&service).len(), 1);
    }
}

#[test]
fn impossible_settings_build_nothing() {
    let build = || builder(support::memory().store);
    let cache = build().cache_records(HOUR, 0).build();
    assert!(matches!(cache, Err(BuildError::NoCachedRecords)));
    let coarse = build().last_used_resolution(DAY + MICRO).build();
    assert!(matches!(coarse, Err(BuildError::LastUsedResolution { max: DAY })));
    assert!(build().cache_records(Duration::ZERO, 1).build().is_ok());
    assert!(build().last_used_resolution(Duration::ZERO).build().is_ok());
    assert!(build().last_used_resolution(DAY).build().is_ok());
}
