//! Authentication and authorization of the management API, which come before all other checks.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::json;
use service_tokens::{
    FileStore, MemoryStore, Requirement, RevokeRequest, TokenService, TokenStore, TokenType,
};
use service_tokens_axum::management;

use crate::api::{Api, api, api_with, builder, checked, issue, name, problem};
use crate::harness::{Answer, FaultyStore, send, serve};

const UNKNOWN: &str = "05Swf3OEdIgE2bQlsPJ8wB";

/// Each endpoint that requires a token, with the types whose tokens may use it.
fn endpoints() -> Vec<(&'static str, String, &'static [&'static str])> {
    let id = |verb: &str| format!("/tokens/{UNKNOWN}{verb}");
    vec![
        ("GET", "/tokens".into(), &["read"]),
        ("POST", "/tokens".into(), &["issue"]),
        ("GET", id(""), &["read"]),
        ("POST", id("/revoke"), &["revoke"]),
        ("POST", id("/rotate"), &["rotate"]),
        ("GET", "/token-types".into(), &["read", "issue"]),
        (
            "GET",
            "/tokens/self".into(),
            &["connector", "read", "issue", "rotate", "rotate-self", "introspect"],
        ),
        ("POST", "/tokens/self/revoke".into(), &["connector", "developer", "rotate-self"]),
        ("POST", "/tokens/self/rotate".into(), &["rotate-self"]),
    ]
}

#[tokio::test]
async fn call_endpoint_without_valid_token_is_refused() {
    let api = api().await;
    for (method, path, _) in endpoints() {
        // Also if other parts of the request are wrong.
        for path in [path.clone(), path.replace(UNKNOWN, "no-id"), format!("{path}?a=1&a=2")] {
            let send = async |headers: &[&str], body: &str| {
                checked(send(api.address, method, &path, headers, body).await)
            };
            let none = send(&[], "{").await;
            assert_eq!((none.status, &*name(&none)), (401, "no-credentials"));
            assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"service-tokens\""));
            let basic = send(&["Authorization: Basic YTpi"], "").await;
            let bare = send(&[], "").await;
            assert_eq!((basic.status, &basic.body), (bare.status, &bare.body));
            assert_eq!(basic.header("www-authenticate"), bare.header("www-authenticate"));
            for bad in [
                &["Authorization: Bearer"][..],
                &["Authorization: Bearer a b"],
                &["Authorization: Bearer a", "Authorization: Bearer b"],
            ] {
                let bad = send(bad, "{").await;
                assert_eq!((bad.status, &*name(&bad)), (400, "malformed-credentials"));
                let challenge = "Bearer realm=\"service-tokens\", error=\"invalid_request\"";
                assert_eq!(bad.header("www-authenticate"), Some(challenge));
            }
            let wrong = send(&["Authorization: Bearer x"], "{").await;
            assert_eq!((wrong.status, &*name(&wrong)), (401, "invalid-token"));
            let challenge = "Bearer realm=\"service-tokens\", error=\"invalid_token\"";
            assert_eq!(wrong.header("www-authenticate"), Some(challenge));
        }
    }
}

#[tokio::test]
async fn call_endpoint_without_its_scope_returns_403() {
    let api = api().await;
    let kinds = [
        "connector",
        "developer",
        "read",
        "issue",
        "rotate",
        "rotate-self",
        "revoke",
        "introspect",
    ];
    for (method, path, may) in endpoints() {
        for kind in kinds {
            let itself = path.starts_with("/tokens/self") && !path.ends_with("rotate");
            let (_, token) = api.issue(kind).await;
            // A body and a query that are refused with 400 after the scope check.
            for path in [path.clone(), path.replace(UNKNOWN, "no-id"), format!("{path}?cursor=")] {
                let answer =
                    api.call(&token, method, &path, if method == "GET" { "" } else { "[]" }).await;
                if itself || may.contains(&kind) {
                    assert!(matches!(answer.status, 200 | 400 | 404), "{kind} {path}: {answer:?}");
                    continue;
                }
                assert_eq!(
                    (answer.status, &*name(&answer)),
                    (403, "insufficient-scope"),
                    "{kind} {path}"
                );
                let scopes = may.iter().map(|scope| format!("service-tokens:{scope}"));
                let scopes = scopes.collect::<Vec<_>>().join(" ");
                assert_eq!(answer.json()["scope"], *scopes);
                let challenge = format!(
                    "Bearer realm=\"service-tokens\", error=\"insufficient_scope\", scope=\"{scopes}\""
                );
                assert_eq!(answer.header("www-authenticate"), Some(&*challenge));
            }
        }
    }
}

