//! Reports of leaked tokens that rotated themselves.

use super::harness::{
    DAY, Fault, HOUR, Harness, Stores, any, backup, builder, plant, scoped_request, text,
};
use service_tokens::digest::KeyId;
use service_tokens::leak::{CannotTell, LeakAction, LeakOutcome, LeakResponse};
use service_tokens::{
    Event, Issued, KeyRing, LeakRequest, RotateRequest, State, TokenService, TokenStore,
};

behaviours! {
    report_leak_of_self_rotated_says_so,
    report_leak_after_rotation_by_others_is_false,
    report_leak_of_wrong_secret_only_reports,
    report_leak_without_record_is_not_rotated,
    report_leak_without_key_names_self_rotation,
}

const ACTIONS: [LeakAction; 3] = [LeakAction::Report, LeakAction::Revoke, LeakAction::Suspend];

/// Reports a text. Returns the name of the outcome, and whether the token rotated itself.
async fn report(harness: &Harness, found: &str, action: LeakAction) -> (&'static str, bool) {
    let _ = harness.events();
    let told = harness.service.report_leak(found, action, LeakRequest::new()).await.unwrap();
    let events = harness.events();
    let Some(Event::LeakReported { outcome, rotated_itself, .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((*outcome, *rotated_itself), (told.outcome.name(), told.rotated_itself));
    (told.outcome.name(), told.rotated_itself)
}

/// The token with this secret rotates itself.
async fn rotate_self<S: TokenStore>(
    service: &TokenService<S>,
    secret: &Issued,
    request: RotateRequest,
) -> Issued {
    let token = service.verify(&text(secret), &any()).await.unwrap();
    service.on_behalf_of(&token).rotate_self(request).await.unwrap()
}

pub(crate) async fn report_leak_of_self_rotated_says_so(stores: Stores) {
    let harness = Harness::new(stores);
    let service = &harness.service;
    let first = harness.issue(scoped_request(&["service-tokens:rotate-self"])).await;
    let says = async |found: &Issued| report(&harness, &text(found), LeakAction::Report).await;
    assert_eq!(says(&first).await, ("live", false));

    let second = rotate_self(service, &first, RotateRequest::with_overlap(DAY)).await;
    assert_eq!(says(&first).await, ("live", true));
    assert_eq!(says(&second).await, ("live", true));
    harness.advance(DAY);
    assert_eq!(says(&first).await, ("ended_secret", true));

    // The record retains only the digest of the secret that ended last.
    let third = rotate_self(service, &second, RotateRequest::at_once()).await;
    assert_eq!(says(&second).await, ("ended_secret", true));
    assert_eq!(says(&first).await, ("wrong_secret", true));
    harness.revoke(third.record.id()).await;
    assert_eq!(says(&third).await, ("ended_token", true));
    assert_eq!(says(&first).await, ("wrong_secret", true));
}

pub(crate) async fn report_leak_after_rotation_by_others_is_false(stores: Stores) {
    let harness = Harness::new(stores);
    let first = harness.issue(scoped_request(&["x", "service-tokens:rotate-self"])).await;
    let id = first.record.id();
    let manager =
        harness.caller(&["x", "service-tokens:rotate", "service-tokens:rotate-self"]).await;
    for by_operator in [true, false] {
        let rotation = || RotateRequest::at_once().expires_in(HOUR);
        let before = harness.rotate(id, rotation()).await;
        let token = harness.verify(&before).await.unwrap();
        let own = harness.service.on_behalf_of(&token).rotate_self(rotation()).await.unwrap();
        assert_eq!(report(&harness, &before, ACTIONS[0]).await, ("ended_secret", true));
        if by_operator {
            let _ = harness.rotate(id, rotation()).await;
        } else {
            let on_behalf = harness.service.on_behalf_of(&manager);
            on_behalf.rotate(id, rotation()).await.map(drop).unwrap();
        }
        assert_eq!(report(&harness, &text(&own), ACTIONS[0]).await, ("ended_secret", false));
        assert_eq!(report(&harness, &text(&first), ACTIONS[0]).await, ("wrong_secret", false));
    }
}

/// Anyone can name any id.
pub(crate) async fn report_leak_of_wrong_secret_only_reports(stores: Stores) {
    let harness = Harness::new(stores);
    let first = harness.issue(scoped_request(&["service-tokens:rotate-self"])).await;
    let id = first.record.id();
    let newest = rotate_self(&harness.service, &first, RotateRequest::at_once()).await.record;
    let store = service_tokens::MemoryStore::new();
    let elsewhere = builder(store).clock(harness.clock.clone()).build().unwrap();
    let wrong = elsewhere.owner("acme").issue(backup().id(id)).await.unwrap();
    for (found, outcome) in [(&wrong, "wrong_secret"), (&first, "ended_secret")] {
        for action in ACTIONS {
            let found = text(found);
            let told = harness.service.report_leak(&found, action, LeakRequest::new());
            let told = told.await.unwrap();
            assert_eq!((told.outcome.name(), told.rotated_itself), (outcome, true));
            assert_eq!(told.record.is_some(), outcome == "ended_secret");
            assert!(matches!(told.response, LeakResponse::Nothing));
        }
    }
    assert_eq!(harness.record(id).await, newest);
    assert_eq!(harness.state(id).await, State::Active);
}

pub(crate) async fn report_leak_without_record_is_not_rotated(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let first = harness.issue(scoped_request(&["service-tokens:rotate-self"])).await;
    let newest = rotate_self(&harness.service, &first, RotateRequest::at_once()).await;
    let (_, unknown) = plant(&service_tokens::MemoryStore::new(), backup(), Clone::clone).await;
    let says = async |found: &str| {
        let report = harness.service.report_leak(found, LeakAction::Report, LeakRequest::new());
        let report = report.await.unwrap();
        (report.outcome.name(), report.rotated_itself)
    };
    assert_eq!(says(&text(&newest)).await, ("live", true));
    assert_eq!(says(&unknown).await, ("unknown_id", false));
    assert_eq!(says("acme_live_1x").await, ("not_ours", false));
    harness.faulty().arm(&[], Fault::Unavailable);
    assert_eq!(says(&text(&newest)).await, ("cannot_tell", false));
    harness.faulty().disarm();
}

pub(crate) async fn report_leak_without_key_names_self_rotation(stores: Stores) {
    let opened = stores.open();
    let ring = KeyRing::new(KeyId(*b"2025"), &[1; 32]).unwrap();
    let keyed = builder(opened.store.clone()).keys(ring).build().unwrap();
    let plain = builder(opened.store.clone()).build().unwrap();
    let request = scoped_request(&["service-tokens:rotate-self"]);
    let first = keyed.owner("acme").issue(request).await.unwrap();
    let newest = rotate_self(&keyed, &first, RotateRequest::at_once()).await;
    for found in [first, newest] {
        let told = plain.report_leak(&text(&found), LeakAction::Revoke, LeakRequest::new()).await;
        let told = told.unwrap();
        let missing = matches!(told.outcome, LeakOutcome::CannotTell(CannotTell::MissingKey(_)));
        assert!(missing && told.rotated_itself && told.record.is_none(), "{told:?}");
    }
}
