//! Ending the older secret of an overlap alone.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use super::harness::{
    DAY, Fault, Faulty, HOUR, Harness, MICRO, Stores, any, backup, builder, delta, expect_invalid,
    expect_not_active, expect_not_permitted, scoped_request, text,
};
use service_tokens::error::NotPermitted;
use service_tokens::record::{Field, ReplacedSecret, RotateDenied, Rule};
use service_tokens::{
    EndOlderRequest, Event, IssueRequest, Issued, ManageError, Record, Refusal, ReservedScope,
    RevokeRequest, RotateRequest, State, TokenId,
};

behaviours! {
    end_older_secret_keeps_newest,
    end_older_secret_twice_succeeds,
    end_older_secret_after_rotation_is_refused,
    end_older_secret_at_its_end_changes_nothing,
    end_older_secret_of_ended_token_is_refused,
    end_older_secret_of_pending_token_works,
    end_older_secret_of_other_owner_is_missing,
    end_older_secret_prevails_over_many_changes,
    end_older_secret_resolves_lost_answers,
    end_older_secret_meets_rival_rotation,
    end_older_secret_on_behalf_needs_containment,
    end_own_older_secret_needs_newest_secret,
    rotate_self_by_older_secret_needs_own_newest,
}

fn ends(record: &Record) -> EndOlderRequest {
    EndOlderRequest::new(record.secret_created_at())
}

#[track_caller]
fn denied<T: Debug>(outcome: Result<T, ManageError>) -> RotateDenied {
    match outcome {
        Err(ManageError::NotRotated(denied)) => denied,
        other => panic!("{other:?}"),
    }
}

/// Issues a token and rotates it with an overlap of a day.
async fn overlapping<S: service_tokens::TokenStore>(
    harness: &Harness<S>,
    request: IssueRequest,
) -> (Issued, Issued) {
    let older = harness.issue(request).await;
    harness.advance(MICRO);
    let overlap = RotateRequest::with_overlap(DAY);
    let newest = harness.service.owner("acme").rotate(older.record.id(), overlap).await.unwrap();
    let _ = harness.events();
    (older, newest)
}

pub(crate) async fn end_older_secret_keeps_newest(stores: Stores) {
    let harness = Harness::new(stores);
    let (older, newest) = overlapping(&harness, backup()).await;
    let id = older.record.id();
    let overlap = newest.record.overlap(harness.service.now()).unwrap();
    assert_eq!(overlap.older_created_at, older.record.secret_created_at());
    assert!(harness.accepts(&text(&older)).await);

    let request = EndOlderRequest::new(overlap.older_created_at).by("alice").reason("INC-42");
    let ended = harness.service.owner("acme").end_older_secret(id, request).await.unwrap();
    let events = harness.events();
    assert!(!ended.already_ended);
    assert_eq!(ended.record, harness.record(id).await);
    assert_eq!(ended.record.overlap(harness.service.now()), None);
    assert_eq!(ended.record.secret_created_at(), newest.record.secret_created_at());
    let [
        Event::OlderSecretEnded {
            id: of,
            owner,
            already_ended: false,
            by,
            reason,
            on_behalf_of: None,
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*of, &**owner, by.as_deref()), (id, "acme", Some("alice")));
    assert_eq!(reason.as_deref(), Some("INC-42"));

    assert_eq!(harness.refusal(&text(&older)).await, Some(Refusal::SecretEnded));
    assert!(harness.accepts(&text(&newest)).await);
    let refused = harness.elsewhere().verify(&text(&older), &any()).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::SecretEnded));
}

pub(crate) async fn end_older_secret_twice_succeeds(stores: Stores) {
    let harness = Harness::new(stores);
    let (older, _newest) = overlapping(&harness, backup()).await;
    let (id, acme) = (older.record.id(), harness.service.owner("acme"));
    let first = acme.end_older_secret(id, ends(&older.record)).await.unwrap();
    harness.advance(HOUR);
    let second = acme.end_older_secret(id, ends(&older.record)).await.unwrap();
    assert!(!first.already_ended && second.already_ended);
    assert_eq!(first.record, second.record);
    let events = harness.events();
    assert!(
        matches!(&events[1..], [Event::OlderSecretEnded { already_ended: true, .. }]),
        "{events:?}"
    );
    let long = acme.end_older_secret(id, ends(&older.record).by("x".repeat(256))).await;
    expect_invalid(long, Field::RotatedBy, Rule::TooLong { max: 255 });
    let long = acme.end_older_secret(id, ends(&older.record).reason("x".repeat(1_001))).await;
    expect_invalid(long, Field::Reason, Rule::TooLong { max: 1_000 });
}

