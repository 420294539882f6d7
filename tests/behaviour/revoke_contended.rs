//! A revocation prevails over concurrent rotations and uses of its token.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock};

use super::harness::{
    Fault, Faulty, HOUR, Harness, Op, Opened, Remote, Stores, any, backup, builder, incident,
    records, scoped_request, text,
};
use futures_lite::future::poll_once;
use service_tokens::clock::ManualClock;
use service_tokens::record::ReplacedSecret;
use service_tokens::{
    Event, Filter, ManageError, Refusal, RevokeRequest, RotateRequest, TokenService, TokenStore,
};

behaviours! {
    revoke_prevails_over_many_changes,
    revoke_all_prevails_over_many_changes,
    revoke_with_endless_conflicts_is_contended,
    rotate_during_revoke_is_contended,
    first_use_during_revoke_is_deferred,
    dropped_revoke_does_not_block_rotate,
    revoke_of_other_owner_does_not_block_rotate,
}

/// A service whose store lets another process change the token before any call that meets a rival.
fn changed_by_others(stores: Stores) -> (Arc<Faulty>, TokenService<Arc<Faulty>>, Opened) {
    let opened = stores.open();
    let store = opened.store.clone();
    let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), move |_| {
        let store = store.clone();
        Box::pin(async move {
            for record in records(&*store).await {
                let present = store.find(record.id()).await.unwrap().unwrap();
                let _ = store.replace(&present.record, present.version).await;
            }
        })
    }));
    let service = builder(faulty.clone()).build().unwrap();
    (faulty, service, opened)
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

type Rotated = Arc<Mutex<Vec<Result<(), ManageError>>>>;

pub(crate) async fn rotate_during_revoke_is_contended(stores: Stores) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let service: Arc<OnceLock<TokenService<Arc<Faulty>>>> = Arc::default();
    let (token, rotated) = (Arc::new(OnceLock::new()), Rotated::default());
    // The thief rotates at the moment when the revocation is about to be written.
    let rival = {
        let (service, token, rotated) = (service.clone(), token.clone(), rotated.clone());
        move |_: u8| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let (service, token, rotated) = (service.clone(), token.clone(), rotated.clone());
            Box::pin(async move {
                let service = service.get().unwrap();
                let token = token.get().unwrap();
                let again = || RotateRequest::with_overlap(HOUR).replacing(ReplacedSecret::Newest);
                let itself = service.on_behalf_of(token).rotate_self(again()).await;
                let embedder = service.all_owners().rotate(token.id(), again()).await;
                rotated.lock().unwrap().extend([itself.map(drop), embedder.map(drop)]);
            })
        }
    };
    let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), rival));
    let service = {
        let built = builder(faulty.clone()).clock(clock).build().unwrap();
        service.get_or_init(|| built)
    };
    let issued =
        service.owner("acme").issue(scoped_request(&["service-tokens:rotate-self"])).await.unwrap();
    let id = issued.record.id();
    let first = RotateRequest::with_overlap(HOUR);
    let newest = service.owner("acme").rotate(id, first).await.unwrap();
    let _ = token.set(service.verify(&text(&newest), &any()).await.unwrap());

    faulty.arm(&[Fault::None, Fault::Rival(0)], Fault::None);
    assert!(!service.owner("acme").revoke(id, incident()).await.unwrap().already_revoked);
    let rotated = std::mem::take(&mut *rotated.lock().unwrap());
    assert_eq!(rotated.len(), 2);
    for outcome in rotated {
        assert!(matches!(outcome, Err(ManageError::Contended { .. })), "{outcome:?}");
    }
    let writes = faulty.calls().iter().filter(|(op, _)| op.writes()).count();
    assert_eq!(writes, 1, "another process wrote");
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
