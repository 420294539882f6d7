//! The life of an imported token: every verb works on it, and its age counts from the import.

use service_tokens::leak::{LeakAction, LeakOutcome};
use service_tokens::{
    AmendRequest, Event, Filter, ImportRequest, LeakRequest, ListRequest, Refusal, ResumeRequest,
    RevokeRequest, RotateRequest, SuspendRequest, TokenId,
};

use super::harness::{DAY, HOUR, Harness, MICRO, Stores, any, delta, refusal_of, text};
use super::import::{TEXT, old_keys};

behaviours! {
    suspended_import_is_refused_until_resumed,
    amend_import_extends_end_from_import,
    amended_import_retains_its_text,
    reported_import_is_revoked,
    presented_import_is_revoked,
    imported_secret_lasts_until_overlap_ends,
    import_counts_as_unused_since_import,
    import_is_noticed_after_import,
}

fn harness(stores: Stores) -> Harness {
    Harness::builder(stores).configure(|service| service.import_form(old_keys())).build()
}

/// Imports the key as one that the older system made two years ago.
async fn import(harness: &Harness) -> TokenId {
    let created = harness.service.now() - delta(730 * DAY);
    let request = ImportRequest::of_plaintext(TEXT, "connector", "backup").created_at(created);
    let imported = harness.service.owner("acme").import(request).await.unwrap();
    assert_eq!(imported.record.created_at(), created);
    imported.record.id()
}

async fn verify(harness: &Harness) -> Option<Refusal> {
    match harness.service.verify(TEXT, &any()).await {
        Ok(_) => None,
        refused => refusal_of(refused),
    }
}

pub(crate) async fn suspended_import_is_refused_until_resumed(stores: Stores) {
    let harness = harness(stores);
    let id = import(&harness).await;
    let acme = harness.service.owner("acme");
    acme.suspend(id, SuspendRequest::new()).await.unwrap();
    assert_eq!(verify(&harness).await, Some(Refusal::Suspended));
    acme.resume(id, ResumeRequest::new()).await.unwrap();
    assert_eq!(verify(&harness).await, None);
}

pub(crate) async fn amend_import_extends_end_from_import(stores: Stores) {
    let harness = harness(stores);
    let id = import(&harness).await;
    let acme = harness.service.owner("acme");
    let imported = harness.service.now();
    harness.clock.advance(10 * DAY);
    // The default policy allows 366 days, counted from the import.
    let latest = imported + delta(366 * DAY);
    let later = AmendRequest::new().expires_at(latest + delta(MICRO));
    assert!(acme.amend(id, later).await.is_err());
    let amended = acme.amend(id, AmendRequest::new().expires_at(latest)).await.unwrap();
    assert_eq!(amended.record.expires_at(), Some(latest));
}

pub(crate) async fn amended_import_retains_its_text(stores: Stores) {
    let harness = harness(stores);
    let id = import(&harness).await;
    let acme = harness.service.owner("acme");
    let request = AmendRequest::new().issued_to("moved").metadata("team", "storage");
    let amended = acme.amend(id, request).await.unwrap();
    assert_eq!(amended.record.issued_to(), "moved");
    let verified = harness.service.verify(TEXT, &any()).await.unwrap();
    assert_eq!((verified.id(), verified.metadata_value("team")), (id, Some("storage")));
}

pub(crate) async fn reported_import_is_revoked(stores: Stores) {
    let harness = harness(stores);
    let id = import(&harness).await;
    let report = harness
        .service
        .report_leak(TEXT, LeakAction::Revoke, LeakRequest::new().by("scanner"))
        .await
        .unwrap();
    assert!(matches!(report.outcome, LeakOutcome::Live { .. }), "{report:?}");
    assert_eq!(report.record.unwrap().id(), id);
    assert_eq!(verify(&harness).await, Some(Refusal::Revoked));
}

pub(crate) async fn presented_import_is_revoked(stores: Stores) {
    let harness = harness(stores);
    let id = import(&harness).await;
    let revoked = harness.service.revoke_presented(TEXT, RevokeRequest::new()).await.unwrap();
    assert_eq!((revoked.record.id(), revoked.already_revoked), (id, false));
    assert_eq!(verify(&harness).await, Some(Refusal::Revoked));
}

pub(crate) async fn imported_secret_lasts_until_overlap_ends(stores: Stores) {
    let harness = harness(stores);
    let id = import(&harness).await;
    let acme = harness.service.owner("acme");
    let has_it = async || {
        let record = acme.get(id).await.unwrap().record;
        record.has_imported_secret(harness.service.now())
    };
    assert!(has_it().await);
    let native = acme.rotate(id, RotateRequest::with_overlap(HOUR)).await.unwrap();
    harness.clock.advance(HOUR - MICRO);
    assert!(has_it().await);
    assert_eq!(verify(&harness).await, None);
    harness.clock.advance(MICRO);
    assert!(!has_it().await);
    assert_eq!(verify(&harness).await, Some(Refusal::SecretEnded));
    assert!(harness.service.verify(&text(&native), &any()).await.is_ok());
}

pub(crate) async fn import_counts_as_unused_since_import(stores: Stores) {
    let harness = harness(stores);
    let id = import(&harness).await;
    let imported = harness.service.now();
    let unused = async |since| {
        let list = ListRequest::from(Filter::new().unused_since(since));
        let page = harness.service.owner("acme").list(list).await.unwrap();
        page.items.iter().any(|stored| stored.record.id() == id)
    };
    harness.clock.advance(HOUR);
    assert!(!unused(imported).await);
    assert!(unused(imported + delta(MICRO)).await);
}

pub(crate) async fn import_is_noticed_after_import(stores: Stores) {
    let harness = harness(stores);
    let before = harness.service.now();
    harness.clock.advance(HOUR);
    let end = harness.service.now() + delta(2 * DAY);
    let created = harness.service.now() - delta(730 * DAY);
    let request = ImportRequest::of_plaintext(TEXT, "connector", "backup")
        .created_at(created)
        .expires_at(end);
    let id = harness.service.owner("acme").import(request).await.unwrap().record.id();
    harness.clock.advance(HOUR);
    let _ = harness.collected.take(&harness.service);
    let scan = harness.service.all_owners().expiry_notices(before).distance(7 * DAY);
    assert_eq!(scan.run().await.unwrap().notices, 1);
    let events = harness.collected.take(&harness.service);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::ExpiresSoon { .. }) && event.id() == Some(id)),
        "{events:?}"
    );
}
