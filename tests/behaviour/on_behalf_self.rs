//! Operations of a token on itself.

use std::sync::{Arc, Mutex};

use super::harness::{
    DAY, Fault, Faulty, HOUR, Harness, MICRO, MINUTE, Stores, any, builder, delta, expect_invalid,
    expect_not_active, expect_not_permitted, records, scoped_request, text, token_type,
};
use service_tokens::error::NotPermitted;
use service_tokens::record::{Field, Rule};
use service_tokens::{
    IssueRequest, ManageError, Policy, Refusal, ReservedScope, RevokeRequest, RotateRequest,
    TokenId, TokenService, VerifiedToken,
};

behaviours! {
    get_self_needs_no_scope,
    revoke_self_needs_no_scope,
    rotate_self_needs_its_scope,
    rotate_self_beyond_own_end_is_refused,
    ended_caller_cannot_act_on_itself,
    overtaken_operation_on_self_is_refused,
    operation_on_self_resolves_lost_answers,
}

pub(crate) async fn get_self_needs_no_scope(stores: Stores) {
    let harness = Harness::new(stores);
    // These operations need no scope.
    let none = harness.with_types([token_type("none", &[])]);
    let request = || IssueRequest::new("none", "a probe").metadata("room", "7");
    let _ = none.owner("acme").issue(request()).await.unwrap();
    let issued = none.owner("acme").issue(request()).await.unwrap();
    let token = none.verify(&text(&issued), &any()).await.unwrap();
    assert!(token.scopes().is_empty());
    let on_behalf = none.on_behalf_of(&token);
    let stored = on_behalf.get_self().await.unwrap();
    assert_eq!(stored.record, issued.record);
    // A write after the verification is visible.
    let overlap = RotateRequest::with_overlap(HOUR);
    let rotated = none.owner("acme").rotate(token.id(), overlap).await.unwrap();
    assert_eq!(on_behalf.get_self().await.unwrap().record, rotated.record);
    let words = on_behalf.revoke_self(RevokeRequest::new().reason("no more")).await.unwrap();
    assert_eq!(words.record.revocation().unwrap().reason.as_deref(), Some("no more"));
    for text in [text(&issued), text(&rotated)] {
        assert_eq!(none.verify(&text, &any()).await.unwrap_err().refusal(), Some(Refusal::Revoked));
    }
}

pub(crate) async fn revoke_self_needs_no_scope(stores: Stores) {
    let harness = Harness::new(stores);
    let (one, other) = (harness.caller(&["x"]).await, harness.caller(&["x"]).await);
    let on_behalf = harness.service.on_behalf_of(&one);
    let revoked = on_behalf.revoke_self(RevokeRequest::new().by("itself")).await.unwrap();
    assert!(!revoked.already_revoked);
    assert_eq!(revoked.record, harness.record(one.id()).await);
    assert_eq!(
        expect_not_active(on_behalf.revoke_self(RevokeRequest::new()).await),
        Refusal::Revoked
    );
    assert!(harness.record(other.id()).await.revocation().is_none());
    let long = "x".repeat(256);
    let outcome = harness.service.on_behalf_of(&other).revoke_self(RevokeRequest::new().by(long));
    expect_invalid(outcome.await, Field::RevokedBy, Rule::TooLong { max: 255 });
}

