//! Revoking a token by its holder, who presents it.

use std::sync::Arc;

use super::harness::{
    DAY, Fault, HOUR, Harness, MICRO, Stores, any, backup, builder, delta, incident, newer, plant,
    rotated_before_call, text, token_type,
};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::digest::KeyId;
use service_tokens::error::RevokePresentedError;
use service_tokens::record::{Field, Rule};
use service_tokens::store::{LastUsed, StoreError};
use service_tokens::{
    Event, Issued, KeyRing, ManageError, OwnerStatus, Refusal, RevokeRequest, Revoked,
    RotateRequest, State, SuspendRequest, TokenId, TokenService, TokenStore,
};

behaviours! {
    revoke_presented_needs_right_secret_only,
    revoke_presented_with_older_secret_works,
    revoke_presented_with_ended_secret_is_refused,
    revoke_presented_works_in_every_live_state,
    revoke_presented_ignores_owner_type_network,
    revoke_presented_with_ended_key_works,
    revoke_presented_again_keeps_first,
    revoke_presented_by_wrong_text_changes_nothing,
    revoke_presented_without_key_cannot_tell,
    revoke_presented_of_newer_record_cannot_tell,
    revoke_presented_during_store_failure_fails,
    revoke_presented_meets_rotation,
    revoke_presented_limits_texts,
}

async fn present<S: TokenStore>(
    service: &TokenService<S>,
    issued: &Issued,
) -> Result<Revoked, RevokePresentedError> {
    service.revoke_presented(&text(issued), RevokeRequest::new()).await
}

