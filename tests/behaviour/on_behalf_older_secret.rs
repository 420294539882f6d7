//! A calling token that was presented with its older secret does not get the newest one.

use service_tokens::error::NotPermitted;
use service_tokens::record::ReplacedSecret;
use service_tokens::{EndOlderRequest, RotateRequest, VerifiedToken};

use super::harness::{
    HOUR, Harness, MINUTE, Stores, any, expect_not_permitted, scope_set, scoped_request, text,
};

behaviours! {
    older_secret_repairs_its_own_lost_answer,
    older_secret_is_refused_after_operator_rotation,
    older_secret_is_refused_after_rotation_with_newest,
    issued_token_cannot_rotate_its_issuer,
    rotated_peer_cannot_rotate_its_issuer,
}

fn again() -> RotateRequest {
    RotateRequest::at_once().replacing(ReplacedSecret::Newest)
}

/// Issues a token with these scopes and verifies it.
async fn caller(harness: &Harness, scopes: &[&str]) -> VerifiedToken {
    let issued = harness.service.owner("acme").issue(scoped_request(scopes)).await.unwrap();
    harness.service.verify(&text(&issued), &any()).await.unwrap()
}

pub(crate) async fn older_secret_repairs_its_own_lost_answer(stores: Stores) {
    let harness = Harness::new(stores);
    let token = caller(&harness, &["service-tokens:rotate-self"]).await;
    let on_behalf = harness.service.on_behalf_of(&token);
    for _ in 0..2 {
        let request = RotateRequest::with_overlap(HOUR).replacing(ReplacedSecret::Newest);
        let rotated = on_behalf.rotate_self(request).await.unwrap();
        assert_eq!(rotated.record.secret_created_on_behalf_of(), Some(token.id()));
        harness.clock.advance(MINUTE);
    }
}

pub(crate) async fn older_secret_is_refused_after_operator_rotation(stores: Stores) {
    let harness = Harness::new(stores);
    let token = caller(&harness, &["service-tokens:rotate-self"]).await;
    let request = RotateRequest::with_overlap(HOUR);
    let _ = harness.service.owner("acme").rotate(token.id(), request).await.unwrap();
    let refused = harness.service.on_behalf_of(&token).rotate_self(again()).await;
    assert_eq!(expect_not_permitted(refused), NotPermitted::OlderSecret);
}

/// The holder of the newest secret rotates once more. The older secret did not make the newest one, so it stays
/// without the power to replace it.
pub(crate) async fn older_secret_is_refused_after_rotation_with_newest(stores: Stores) {
    let harness = Harness::new(stores);
    let older = caller(&harness, &["service-tokens:rotate-self"]).await;
    let request = RotateRequest::with_overlap(HOUR);
    let newest = harness.service.owner("acme").rotate(older.id(), request).await.unwrap();
    let newest = harness.service.verify(&text(&newest), &any()).await.unwrap();
    let request = RotateRequest::with_overlap(HOUR).replacing(ReplacedSecret::Newest);
    let _ = harness.service.on_behalf_of(&newest).rotate_self(request).await.unwrap();
    let refused = harness.service.on_behalf_of(&older).rotate_self(again()).await;
    assert_eq!(expect_not_permitted(refused), NotPermitted::OlderSecret);
}

pub(crate) async fn issued_token_cannot_rotate_its_issuer(stores: Stores) {
    let harness = Harness::new(stores);
    let scopes = ["service-tokens:issue", "service-tokens:rotate", "service-tokens:rotate-self"];
    let older = caller(&harness, &scopes).await;
    let request = RotateRequest::with_overlap(HOUR);
    let _ = harness.service.owner("acme").rotate(older.id(), request).await.unwrap();
    let request = scoped_request(&scopes);
    let child = harness.service.on_behalf_of(&older).issue(request).await.unwrap();
    let child = harness.service.verify(&text(&child), &any()).await.unwrap();
    assert!(child.scopes().contains(scope_set(&scopes).as_scopes()));
    let refused = harness.service.on_behalf_of(&child).rotate(older.id(), again()).await;
    assert_eq!(expect_not_permitted(refused), NotPermitted::OwnIssuer);
    // Nor can it end the older secret, which a client may still use.
    let overlap = harness.record(older.id()).await.overlap(harness.service.now()).unwrap();
    let end = EndOlderRequest::new(overlap.older_created_at);
    let refused = harness.service.on_behalf_of(&child).end_older_secret(older.id(), end).await;
    assert_eq!(expect_not_permitted(refused), NotPermitted::OwnIssuer);
}

pub(crate) async fn rotated_peer_cannot_rotate_its_issuer(stores: Stores) {
    let harness = Harness::new(stores);
    let older = caller(&harness, &["service-tokens:rotate"]).await;
    let peer = caller(&harness, &["service-tokens:rotate"]).await;
    let request = RotateRequest::with_overlap(HOUR);
    let _ = harness.service.owner("acme").rotate(older.id(), request).await.unwrap();
    let request = RotateRequest::at_once();
    let peer = harness.service.on_behalf_of(&older).rotate(peer.id(), request).await.unwrap();
    let peer = harness.service.verify(&text(&peer), &any()).await.unwrap();
    let refused = harness.service.on_behalf_of(&peer).rotate(older.id(), again()).await;
    assert_eq!(expect_not_permitted(refused), NotPermitted::OwnIssuer);
}
