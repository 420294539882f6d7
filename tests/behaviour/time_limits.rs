//! Limits in time, a microsecond before, at and after each, that no neighbour tests: the end of a retired key,
//! filters by time, the retention of a purge, and the ends that imports, rotations and suspensions may set.

use std::time::Duration;

use super::harness::{
    DAY, HOUR, Harness, MICRO, MINUTE, Stores, any, backup, builder, delta, expect_invalid,
    incident, records, text,
};
use super::import::old_keys;
use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::digest::KeyId;
use service_tokens::record::{Field, Rule};
use service_tokens::store::States;
use service_tokens::{
    Event, Filter, ImportRequest, KeyRing, ListRequest, ManageError, Policy, Refusal,
    RotateRequest, SuspendRequest, TokenId,
};

behaviours! {
    verify_at_end_of_retired_key_is_refused,
    expires_before_excludes_its_time,
    created_before_excludes_its_time,
    ended_before_excludes_its_time,
    purge_at_retention_keeps_the_record,
    purge_after_minute_of_drift_runs,
    first_use_at_latest_end_ends_nothing,
    rotate_to_max_lifetime_succeeds,
    import_ends_are_exact,
    suspend_ends_after_now,
}

/// The limit itself, and a microsecond to either side.
fn around(limit: DateTime<Utc>) -> [DateTime<Utc>; 3] {
    [limit - delta(MICRO), limit, limit + delta(MICRO)]
}

async fn ids(harness: &Harness, filter: Filter) -> Vec<TokenId> {
    let page = harness.service.all_owners().list(ListRequest::from(filter)).await.unwrap();
    page.items.iter().map(|stored| stored.record.id()).collect()
}

pub(crate) async fn verify_at_end_of_retired_key_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let (old, new) = (KeyId(*b"2025"), KeyId(*b"2026"));
    let with = |keys: KeyRing| {
        let service = builder(harness.store.clone()).clock(harness.clock.clone());
        service.keys(keys).build().unwrap()
    };
    let before = with(KeyRing::new(old, &[1; 32]).unwrap());
    let [first, rotated] =
        [before.owner("acme").issue(backup()).await, before.owner("acme").issue(backup()).await]
            .map(Result::unwrap);
    let end = harness.service.now() + delta(HOUR);
    let ring = KeyRing::new(new, &[2; 32]).unwrap();
    let after = with(ring.retired_until(old, &[1; 32], end).unwrap());
    // Its older secret is under the old key, and its newest one under the new key.
    let request = RotateRequest::with_overlap(DAY);
    let newest = after.owner("acme").rotate(rotated.record.id(), request).await.unwrap();
    harness.advance(HOUR - MICRO);
    for step in [Duration::ZERO, MICRO, MICRO] {
        harness.advance(step);
        let expected = (harness.service.now() >= end).then_some(Refusal::KeyEnded(old));
        for issued in [&first, &rotated] {
            let outcome = after.verify(&text(issued), &any()).await;
            assert_eq!(outcome.err().and_then(|error| error.refusal()), expected);
        }
        assert!(after.verify(&text(&newest), &any()).await.is_ok());
    }
    // A rotation by the embedder replaces the secret.
    let request = RotateRequest::at_once();
    let renewed = after.owner("acme").rotate(first.record.id(), request).await.unwrap();
    assert!(after.verify(&text(&renewed), &any()).await.is_ok());
}

pub(crate) async fn expires_before_excludes_its_time(stores: Stores) {
    let harness = Harness::new(stores);
    let end = harness.service.now() + delta(HOUR);
    let id = harness.issue(backup().expires_at(end)).await.record.id();
    let _ = harness.issue(backup()).await;
    for (time, expected) in around(end).into_iter().zip([&[][..], &[], &[id]]) {
        assert_eq!(ids(&harness, Filter::new().expires_before(time)).await, expected, "{time}");
    }
}