#[tokio::test]
async fn use_id_of_no_own_token_gets_one_same_answer() {
    let api = api().await;
    let (foreign, _) = issue(&api.service, "globex", "connector").await;
    let strip = |answer: Answer| {
        let headers: Vec<_> = answer.headers.iter().filter(|(n, _)| n != "date").cloned().collect();
        (answer.status, headers, answer.body)
    };
    for (method, verb) in [("GET", ""), ("POST", "/revoke"), ("POST", "/rotate")] {
        let mut answers = Vec::new();
        for id in [
            UNKNOWN,
            &*foreign,
            "a",
            "sel%66",
            "SELF",
            "%ff",
            "%00",
            "7zzzzzzzzzzzzzzzzzzzzz",
            "..",
            "zzzzzzzzzzzzzzzzzzzzzz",
            "05Swf3OEdIgE2bQlsPJ8w%2F",
            "05Swf3OEdIgE2bQlsPJ8wBB",
        ] {
            let answer = api.manage(method, &format!("/tokens/{id}{verb}"), "").await;
            assert_eq!((answer.status, &*name(&answer)), (404, "not-found"), "{id}");
            answers.push(strip(answer));
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    }
    let untouched = api.service.owner("globex").get(foreign.parse().unwrap()).await.unwrap();
    assert!(untouched.record.revocation().is_none());
}

#[tokio::test]
async fn list_returns_only_tokens_of_owner() {
    let api = api().await;
    issue(&api.service, "globex", "connector").await;
    let (mine, _) = api.issue("connector").await;
    let list = api.manage("GET", "/tokens?state=all", "").await.json();
    let ids: Vec<_> = list["tokens"].as_array().unwrap().iter().map(|token| &token["id"]).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&&json!(mine)) && ids.contains(&&json!(api.manager_id)));
    let owner = api.manage("GET", "/tokens?owner=globex", "").await;
    assert_eq!(
        problem(&owner),
        (400, "invalid-parameter".into(), "owner".into(), "is unknown here".into())
    );
    let body = r#"{"type":"connector","issued_to":"x","owner":"globex"}"#;
    let issued = api.manage("POST", "/tokens", body).await;
    assert_eq!(
        problem(&issued),
        (400, "invalid-field".into(), "owner".into(), "is unknown here".into())
    );
}

#[tokio::test]
async fn issue_beyond_calling_token_is_refused() {
    let api = api_with(MemoryStore::new(), |builder| {
        let clerk = ["service-tokens:issue", "service-tokens:rotate", "files:upload"];
        builder.token_type(TokenType::new("clerk", clerk).unwrap())
    })
    .await;
    let (clerk_id, clerk) = api.issue("clerk").await;
    let issue = async |body: serde_json::Value| {
        api.call(&clerk, "POST", "/tokens", &body.to_string()).await
    };
    let connector = issue(json!({ "type": "connector", "issued_to": "x" })).await;
    assert_eq!(connector.status, 201);
    assert_eq!(connector.json()["issuers"], json!([clerk_id]));
    for kind in ["developer", "manager", "read"] {
        let refused = issue(json!({ "type": kind, "issued_to": "x" })).await;
        assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("scopes")), "{kind}");
    }
    let narrowed = json!({ "type": "developer", "issued_to": "x", "scopes": ["files:upload"] });
    assert_eq!(issue(narrowed).await.status, 201);
    let widened = json!({ "type": "developer", "issued_to": "x", "scopes": ["files:*"] });
    assert_eq!(issue(widened).await.json()["field"], "scopes");
    let beyond_type = json!({ "type": "connector", "issued_to": "x", "scopes": ["files:read"] });
    assert_eq!(issue(beyond_type).await.json()["field"], "scopes");
    let longer = json!({ "type": "connector", "issued_to": "x", "expires_in": 91 * 86_400 });
    let longer = issue(longer).await;
    assert_eq!((longer.status, &longer.json()["field"]), (400, &json!("expires_in")));

    for kind in ["developer", "manager"] {
        let (id, before) = api.issue(kind).await;
        let refused = api.call(&clerk, "POST", &format!("/tokens/{id}/rotate"), "").await;
        assert_eq!((refused.status, &*name(&refused)), (403, "exceeds-caller"), "{refused:?}");
        let challenge = "Bearer realm=\"service-tokens\", error=\"insufficient_scope\"";
        assert_eq!(refused.header("www-authenticate"), Some(challenge));
        api.service.verify(&before, &Requirement::any_token()).await.unwrap();
    }
    // The id of the calling token needs the scope for itself.
    let itself = api.call(&clerk, "POST", &format!("/tokens/{clerk_id}/rotate"), "").await;
    assert_eq!(
        (itself.status, &itself.json()["scope"]),
        (403, &json!("service-tokens:rotate-self"))
    );
}

