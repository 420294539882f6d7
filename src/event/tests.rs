//! The name of every event, and its form in `serde`.

use std::sync::Arc;

use super::*;
use crate::clock::from_micros;
use crate::token::MalformedToken;

const ID: TokenId = TokenId::from_bytes([7; 16]);

/// Returns the next event in the order of declaration. A new variant does not compile without a
/// place here, so no test below misses one.
fn next(event: &Event) -> Option<Event> {
    let (id, owner) = (ID, || "acme".to_owned());
    let by = || Some("deployment".to_owned());
    let cause = || "no answer".to_owned();
    let at = from_micros(1_767_225_600_000_000);
    let incident = Suspension { since: at, until: None, by: None, reason: Some("INC-42".into()) };
    Some(match event {
        Event::Issued { .. } => Event::Prepared {
            id,
            owner: owner(),
            operation: Operation::Issue,
            by: by(),
            on_behalf_of: None,
        },
        Event::Prepared { .. } => Event::NotConfirmed {
            id,
            owner: owner(),
            operation: Operation::Issue,
            by: by(),
            on_behalf_of: None,
        },
        Event::NotConfirmed { .. } => Event::Read { id, on_behalf_of: Some(id) },
        Event::Read { .. } => {
            Event::Counted { owner: Some(owner()), records: 3, on_behalf_of: Some(id) }
        }
        Event::Counted { .. } => Event::Listed { owner: None, records: 2, on_behalf_of: None },
        Event::Listed { .. } => Event::Rotated {
            id,
            owner: owner(),
            by: by(),
            older_ends_at: Some(from_micros(1_767_225_600_000_000)),
            older_ends_on_first_use: true,
            on_behalf_of: None,
        },
        Event::Rotated { .. } => Event::OverlapEnded { id, owner: owner() },
        Event::OverlapEnded { .. } => Event::OverlapNotEnded { id, cause: cause() },
        Event::OverlapNotEnded { .. } => Event::Revoked {
            id,
            owner: owner(),
            by: by(),
            reason: Some("INC-42".to_owned()),
            on_behalf_of: None,
        },
        Event::Revoked { .. } => Event::AlreadyRevoked { id, owner: owner(), on_behalf_of: None },
        Event::AlreadyRevoked { .. } => Event::RevokedAll {
            owner: Some(owner()),
            filter: Box::new(Filter::new().issued_by("x").created_before(from_micros(0))),
            with: None,
            revoked: 1,
            failed: 0,
            by: by(),
            reason: None,
            stopped: None,
        },
        Event::RevokedAll { .. } => Event::Suspended {
            id,
            owner: owner(),
            until: Some(from_micros(1_767_225_600_000_000)),
            by: by(),
            reason: Some("INC-42".to_owned()),
            replaced: Some(incident),
            on_behalf_of: None,
        },
        Event::Suspended { .. } => Event::AlreadySuspended {
            id,
            owner: owner(),
            by: by(),
            reason: by(),
            on_behalf_of: Some(id),
        },
        Event::AlreadySuspended { .. } => Event::SuspendedAll {
            owner: Some(owner()),
            filter: Box::new(Filter::new()),
            with: Some(id),
            since: from_micros(0),
            suspended: 1,
            failed: 0,
            by: by(),
            reason: None,
            stopped: None,
        },
        Event::SuspendedAll { .. } => {
            Event::Resumed { id, owner: owner(), ended: vec![incident], remaining: 1, by: by() }
        }
        Event::Resumed { .. } => Event::NotSuspended { id, owner: owner() },
        Event::NotSuspended { .. } => Event::ResumedAll {
            owner: None,
            filter: Box::new(Filter::new()),
            with: Some(id),
            which: SuspensionMatch::Since(at),
            resumed: 1,
            failed: 0,
            by: by(),
            stopped: None,
        },
        Event::ResumedAll { .. } => Event::Amended {
            id,
            owner: owner(),
            fields: vec![Field::IssuedTo, Field::ExpiresAt],
            by: by(),
            on_behalf_of: None,
        },
        Event::Amended { .. } => Event::OlderSecretEnded {
            id,
            owner: owner(),
            already_ended: false,
            by: by(),
            reason: None,
            on_behalf_of: None,
        },
        Event::OlderSecretEnded { .. } => Event::Imported {
            id,
            owner: owner(),
            token_type: "connector".to_owned(),
            issued_to: "nightly backup".to_owned(),
            by: by(),
        },
        Event::Imported { .. } => {
            Event::AlreadyImported { id, owner: owner(), state: State::Active }
        }
        Event::AlreadyImported { .. } => Event::LeakReported {
            id: Some(id),
            owner: Some(owner()),
            outcome: "live",
            action: "revoke",
            response: "ended_older",
            live_descendants: Some(2),
            rotated_itself: true,
            by: by(),
            reason: None,
        },
        Event::LeakReported { .. } => Event::ExpiresSoon {
            id,
            owner: owner(),
            token_type: "connector".to_owned(),
            issued_to: "nightly backup".to_owned(),
            expires_at: from_micros(0),
            distance: Duration::from_secs(86_400),
        },
        Event::ExpiresSoon { .. } => Event::Purged {
            owner: None,
            retention: Duration::from_millis(1_500),
            purged: 1,
            failed: 0,
            stopped: None,
        },
        Event::Purged { .. } => Event::IssuingPaused { reason: "INC-42".to_owned() },
        Event::IssuingPaused { .. } => Event::IssuingResumed,
        Event::IssuingResumed => Event::Failed {
            operation: Operation::Issue,
            id: None,
            on_behalf_of: None,
            cause: cause(),
        },
        Event::Failed { .. } => {
            let reason = Refusal::Malformed(MalformedToken::Checksum);
            Event::Refused { id: None, owner: None, reason }
        }
        Event::Refused { .. } => Event::EndedSecretPresented { id, owner: Some(owner()) },
        Event::EndedSecretPresented { .. } => {
            let requirement = "files:upload".to_owned();
            Event::MissingScope { id, owner: Some(owner()), requirement }
        }
        Event::MissingScope { .. } => Event::StoreFailed { id: Some(id), cause: cause() },
        Event::StoreFailed { .. } => Event::LastUsedNotFlushed { waiting: 4, cause: cause() },
        Event::LastUsedNotFlushed { .. } => {
            Event::LastUsedStalled { waiting: 4, oldest: from_micros(1) }
        }
        Event::LastUsedStalled { .. } => Event::ClockJumped(ClockJump {
            by: chrono::Duration::seconds(-90),
            noticed_at: from_micros(0),
        }),
        Event::ClockJumped(_) => Event::Repeated {
            kind: "failed",
            operation: Some(Operation::Issue),
            reason: None,
            count: 3,
            first: from_micros(0),
            last: from_micros(1),
            id: Some(id),
            owner: Some(owner()),
            on_behalf_of: None,
        },
        Event::Repeated { .. } => Event::Lost { operations: 1 },
        Event::Lost { .. } => return None,
    })
}