pub(crate) async fn created_before_excludes_its_time(stores: Stores) {
    let harness = Harness::new(stores);
    let record = harness.issue(backup()).await.record;
    let id = record.id();
    let expected = [&[][..], &[], &[id]];
    for (time, expected) in around(record.created_at()).into_iter().zip(expected) {
        assert_eq!(ids(&harness, Filter::new().created_before(time)).await, expected, "{time}");
    }
}

/// A token has ended at its expiry or its revocation, and at the earlier one if it has both.
pub(crate) async fn ended_before_excludes_its_time(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now();
    let expired = harness.issue(backup().expires_in(HOUR)).await.record.id();
    let revoked = harness.issue(backup().expires_in(DAY)).await.record.id();
    let revoked_later = harness.issue(backup().expires_in(HOUR)).await.record.id();
    let _ = harness.issue(backup().expires_in(3 * HOUR)).await;
    harness.advance(2 * HOUR);
    harness.revoke(revoked).await;
    harness.revoke(revoked_later).await;
    let at_hour = [expired, revoked_later];
    let all = [expired, revoked, revoked_later];
    for (end, before, after) in
        [(start + delta(HOUR), &[][..], &at_hour[..]), (start + delta(2 * HOUR), &at_hour, &all)]
    {
        for (time, expected) in around(end).into_iter().zip([before, before, after]) {
            let filter = Filter::new().states(States::ALL);
            let mut found = ids(&harness, filter.ended_before(time)).await;
            let mut expected = expected.to_vec();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{time}");
        }
    }
    // A token that lives until after this time has not ended, although its end is before the given time.
    let far = harness.service.now() + delta(1_000 * DAY);
    let filter = Filter::new().states(States::ALL).ended_before(far);
    assert_eq!(ids(&harness, filter).await.len(), all.len());
}

pub(crate) async fn purge_at_retention_keeps_the_record(stores: Stores) {
    let harness = Harness::new(stores);
    let expired = harness.issue(backup().expires_in(HOUR)).await.record.id();
    let revoked = harness.issue(backup()).await.record.id();
    let _ = harness.issue(backup()).await;
    harness.advance(HOUR);
    harness.revoke(revoked).await;
    harness.advance(DAY - MICRO);
    for (step, removed) in [(Duration::ZERO, 0), (MICRO, 0), (MICRO, 2)] {
        harness.advance(step);
        let view = harness.service.all_owners();
        assert_eq!(view.purge(DAY).count().await.unwrap(), removed);
        assert_eq!(view.purge(DAY).run().await.unwrap().done, removed);
    }
    let left: Vec<_> = records(&*harness.store).await.iter().map(|record| record.id()).collect();
    assert!(left.len() == 1 && !left.contains(&expired) && !left.contains(&revoked));
}

/// The clock differs by a minute at most, or by more, which is a jump. A purge begins at the clock's reading.
pub(crate) async fn purge_after_minute_of_drift_runs(stores: Stores) {
    for sign in [1, -1] {
        for (micros, jumps) in [(59_999_999, false), (60_000_000, false), (60_000_001, true)] {
            let harness = Harness::new(stores);
            let _ = harness.service.now();
            let by = TimeDelta::microseconds(micros * sign);
            harness.clock.set(harness.service.now() + by);
            let purge = harness.service.all_owners().purge(DAY).count().await;
            assert_eq!(matches!(purge, Err(ManageError::ClockJumped)), jumps, "{by}");
            assert_eq!(harness.service.has_clock_jumped(), jumps);
            let jumped = |event: &Event| matches!(event, Event::ClockJumped { .. });
            assert_eq!(harness.events().iter().any(jumped), jumps);
        }
    }
}

/// Until the overlap's latest end, the first use ends the older secret. From then on it has ended already.
pub(crate) async fn first_use_at_latest_end_ends_nothing(stores: Stores) {
    for (after, ends) in [(HOUR - MICRO, true), (HOUR, false), (HOUR + MICRO, false)] {
        let harness = Harness::new(stores);
        let (id, older, newer) = harness.rotate_until_first_use().await;
        harness.advance(after);
        assert!(harness.verify(&newer).await.is_ok());
        if ends {
            harness.expect_overlap_ended(id);
        } else {
            assert_eq!(harness.events(), []);
        }
        assert_eq!(harness.refusal(&older).await, Some(Refusal::SecretEnded));
    }
}

