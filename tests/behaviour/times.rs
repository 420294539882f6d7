//! Each time a microsecond before, at and after its limit, and clocks that go wrong.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    Collected, DAY, HOUR, Harness, MICRO, Stores, any, backup, builder, delta, expect_invalid,
    records, text,
};
use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::policy::InvalidPolicy;
use service_tokens::record::{Field, Rule};
use service_tokens::{
    BuildError, Event, Filter, ListRequest, ManageError, Policy, Refusal, RevokeRequest,
    RotateRequest, State,
};

behaviours! {
    verify_at_expiry_is_refused,
    verify_at_start_is_accepted,
    verify_older_secret_at_overlap_end_is_refused,
    issue_beyond_max_lifetime_is_refused,
    rotate_beyond_max_lifetime_is_refused,
    issue_with_end_before_start_is_refused,
    issue_without_end_needs_permission,
    rotate_beyond_max_overlap_is_refused,
    unrepresentable_times_are_refused,
    clock_at_ends_of_time_does_not_panic,
    clock_set_back_revives_no_token,
    clock_jump_is_one_event,
}

pub(crate) async fn verify_at_expiry_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup().expires_in(HOUR)).await;
    harness.clock.advance(HOUR - MICRO);
    assert_eq!(harness.refusal(&text(&issued)).await, None);
    assert_eq!(harness.state(issued.record.id()).await, State::Active);
    harness.clock.advance(MICRO);
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::Expired));
    assert_eq!(harness.state(issued.record.id()).await, State::Expired);
    harness.clock.advance(MICRO);
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::Expired));
}

pub(crate) async fn verify_at_start_is_accepted(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.clock.now() + delta(HOUR);
    let issued = harness.issue(backup().not_before(start)).await;
    let id = issued.record.id();
    harness.clock.advance(HOUR - MICRO);
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::NotYetActive));
    let rotated = harness.service.all_owners().rotate(id, RotateRequest::at_once()).await;
    assert!(matches!(rotated, Err(ManageError::NotRotated(_))), "{rotated:?}");
    harness.clock.advance(MICRO);
    assert_eq!(harness.refusal(&text(&issued)).await, None);
    harness.clock.advance(MICRO);
    assert_eq!(harness.refusal(&text(&issued)).await, None);
}

pub(crate) async fn verify_older_secret_at_overlap_end_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let older = harness.issue(backup()).await;
    let tokens = harness.service.all_owners();
    let rotation = RotateRequest::with_overlap(HOUR);
    let newer = tokens.rotate(older.record.id(), rotation).await.unwrap();
    harness.clock.advance(HOUR - MICRO);
    assert_eq!(harness.refusal(&text(&older)).await, None);
    let again = tokens.rotate(older.record.id(), RotateRequest::at_once()).await;
    assert!(matches!(again, Err(ManageError::NotRotated(_))), "{again:?}");
    harness.clock.advance(MICRO);
    assert_eq!(harness.refusal(&text(&older)).await, Some(Refusal::SecretEnded));
    assert_eq!(harness.refusal(&text(&newer)).await, None);
    assert!(tokens.rotate(older.record.id(), RotateRequest::at_once()).await.is_ok());
}