#[track_caller]
fn refused(outcome: Result<Revoked, RevokePresentedError>) -> Refusal {
    match outcome {
        Err(RevokePresentedError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Issues a token of the same id elsewhere, so that it has another secret.
async fn impostor(id: TokenId, clock: &Arc<ManualClock>) -> Issued {
    let store = service_tokens::MemoryStore::new();
    let elsewhere = builder(store).clock(clock.clone()).build().unwrap();
    elsewhere.owner("acme").issue(backup().id(id)).await.unwrap()
}

pub(crate) async fn revoke_presented_needs_right_secret_only(stores: Stores) {
    let harness = Harness::new(stores);
    let (issued, other) = (harness.issue(backup()).await, harness.issue(backup()).await);
    let _ = harness.events();
    let revoked = harness.service.revoke_presented(&text(&issued), incident()).await.unwrap();
    let events = harness.events();
    assert!(!revoked.already_revoked);
    let revocation = revoked.record.revocation().unwrap();
    assert_eq!(
        (revocation.by.as_deref(), revocation.reason.as_deref()),
        (Some("alice"), Some("INC-42"))
    );
    let id = issued.record.id();
    let of_itself = matches!(
        &events[..],
        [Event::Revoked { id: of, on_behalf_of: Some(by), .. }] if *of == id && *by == id
    );
    assert!(of_itself, "{events:?}");
    let stored = harness.service.owner("acme").get(id).await.unwrap();
    assert_eq!((stored.record, stored.last_used), (revoked.record, LastUsed::Never));
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::Revoked));
    assert!(harness.accepts(&text(&other)).await);
}

pub(crate) async fn revoke_presented_with_older_secret_works(stores: Stores) {
    for newest in [false, true] {
        let harness = Harness::new(stores);
        let older = harness.issue(backup()).await;
        let overlap = RotateRequest::until_first_use(DAY);
        let new = harness.service.owner("acme").rotate(older.record.id(), overlap).await.unwrap();
        harness.advance(DAY - MICRO);
        let held = if newest { &new } else { &older };
        let revoked = present(&harness.service, held).await.unwrap();
        assert!(revoked.record.overlap(harness.service.now()).is_some(), "it was not a use");
        for issued in [&older, &new] {
            assert_eq!(harness.refusal(&text(issued)).await, Some(Refusal::Revoked));
        }
    }
}

pub(crate) async fn revoke_presented_with_ended_secret_is_refused(stores: Stores) {
    for after in [DAY, DAY + MICRO] {
        let harness = Harness::new(stores);
        let older = harness.issue(backup()).await;
        let overlap = RotateRequest::with_overlap(DAY);
        let new = harness.service.owner("acme").rotate(older.record.id(), overlap).await.unwrap();
        harness.advance(after);
        let _ = harness.events();
        assert_eq!(refused(present(&harness.service, &older).await), Refusal::SecretEnded);
        let events = harness.events();
        let ended = matches!(&events[..], [Event::EndedSecretPresented { .. }]);
        assert!(ended, "{events:?}");
        assert!(harness.accepts(&text(&new)).await);

        let at_once = RotateRequest::at_once();
        let third = harness.service.owner("acme").rotate(new.record.id(), at_once).await.unwrap();
        assert_eq!(refused(present(&harness.service, &new).await), Refusal::SecretEnded);
        assert!(harness.accepts(&text(&third)).await);
        // Of a revoked token it is not said that its secret has ended.
        present(&harness.service, &third).await.unwrap();
        assert_eq!(refused(present(&harness.service, &new).await), Refusal::Revoked);
    }
}

pub(crate) async fn revoke_presented_works_in_every_live_state(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now() + delta(HOUR);
    let pending = harness.issue(backup().not_before(start)).await;
    let suspended = harness.issue(backup()).await;
    let acme = harness.service.owner("acme");
    acme.suspend(suspended.record.id(), SuspendRequest::new()).await.unwrap();
    let expired = harness.issue(backup().expires_in(MICRO)).await;
    harness.advance(MICRO);
    for (issued, state) in
        [(&pending, State::Pending), (&suspended, State::Suspended), (&expired, State::Expired)]
    {
        assert_eq!(harness.state(issued.record.id()).await, state);
        assert!(!present(&harness.service, issued).await.unwrap().already_revoked);
        assert_eq!(harness.state(issued.record.id()).await, State::Revoked);
    }
}

pub(crate) async fn revoke_presented_ignores_owner_type_network(stores: Stores) {
    let harness = Harness::builder(stores)
        .configure(|service| {
            service.owner_gate(|owner: &str| match owner {
                "closed" => OwnerStatus::Closed,
                "unknown" => OwnerStatus::Unknown,
                _ => OwnerStatus::Open,
            })
        })
        .build();
    for owner in ["closed", "unknown"] {
        let issued = harness.issue_for(owner, backup()).await;
        assert!(harness.verify(&text(&issued)).await.is_err());
        assert!(!present(&harness.service, &issued).await.unwrap().already_revoked);
    }
    let placed = harness.issue(backup().networks(["10.0.0.0/8".parse().unwrap()])).await;
    assert_eq!(harness.refusal(&text(&placed)).await, Some(Refusal::OutsideNetworks));
    assert!(!present(&harness.service, &placed).await.unwrap().already_revoked);

    let elsewhere = harness.with_types([token_type("other", &["x"])]);
    let issued = harness.issue(backup()).await;
    let unknown = elsewhere.verify(&text(&issued), &any()).await.unwrap_err();
    assert_eq!(unknown.refusal(), Some(Refusal::UnknownType));
    assert!(!present(&elsewhere, &issued).await.unwrap().already_revoked);
}

pub(crate) async fn revoke_presented_with_ended_key_works(stores: Stores) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let (old, new) = (KeyId(*b"2025"), KeyId(*b"2026"));
    let with = |ring: KeyRing| {
        builder(opened.store.clone()).clock(clock.clone()).keys(ring).build().unwrap()
    };
    let before = with(KeyRing::new(old, &[1; 32]).unwrap());
    let issued = before.owner("acme").issue(backup()).await.unwrap();
    let end = clock.now();
    let ring = KeyRing::new(new, &[2; 32]).unwrap().retired_until(old, &[1; 32], end).unwrap();
    let after = with(ring);
    let ended = after.verify(&text(&issued), &any()).await.unwrap_err();
    assert_eq!(ended.refusal(), Some(Refusal::KeyEnded(old)));
    assert!(!present(&after, &issued).await.unwrap().already_revoked);
}

pub(crate) async fn revoke_presented_again_keeps_first(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let first = present(&harness.service, &issued).await.unwrap();
    harness.advance(HOUR);
    let _ = harness.events();
    let again = harness.service.revoke_presented(&text(&issued), incident()).await.unwrap();
    assert!(again.already_revoked);
    assert_eq!(again.record, first.record);
    let events = harness.events();
    assert!(matches!(&events[..], [Event::AlreadyRevoked { .. }]), "{events:?}");
}