pub(crate) async fn rotate_to_max_lifetime_succeeds(stores: Stores) {
    let policy = Policy::new().default_lifetime(HOUR).max_lifetime(DAY);
    let harness = Harness::with_policy(stores, policy);
    let id = harness.issue(backup()).await.record.id();
    let tokens = harness.service.all_owners();
    let latest = harness.service.now() + delta(DAY);
    let [before, at, after] = around(latest);
    for end in [before, at] {
        let request = RotateRequest::at_once().expires_at(end);
        assert_eq!(tokens.rotate(id, request).await.unwrap().record.expires_at(), Some(end));
    }
    let refused = tokens.rotate(id, RotateRequest::at_once().expires_at(after)).await;
    expect_invalid(refused, Field::ExpiresAt, Rule::TooLate { latest });
    let now = harness.service.now();
    let [past, present, next] = around(now);
    for end in [past, present] {
        let refused = tokens.rotate(id, RotateRequest::at_once().expires_at(end)).await;
        expect_invalid(refused, Field::ExpiresAt, Rule::NotAfterNow);
    }
    let record = tokens.rotate(id, RotateRequest::at_once().expires_at(next)).await.unwrap().record;
    assert_eq!(record.expires_at(), Some(next));
}

pub(crate) async fn import_ends_are_exact(stores: Stores) {
    let policy = Policy::new().default_lifetime(HOUR).max_lifetime(DAY);
    let harness = Harness::builder(stores)
        .configure(|service| service.policy(policy).import_form(old_keys()))
        .build();
    let acme = harness.service.owner("acme");
    let import = async |nth: usize, end: DateTime<Utc>| {
        let text = format!("sk_live_{nth:032x}");
        let request = ImportRequest::of_plaintext(&text, "connector", "backup").expires_at(end);
        (text, acme.import(request).await)
    };
    let (now, latest) = (harness.service.now(), harness.service.now() + delta(DAY));
    for (nth, end) in around(now).into_iter().enumerate() {
        let (text, imported) = import(nth, end).await;
        if end > now {
            assert_eq!(imported.unwrap().record.expires_at(), Some(end));
            assert!(harness.service.verify(&text, &any()).await.is_ok());
        } else {
            expect_invalid(imported, Field::ExpiresAt, Rule::NotAfterNow);
        }
    }
    let mut longest = String::new();
    for (nth, end) in around(latest).into_iter().enumerate() {
        let (text, imported) = import(10 + nth, end).await;
        if end <= latest {
            assert_eq!(imported.unwrap().record.expires_at(), Some(end));
            longest = text;
        } else {
            expect_invalid(imported, Field::ExpiresAt, Rule::TooLate { latest });
        }
    }
    harness.advance(DAY - MICRO);
    for (step, expected) in
        [(Duration::ZERO, None), (MICRO, Some(Refusal::Expired)), (MICRO, Some(Refusal::Expired))]
    {
        harness.advance(step);
        assert_eq!(harness.refusal(&longest).await, expected);
    }
}

pub(crate) async fn suspend_ends_after_now(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    let acme = harness.service.owner("acme");
    harness.advance(MINUTE);
    for end in around(harness.service.now()) {
        let suspended = acme.suspend(id, SuspendRequest::new().until(end)).await;
        if end > harness.service.now() {
            assert!(!suspended.unwrap().already_suspended);
        } else {
            expect_invalid(suspended, Field::SuspendedUntil, Rule::NotAfterNow);
        }
    }
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    harness.advance(MICRO);
    assert_eq!(harness.refusal(&token).await, None);
    let _ = acme.revoke(id, incident()).await.unwrap();
}
