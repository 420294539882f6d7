//! The calling token is read from the store, and not from the cache or an earlier read.

use std::sync::Arc;

use super::harness::{
    Fault, Faulty, Harness, MAX_AGE, Stores, any, builder, expect_not_active, newer, records,
    refusal_of, scoped_request, text,
};
use service_tokens::{AmendRequest, ListRequest, Refusal, SuspendRequest, TokenStore};

behaviours! {
    removed_caller_is_not_cached_any_more,
    caller_of_newer_record_is_refused,
    amend_self_meets_its_suspension,
}

pub(crate) async fn removed_caller_is_not_cached_any_more(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 1_000);
    let issued = harness.issue(scoped_request(&["service-tokens:read"])).await;
    let token = harness.verified(&issued).await;
    let present = harness.store.find(token.id()).await.unwrap().unwrap();
    harness.store.remove(token.id(), present.version).await.unwrap();
    assert_eq!(harness.refusal(&text(&issued)).await, None, "it is cached");
    let listed = harness.service.on_behalf_of(&token).list(ListRequest::new()).await;
    assert_eq!(expect_not_active(listed), Refusal::UnknownId);
    assert_eq!(harness.refusal(&text(&issued)).await, Some(Refusal::UnknownId));
}

pub(crate) async fn caller_of_newer_record_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let token = harness.caller(&["service-tokens:read"]).await;
    assert!(harness.service.on_behalf_of(&token).list(ListRequest::new()).await.is_ok());
    let present = harness.store.find(token.id()).await.unwrap().unwrap();
    harness.store.replace(&newer(&present.record), present.version).await.unwrap();
    let listed = harness.service.on_behalf_of(&token).list(ListRequest::new()).await;
    assert_eq!(expect_not_active(listed), Refusal::NewerRecord);
    let again = harness.service.still_active(&token).await;
    assert_eq!(refusal_of(again), Some(Refusal::NewerRecord));
}

/// Its own record is checked in the state that the write replaces, and not in an earlier one.
pub(crate) async fn amend_self_meets_its_suspension(stores: Stores) {
    for before in 0..2 {
        let harness: Harness<Arc<Faulty>> = Harness::builder(stores)
            .faulty_with_rival(|store, clock, _| {
                Box::pin(async move {
                    let service = builder(store.clone()).clock(clock).build().unwrap();
                    let id = records(&*store).await[0].id();
                    service.all_owners().suspend(id, SuspendRequest::new()).await.unwrap();
                })
            })
            .build();
        let issued = harness.issue(scoped_request(&["service-tokens:amend"])).await;
        let token = harness.service.verify(&text(&issued), &any()).await.unwrap();
        let script = [&[Fault::None; 2][..before], &[Fault::Rival(0)]].concat();
        harness.faulty().arm(&script, Fault::None);
        let request = AmendRequest::new().issued_to("restore");
        let amended = harness.service.on_behalf_of(&token).amend(token.id(), request).await;
        assert_eq!(expect_not_active(amended), Refusal::Suspended);
        harness.faulty().disarm();
        assert_eq!(harness.record(token.id()).await.issued_to(), "a program");
    }
}