pub(crate) async fn rotate_self_needs_its_scope(stores: Stores) {
    let harness = Harness::new(stores);
    for scopes in [&["x", "*"][..], &["service-tokens:rotate"], &["service-tokens:issue"]] {
        let token = harness.caller(scopes).await;
        let before = harness.record(token.id()).await;
        let outcome = harness.service.on_behalf_of(&token).rotate_self(RotateRequest::at_once());
        let missing = NotPermitted::MissingScope(ReservedScope::RotateSelf);
        assert_eq!(expect_not_permitted(outcome.await), missing);
        assert_eq!(harness.record(token.id()).await, before);
    }
    for scopes in [&["service-tokens:rotate-self"][..], &["service-tokens:*", "x"]] {
        let issued = harness.issue(scoped_request(scopes)).await;
        let token = harness.verified(&issued).await;
        let on_behalf = harness.service.on_behalf_of(&token);
        let rotated = on_behalf.rotate_self(RotateRequest::with_overlap(MINUTE)).await.unwrap();
        let newer = harness.verified(&rotated).await;
        assert_eq!(newer.id(), token.id());
        assert_eq!(newer.expires_at(), token.expires_at());
        assert!(rotated.record.issuers().is_empty());
        // A rotation at once ends all earlier secrets, so the one that was verified first ends, too.
        let leak =
            RotateRequest::at_once().replacing(service_tokens::record::ReplacedSecret::Newest);
        let last = harness.service.on_behalf_of(&newer).rotate_self(leak.clone()).await.unwrap();
        assert_eq!(expect_not_active(on_behalf.rotate_self(leak).await), Refusal::SecretEnded);
        assert_eq!(harness.verified(&last).await.id(), token.id());
    }
    // The issuers stay the same.
    let parent = harness.caller(&["service-tokens:*"]).await;
    let child = scoped_request(&["service-tokens:rotate-self"]);
    let child = harness.service.on_behalf_of(&parent).issue(child).await.unwrap();
    let token = harness.verified(&child).await;
    let rotated = harness.service.on_behalf_of(&token).rotate_self(RotateRequest::at_once()).await;
    assert_eq!(rotated.unwrap().record.issuers(), [parent.id()]);
}

pub(crate) async fn rotate_self_beyond_own_end_is_refused(stores: Stores) {
    for outliving in [false, true] {
        let policy = Policy::new().allow_never(true).allow_outliving_issuer(outliving);
        let harness = Harness::with_policy(stores, policy);
        let issued = scoped_request(&["service-tokens:rotate-self"]).expires_in(DAY);
        let mut token = harness.verified(&harness.issue(issued).await).await;
        let latest = token.expires_at().unwrap();
        harness.advance(HOUR);
        let at_once = RotateRequest::at_once;
        for later in [
            at_once().expires_at(latest + delta(MICRO)),
            at_once().expires_in(DAY),
            at_once().never_expires(),
        ] {
            let outcome = harness.service.on_behalf_of(&token).rotate_self(later).await;
            expect_invalid(outcome, Field::ExpiresAt, Rule::OutlivesCaller { latest });
        }
        for (rotation, end) in [
            (at_once(), latest),
            (at_once().expires_at(latest), latest),
            (at_once().expires_at(latest - delta(HOUR)), latest - delta(HOUR)),
        ] {
            let rotated = harness.service.on_behalf_of(&token).rotate_self(rotation).await.unwrap();
            assert_eq!(rotated.record.expires_at(), Some(end));
            token = harness.verified(&rotated).await;
        }
        // A token that shortened its lifetime does not get the longer one back.
        let outcome =
            harness.service.on_behalf_of(&token).rotate_self(at_once().expires_at(latest));
        let latest = latest - delta(HOUR);
        expect_invalid(outcome.await, Field::ExpiresAt, Rule::OutlivesCaller { latest });
    }
    // A token without an end may set one.
    let harness = Harness::with_policy(stores, Policy::new().allow_never(true));
    let issued = scoped_request(&["service-tokens:rotate-self"]).never_expires();
    let token = harness.verified(&harness.issue(issued).await).await;
    let rotation = RotateRequest::at_once().expires_in(DAY);
    let rotated = harness.service.on_behalf_of(&token).rotate_self(rotation).await.unwrap();
    assert!(rotated.record.expires_at().is_some());
}

/// Runs every operation on itself, and returns the outcomes.
async fn all_operations_on_self<S: service_tokens::TokenStore>(
    service: &TokenService<S>,
    token: &VerifiedToken,
) -> Vec<Result<(), ManageError>> {
    let on_behalf = service.on_behalf_of(token);
    vec![
        on_behalf.get_self().await.map(drop),
        on_behalf.rotate_self(RotateRequest::at_once()).await.map(drop),
        on_behalf.revoke_self(RevokeRequest::new()).await.map(drop),
    ]
}

