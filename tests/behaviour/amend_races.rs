//! Amendments that meet other operations and faults of the store.

use std::sync::{Arc, Mutex};

use super::harness::{
    DAY, Fault, Faulty, Harness, Stores, backup, builder, scope_set, scoped_request, text,
};
use service_tokens::record::Field;
use service_tokens::{
    AmendRequest, ManageError, RevokeRequest, RotateRequest, State, SuspendRequest, TokenId,
};

behaviours! {
    amend_and_rival_lose_nothing,
    amend_if_version_loses_to_rival,
    amend_resolves_lost_answers,
    amend_if_version_resolves_lost_answers,
    amend_during_revoke_is_contended,
}

const LABEL: u8 = 0;
const NARROW: u8 = 1;
const ROTATE: u8 = 2;
const REVOKE: u8 = 3;
const SUSPEND: u8 = 4;

/// Returns a service with a rival that acts on the token of this id.
fn with_rival(stores: Stores) -> (Harness<Arc<Faulty>>, Arc<Mutex<Option<TokenId>>>) {
    let id = Arc::new(Mutex::new(None));
    let of_rival = id.clone();
    let harness = Harness::builder(stores).faulty_with_rival(move |store, clock, what| {
        let id = of_rival.lock().unwrap().unwrap();
        Box::pin(async move {
            let service = builder(store).clock(clock).build().unwrap();
            let all = service.all_owners();
            match what {
                LABEL => all.amend(id, AmendRequest::new().metadata("rival", "1")).await.map(drop),
                NARROW => {
                    let narrow = AmendRequest::new().scopes(scope_set(&["files:read"]));
                    all.amend(id, narrow).await.map(drop)
                }
                ROTATE => all.rotate(id, RotateRequest::with_overlap(DAY)).await.map(drop),
                REVOKE => all.revoke(id, RevokeRequest::new()).await.map(drop),
                _ => all.suspend(id, SuspendRequest::new()).await.map(drop),
            }
            .unwrap();
        })
    });
    (harness.build(), id)
}

/// The rival comes before the read, or between the read and the write.
pub(crate) async fn amend_and_rival_lose_nothing(stores: Stores) {
    for at in [0, 1] {
        for what in [LABEL, NARROW, ROTATE, REVOKE, SUSPEND] {
            let (harness, of_rival) = with_rival(stores);
            let issued = harness.issue(scoped_request(&["files:read", "x"])).await;
            let id = issued.record.id();
            *of_rival.lock().unwrap() = Some(id);
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(what));
            harness.faulty().arm(&script, Fault::None);
            let request = AmendRequest::new().issued_to("restore").metadata("own", "2");
            let outcome = harness.service.owner("acme").amend(id, request).await;
            harness.faulty().disarm();
            let record = harness.record(id).await;
            if what == REVOKE {
                let ended =
                    matches!(outcome, Err(ManageError::Ended { state: State::Revoked, .. }));
                assert!(ended, "{outcome:?}");
                assert_eq!((record.issued_to(), record.metadata().count()), ("a program", 0));
                continue;
            }
            let amended = outcome.unwrap();
            assert_eq!(amended.fields, [Field::IssuedTo, Field::Metadata], "{what} at {at}");
            assert_eq!(amended.record, record);
            assert_eq!(record.issued_to(), "restore");
            let metadata: Vec<_> = record.metadata().collect();
            match what {
                LABEL => assert_eq!(metadata, [("own", "2"), ("rival", "1")]),
                NARROW => assert_eq!(record.scopes().as_str(), "files:read"),
                ROTATE => assert!(harness.has_overlap(id).await),
                _ => assert_eq!(record.state(harness.service.now()), State::Suspended),
            }
        }
    }
}

pub(crate) async fn amend_if_version_loses_to_rival(stores: Stores) {
    for what in [LABEL, ROTATE, SUSPEND] {
        let (harness, of_rival) = with_rival(stores);
        let id = harness.issue(backup()).await.record.id();
        *of_rival.lock().unwrap() = Some(id);
        let version = harness.service.owner("acme").get(id).await.unwrap().version;
        harness.faulty().arm(&[Fault::None, Fault::Rival(what)], Fault::None);
        let request = AmendRequest::new().issued_to("restore").if_version(version);
        let outcome = harness.service.owner("acme").amend(id, request).await;
        harness.faulty().disarm();
        assert!(matches!(outcome, Err(ManageError::VersionChanged { .. })), "{outcome:?}");
        assert_eq!(harness.record(id).await.issued_to(), "backup");
    }
}

pub(crate) async fn amend_resolves_lost_answers(stores: Stores) {
    for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Late] {
        let harness = Harness::over_faulty(stores);
        let issued = harness.issue(backup()).await;
        harness.faulty().arm(&[Fault::None, fault], Fault::None);
        let request = AmendRequest::new().issued_to("restore");
        let amended = harness.service.owner("acme").amend(issued.record.id(), request).await;
        harness.faulty().disarm();
        let amended = amended.unwrap();
        assert_eq!(amended.fields, [Field::IssuedTo], "{fault:?}");
        let stored = harness.service.owner("acme").get(issued.record.id()).await.unwrap();
        assert_eq!((amended.record, amended.version), (stored.record, stored.version));
        assert!(harness.accepts(&text(&issued)).await);
    }
}

pub(crate) async fn amend_if_version_resolves_lost_answers(stores: Stores) {
    for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Late] {
        let harness = Harness::over_faulty(stores);
        let id = harness.issue(backup()).await.record.id();
        let version = harness.service.owner("acme").get(id).await.unwrap().version;
        harness.faulty().arm(&[Fault::None, fault], Fault::None);
        let request = AmendRequest::new().issued_to("restore").if_version(version);
        let amended = harness.service.owner("acme").amend(id, request).await;
        harness.faulty().disarm();
        assert_eq!(amended.unwrap().fields, [Field::IssuedTo], "{fault:?}");
    }
    // Reading again fails, so it is unknown whether the write happened.
    let harness = Harness::over_faulty(stores);
    let id = harness.issue(backup()).await.record.id();
    harness.faulty().arm(&[Fault::None, Fault::DoneAndLost], Fault::Unavailable);
    let request = AmendRequest::new().issued_to("restore");
    let outcome = harness.service.owner("acme").amend(id, request).await;
    assert!(matches!(outcome, Err(ManageError::Indeterminate { .. })), "{outcome:?}");
}

pub(crate) async fn amend_during_revoke_is_contended(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let id = harness.issue(backup()).await.record.id();
    let owner = harness.service.owner("acme");
    harness.remote().hold_writes(true);
    let mut revoke = Box::pin(owner.revoke(id, RevokeRequest::new()));
    assert!(futures_lite::future::poll_once(&mut revoke).await.is_none());
    harness.remote().hold_writes(false);
    let outcome = owner.amend(id, AmendRequest::new().issued_to("restore")).await;
    assert!(matches!(outcome, Err(ManageError::Contended { .. })), "{outcome:?}");
    drop(revoke);
    assert!(owner.amend(id, AmendRequest::new().issued_to("restore")).await.is_ok());
}