pub(crate) async fn issue_beyond_max_lifetime_is_refused(stores: Stores) {
    let policy = Policy::new().default_lifetime(HOUR).max_lifetime(DAY);
    let harness = Harness::with_policy(stores, policy);
    let now = harness.clock.now();
    let by_default = harness.issue(backup()).await.record;
    assert_eq!(by_default.expires_at(), Some(now + delta(HOUR)));
    let latest = now + delta(DAY);
    for lifetime in [MICRO, DAY - MICRO, DAY] {
        let issued = harness.issue(backup().expires_in(lifetime)).await.record;
        assert_eq!(issued.expires_at(), Some(now + delta(lifetime)));
        let issued = harness.issue(backup().expires_at(now + delta(lifetime))).await.record;
        assert_eq!(issued.expires_at(), Some(now + delta(lifetime)));
    }
    let too_late = Rule::TooLate { latest };
    let over = harness.service.owner("acme").issue(backup().expires_in(DAY + MICRO)).await;
    expect_invalid(over, Field::ExpiresAt, too_late);
    let over =
        harness.service.owner("acme").issue(backup().expires_at(latest + delta(MICRO))).await;
    expect_invalid(over, Field::ExpiresAt, too_late);
    // A fraction of a microsecond is cut off before the check.
    let below = latest + TimeDelta::nanoseconds(999);
    assert_eq!(harness.issue(backup().expires_at(below)).await.record.expires_at(), Some(latest));

    let unlimited = Harness::with_policy(stores, Policy::new().max_lifetime(None));
    assert!(
        unlimited.service.owner("acme").issue(backup().expires_in(1_000 * 366 * DAY)).await.is_ok()
    );
}

pub(crate) async fn rotate_beyond_max_lifetime_is_refused(stores: Stores) {
    let harness =
        Harness::with_policy(stores, Policy::new().default_lifetime(DAY).max_lifetime(2 * DAY));
    let issued = harness.issue(backup()).await.record;
    let tokens = harness.service.all_owners();
    harness.clock.advance(HOUR);
    let now = harness.clock.now();
    let over = RotateRequest::at_once().expires_in(2 * DAY + MICRO);
    let latest = now + delta(2 * DAY);
    let refusal = tokens.rotate(issued.id(), over).await;
    expect_invalid(refusal, Field::ExpiresAt, Rule::TooLate { latest });
    let never = tokens.rotate(issued.id(), RotateRequest::at_once().never_expires()).await;
    expect_invalid(never, Field::ExpiresAt, Rule::Required);
    let past = tokens.rotate(issued.id(), RotateRequest::at_once().expires_at(now)).await;
    expect_invalid(past, Field::ExpiresAt, Rule::NotAfterNow);
    // A rotation retains the end unless it requests a new one, which counts from the rotation.
    let rotated = tokens.rotate(issued.id(), RotateRequest::at_once()).await.unwrap().record;
    assert_eq!(rotated.expires_at(), issued.expires_at());
    let longest = RotateRequest::at_once().expires_in(2 * DAY);
    let moved = tokens.rotate(issued.id(), longest).await.unwrap().record;
    assert_eq!(moved.expires_at(), Some(latest));
}

pub(crate) async fn issue_with_end_before_start_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let now = harness.clock.now();
    for end in [now, now - delta(MICRO), now + TimeDelta::nanoseconds(999)] {
        let outcome = harness.service.owner("acme").issue(backup().expires_at(end)).await;
        expect_invalid(outcome, Field::ExpiresAt, Rule::NotAfterNow);
    }
    expect_invalid(
        harness.service.owner("acme").issue(backup().expires_in(Duration::ZERO)).await,
        Field::ExpiresAt,
        Rule::NotAfterNow,
    );
    expect_invalid(
        harness.service.owner("acme").issue(backup().expires_in(Duration::from_nanos(999))).await,
        Field::ExpiresAt,
        Rule::NotAfterNow,
    );
    let start = now + delta(HOUR);
    for end in [start, start - delta(MICRO)] {
        let outcome =
            harness.service.owner("acme").issue(backup().not_before(start).expires_at(end)).await;
        expect_invalid(outcome, Field::ExpiresAt, Rule::NotAfterNotBefore);
    }
    let brief = backup().not_before(start).expires_at(start + delta(MICRO));
    assert!(harness.service.owner("acme").issue(brief).await.is_ok());
    assert_eq!(records(harness.service.store()).await.len(), 1);
}