pub(crate) async fn revoke_presented_by_wrong_text_changes_nothing(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let wrong = impostor(issued.record.id(), &harness.clock).await;
    let unknown = impostor(harness.service.new_id().unwrap(), &harness.clock).await;
    let _ = harness.events();
    assert_eq!(refused(present(&harness.service, &wrong).await), Refusal::WrongSecret);
    assert_eq!(refused(present(&harness.service, &unknown).await), Refusal::UnknownId);
    for malformed in ["", "x", &issued.record.id().to_string(), &format!("{} ", text(&issued))] {
        let outcome = harness.service.revoke_presented(malformed, RevokeRequest::new()).await;
        assert!(matches!(outcome, Err(RevokePresentedError::Malformed(_))), "{outcome:?}");
    }
    let events = harness.events();
    assert_eq!(events.len(), 6);
    for event in events {
        assert!(matches!(event, Event::Refused { .. }), "{event:?}");
    }
    assert_eq!(harness.record(issued.record.id()).await, issued.record);
}

pub(crate) async fn revoke_presented_without_key_cannot_tell(stores: Stores) {
    let opened = stores.open();
    let key = KeyId(*b"2025");
    let ring = KeyRing::new(key, &[1; 32]).unwrap();
    let keyed = builder(opened.store.clone()).keys(ring).build().unwrap();
    let plain = builder(opened.store.clone()).build().unwrap();
    let issued = keyed.owner("acme").issue(backup()).await.unwrap();
    let outcome = present(&plain, &issued).await;
    let missing = matches!(outcome, Err(RevokePresentedError::CannotTell(Refusal::MissingKey(of))) if of == key);
    assert!(missing, "{outcome:?}");
    assert!(keyed.verify(&text(&issued), &any()).await.is_ok());
}

pub(crate) async fn revoke_presented_of_newer_record_cannot_tell(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, text) = plant(&*harness.store, backup(), newer).await;
    let before = harness.store.find(id).await.unwrap();
    let outcome = harness.service.revoke_presented(&text, RevokeRequest::new()).await;
    let newer = matches!(outcome, Err(RevokePresentedError::CannotTell(Refusal::NewerRecord)));
    assert!(newer, "{outcome:?}");
    assert_eq!(harness.store.find(id).await.unwrap(), before);
}

pub(crate) async fn revoke_presented_during_store_failure_fails(stores: Stores) {
    for script in [&[Fault::Unavailable][..], &[Fault::None, Fault::Unavailable]] {
        let harness = Harness::over_faulty(stores);
        let issued = harness.issue(backup()).await;
        let _ = harness.events();
        harness.faulty().arm(script, Fault::Unavailable);
        let outcome = present(&harness.service, &issued).await;
        harness.faulty().disarm();
        let failed = matches!(
            outcome,
            Err(RevokePresentedError::Failed(ManageError::Store(StoreError::Unavailable { .. })))
        );
        assert!(failed, "{outcome:?}");
        let events = harness.events();
        assert!(matches!(&events[..], [Event::Failed { .. }]), "{events:?}");
        assert!(harness.accepts(&text(&issued)).await);
    }
    for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Late] {
        let harness = Harness::over_faulty(stores);
        let issued = harness.issue(backup()).await;
        harness.faulty().arm(&[Fault::None, fault], Fault::None);
        assert!(!present(&harness.service, &issued).await.unwrap().already_revoked, "{fault:?}");
    }
}

/// A rotation at once between the read and the write ends the presented secret, so the new one stays.
pub(crate) async fn revoke_presented_meets_rotation(stores: Stores) {
    for at in [0, 1] {
        let rotation = RotateRequest::at_once();
        let (harness, issued) = rotated_before_call(stores, at, rotation).await;
        let outcome = present(&harness.service, &issued).await;
        harness.faulty().disarm();
        assert_eq!(refused(outcome), Refusal::SecretEnded);
        assert_eq!(harness.state(issued.record.id()).await, State::Active);
    }
}

pub(crate) async fn revoke_presented_limits_texts(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let long = RevokeRequest::new().by("x".repeat(256));
    let outcome = harness.service.revoke_presented(&text(&issued), long).await;
    let Err(RevokePresentedError::Failed(error)) = outcome else { panic!("{outcome:?}") };
    super::harness::expect_invalid::<()>(Err(error), Field::RevokedBy, Rule::TooLong { max: 255 });
    assert!(harness.accepts(&text(&issued)).await);
}
