//! What a token may do with itself, with nothing but itself.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use service_tokens::clock::ManualClock;
use service_tokens::error::NotPermitted;
use service_tokens::record::{Field, Rule};
use service_tokens::{
    IssueRequest, ManageError, Policy, Refusal, ReservedScope, RevokeRequest, RotateRequest,
    TokenId, TokenService, VerifiedToken,
};
use support::acting::{builder, not_active, not_permitted, request, scene, scene_with, token_type};
use support::scene::{delta, refused};
use support::{DAY, Fault, Faulty, HOUR, MICRO, MINUTE, Open, any, over_stores, text};

over_stores! {
    any_token_looks_itself_up,
    any_token_revokes_itself,
    with_its_scope_a_token_rotates_itself,
    no_token_prolongs_itself,
    a_dead_token_does_nothing_with_itself,
    what_overtakes_an_act_on_itself_wins,
    a_lost_answer_is_told_apart,
}

async fn any_token_looks_itself_up(open: Open) {
    let scene = scene(open);
    // A token with no scope at all, among others.
    let none = scene.elsewhere([token_type("none", &[])]);
    let request = || IssueRequest::new("none", "a probe").metadata("room", "7");
    let _ = none.owner("acme").issue(request()).await.unwrap();
    let issued = none.owner("acme").issue(request()).await.unwrap();
    let token = none.verify(&text(&issued), &any()).await.unwrap();
    assert!(token.scopes().is_empty());
    let acts = none.on_behalf_of(&token);
    let stored = acts.get_self().await.unwrap();
    assert_eq!(stored.record, issued.record);
    // What changed since the verification is seen.
    let overlap = RotateRequest::with_overlap(HOUR);
    let rotated = none.owner("acme").rotate(token.id(), overlap).await.unwrap();
    assert_eq!(acts.get_self().await.unwrap().record, rotated.record);
    let words = acts.revoke_self(RevokeRequest::new().reason("no more")).await.unwrap();
    assert_eq!(words.record.revocation().unwrap().reason.as_deref(), Some("no more"));
    for text in [text(&issued), text(&rotated)] {
        assert_eq!(none.verify(&text, &any()).await.unwrap_err().refusal(), Some(Refusal::Revoked));
    }
}

async fn any_token_revokes_itself(open: Open) {
    let scene = scene(open);
    let (one, other) = (scene.acting(&["x"]).await, scene.acting(&["x"]).await);
    let acts = scene.service.on_behalf_of(&one);
    let revoked = acts.revoke_self(RevokeRequest::new().by("itself")).await.unwrap();
    assert!(!revoked.already_revoked);
    assert_eq!(revoked.record, scene.record(one.id()).await);
    assert_eq!(not_active(acts.revoke_self(RevokeRequest::new()).await), Refusal::Revoked);
    assert!(scene.record(other.id()).await.revocation().is_none());
    let long = "x".repeat(256);
    let outcome = scene.service.on_behalf_of(&other).revoke_self(RevokeRequest::new().by(long));
    refused(outcome.await, Field::RevokedBy, Rule::TooLong { max: 255 });
}

async fn with_its_scope_a_token_rotates_itself(open: Open) {
    let scene = scene(open);
    for scopes in [&["x", "*"][..], &["service-tokens:rotate"], &["service-tokens:issue"]] {
        let token = scene.acting(scopes).await;
        let before = scene.record(token.id()).await;
        let outcome = scene.service.on_behalf_of(&token).rotate_self(RotateRequest::at_once());
        let missing = NotPermitted::MissingScope(ReservedScope::RotateSelf);
        assert_eq!(not_permitted(outcome.await), missing);
        assert_eq!(scene.record(token.id()).await, before);
    }
    for scopes in [&["service-tokens:rotate-self"][..], &["service-tokens:*", "x"]] {
        let issued = scene.issue(request(scopes)).await;
        let token = scene.verified(&issued).await;
        let acts = scene.service.on_behalf_of(&token);
        let rotated = acts.rotate_self(RotateRequest::with_overlap(MINUTE)).await.unwrap();
        let newer = scene.verified(&rotated).await;
        assert_eq!(newer.id(), token.id());
        assert_eq!(newer.expires_at(), token.expires_at());
        assert!(rotated.record.issuers().is_empty());
        // At once: by that its own verified secret ends too.
        let leak =
            RotateRequest::at_once().replacing(service_tokens::record::ReplacedSecret::Newest);
        let last = scene.service.on_behalf_of(&newer).rotate_self(leak.clone()).await.unwrap();
        assert_eq!(not_active(acts.rotate_self(leak).await), Refusal::SecretEnded);
        assert_eq!(scene.verified(&last).await.id(), token.id());
    }
    // Issuers stay.
    let parent = scene.acting(&["service-tokens:*"]).await;
    let child = request(&["service-tokens:rotate-self"]);
    let child = scene.service.on_behalf_of(&parent).issue(child).await.unwrap();
    let token = scene.verified(&child).await;
    let rotated = scene.service.on_behalf_of(&token).rotate_self(RotateRequest::at_once()).await;
    assert_eq!(rotated.unwrap().record.issuers(), [parent.id()]);
}