#[tokio::test]
async fn call_with_revoked_cached_token_is_refused() {
    let requirement = Requirement::any_token();
    for (method, path, _) in endpoints() {
        // A new service each time, because the first refusal updates the cache.
        let api = api_with(FaultyStore::without_last_used(), |builder| {
            builder.cache_records(Duration::from_secs(3_600), 1_000)
        })
        .await;
        api.service.verify(&api.manager, &requirement).await.unwrap();
        // Another node on the same store; this one gets no event of it.
        let other = builder(api.service.store().clone(), &api.clock).build().unwrap();
        let id = api.manager_id.parse().unwrap();
        let _ = other.owner("acme").revoke(id, RevokeRequest::new()).await.unwrap();
        api.service.verify(&api.manager, &requirement).await.expect("the cached record is valid");
        let refused = api.manage(method, &path, "").await;
        assert_eq!((refused.status, &*name(&refused)), (401, "invalid-token"), "{path}");
    }
}

#[tokio::test]
async fn call_by_other_method_returns_405_with_allow() {
    let api = api().await;
    for (path, allowed) in [
        ("/tokens", "GET,HEAD,POST"),
        ("/tokens/self", "GET,HEAD"),
        ("/tokens/self/revoke", "POST"),
        ("/tokens/self/rotate", "POST"),
        ("/tokens/x", "GET,HEAD"),
        ("/tokens/x/revoke", "POST"),
        ("/tokens/x/rotate", "POST"),
        ("/token-types", "GET,HEAD"),
        ("/openapi.json", "GET,HEAD"),
    ] {
        let answer = checked(send(api.address, "DELETE", path, &[], "").await);
        assert_eq!((answer.status, &*name(&answer)), (405, "method-not-allowed"));
        assert_eq!(answer.header("allow"), Some(allowed));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn merge_with_router_retains_its_fallback() {
    let api = api().await;
    let own = Router::new().route("/", get(|| async { "own" })).fallback(|| async { "fallback" });
    let address = serve(own.merge(management::router(Arc::clone(&api.service)))).await;
    let answer = send(address, "GET", "/elsewhere", &[], "").await;
    assert_eq!((&*answer.body, answer.header("cache-control")), ("fallback", None));
    assert_eq!(send(address, "GET", "/tokens", &[], "").await.status, 401);
}

#[tokio::test]
async fn answer_without_new_secret_contains_no_token() {
    let api = api().await;
    let (id, token) = api.issue("connector").await;
    let path = format!("/tokens/{id}");
    let mut answers = Vec::new();
    answers.push(api.manage("GET", "/tokens", "").await);
    answers.push(api.manage("GET", &path, "").await);
    answers.push(api.manage("GET", "/token-types", "").await);
    answers.push(api.call(&token, "GET", "/tokens/self", "").await);
    answers.push(api.manage("POST", &format!("/tokens/{token}/revoke"), "").await);
    answers.push(api.manage("GET", &format!("/tokens?issued_to={token}&x={token}"), "").await);
    answers.push(
        api.manage("POST", "/tokens", &json!({ "type": token, "issued_to": token }).to_string())
            .await,
    );
    answers
        .push(api.manage("POST", "/tokens", &json!({ "type": { "a": token } }).to_string()).await);
    answers.push(
        api.manage("POST", "/tokens", &json!({ "expires_at": token, "type": "x" }).to_string())
            .await,
    );
    answers.push(api.manage("POST", &format!("{path}/revoke"), "").await);
    let page = api.service.all_owners().list(service_tokens::ListRequest::new()).await.unwrap();
    let digests: Vec<_> = page.items.iter().map(|stored| stored.record.to_bytes()).collect();
    assert!(!digests.is_empty());
    for answer in answers {
        assert!(!answer.body.contains(&token[token.len() - 49..]), "{answer:?}");
        assert!(!answer.body.contains("digest"), "{answer:?}");
        assert_eq!(answer.json().get("token"), None);
    }
}

#[tokio::test]
async fn serve_api_over_dyn_store_works() {
    let folder = tempfile::tempdir().unwrap();
    let file = FileStore::open(folder.path().join("tokens")).unwrap();
    let stores: [Arc<dyn TokenStore>; 2] = [Arc::new(MemoryStore::new()), Arc::new(file)];
    for store in stores {
        let api: Api<Arc<dyn TokenStore>> = api_with(store, |builder| builder).await;
        let body = r#"{"type":"connector","issued_to":"dyn"}"#;
        assert_eq!(api.manage("POST", "/tokens", body).await.status, 201);
        assert_eq!(
            api.manage("GET", "/tokens?type=connector", "").await.json()["tokens"][0]["issued_to"],
            "dyn"
        );
    }
}

#[allow(dead_code, reason = "that it compiles is the test")]
fn any_service_will_do(service: Arc<TokenService<FileStore>>) -> Router {
    management::router(service)
}
