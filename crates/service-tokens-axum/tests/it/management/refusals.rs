//! Refused operations: because of the token's state, the policy, an operator or the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use service_tokens::random::{OsRandom, RandomError, RandomSource};
use service_tokens::{MemoryStore, Policy, Requirement, RevokeRequest};

use crate::api::{api, api_with, name, problem};
use crate::harness::{Call, Fault, FaultyStore};

const BODY: &str = r#"{"type":"connector","issued_to":"x"}"#;

#[tokio::test]
async fn rotate_refused_names_the_reason() {
    let api = api().await;
    let (id, _) = api.issue("connector").await;
    let path = format!("/tokens/{id}/rotate");
    let first = api.manage("POST", &path, r#"{"overlap_for":60}"#).await.json();
    let runs = api.manage("POST", &path, r#"{"overlap_for":60}"#).await;
    let rule = "is required during an overlap";
    assert_eq!(problem(&runs), (409, "overlap-runs".into(), "replacing".into(), rule.into()));
    let replaced = api.manage("POST", &path, r#"{"overlap_for":60,"replacing":"newest"}"#).await;
    assert_eq!(replaced.status, 200);
    let requirement = Requirement::any_token();
    api.service.verify(first["token"].as_str().unwrap(), &requirement).await.unwrap_err();

    let since =
        json!({ "if_secret_created_at": first["secret_created_at"], "replacing": "oldest" })
            .to_string();
    let refused = api.manage("POST", &path, &since).await;
    assert_eq!((refused.status, name(&refused)), (409, "rotated-since".into()));
    let since = json!({ "if_secret_created_at": replaced.json()["secret_created_at"], "replacing": "oldest" });
    let rotated = api.manage("POST", &path, &since.to_string()).await;
    assert_eq!((rotated.status, &rotated.json()["overlap"]), (200, &Value::Null));

    api.manage("POST", &format!("/tokens/{id}/revoke"), "").await;
    let ended = api.manage("POST", &path, "").await;
    assert_eq!((ended.status, name(&ended)), (409, "not-active".into()));
    assert_eq!(
        ended.json()["detail"],
        "Only an active token can be rotated, and this one is revoked."
    );
}

/// The issue is repeated while the token is pending, so rotating does not help yet.
#[tokio::test]
async fn reissue_of_pending_token_explains_next_steps() {
    let api = api().await;
    let key = || {
        let id = api.service.new_id().unwrap();
        (format!("Idempotency-Key: {}", id.to_uuid().hyphenated()), format!("/tokens/{id}"))
    };
    let (first, path) = key();
    let start = api.service.now() + Duration::from_secs(86_400);
    let body = json!({"type": "connector", "issued_to": "x", "not_before": start.to_rfc3339()});
    let body = body.to_string();
    assert_eq!(api.post_with("/tokens", &body, &[&first]).await.status, 201);
    let again = api.post_with("/tokens", &body, &[&first]).await;
    assert_eq!((again.status, name(&again)), (409, "exists".into()));
    let detail = again.json()["detail"].as_str().unwrap().to_owned();

    let rotate = format!("{path}/rotate");
    let pending = api.manage("POST", &rotate, "").await;
    assert_eq!((pending.status, name(&pending)), (409, "not-active".into()));
    let (_, issuer) = api.issue("issue").await;
    let unable = api.call(&issuer, "POST", &rotate, "").await;
    assert_eq!((unable.status, name(&unable)), (403, "insufficient-scope".into()));
    let scope = unable.json()["scope"].as_str().unwrap().to_owned();
    for said in ["an active token", &scope, "revoke it", "another key"] {
        assert!(detail.contains(said), "{said}: {detail}");
    }

    // Both remedies lead to a secret.
    assert_eq!(api.manage("POST", &format!("{path}/revoke"), "").await.status, 200);
    let (second, path) = key();
    assert_eq!(api.post_with("/tokens", &body, &[&second]).await.status, 201);
    api.clock.advance(Duration::from_secs(86_400));
    let rotated = api.manage("POST", &format!("{path}/rotate"), "").await;
    assert!(rotated.json()["token"].is_string(), "{rotated:?}");
}

#[tokio::test]
async fn issue_beyond_owner_limit_returns_409() {
    let api = api_with(MemoryStore::new(), |builder| {
        builder.policy(Policy::new().max_active_per_owner(2))
    })
    .await;
    assert_eq!(api.manage("POST", "/tokens", BODY).await.status, 201);
    let refused = api.manage("POST", "/tokens", BODY).await;
    assert_eq!((refused.status, name(&refused)), (409, "too-many-active".into()));
}

#[tokio::test]
async fn pause_issuing_refuses_only_issue() {
    let api = api().await;
    let (id, _) = api.issue("connector").await;
    let (_, reader) = api.issue("read").await;
    api.service.pause_issuing("INC-42: the deployment account leaked").await.unwrap();
    let refused = api.manage("POST", "/tokens", BODY).await;
    assert_eq!((refused.status, name(&refused)), (503, "issuing-paused".into()));
    assert_eq!(refused.json()["reason"], "INC-42: the deployment account leaked");
    assert_eq!(refused.header("retry-after"), Some("60"));
    let types = api.manage("GET", "/token-types", "").await.json();
    assert_eq!(types["issuing_paused"], "INC-42: the deployment account leaked");
    for (method, path) in [
        ("GET", "/tokens".into()),
        ("POST", format!("/tokens/{id}/rotate")),
        ("POST", format!("/tokens/{id}/revoke")),
    ] {
        assert_eq!(api.manage(method, &path, "").await.status, 200);
    }
    // Only callers that may issue see the reason.
    let stranger = api.call(&reader, "POST", "/tokens", BODY).await;
    assert_eq!((stranger.status, stranger.json().get("reason")), (403, None));
    api.service.resume_issuing();
    assert_eq!(api.manage("POST", "/tokens", BODY).await.status, 201);
}

#[tokio::test]
async fn call_during_store_failure_returns_503() {
    let api = api_with(FaultyStore::without_last_used(), |builder| builder).await;
    let (id, _) = api.issue("connector").await;
    let store = api.service.store();
    let requests = [
        ("GET", "/tokens".into(), ""),
        ("POST", "/tokens".into(), BODY),
        ("GET", format!("/tokens/{id}"), ""),
        ("POST", format!("/tokens/{id}/rotate"), ""),
        ("POST", format!("/tokens/{id}/revoke"), ""),
        ("GET", "/tokens/self".into(), ""),
        ("POST", "/tokens/self/rotate".into(), ""),
        ("POST", "/tokens/self/revoke".into(), ""),
    ];
    for (method, path, body) in &requests {
        for (op, after) in [
            (Call::Find, 0),
            (Call::Find, 1),
            (Call::Find, 2),
            (Call::Insert, 0),
            (Call::Replace, 0),
            (Call::List, 0),
        ] {
            store.repair();
            // A request that misses the fault would change records that the next ones need.
            let meets = match op {
                Call::Find => after < 2 || !path.contains("self") && path.contains(&*id),
                Call::Insert => *path == "/tokens" && *method == "POST",
                Call::Replace => path.contains("/r"),
                Call::Remove => false,
                Call::List => *path == "/tokens" && *method == "GET",
            };
            if !meets {
                continue;
            }
            store.fail(op, after, Fault::Unavailable);
            let answer = api.manage(method, path, body).await;
            assert_eq!(
                (answer.status, &*name(&answer)),
                (503, "unavailable"),
                "{op:?} {after} {path} {answer:?}"
            );
            assert!(!answer.body.contains("driver"), "{answer:?}");
        }
    }
    store.repair();
    let shown = api.manage("GET", &format!("/tokens/{id}"), "").await.json();
    assert_eq!(
        (&shown["state"], &shown["secret_created_at"]),
        (&json!("active"), &shown["created_at"])
    );

    // The answer to a write is lost, and reads fail.
    store.fail(Call::Replace, 0, Fault::DoneAndLost);
    store.fail(Call::Find, 3, Fault::Unavailable);
    let lost = api.manage("POST", &format!("/tokens/{id}/revoke"), "").await;
    assert_eq!((lost.status, &*name(&lost)), (503, "indeterminate"), "{lost:?}");
    assert_eq!(lost.json()["id"], *id);
    store.repair();
    let again = api.manage("POST", &format!("/tokens/{id}/revoke"), "").await.json();
    assert_eq!(again["already_revoked"], true);
}

#[tokio::test]
async fn change_with_endless_conflicts_returns_503() {
    let api = api_with(FaultyStore::new(), |builder| builder).await;
    let (id, token) = api.issue("connector").await;
    api.service.store().fail(Call::Replace, 0, Fault::Conflict);
    for verb in ["rotate", "revoke"] {
        for (path, about) in [
            (format!("/tokens/{id}/{verb}"), &id),
            (format!("/tokens/self/{verb}"), &api.manager_id),
        ] {
            let contended = api.manage("POST", &path, "").await;
            assert_eq!((contended.status, &*name(&contended)), (503, "unavailable"), "{path}");
            assert_eq!(contended.json()["id"], **about);
        }
    }
    api.service.verify(&token, &Requirement::any_token()).await.unwrap();
}

#[tokio::test]
async fn issue_without_random_bytes_returns_503() {
    /// The random source of the operating system, until it fails.
    struct Dry(Arc<AtomicBool>);

    impl RandomSource for Dry {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            if self.0.load(Ordering::SeqCst) { Err(RandomError) } else { OsRandom.fill(bytes) }
        }
    }

    let dry = Arc::new(AtomicBool::new(false));
    let source = Dry(dry.clone());
    let api = api_with(MemoryStore::new(), |builder| builder.random(source)).await;
    let (id, token) = api.issue("connector").await;
    dry.store(true, Ordering::SeqCst);
    for (path, body) in
        [("/tokens", BODY), (&format!("/tokens/{id}/rotate"), ""), ("/tokens/self/rotate", "")]
    {
        let failed = api.manage("POST", path, body).await;
        assert_eq!((failed.status, &*name(&failed)), (503, "unavailable"), "{path}");
    }
    for token in [&token, &api.manager] {
        api.service.verify(token, &Requirement::any_token()).await.unwrap();
    }
}

#[tokio::test]
async fn filter_by_untracked_last_use_is_refused() {
    let api = api_with(FaultyStore::without_last_used(), |builder| builder).await;
    let shown = api.manage("GET", "/tokens/self", "").await.json();
    assert_eq!(shown.get("last_used_at"), None);
    let refused = api.manage("GET", "/tokens?unused_since=2026-01-01T00:00:00Z", "").await;
    let rule = "is not supported because the store does not track last use";
    assert_eq!(
        problem(&refused),
        (400, "unsupported-filter".into(), "unused_since".into(), rule.into())
    );
}

#[tokio::test]
async fn call_with_ended_token_returns_401() {
    let api = api().await;
    assert_eq!(api.manage("GET", "/tokens", "").await.status, 200);
    let (_, short) = {
        let body = r#"{"type":"read","issued_to":"x","expires_in":60}"#;
        let issued = api.manage("POST", "/tokens", body).await.json();
        (issued["id"].clone(), issued["token"].as_str().unwrap().to_owned())
    };
    assert_eq!(api.call(&short, "GET", "/tokens", "").await.status, 200);
    api.clock.advance(Duration::from_secs(60));
    assert_eq!(api.call(&short, "GET", "/tokens", "").await.status, 401);
    let id = api.manager_id.parse().unwrap();
    let _ = api.service.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
    assert_eq!(api.manage("GET", "/tokens", "").await.status, 401);
}

#[tokio::test]
async fn issue_by_vanished_caller_revokes_and_names_id() {
    let api = api_with(FaultyStore::without_last_used(), |builder| builder).await;
    // The calling token is read by the verification, by the decision, and after the insert. By then the
    // store does not have it any more.
    api.service.store().hide(api.manager_id.parse().unwrap(), 2);
    let overtaken = api.manage("POST", "/tokens", BODY).await;
    assert_eq!((overtaken.status, &*name(&overtaken)), (401, "invalid-token"), "{overtaken:?}");
    let id = overtaken.json()["id"].as_str().unwrap().parse().unwrap();
    let made = api.service.owner("acme").get(id).await.unwrap();
    assert!(made.record.revocation().is_some());
    assert_eq!(overtaken.json().get("token"), None);
}

#[tokio::test]
async fn rotate_by_vanished_caller_names_id() {
    let api = api_with(FaultyStore::without_last_used(), |builder| builder).await;
    let (id, _) = api.issue("connector").await;
    api.service.store().hide(api.manager_id.parse().unwrap(), 2);
    let overtaken = api.manage("POST", &format!("/tokens/{id}/rotate"), "").await;
    assert_eq!((overtaken.status, &*name(&overtaken)), (401, "invalid-token"), "{overtaken:?}");
    assert_eq!((&overtaken.json()["id"], overtaken.json().get("token")), (&json!(id), None));
}