async fn no_token_prolongs_itself(open: Open) {
    for outliving in [false, true] {
        let policy = Policy::new().allow_never(true).allow_outliving_issuer(outliving);
        let scene = scene_with(open, policy);
        let issued = request(&["service-tokens:rotate-self"]).expires_in(DAY);
        let mut token = scene.verified(&scene.issue(issued).await).await;
        let latest = token.expires_at().unwrap();
        scene.advance(HOUR);
        let at_once = RotateRequest::at_once;
        for later in [
            at_once().expires_at(latest + delta(MICRO)),
            at_once().expires_in(DAY),
            at_once().never_expires(),
        ] {
            let outcome = scene.service.on_behalf_of(&token).rotate_self(later).await;
            refused(outcome, Field::ExpiresAt, Rule::OutlivesCaller { latest });
        }
        for (rotation, end) in [
            (at_once(), latest),
            (at_once().expires_at(latest), latest),
            (at_once().expires_at(latest - delta(HOUR)), latest - delta(HOUR)),
        ] {
            let rotated = scene.service.on_behalf_of(&token).rotate_self(rotation).await.unwrap();
            assert_eq!(rotated.record.expires_at(), Some(end));
            token = scene.verified(&rotated).await;
        }
        // What it gave away does not come back.
        let outcome = scene.service.on_behalf_of(&token).rotate_self(at_once().expires_at(latest));
        let latest = latest - delta(HOUR);
        refused(outcome.await, Field::ExpiresAt, Rule::OutlivesCaller { latest });
    }
    // A token without an end may give itself one.
    let scene = scene_with(open, Policy::new().allow_never(true));
    let issued = request(&["service-tokens:rotate-self"]).never_expires();
    let token = scene.verified(&scene.issue(issued).await).await;
    let rotation = RotateRequest::at_once().expires_in(DAY);
    let rotated = scene.service.on_behalf_of(&token).rotate_self(rotation).await.unwrap();
    assert!(rotated.record.expires_at().is_some());
}

/// Every act on itself, and what became of it.
async fn all_acts<S: service_tokens::TokenStore>(
    service: &TokenService<S>,
    token: &VerifiedToken,
) -> Vec<Result<(), ManageError>> {
    let acts = service.on_behalf_of(token);
    vec![
        acts.get_self().await.map(drop),
        acts.rotate_self(RotateRequest::at_once()).await.map(drop),
        acts.revoke_self(RevokeRequest::new()).await.map(drop),
    ]
}

async fn a_dead_token_does_nothing_with_itself(open: Open) {
    for (death, refusal) in [
        ("revoked", Refusal::Revoked),
        ("expired", Refusal::Expired),
        ("rotated", Refusal::SecretEnded),
        ("removed", Refusal::UnknownId),
    ] {
        let scene = scene(open);
        let issued = request(&["service-tokens:*"]).expires_in(DAY);
        let token = scene.verified(&scene.issue(issued).await).await;
        match death {
            "revoked" => scene.revoke(token.id()).await,
            "expired" => scene.advance(DAY),
            "rotated" => {
                let rotation = RotateRequest::at_once();
                let _ = scene.service.owner("acme").rotate(token.id(), rotation).await.unwrap();
            }
            _ => {
                let version = scene.store.find(token.id()).await.unwrap().unwrap().version;
                scene.store.remove(token.id(), version).await.unwrap();
            }
        }
        let before = support::records(&*scene.store).await;
        for outcome in all_acts(&scene.service, &token).await {
            assert_eq!(not_active(outcome), refusal, "{death}");
        }
        // One whose secret leaked and was replaced cannot be revoked with the leaked one.
        assert_eq!(support::records(&*scene.store).await, before, "{death}");
    }
}