pub(crate) async fn end_older_secret_after_rotation_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let (first, second) = overlapping(&harness, backup()).await;
    let (id, acme) = (first.record.id(), harness.service.owner("acme"));
    // Neither the newest secret nor a time between the secrets names the older one.
    for off in [delta(MICRO), -delta(MICRO)] {
        let request = EndOlderRequest::new(first.record.secret_created_at() + off);
        assert_eq!(
            denied(acme.end_older_secret(id, request).await),
            RotateDenied::RotatedSince,
            "{off}"
        );
    }
    let third = RotateRequest::with_overlap(DAY).replacing(ReplacedSecret::Oldest);
    let third = acme.rotate(id, third).await.unwrap();
    let fourth = RotateRequest::with_overlap(DAY).replacing(ReplacedSecret::Oldest);
    let fourth = acme.rotate(id, fourth).await.unwrap();
    for stale in [&first.record, &fourth.record] {
        let outcome = acme.end_older_secret(id, ends(stale)).await;
        assert_eq!(denied(outcome), RotateDenied::RotatedSince);
    }
    // The secret that ended last has ended already, and the present older one can be ended.
    assert!(acme.end_older_secret(id, ends(&second.record)).await.unwrap().already_ended);
    assert!(harness.accepts(&text(&third)).await);
    assert!(!acme.end_older_secret(id, ends(&third.record)).await.unwrap().already_ended);
    assert!(!harness.accepts(&text(&third)).await);
    assert!(harness.accepts(&text(&fourth)).await);
    // A token without an overlap has no older secret.
    let single = harness.issue(backup()).await.record;
    let outcome = acme.end_older_secret(single.id(), ends(&single)).await;
    assert_eq!(denied(outcome), RotateDenied::RotatedSince);
}

pub(crate) async fn end_older_secret_at_its_end_changes_nothing(stores: Stores) {
    for (after, already) in [(DAY - MICRO, false), (DAY, true), (DAY + MICRO, true)] {
        let harness = Harness::new(stores);
        let (older, newest) = overlapping(&harness, backup()).await;
        harness.advance(after);
        let acme = harness.service.owner("acme");
        let ended = acme.end_older_secret(older.record.id(), ends(&older.record)).await.unwrap();
        assert_eq!(ended.already_ended, already, "{after:?}");
        assert_eq!(ended.record == newest.record, already, "{after:?}");
    }
}

pub(crate) async fn end_older_secret_of_ended_token_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let acme = harness.service.owner("acme");
    let (older, _newest) = overlapping(&harness, backup()).await;
    harness.revoke(older.record.id()).await;
    let outcome = acme.end_older_secret(older.record.id(), ends(&older.record)).await;
    assert_eq!(denied(outcome), RotateDenied::NotActive(State::Revoked));

    for (after, state) in [
        (HOUR - MICRO - MICRO, None),
        (HOUR - MICRO, Some(State::Expired)),
        (HOUR, Some(State::Expired)),
    ] {
        let (older, _newest) = overlapping(&harness, backup().expires_in(HOUR)).await;
        harness.advance(after);
        let outcome = acme.end_older_secret(older.record.id(), ends(&older.record)).await;
        match state {
            None => assert!(!outcome.unwrap().already_ended),
            Some(state) => assert_eq!(denied(outcome), RotateDenied::NotActive(state)),
        }
    }
}

/// A clock that is behind shows a token as pending that has been rotated.
pub(crate) async fn end_older_secret_of_pending_token_works(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now() + delta(HOUR);
    let issued = harness.issue(backup().not_before(start)).await;
    harness.advance(HOUR);
    let rotated = harness.rotate(issued.record.id(), RotateRequest::with_overlap(DAY)).await;
    let behind = service_tokens::clock::ManualClock::new(start - delta(MICRO));
    let behind = builder(harness.store.clone()).clock(behind).build().unwrap();
    assert_eq!(harness.record(issued.record.id()).await.state(behind.now()), State::Pending);
    let ended = behind.owner("acme").end_older_secret(issued.record.id(), ends(&issued.record));
    assert!(!ended.await.unwrap().already_ended);
    assert!(!harness.accepts(&text(&issued)).await);
    assert!(harness.accepts(&rotated).await);
}

pub(crate) async fn end_older_secret_of_other_owner_is_missing(stores: Stores) {
    let harness = Harness::new(stores);
    let (older, newest) = overlapping(&harness, backup()).await;
    let id = older.record.id();
    let outcome = harness.service.owner("globex").end_older_secret(id, ends(&older.record)).await;
    assert!(matches!(outcome, Err(ManageError::NotFound { .. })), "{outcome:?}");
    assert_eq!(harness.record(id).await, newest.record);
    let all = harness.service.all_owners();
    assert!(!all.end_older_secret(id, ends(&older.record)).await.unwrap().already_ended);
}

