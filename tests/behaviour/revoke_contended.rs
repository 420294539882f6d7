//! A revocation prevails over concurrent rotations and uses of its token.

use std::pin::pin;
use std::sync::Arc;

use super::harness::{
    Fault, HOUR, Harness, Interrupted, Op, Remote, Stores, any, backup, builder, changed_by_others,
    expect_contended, incident, text,
};
use futures_lite::future::poll_once;
use service_tokens::record::ReplacedSecret;
use service_tokens::{Event, Filter, ManageError, Refusal, RevokeRequest, RotateRequest};

behaviours! {
    revoke_prevails_over_many_changes,
    revoke_all_prevails_over_many_changes,
    revoke_with_endless_conflicts_is_contended,
    rotate_during_revoke_is_contended,
    first_use_during_revoke_is_deferred,
    dropped_revoke_does_not_block_rotate,
    revoke_of_other_owner_does_not_block_rotate,
}

pub(crate) async fn revoke_prevails_over_many_changes(stores: Stores) {
    let (faulty, service, _opened) = changed_by_others(stores);
    let issued = service.owner("acme").issue(backup()).await.unwrap();
    faulty.arm(&[Fault::Rival(0); 1_000], Fault::None);
    let revoked = service.owner("acme").revoke(issued.record.id(), incident()).await.unwrap();
    assert!(!revoked.already_revoked);
    let refused = service.verify(&text(&issued), &any()).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Revoked));
}

pub(crate) async fn revoke_all_prevails_over_many_changes(stores: Stores) {
    let (faulty, service, _opened) = changed_by_others(stores);
    for _ in 0..3 {
        let _ = service.owner("acme").issue(backup()).await.unwrap();
    }
    faulty.arm(&[Fault::Rival(0); 1_000], Fault::None);
    let outcome = service.owner("acme").revoke_all(Filter::new(), incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (3, 0), "{:?}", outcome.failures);
}

pub(crate) async fn revoke_with_endless_conflicts_is_contended(stores: Stores) {
    let (faulty, service, _opened) = changed_by_others(stores);
    let id = service.owner("acme").issue(backup()).await.unwrap().record.id();
    faulty.arm(&[], Fault::Rival(0));
    let contended = service.owner("acme").revoke(id, incident()).await.unwrap_err();
    assert!(matches!(contended, ManageError::Contended { id: of } if of == id), "{contended:?}");
    let replaces = faulty.calls().iter().filter(|(op, _)| *op == Op::Replace).count();
    assert_eq!(replaces, 10_000);
    let rotated = service.owner("acme").rotate(id, RotateRequest::at_once()).await;
    assert!(matches!(rotated, Err(ManageError::Contended { .. })));
    let outcome = service.owner("acme").revoke_all(Filter::new(), incident()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed, outcome.passes), (0, 1, 1));
}

pub(crate) async fn rotate_during_revoke_is_contended(stores: Stores) {
    // The thief rotates at the moment when the revocation is about to be written.
    let interrupted = Interrupted::new(stores, |service, token| {
        Box::pin(async move {
            let again = || RotateRequest::with_overlap(HOUR).replacing(ReplacedSecret::Newest);
            let itself = service.on_behalf_of(token).rotate_self(again()).await;
            let embedder = service.all_owners().rotate(token.id(), again()).await;
            vec![itself.map(drop), embedder.map(drop)]
        })
    });
    let interrupted = interrupted.await;
    let owner = interrupted.service().owner("acme");
    interrupted.arm();
    assert!(!owner.revoke(interrupted.id, incident()).await.unwrap().already_revoked);
    let rotated = interrupted.take_outcomes();
    assert_eq!(rotated.len(), 2);
    rotated.iter().for_each(expect_contended);
}

pub(crate) async fn first_use_during_revoke_is_deferred(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let store = harness.remote();
    let (id, older, newer) = harness.rotate_until_first_use().await;
    store.hold_writes(true);
    let owner = harness.service.owner("acme");
    let mut revoke = Box::pin(owner.revoke(id, RevokeRequest::new()));
    assert!(poll_once(&mut revoke).await.is_none());
    store.replaces();
    // The revocation is not yet written, so the token is accepted and the use writes no change.
    let verified = poll_once(harness.service.verify(&newer, &any())).await;
    verified.expect("it waits for a write").unwrap();
    assert_eq!(store.replaces(), 0);
    assert_eq!(harness.events_but_refusals(), []);
    // The revocation is dropped. The next use is the first one.
    drop(revoke);
    store.hold_writes(false);
    assert!(harness.accepts(&newer).await);
    assert!(matches!(
        &harness.events_but_refusals()[..],
        [Event::Failed { .. }, Event::OverlapEnded { .. }]
    ));
    assert!(!harness.accepts(&older).await);
}

pub(crate) async fn dropped_revoke_does_not_block_rotate(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let store = harness.remote();
    let (id, _) = harness.issue_backup().await;
    let owner = harness.service.owner("acme");
    store.hold_writes(true);
    {
        let mut both = [
            Box::pin(owner.revoke(id, RevokeRequest::new())),
            Box::pin(owner.revoke(id, RevokeRequest::new())),
        ];
        for revoke in &mut both {
            assert!(poll_once(revoke).await.is_none());
        }
        let [_, second] = both;
        store.hold_writes(false);
        let aside = owner.rotate(id, RotateRequest::at_once()).await;
        assert!(matches!(aside, Err(ManageError::Contended { .. })), "one is still under way");
        drop(second);
    }
    let _ = owner.rotate(id, RotateRequest::at_once()).await.unwrap();
}

pub(crate) async fn revoke_of_other_owner_does_not_block_rotate(stores: Stores) {
    let opened = stores.open();
    let store = Arc::new(Remote::new(opened.store.clone()));
    let service = builder(store.clone()).build().unwrap();
    let id = service.owner("acme").issue(backup()).await.unwrap().record.id();
    store.hold(true);
    let globex = service.owner("globex");
    let mut foreign = pin!(globex.revoke(id, RevokeRequest::new()));
    assert!(poll_once(&mut foreign).await.is_none());
    store.hold(false);
    let _ = service.owner("acme").rotate(id, RotateRequest::at_once()).await.unwrap();
    store.release(1);
    assert!(matches!(foreign.await, Err(ManageError::NotFound { .. })));
}
