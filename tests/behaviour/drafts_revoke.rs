//! Drafts of revocations: the first stored revocation prevails, and a changed record is a conflict.

use service_tokens::error::NotPermitted;
use service_tokens::event::Operation;
use service_tokens::record::{Field, Rule};
use service_tokens::store::StoreError;
use service_tokens::{
    AmendRequest, Event, ManageError, Policy, Refusal, ReservedScope, RevokeDraft, RevokeRequest,
    RotateRequest, State, SuspendRequest, TokenId,
};

use super::drafts::{expect_events, moves_anywhere};
use super::harness::{
    Fault, Harness, MANAGER, MAX_AGE, SharedStore, Stores, any, backup, expect_invalid,
    expect_not_permitted, incident, newer, refusal_of, text,
};

behaviours! {
    confirm_after_commit_reports_revocation,
    early_confirmation_of_revocation_is_repeated,
    changed_record_conflicts_with_revocation,
    first_stored_revocation_prevails,
    equal_revocations_are_reported_once,
    prepare_revoke_checks_token_and_texts,
    confirm_revocation_of_removed_record_is_final,
    confirm_revocation_without_store_is_repeated,
    confirm_revocation_invalidates_the_cache,
    revocation_on_behalf_needs_its_scope,
    dropped_revocation_is_reported_once,
}

/// Stands for the commit of the embedder's transaction, and returns whether it changed a row.
pub(crate) async fn commit(store: &SharedStore, draft: &RevokeDraft) -> bool {
    match store.replace(draft.record(), draft.expected()).await {
        Ok(_) => true,
        Err(StoreError::Conflict) => false,
        Err(error) => panic!("{error:?}"),
    }
}

async fn prepared(harness: &Harness, id: TokenId) -> RevokeDraft {
    let draft = harness.service.owner("acme").prepare_revoke(id, incident()).await.unwrap();
    let _ = harness.events();
    draft
}

pub(crate) async fn confirm_after_commit_reports_revocation(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, token) = harness.issue_backup().await;
    let _ = harness.events();
    let mut draft = harness.service.owner("acme").prepare_revoke(id, incident()).await.unwrap();
    moves_anywhere(&draft);
    assert!(harness.accepts(&token).await, "preparing revokes nothing");
    let [Event::Prepared { operation: Operation::Revoke, by, .. }] = &harness.events()[..] else {
        panic!()
    };
    assert_eq!(by.as_deref(), Some("alice"));
    assert!(commit(&harness.store, &draft).await);
    let revoked = draft.confirm().await.unwrap();
    assert_eq!((revoked.already_revoked, &revoked.record), (false, draft.record()));
    let [Event::Revoked { id: of, owner, by, reason, on_behalf_of: None, .. }] =
        &harness.events()[..]
    else {
        panic!()
    };
    assert_eq!((*of, &**owner), (id, "acme"));
    assert_eq!((by.as_deref(), reason.as_deref()), (Some("alice"), Some("INC-42")));
    assert!(!harness.accepts(&token).await);
    let again = draft.confirm().await;
    assert!(matches!(again, Err(ManageError::DraftEnded { .. })), "{again:?}");
    let _ = harness.events();
    drop(draft);
    assert_eq!(harness.events(), []);
}

pub(crate) async fn early_confirmation_of_revocation_is_repeated(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    let mut draft = prepared(&harness, id).await;
    let early = draft.confirm().await;
    assert!(
        matches!(early, Err(ManageError::NotStored { .. })) && draft.can_confirm(),
        "{early:?}"
    );
    assert!(commit(&harness.store, &draft).await);
    assert!(!draft.confirm().await.unwrap().already_revoked);
    expect_events(&harness, id, &["failed", "revoked"]);
}