/// Returns a service with a rival that acts on the token with this id.
fn with_rival(stores: Stores) -> (Harness<Arc<Faulty>>, Arc<Mutex<Option<TokenId>>>) {
    let id = Arc::new(Mutex::new(None));
    let of_rival = id.clone();
    let harness = Harness::builder(stores).faulty_with_rival(move |store, clock, what| {
        let id = of_rival.lock().unwrap().unwrap();
        Box::pin(async move {
            if what == REWRITE {
                let present = store.find(id).await.unwrap().unwrap();
                store.replace(&present.record, present.version).await.unwrap();
                return;
            }
            let service = builder(store).clock(clock).build().unwrap();
            let all = service.all_owners();
            match what {
                ROTATE => {
                    let next = RotateRequest::with_overlap(DAY).replacing(ReplacedSecret::Oldest);
                    let _ = all.rotate(id, next).await.unwrap();
                }
                _ => {
                    all.revoke(id, RevokeRequest::new().by("rival")).await.unwrap();
                }
            }
        })
    });
    (harness.build(), id)
}

const REWRITE: u8 = 0;
const ROTATE: u8 = 1;
const REVOKE: u8 = 2;

pub(crate) async fn end_older_secret_prevails_over_many_changes(stores: Stores) {
    let (harness, id) = with_rival(stores);
    let (older, newest) = overlapping(&harness, backup()).await;
    *id.lock().unwrap() = Some(older.record.id());
    harness.faulty().arm(&[Fault::Rival(REWRITE); 1_000], Fault::None);
    let acme = harness.service.owner("acme");
    let ended = acme.end_older_secret(older.record.id(), ends(&older.record)).await.unwrap();
    harness.faulty().disarm();
    assert!(!ended.already_ended);
    assert!(!harness.accepts(&text(&older)).await && harness.accepts(&text(&newest)).await);
}

pub(crate) async fn end_older_secret_resolves_lost_answers(stores: Stores) {
    for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Late] {
        let harness = Harness::over_faulty(stores);
        let (older, newest) = overlapping(&harness, backup()).await;
        harness.faulty().arm(&[Fault::None, fault], Fault::None);
        let acme = harness.service.owner("acme");
        let ended = acme.end_older_secret(older.record.id(), ends(&older.record)).await.unwrap();
        harness.faulty().disarm();
        assert!(!ended.already_ended, "{fault:?}");
        assert!(!harness.accepts(&text(&older)).await && harness.accepts(&text(&newest)).await);
    }
}

/// The other operation comes before or between the read and the write. No change is lost.
pub(crate) async fn end_older_secret_meets_rival_rotation(stores: Stores) {
    for at in [0, 1] {
        for what in [ROTATE, REVOKE] {
            let (harness, id) = with_rival(stores);
            let (older, newest) = overlapping(&harness, backup()).await;
            *id.lock().unwrap() = Some(older.record.id());
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(what));
            harness.faulty().arm(&script, Fault::None);
            let acme = harness.service.owner("acme");
            let outcome = acme.end_older_secret(older.record.id(), ends(&older.record)).await;
            harness.faulty().disarm();
            if what == REVOKE {
                assert_eq!(denied(outcome), RotateDenied::NotActive(State::Revoked), "{at}");
                assert_eq!(harness.refusal(&text(&newest)).await, Some(Refusal::Revoked));
                continue;
            }
            // The rotation ended the older secret itself, so it has ended already.
            assert!(outcome.unwrap().already_ended, "{at}");
            assert!(!harness.accepts(&text(&older)).await && harness.accepts(&text(&newest)).await);
            assert!(harness.has_overlap(older.record.id()).await, "the rotation was lost");
        }
    }
}

