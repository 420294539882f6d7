//! Writes that meet a conflict decide again on the record that they find then.

use std::sync::Arc;

use service_tokens::{Event, Record, RevokeRequest, State};

use super::harness::{DAY, Fault, Faulty, HOUR, Harness, Stores, backup, builder, records};

behaviours! {
    revoke_after_equal_revocation_is_not_its_own,
    revoke_after_lost_answer_is_its_own,
    purge_after_conflict_matches_again,
    purge_after_conflict_removes_what_still_matches,
}

fn request() -> RevokeRequest {
    RevokeRequest::new().by("alice").reason("INC-42")
}

/// A service whose rival revokes with the same texts at the same time.
fn with_equal_rival(stores: Stores) -> Harness<Arc<Faulty>> {
    let harness = Harness::builder(stores).faulty_with_rival(|store, clock, _| {
        Box::pin(async move {
            let service = builder(store.clone()).clock(clock).build().unwrap();
            for record in records(&*store).await {
                let _ = service.all_owners().revoke(record.id(), request()).await.unwrap();
            }
        })
    });
    harness.build()
}

pub(crate) async fn revoke_after_equal_revocation_is_not_its_own(stores: Stores) {
    let harness = with_equal_rival(stores);
    let id = harness.issue(backup()).await.record.id();
    let _ = harness.events();
    // The rival revokes between the reading and the write.
    harness.faulty().arm(&[Fault::None, Fault::Rival(0)], Fault::None);
    let revoked = harness.service.owner("acme").revoke(id, request()).await.unwrap();
    assert!(revoked.already_revoked);
    assert_eq!(revoked.record, harness.record(id).await);
    let events = harness.events();
    assert!(
        matches!(&events[..], [Event::AlreadyRevoked { .. }, Event::Read { .. }]),
        "{events:?}"
    );
}

pub(crate) async fn revoke_after_lost_answer_is_its_own(stores: Stores) {
    let harness = with_equal_rival(stores);
    let id = harness.issue(backup()).await.record.id();
    harness.faulty().arm(&[Fault::None, Fault::DoneAndLost], Fault::None);
    let revoked = harness.service.owner("acme").revoke(id, request()).await.unwrap();
    assert!(!revoked.already_revoked);
}

/// A service whose rival writes every record back as it was before it ended, or revokes it.
fn with_restoring_rival(stores: Stores, restored: Record) -> Harness<Arc<Faulty>> {
    let harness = Harness::builder(stores).faulty_with_rival(move |store, clock, what| {
        let restored = restored.clone();
        Box::pin(async move {
            let present = store.find(restored.id()).await.unwrap().unwrap();
            if what == 0 {
                store.replace(&restored, present.version).await.unwrap();
            } else {
                let service = builder(store).clock(clock).build().unwrap();
                let _ = service.all_owners().revoke(restored.id(), request()).await.unwrap();
            }
        })
    });
    harness.build()
}

pub(crate) async fn purge_after_conflict_matches_again(stores: Stores) {
    let live = Harness::new(stores).issue(backup().expires_in(90 * DAY)).await.record;
    let harness = with_restoring_rival(stores, live.clone());
    harness.store.insert(&live).await.unwrap();
    harness.revoke(live.id()).await;
    harness.advance(10 * DAY);
    // The purge lists the revoked record. Then a backup of the live one is restored.
    harness.faulty().arm(&[Fault::None, Fault::Rival(0)], Fault::None);
    let outcome = harness.service.all_owners().purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (0, 0));
    assert_eq!(harness.record(live.id()).await, live);
    assert_eq!(harness.state(live.id()).await, State::Active);
}

pub(crate) async fn purge_after_conflict_removes_what_still_matches(stores: Stores) {
    let short = Harness::new(stores).issue(backup().expires_in(HOUR)).await.record;
    let harness = with_restoring_rival(stores, short.clone());
    harness.store.insert(&short).await.unwrap();
    harness.advance(10 * DAY);
    // The rival revokes the expired token, which ended at its expiry.
    harness.faulty().arm(&[Fault::None, Fault::Rival(1)], Fault::None);
    let outcome = harness.service.all_owners().purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (1, 0));
    assert!(records(&*harness.store).await.is_empty());
}