pub(crate) async fn changed_record_conflicts_with_revocation(stores: Stores) {
    for change in ["rotate", "amend", "suspend"] {
        let harness = Harness::new(stores);
        let (id, _) = harness.issue_backup().await;
        let mut draft = prepared(&harness, id).await;
        let view = harness.elsewhere().owner("acme");
        match change {
            "rotate" => drop(view.rotate(id, RotateRequest::at_once()).await.unwrap()),
            "amend" => {
                view.amend(id, AmendRequest::new().issued_to("reports")).await.unwrap();
            }
            _ => {
                view.suspend(id, SuspendRequest::new()).await.unwrap();
            }
        }
        assert!(!commit(&harness.store, &draft).await);
        let changed = draft.confirm().await;
        assert!(matches!(changed, Err(ManageError::VersionChanged { .. })), "{changed:?}");
        assert!(!draft.can_confirm());
        drop(draft);
        expect_events(&harness, id, &["failed"]);
        assert!(harness.record(id).await.revocation().is_none());
        let mut second = prepared(&harness, id).await;
        assert!(commit(&harness.store, &second).await);
        assert!(!second.confirm().await.unwrap().already_revoked);
    }
}

pub(crate) async fn first_stored_revocation_prevails(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    let mut draft = prepared(&harness, id).await;
    let theirs = RevokeRequest::new().by("bob").reason("INC-43");
    let first = harness.elsewhere().owner("acme").revoke(id, theirs).await.unwrap();
    assert!(!commit(&harness.store, &draft).await);
    let revoked = draft.confirm().await.unwrap();
    assert!(revoked.already_revoked && !draft.can_confirm());
    assert_eq!(revoked.record.revocation(), first.record.revocation());
    expect_events(&harness, id, &["already_revoked"]);
}

/// Two requests prepare the same revocation while the clock stands still.
pub(crate) async fn equal_revocations_are_reported_once(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    let mut first = prepared(&harness, id).await;
    let mut second = prepared(&harness, id).await;
    assert_eq!(first.expected(), second.expected());
    assert!(commit(&harness.store, &second).await);
    assert!(!commit(&harness.store, &first).await);
    assert!(first.confirm().await.unwrap().already_revoked);
    assert!(!second.confirm().await.unwrap().already_revoked);
    expect_events(&harness, id, &["already_revoked", "revoked"]);
}

pub(crate) async fn prepare_revoke_checks_token_and_texts(stores: Stores) {
    let harness = Harness::with_policy(stores, Policy::new().max_reason_len(6));
    let (id, _) = harness.issue_backup().await;
    let unknown = harness.service.new_id().unwrap();
    for (owner, id) in [("acme", unknown), ("globex", id)] {
        let missing = harness.service.owner(owner).prepare_revoke(id, incident()).await;
        assert!(matches!(missing, Err(ManageError::NotFound { .. })), "{missing:?}");
    }
    let view = harness.service.all_owners();
    let empty = view.prepare_revoke(id, RevokeRequest::new().by("")).await;
    expect_invalid(empty, Field::RevokedBy, Rule::Empty);
    let long = view.prepare_revoke(id, RevokeRequest::new().reason("INC-421")).await;
    expect_invalid(long, Field::Reason, Rule::TooLong { max: 6 });
    assert!(view.prepare_revoke(id, incident()).await.is_ok());
    harness.revoke(id).await;
    let _ = harness.events();
    let ended = view.prepare_revoke(id, incident()).await;
    let revoked = matches!(ended, Err(ManageError::Ended { state: State::Revoked, .. }));
    assert!(revoked, "{ended:?}");
    let [Event::Failed { operation: Operation::PrepareRevoke, .. }] = &harness.events()[..] else {
        panic!()
    };
}

pub(crate) async fn confirm_revocation_of_removed_record_is_final(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    let mut draft = prepared(&harness, id).await;
    harness.store.remove(id, draft.expected()).await.unwrap();
    assert!(!commit(&harness.store, &draft).await);
    let gone = draft.confirm().await;
    assert!(matches!(gone, Err(ManageError::NotFound { .. })), "{gone:?}");
    assert!(!draft.can_confirm());
}