fn all() -> Vec<Event> {
    let first = Event::Issued {
        id: ID,
        owner: "acme".to_owned(),
        token_type: "connector".to_owned(),
        issued_to: "nightly backup".to_owned(),
        by: None,
        on_behalf_of: None,
    };
    std::iter::successors(Some(first), next).collect()
}

#[test]
fn name_of_each_event_is_unique() {
    let mut names: Vec<&str> = all().iter().map(Event::name).collect();
    assert_eq!(names.len(), 37);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 37);
}

#[test]
fn boxed_and_shared_sinks_forward() {
    fn is_sink<S: EventSink>() {}
    is_sink::<Arc<dyn EventSink>>();
    is_sink::<Box<dyn EventSink>>();
    is_sink::<Box<dyn Fn(&Event) + Send + Sync>>();
    is_sink::<Arc<fn(&Event)>>();
}

#[cfg(feature = "serde")]
#[test]
fn serialize_each_event_agrees_with_accessors() {
    for event in all() {
        let value = serde_json::to_value(&event).unwrap();
        assert_eq!(value["event"], event.name());
        let id = event.id().map(|id| id.to_string());
        assert_eq!(value.get("id").and_then(|id| id.as_str()), id.as_deref(), "{value}");
        assert_eq!(value.get("owner").and_then(|owner| owner.as_str()), event.owner(), "{value}");
        assert_eq!(value.get("by").and_then(|by| by.as_str()), event.by(), "{value}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn serialize_times_is_rfc_3339() {
    let value = |name: &str| {
        let event = all().into_iter().find(|event| event.name() == name).unwrap();
        serde_json::to_value(event).unwrap()
    };
    assert_eq!(value("rotated")["older_ends_at"], "2026-01-01T00:00:00Z");
    assert_eq!(value("last_used_stalled")["oldest"], "1970-01-01T00:00:00.000001Z");
    assert_eq!(value("clock_jumped")["by_seconds"], -90.0);
    assert_eq!(value("clock_jumped")["noticed_at"], "1970-01-01T00:00:00Z");
    assert_eq!(value("suspended")["until"], "2026-01-01T00:00:00Z");
    let ended = &value("resumed")["ended"][0];
    assert_eq!(ended["since"], "2026-01-01T00:00:00Z");
    assert_eq!((&ended["until"], &ended["reason"]), (&serde_json::Value::Null, &"INC-42".into()));
    assert_eq!(value("suspended")["replaced"]["reason"], "INC-42");
    assert_eq!(value("resumed_all")["which"]["since"], "2026-01-01T00:00:00Z");
    assert_eq!(value("amended")["fields"], serde_json::json!(["issued_to", "expires_at"]));
    assert_eq!(value("expires_soon")["distance_seconds"], 86_400.0);
    assert_eq!(value("purged")["retention_seconds"], 1.5);
    assert_eq!(value("refused")["reason"]["malformed"], "checksum");
    assert_eq!(value("repeated")["first"], "1970-01-01T00:00:00Z");
    assert_eq!(value("repeated")["last"], "1970-01-01T00:00:00.000001Z");
    let filter = &value("revoked_all")["filter"];
    assert_eq!(filter["created_before"], "1970-01-01T00:00:00Z");
    assert_eq!(filter["states"], serde_json::json!(["pending", "active", "suspended"]));
}

/// The classes of the events that an operation on behalf of a token emits, and of the embedder's own.
#[test]
fn class_depends_on_the_calling_token() {
    use super::class::Class;
    let open = ["failed", "read", "listed", "counted", "already_revoked", "already_suspended"];
    for mut event in all() {
        let name = event.name();
        let anyone = matches!(
            name,
            "refused"
                | "ended_secret_presented"
                | "missing_scope"
                | "store_failed"
                | "overlap_not_ended"
                | "leak_reported"
        );
        for caller in [None, Some(ID)] {
            if let Event::Issued { on_behalf_of, .. }
            | Event::Prepared { on_behalf_of, .. }
            | Event::NotConfirmed { on_behalf_of, .. }
            | Event::Read { on_behalf_of, .. }
            | Event::Listed { on_behalf_of, .. }
            | Event::Rotated { on_behalf_of, .. }
            | Event::Revoked { on_behalf_of, .. }
            | Event::AlreadyRevoked { on_behalf_of, .. }
            | Event::Counted { on_behalf_of, .. }
            | Event::Amended { on_behalf_of, .. }
            | Event::Suspended { on_behalf_of, .. }
            | Event::AlreadySuspended { on_behalf_of, .. }
            | Event::OlderSecretEnded { on_behalf_of, .. }
            | Event::Failed { on_behalf_of, .. } = &mut event
            {
                *on_behalf_of = caller;
            }
            let expected = match (name, event.calling_token()) {
                _ if anyone => Class::Open,
                ("overlap_ended", _)
                | ("revoked" | "suspended" | "older_secret_ended" | "not_confirmed", Some(_)) => {
                    Class::Ending
                }
                ("issued" | "prepared" | "rotated" | "amended", Some(_)) => Class::Act,
                (name, Some(_)) if open.contains(&name) => Class::Open,
                _ => Class::Reserved,
            };
            assert_eq!(event.class(), expected, "{event:?}");
        }
    }
}

/// Anyone can present or report texts while the store fails.
#[test]
fn failed_attempt_with_a_text_is_of_anyone() {
    use super::class::Class;
    for (operation, class) in [
        (Operation::RevokePresented, Class::Open),
        (Operation::ReportLeak, Class::Open),
        (Operation::Revoke, Class::Reserved),
        (Operation::Suspend, Class::Reserved),
    ] {
        let cause = "no answer".to_owned();
        let event = Event::Failed { operation, id: None, on_behalf_of: None, cause };
        assert_eq!(event.class(), class, "{operation}");
    }
}

/// A token can prepare any number of revocations without waiting for room.
#[test]
fn draft_of_a_revocation_by_a_token_is_open() {
    use super::class::Class;
    for (on_behalf_of, class) in [(Some(ID), Class::Open), (None, Class::Reserved)] {
        let (id, owner, by, operation) = (ID, "acme".to_owned(), None, Operation::Revoke);
        let prepared = Event::Prepared { id, owner, operation, by, on_behalf_of };
        assert_eq!(prepared.class(), class);
        let (owner, by) = ("acme".to_owned(), None);
        let dropped = Event::NotConfirmed { id, owner, operation, by, on_behalf_of };
        assert_eq!(dropped.class(), class);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Level(&'static str, #[source] Option<Box<Level>>);

#[test]
fn cause_that_an_error_contains_is_not_repeated() {
    let chain = |texts: &[&'static str]| {
        let mut error = None;
        for text in texts.iter().rev() {
            error = Some(Box::new(Level(text, error)));
        }
        with_sources(&*error.unwrap())
    };
    assert_eq!(
        chain(&["store full", "write failed: no space", "no space"]),
        "store full: write failed: no space"
    );
    assert_eq!(chain(&["a: b: c", "b: c", "c"]), "a: b: c");
    assert_eq!(chain(&["store failed", "disk failed"]), "store failed: disk failed");
}