pub(crate) async fn issue_without_end_needs_permission(stores: Stores) {
    let harness = Harness::new(stores);
    expect_invalid(
        harness.service.owner("acme").issue(backup().never_expires()).await,
        Field::ExpiresAt,
        Rule::Required,
    );
    let allowing = Harness::with_policy(stores, Policy::new().allow_never(true));
    let endless = allowing.issue(backup().never_expires()).await;
    assert_eq!(endless.record.expires_at(), None);
    allowing.clock.advance(7_000 * 365 * DAY);
    assert_eq!(allowing.refusal(&text(&endless)).await, None);

    let by_default = Policy::new().allow_never(true).default_lifetime(None);
    assert_eq!(
        Harness::with_policy(stores, by_default).issue(backup()).await.record.expires_at(),
        None
    );
}

pub(crate) async fn rotate_beyond_max_overlap_is_refused(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new().max_overlap(HOUR));
    let now = harness.clock.now();
    let id = harness.issue(backup()).await.record.id();
    let tokens = harness.service.all_owners();
    let latest = now + delta(HOUR);
    let over = tokens.rotate(id, RotateRequest::with_overlap(HOUR + MICRO)).await;
    expect_invalid(over, Field::OlderEnds, Rule::TooLate { latest });
    let until = RotateRequest::with_overlap_until(latest + delta(MICRO));
    expect_invalid(tokens.rotate(id, until).await, Field::OlderEnds, Rule::TooLate { latest });
    let until = RotateRequest::with_overlap_until(now);
    expect_invalid(tokens.rotate(id, until).await, Field::OlderEnds, Rule::NotAfterNow);
    let rotated = tokens.rotate(id, RotateRequest::with_overlap(HOUR)).await.unwrap().record;
    assert_eq!(rotated.overlap(now).unwrap().ends_at, latest);
    assert_eq!(rotated.overlap(latest - delta(MICRO)).unwrap().ends_at, latest);
    assert_eq!(rotated.overlap(latest), None);
}

pub(crate) async fn unrepresentable_times_are_refused(stores: Stores) {
    let policy = Policy::new().max_lifetime(None).max_overlap(Duration::MAX);
    let harness = Harness::with_policy(stores, policy);
    let out = Rule::OutOfRange;
    let year_10_000: DateTime<Utc> = "9999-12-31T23:59:59.999999Z".parse().unwrap();
    let year_10_000 = year_10_000 + delta(MICRO);
    let end = Field::ExpiresAt;
    for lifetime in [Duration::MAX, Duration::from_micros(i64::MAX as u64), 10_000 * 366 * DAY] {
        expect_invalid(
            harness.service.owner("acme").issue(backup().expires_in(lifetime)).await,
            end,
            out,
        );
    }
    for time in [DateTime::<Utc>::MAX_UTC, year_10_000] {
        expect_invalid(
            harness.service.owner("acme").issue(backup().expires_at(time)).await,
            end,
            out,
        );
        expect_invalid(
            harness.service.owner("acme").issue(backup().not_before(time)).await,
            Field::NotBefore,
            out,
        );
    }
    let before_1970 = DateTime::<Utc>::UNIX_EPOCH - delta(MICRO);
    for time in [DateTime::<Utc>::MIN_UTC, before_1970] {
        expect_invalid(
            harness.service.owner("acme").issue(backup().expires_at(time)).await,
            end,
            out,
        );
        expect_invalid(
            harness.service.owner("acme").issue(backup().not_before(time)).await,
            Field::NotBefore,
            out,
        );
    }
    assert!(records(harness.service.store()).await.is_empty());
    let issued = harness.issue(backup().expires_at(year_10_000 - delta(MICRO))).await;
    let (id, tokens) = (issued.record.id(), harness.service.all_owners());
    for overlap in [Duration::MAX, Duration::from_micros(i64::MAX as u64)] {
        let rotation = RotateRequest::with_overlap(overlap);
        expect_invalid(tokens.rotate(id, rotation).await, Field::OlderEnds, out);
        let rotation = RotateRequest::at_once().expires_in(overlap);
        expect_invalid(tokens.rotate(id, rotation).await, end, out);
    }
    for time in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC, year_10_000] {
        let rotation = RotateRequest::with_overlap_until(time);
        expect_invalid(tokens.rotate(id, rotation).await, Field::OlderEnds, out);
        // A filter may contain any time.
        let query = ListRequest::from(
            Filter::new().expires_before(time).created_before(time).unused_since(time),
        );
        assert!(tokens.list(query).await.is_ok());
    }
    assert_eq!(harness.refusal(&text(&issued)).await, None);

    // Policies with the largest limits.
    let wide = Policy::new().max_lifetime(Duration::MAX).max_overlap(Duration::MAX);
    let wide = Harness::with_policy(stores, wide);
    assert!(wide.service.owner("acme").issue(backup().expires_in(7_000 * 365 * DAY)).await.is_ok());
    expect_invalid(
        wide.service.owner("acme").issue(backup().expires_in(Duration::MAX)).await,
        end,
        out,
    );
    // A default that no token could have does not build.
    let by_default = Policy::new().max_lifetime(None).default_lifetime(Duration::MAX);
    let built = builder(stores.open().store).policy(by_default).build();
    assert!(matches!(built, Err(BuildError::Policy(InvalidPolicy::DefaultOutOfRange))));
}