pub(crate) async fn confirm_revocation_without_store_is_repeated(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let id = harness.issue(backup()).await.record.id();
    let mut draft = harness.service.owner("acme").prepare_revoke(id, incident()).await.unwrap();
    let _ = harness.events();
    assert!(commit(&harness.store, &draft).await);
    harness.faulty().arm(&[Fault::Unavailable], Fault::None);
    let failed = draft.confirm().await;
    assert!(matches!(failed, Err(ManageError::Store(_))) && draft.can_confirm(), "{failed:?}");
    assert!(!draft.confirm().await.unwrap().already_revoked);
    expect_events(&harness, id, &["failed", "revoked"]);

    let id = harness.issue(backup()).await.record.id();
    let mut draft = harness.service.owner("acme").prepare_revoke(id, incident()).await.unwrap();
    let newer = newer(draft.record());
    harness.store.replace(&newer, draft.expected()).await.unwrap();
    let unknown = draft.confirm().await;
    let newer = matches!(unknown, Err(ManageError::Store(StoreError::NewerFormat)));
    assert!(newer && draft.can_confirm(), "{unknown:?}");
}

pub(crate) async fn confirm_revocation_invalidates_the_cache(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 100);
    let issued = harness.issue(backup()).await;
    let id = issued.record.id();
    let mut draft = harness.service.owner("acme").prepare_revoke(id, incident()).await.unwrap();
    harness.verified(&issued).await;
    assert!(commit(&harness.store, &draft).await);
    assert!(harness.service.verify(&text(&issued), &any()).await.is_ok(), "it is cached");
    let _ = draft.confirm().await.unwrap();
    let refused = harness.service.verify(&text(&issued), &any()).await;
    assert_eq!(refusal_of(refused), Some(Refusal::Revoked));
}

pub(crate) async fn revocation_on_behalf_needs_its_scope(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    let reader = harness.caller(&["service-tokens:read"]).await;
    let on_behalf = harness.service.on_behalf_of(&reader);
    let refused = on_behalf.prepare_revoke(id, incident()).await;
    let missing = NotPermitted::MissingScope(ReservedScope::Revoke);
    assert_eq!(expect_not_permitted(refused), missing);
    // A token may revoke itself without a scope, and not after it has ended.
    let mut own = on_behalf.prepare_revoke(reader.id(), incident()).await.unwrap();
    assert!(commit(&harness.store, &own).await);
    assert!(!own.confirm().await.unwrap().already_revoked);
    let ended = NotPermitted::NotActive(Refusal::Revoked);
    let again = on_behalf.prepare_revoke(reader.id(), incident()).await;
    assert_eq!(expect_not_permitted(again), ended);

    let manager = harness.caller(&MANAGER).await;
    let on_behalf = harness.service.on_behalf_of(&manager);
    let foreign = harness.issue_for("globex", backup()).await.record.id();
    let missing = on_behalf.prepare_revoke(foreign, incident()).await;
    assert!(matches!(missing, Err(ManageError::NotFound { .. })), "{missing:?}");
    let _ = harness.events();
    let mut draft = on_behalf.prepare_revoke(id, incident()).await.unwrap();
    assert!(commit(&harness.store, &draft).await);
    let _ = draft.confirm().await.unwrap();
    let events = harness.events();
    let [
        Event::Prepared { on_behalf_of: prepared, .. },
        Event::Revoked { on_behalf_of: confirmed, .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!([*prepared, *confirmed], [Some(manager.id()); 2]);
}

pub(crate) async fn dropped_revocation_is_reported_once(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = harness.issue_backup().await;
    drop(prepared(&harness, id).await);
    let [Event::NotConfirmed { id: of, operation: Operation::Revoke, by, .. }] =
        &harness.events()[..]
    else {
        panic!()
    };
    assert_eq!((*of, by.as_deref()), (id, Some("alice")));
}