pub(crate) async fn end_older_secret_on_behalf_needs_containment(stores: Stores) {
    let harness = Harness::new(stores);
    let (older, newest) = overlapping(&harness, scoped_request(&["files:read", "x"])).await;
    let id = older.record.id();
    for scopes in [&["*", "service-tokens:rotate-self"][..], &["*", "service-tokens:revoke"]] {
        let caller = harness.caller(scopes).await;
        let outcome = harness.service.on_behalf_of(&caller);
        let outcome = outcome.end_older_secret(id, ends(&older.record)).await;
        let missing = NotPermitted::MissingScope(ReservedScope::Rotate);
        assert_eq!(expect_not_permitted(outcome), missing);
    }
    let narrow = harness.caller(&["files:read", "service-tokens:rotate"]).await;
    let outcome = harness.service.on_behalf_of(&narrow);
    let outcome = outcome.end_older_secret(id, ends(&older.record)).await;
    assert_eq!(expect_not_permitted(outcome), NotPermitted::ExceedsCaller);
    // A caller that is restricted to a network does not contain a token that is accepted from anywhere.
    let network = "10.0.0.0/8".parse().unwrap();
    let placed = scoped_request(&["*", "service-tokens:*"]).networks([network]);
    let placed = harness.issue(placed).await;
    let context =
        service_tokens::RequestContext::new().client_address(std::net::IpAddr::from([10, 0, 0, 1]));
    let placed = harness.service.in_context(context).verify(&text(&placed), &any()).await.unwrap();
    let outcome = harness.service.on_behalf_of(&placed);
    let outcome = outcome.end_older_secret(id, ends(&older.record)).await;
    assert_eq!(expect_not_permitted(outcome), NotPermitted::ExceedsCaller);
    assert_eq!(harness.record(id).await, newest.record);

    let foreign = harness.issue_for("globex", scoped_request(&["*", "service-tokens:*"])).await;
    let foreign = harness.verified(&foreign).await;
    let outcome = harness.service.on_behalf_of(&foreign);
    let outcome = outcome.end_older_secret(id, ends(&older.record)).await;
    assert!(matches!(outcome, Err(ManageError::NotFound { .. })), "{outcome:?}");

    let caller = harness.caller(&["files:*", "x", "service-tokens:rotate"]).await;
    let _ = harness.events();
    let on_behalf = harness.service.on_behalf_of(&caller);
    assert!(!on_behalf.end_older_secret(id, ends(&older.record)).await.unwrap().already_ended);
    let events = harness.events();
    assert!(
        matches!(&events[..], [Event::OlderSecretEnded { on_behalf_of: Some(by), .. }] if *by == caller.id()),
        "{events:?}"
    );
    harness.revoke(caller.id()).await;
    let outcome = on_behalf.end_older_secret(id, ends(&older.record)).await;
    assert_eq!(expect_not_active(outcome), Refusal::Revoked);
}

pub(crate) async fn end_own_older_secret_needs_newest_secret(stores: Stores) {
    let harness = Harness::new(stores);
    let (older, newest) = overlapping(&harness, scoped_request(&["service-tokens:rotate"])).await;
    let id = older.record.id();
    let token = harness.verified(&newest).await;
    let outcome = harness.service.on_behalf_of(&token).end_older_secret(id, ends(&older.record));
    let missing = NotPermitted::MissingScope(ReservedScope::RotateSelf);
    assert_eq!(expect_not_permitted(outcome.await), missing);

    let (older, newest) =
        overlapping(&harness, scoped_request(&["service-tokens:rotate-self"])).await;
    let id = older.record.id();
    let token = harness.verified(&older).await;
    let outcome = harness.service.on_behalf_of(&token).end_older_secret(id, ends(&older.record));
    assert_eq!(expect_not_permitted(outcome.await), NotPermitted::OlderSecret);
    assert_eq!(harness.record(id).await, newest.record);
    let token = harness.verified(&newest).await;
    let outcome = harness.service.on_behalf_of(&token).end_older_secret(id, ends(&older.record));
    assert!(!outcome.await.unwrap().already_ended);
    assert!(!harness.accepts(&text(&older)).await && harness.accepts(&text(&newest)).await);
}

/// A leaked older secret does not rotate away the secret that an operator made. A token that made its
/// newest secret itself repeats the rotation after a lost answer.
pub(crate) async fn rotate_self_by_older_secret_needs_own_newest(stores: Stores) {
    let again = || RotateRequest::at_once().replacing(ReplacedSecret::Newest);
    let harness = Harness::new(stores);
    let request = scoped_request(&["service-tokens:rotate-self"]);
    let (older, newest) = overlapping(&harness, request.clone()).await;
    let token = harness.verified(&older).await;
    let outcome = harness.service.on_behalf_of(&token).rotate_self(again()).await;
    assert_eq!(expect_not_permitted(outcome), NotPermitted::OlderSecret);
    assert!(harness.accepts(&text(&newest)).await);

    // The same if another token made the newest secret.
    let own = harness.issue(request.clone()).await;
    let manager = harness.caller(&["service-tokens:*"]).await;
    let overlap = RotateRequest::with_overlap(DAY);
    let by_manager = harness.service.on_behalf_of(&manager);
    let by_manager = by_manager.rotate(own.record.id(), overlap.clone()).await.unwrap();
    let token = harness.verified(&own).await;
    let outcome = harness.service.on_behalf_of(&token).rotate_self(again()).await;
    assert_eq!(expect_not_permitted(outcome), NotPermitted::OlderSecret);
    assert!(harness.accepts(&text(&by_manager)).await);

    let own = harness.issue(request).await;
    let token = harness.verified(&own).await;
    let lost = harness.service.on_behalf_of(&token).rotate_self(overlap).await.unwrap();
    let repeated = harness.service.on_behalf_of(&token).rotate_self(again()).await.unwrap();
    // Both secrets ended together, and the record has the digest of one of them.
    assert!(harness.verify(&text(&lost)).await.is_err());
    assert!(harness.accepts(&text(&repeated)).await);
}
