//! Times that clients send back or choose: in milliseconds, and while the service's clock is wrong.

use chrono::{DateTime, Duration, SubsecRound, TimeDelta, Utc};
use service_tokens::clock::Clock;
use service_tokens::record::{Field, RotateDenied, Rule};
use service_tokens::uuid::Builder;
use service_tokens::{Issued, ManageError, RotateRequest, TokenId};

use super::harness::{DAY, HOUR, Harness, Stores, backup, delta, expect_invalid};

behaviours! {
    rotate_if_created_at_accepts_milliseconds,
    rotate_if_created_at_names_one_secret,
    issue_with_id_after_corrected_clock_succeeds,
    issue_with_id_while_clock_is_wrong_succeeds,
}

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

/// Returns the time as `new Date(text).toISOString()` of JavaScript does.
fn truncated(time: DateTime<Utc>) -> DateTime<Utc> {
    let text = time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    DateTime::parse_from_rfc3339(&text).unwrap().to_utc()
}

fn if_created_at(time: DateTime<Utc>) -> RotateRequest {
    RotateRequest::at_once().if_secret_created_at(time)
}

#[track_caller]
fn rotated_since(outcome: Result<Issued, ManageError>) {
    let denied = matches!(outcome, Err(ManageError::NotRotated(RotateDenied::RotatedSince)));
    assert!(denied, "{outcome:?}");
}

pub(crate) async fn rotate_if_created_at_accepts_milliseconds(stores: Stores) {
    let harness = Harness::new(stores);
    for micros in [0, 1, 499, 500, 501, 999] {
        harness.advance(SECOND);
        let start = harness.clock.now().trunc_subsecs(3) + TimeDelta::microseconds(micros);
        harness.clock.set(start);
        for round in [truncated, |time: DateTime<Utc>| time.round_subsecs(3), |time| time] {
            let record = harness.issue(backup()).await.record;
            let acme = harness.service.owner("acme");
            let rotation = if_created_at(round(record.secret_created_at()));
            let rotated = acme.rotate(record.id(), rotation.clone()).await.unwrap();
            rotated_since(acme.rotate(record.id(), rotation).await);
            let again = if_created_at(round(rotated.record.secret_created_at()));
            assert!(acme.rotate(record.id(), again).await.is_ok(), "{micros}");
        }
        // A whole millisecond further away names another time, and so does any finer time.
        let record = harness.issue(backup()).await.record;
        let created = record.secret_created_at();
        let milli = Duration::milliseconds(1);
        let mut others = vec![truncated(created) - milli, truncated(created) + milli * 2];
        others.extend([-1, 1].map(|off| created + TimeDelta::microseconds(off)));
        others.retain(|other| (*other - created).abs() >= milli || truncated(*other) != *other);
        assert!(others.len() >= 3);
        for other in others {
            let acme = harness.service.owner("acme");
            rotated_since(acme.rotate(record.id(), if_created_at(other)).await);
        }
    }
}

/// The clock stands still, so only the service keeps the secrets apart.
pub(crate) async fn rotate_if_created_at_names_one_secret(stores: Stores) {
    for micros in [0, 1, 500, 999] {
        let harness = Harness::new(stores);
        harness.clock.set(harness.clock.now() + TimeDelta::microseconds(micros));
        let record = harness.issue(backup()).await.record;
        let mut earlier = vec![record.secret_created_at()];
        for _ in 0..5 {
            let acme = harness.service.owner("acme");
            let rotated = acme.rotate(record.id(), RotateRequest::at_once()).await.unwrap();
            for time in &earlier {
                for milli in [truncated(*time), truncated(*time) + TimeDelta::milliseconds(1)] {
                    rotated_since(acme.rotate(record.id(), if_created_at(milli)).await);
                }
            }
            earlier.push(rotated.record.secret_created_at());
        }
    }
}

fn id_at(time: DateTime<Utc>, random: u8) -> TokenId {
    let millis = u64::try_from(time.timestamp_millis()).unwrap();
    TokenId::from_uuid(Builder::from_unix_timestamp_millis(millis, &[random; 10]).into_uuid())
}

pub(crate) async fn issue_with_id_after_corrected_clock_succeeds(stores: Stores) {
    let harness = Harness::new(stores);
    let right = harness.clock.now();
    harness.clock.set(right + delta(3 * HOUR));
    let _ = harness.issue(backup()).await;
    harness.clock.set(right);
    // The jump is not acknowledged yet. The second turn is after the acknowledgement.
    for turn in 0..2 {
        // Clients with a right clock.
        let id = id_at(harness.clock.now(), turn);
        assert_eq!(harness.issue(backup().id(id)).await.record.id(), id);
        // The service's own ids have its later time.
        let id = harness.service.new_id().unwrap();
        assert_eq!(harness.issue(backup().id(id)).await.record.id(), id);
        for off in [-delta(HOUR + SECOND), delta(HOUR + SECOND), delta(4 * HOUR + SECOND)] {
            let id = id_at(harness.clock.now() + off, turn);
            let refused = harness.service.owner("acme").issue(backup().id(id)).await;
            expect_invalid(refused, Field::Id, Rule::NotRecent);
        }
        assert!(harness.service.acknowledge_clock_jump().is_some() || turn == 1);
    }
}

/// The service's time stands still until the clock has caught up.
pub(crate) async fn issue_with_id_while_clock_is_wrong_succeeds(stores: Stores) {
    let harness = Harness::new(stores);
    let right = harness.clock.now();
    harness.clock.set(right - delta(DAY));
    for (turn, time) in [right, right - delta(DAY)].into_iter().enumerate() {
        let id = id_at(time, turn as u8);
        assert_eq!(harness.issue(backup().id(id)).await.record.id(), id);
    }
}