pub(crate) async fn clock_at_ends_of_time_does_not_panic(stores: Stores) {
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
            let harness = Harness::with_policy(stores, Policy::new().allow_never(true));
            harness.clock.set(first);
            let store = harness.service.store().clone();
            let clock = harness.clock.clone();
            let policy = harness.service.policy().clone();
            let service = builder(store.clone()).policy(policy).clock(clock).build().unwrap();
            let issued = service.owner("acme").issue(backup().never_expires()).await;
            harness.clock.set(then);
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
                // The stored record can be read again.
                let stored = tokens.get(id).await.unwrap().record;
                let read = service_tokens::Record::from_bytes(&stored.to_bytes());
                assert_eq!(read.as_ref(), Ok(&stored), "{first} {then}");
            }
            let _ = service.owner("acme").issue(backup()).await;
            for record in records(&*store).await {
                let read = service_tokens::Record::from_bytes(&record.to_bytes());
                assert_eq!(read.as_ref(), Ok(&record), "{first} {then}");
            }
        }
    }
}

pub(crate) async fn clock_set_back_revives_no_token(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.clock.now();
    let issued = harness.issue(backup().expires_in(HOUR)).await;
    harness.clock.advance(HOUR);
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::Expired));
    harness.clock.set(start);
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::Expired));
    assert_eq!(harness.service.now(), start + delta(HOUR));
    // It is not listed as live, and no token that is issued now ends before it starts.
    assert!(harness.service.owner("acme").list(ListRequest::new()).await.unwrap().items.is_empty());
    let later = harness.issue(backup().expires_in(HOUR)).await;
    assert_eq!(later.record.created_at(), start + delta(HOUR));
    assert_eq!(harness.refusal(&text(&later)).await, None);
}

pub(crate) async fn clock_jump_is_one_event(stores: Stores) {
    for sign in [-1, 1] {
        let opened = stores.open();
        let clock = Arc::new(ManualClock::default());
        let collected = Collected::default();
        let service = builder(opened.store).clock(clock.clone()).events(collected.sink());
        let service = service.build().unwrap();
        let token = text(&service.owner("acme").issue(backup()).await.unwrap());
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
        assert!(service.acknowledge_clock_jump().is_none());
        assert!(!service.has_clock_jumped());

        // The new offset is the reference from here. Time that passes on both clocks is not a jump.
        clock.advance(10 * DAY);
        assert!(!service.has_clock_jumped());
        clock.set(clock.now() - by);
        assert!(service.has_clock_jumped());
        assert_eq!(collected.take(&service).len(), 1);
    }
}