const REVOKE: u8 = 0;
const ROTATE: u8 = 1;

struct Racing {
    store: Arc<Faulty>,
    service: TokenService<Arc<Faulty>>,
    token: VerifiedToken,
    _guard: Box<dyn std::any::Any>,
}

async fn racing(open: Open) -> Racing {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let id = Arc::new(std::sync::Mutex::new(TokenId::from_bytes([0; 16])));
    let rival = {
        let (id, store, clock) = (id.clone(), opened.store.clone(), clock.clone());
        move |what: u8| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            let (id, store, clock) = (*id.lock().unwrap(), store.clone(), clock.clone());
            Box::pin(async move {
                let service = builder(store, clock).build().unwrap();
                let _ = match what {
                    REVOKE => {
                        let words = RevokeRequest::new().by("rival");
                        service.owner("acme").revoke(id, words).await.map(drop)
                    }
                    _ => {
                        let rotation = RotateRequest::at_once();
                        service.owner("acme").rotate(id, rotation).await.map(drop)
                    }
                };
            })
        }
    };
    let store = Arc::new(Faulty::with_rival(opened.store, rival));
    let service = builder(store.clone(), clock).build().unwrap();
    let issued =
        service.owner("acme").issue(request(&["service-tokens:rotate-self"])).await.unwrap();
    *id.lock().unwrap() = issued.record.id();
    let token = service.verify(&text(&issued), &any()).await.unwrap();
    Racing { store, service, token, _guard: opened.guard }
}

/// The check is made on the very record that is replaced: nothing comes between.
async fn what_overtakes_an_act_on_itself_wins(open: Open) {
    for (what, refusal) in [(REVOKE, Refusal::Revoked), (ROTATE, Refusal::SecretEnded)] {
        for at in [0, 1] {
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(what));
            let scene = racing(open).await;
            scene.store.arm(&script, Fault::None);
            let rotation = RotateRequest::at_once();
            let outcome = scene.service.on_behalf_of(&scene.token).rotate_self(rotation).await;
            assert_eq!(not_active(outcome), refusal, "{what} at {at}");

            let scene = racing(open).await;
            scene.store.arm(&script, Fault::None);
            let words = RevokeRequest::new().by("itself");
            let outcome = scene.service.on_behalf_of(&scene.token).revoke_self(words).await;
            assert_eq!(not_active(outcome), refusal, "{what} at {at}");
            scene.store.disarm();
            let stored = scene.service.all_owners().get(scene.token.id()).await.unwrap();
            let by = stored.record.revocation().and_then(|revocation| revocation.by.clone());
            assert_eq!(by.as_deref(), (what == REVOKE).then_some("rival"));
        }
    }
}

/// Its own revocation and rotation, whose answers were lost, are not taken for another's.
async fn a_lost_answer_is_told_apart(open: Open) {
    for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Late] {
        let script = [Fault::None, fault];
        let scene = racing(open).await;
        scene.store.arm(&script, Fault::None);
        let words = RevokeRequest::new().by("itself");
        let revoked = scene.service.on_behalf_of(&scene.token).revoke_self(words).await.unwrap();
        assert!(!revoked.already_revoked, "{fault:?}");

        let scene = racing(open).await;
        scene.store.arm(&script, Fault::None);
        let rotation = RotateRequest::at_once();
        let rotated = scene.service.on_behalf_of(&scene.token).rotate_self(rotation).await;
        scene.store.disarm();
        let verified = scene.service.verify(&text(&rotated.unwrap()), &any()).await;
        assert_eq!(verified.unwrap().id(), scene.token.id(), "{fault:?}");
    }
}