pub(crate) async fn ended_caller_cannot_act_on_itself(stores: Stores) {
    for (ending, refusal) in [
        ("revoked", Refusal::Revoked),
        ("expired", Refusal::Expired),
        ("rotated", Refusal::SecretEnded),
        ("removed", Refusal::UnknownId),
    ] {
        let harness = Harness::new(stores);
        let issued = scoped_request(&["service-tokens:*"]).expires_in(DAY);
        let token = harness.verified(&harness.issue(issued).await).await;
        match ending {
            "revoked" => harness.revoke(token.id()).await,
            "expired" => harness.advance(DAY),
            "rotated" => {
                let rotation = RotateRequest::at_once();
                let _ = harness.service.owner("acme").rotate(token.id(), rotation).await.unwrap();
            }
            _ => {
                let version = harness.store.find(token.id()).await.unwrap().unwrap().version;
                harness.store.remove(token.id(), version).await.unwrap();
            }
        }
        let before = records(&*harness.store).await;
        for outcome in all_operations_on_self(&harness.service, &token).await {
            assert_eq!(expect_not_active(outcome), refusal, "{ending}");
        }
        // After a leak and a rotation, the leaked secret cannot revoke the token.
        assert_eq!(records(&*harness.store).await, before, "{ending}");
    }
}

const REVOKE: u8 = 0;
const ROTATE: u8 = 1;

/// Returns a service with a rival that changes the calling token, and that token.
async fn contested(stores: Stores) -> (Harness<Arc<Faulty>>, VerifiedToken) {
    let id = Arc::new(Mutex::new(TokenId::from_bytes([0; 16])));
    let of_rival = id.clone();
    let harness = Harness::builder(stores).faulty_with_rival(move |store, clock, what| {
        let id = *of_rival.lock().unwrap();
        Box::pin(async move {
            let service = builder(store).clock(clock).build().unwrap();
            let _ = match what {
                REVOKE => {
                    let request = RevokeRequest::new().by("rival");
                    service.owner("acme").revoke(id, request).await.map(drop)
                }
                _ => {
                    let rotation = RotateRequest::at_once();
                    service.owner("acme").rotate(id, rotation).await.map(drop)
                }
            };
        })
    });
    let harness = harness.build();
    let token = harness.caller(&["service-tokens:rotate-self"]).await;
    *id.lock().unwrap() = token.id();
    (harness, token)
}

/// The check uses the record that is replaced, so no other write can happen between them.
pub(crate) async fn overtaken_operation_on_self_is_refused(stores: Stores) {
    for (what, refusal) in [(REVOKE, Refusal::Revoked), (ROTATE, Refusal::SecretEnded)] {
        for at in [0, 1] {
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(what));
            let (harness, token) = contested(stores).await;
            harness.faulty().arm(&script, Fault::None);
            let rotation = RotateRequest::at_once();
            let outcome = harness.service.on_behalf_of(&token).rotate_self(rotation).await;
            assert_eq!(expect_not_active(outcome), refusal, "{what} at {at}");

            let (harness, token) = contested(stores).await;
            harness.faulty().arm(&script, Fault::None);
            let words = RevokeRequest::new().by("itself");
            let outcome = harness.service.on_behalf_of(&token).revoke_self(words).await;
            assert_eq!(expect_not_active(outcome), refusal, "{what} at {at}");
            harness.faulty().disarm();
            let stored = harness.service.all_owners().get(token.id()).await.unwrap();
            let by = stored.record.revocation().and_then(|revocation| revocation.by.clone());
            assert_eq!(by.as_deref(), (what == REVOKE).then_some("rival"));
        }
    }
}

/// Its own revocation or rotation with a lost answer is not mistaken for another writer's.
pub(crate) async fn operation_on_self_resolves_lost_answers(stores: Stores) {
    for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Late] {
        let script = [Fault::None, fault];
        let (harness, token) = contested(stores).await;
        harness.faulty().arm(&script, Fault::None);
        let words = RevokeRequest::new().by("itself");
        let revoked = harness.service.on_behalf_of(&token).revoke_self(words).await.unwrap();
        assert!(!revoked.already_revoked, "{fault:?}");

        let (harness, token) = contested(stores).await;
        harness.faulty().arm(&script, Fault::None);
        let rotation = RotateRequest::at_once();
        let rotated = harness.service.on_behalf_of(&token).rotate_self(rotation).await;
        harness.faulty().disarm();
        let verified = harness.service.verify(&text(&rotated.unwrap()), &any()).await;
        assert_eq!(verified.unwrap().id(), token.id(), "{fault:?}");
    }
}
