//! Introspection (RFC 7662).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chrono::{DateTime, Utc};
use serde_json::json;
use service_tokens::clock::ManualClock;
use service_tokens::store::LastUsed;
use service_tokens::{
    IssueRequest, MemoryStore, Policy, Requirement, RevokeRequest, RotateRequest, TokenService,
    TokenServiceBuilder, TokenStore, TokenType,
};
use service_tokens_axum::standards;

use crate::harness::{Answer, Call, Fault, FaultyStore, exchange, send, serve, service, token};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const CHALLENGE: &str = "Bearer realm=\"service-tokens\"";

fn builder<S: TokenStore>(store: S, clock: &Arc<ManualClock>) -> TokenServiceBuilder<S> {
    TokenService::builder(store, "acme_test")
        .token_type(TokenType::new("connector", ["files:read", "files:upload"]).unwrap())
        .token_type(TokenType::new("resource", ["service-tokens:introspect"]).unwrap())
        .policy(Policy::new().allow_never(true))
        .clock(clock.clone())
}

async fn issue<S: TokenStore>(service: &TokenService<S>, request: IssueRequest) -> String {
    service.owner("acme").issue(request).await.unwrap().token.expose_secret().to_owned()
}

/// Issues a token for a resource server.
async fn caller<S: TokenStore>(service: &TokenService<S>) -> String {
    issue(service, IssueRequest::new("resource", "a resource server")).await
}

async fn introspect(address: SocketAddr, caller: &str, token: &str) -> Answer {
    let bearer = format!("Authorization: Bearer {caller}");
    send(address, "POST", "/introspect", &[&bearer, FORM], &format!("token={token}")).await
}

/// Checks the headers that every answer must have.
fn check_headers(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    if !answer.body.is_empty() {
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
        assert!(answer.json().is_object());
    }
}

#[track_caller]
fn inactive(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (200, r#"{"active":false}"#), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-control", "connection", "content-length", "content-type", "date"]);
}

#[tokio::test]
async fn introspect_examples_of_rfc_7662_work() {
    let (service, _) = service();
    let caller = token(&service, "acme", "manager").await;
    let address = serve(standards::router(service)).await;

    // RFC 7662 §2.1: first with the credentials of the example, which are invalid here.
    let body = "token=2YotnFZFEjr1zCsicMWpAA";
    let accept = "Accept: application/json";
    let headers = [accept, FORM, "Authorization: Bearer 23410913-abewfq.123483"];
    let answer = send(address, "POST", "/introspect", &headers, body).await;
    check_headers(&answer);
    assert_eq!(answer.status, 401);
    let challenge = format!("{CHALLENGE}, error=\"invalid_token\"");
    assert_eq!(answer.header("www-authenticate"), Some(&*challenge));
    assert_eq!(answer.json()["error"], "invalid_token");

    // Then with valid ones. RFC 7662 §2.2: the answer for an inactive token.
    let bearer = format!("Authorization: Bearer {caller}");
    inactive(&send(address, "POST", "/introspect", &[accept, FORM, &bearer], body).await);

    // The second example has a hint, which is ignored, and client credentials, which are not
    // a bearer token.
    let hinted = "token=mF_9.B5f-4.1JqM&token_type_hint=access_token";
    inactive(&send(address, "POST", "/introspect", &[accept, FORM, &bearer], hinted).await);
    let basic = "Authorization: Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW";
    let answer = send(address, "POST", "/introspect", &[accept, FORM, basic], hinted).await;
    check_headers(&answer);
    assert_eq!((answer.status, &*answer.body), (401, ""));
    assert_eq!(answer.header("www-authenticate"), Some(CHALLENGE));
}

#[tokio::test]
async fn introspect_active_token_uses_whole_seconds() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let clock = Arc::new(ManualClock::new(at("2030-01-01T00:00:00.9Z")));
    let service = Arc::new(builder(MemoryStore::new(), &clock).build().unwrap());
    let address = serve(standards::router(service.clone())).await;
    let caller = caller(&service).await;

    let request = IssueRequest::new("connector", "a label")
        .not_before(at("2030-01-01T00:00:05.7Z"))
        .expires_at(at("2030-01-01T00:01:00.999999Z"));
    let issued = service.owner("acme").issue(request).await.unwrap();
    clock.set(at("2030-01-01T00:00:06Z"));
    let answer = introspect(address, &caller, issued.token.expose_secret()).await;
    check_headers(&answer);
    assert_eq!(answer.status, 200);
    let expected = json!({
        "active": true, "scope": "files:read files:upload", "exp": 1_893_456_060,
        "iat": 1_893_456_000, "nbf": 1_893_456_005, "sub": "acme",
        "jti": issued.record.id().to_string(), "token_type": "Bearer",
    });
    assert_eq!(answer.json(), expected);

    // The token is active within its last second, and `exp` is the start of that second.
    clock.set(at("2030-01-01T00:01:00.9Z"));
    assert_eq!(introspect(address, &caller, issued.token.expose_secret()).await.json(), expected);
    clock.set(at("2030-01-01T00:01:00.999999Z"));
    inactive(&introspect(address, &caller, issued.token.expose_secret()).await);

    // Members without a value are absent.
    let forever = IssueRequest::new("connector", "for ever").never_expires();
    let forever = service.owner("acme").issue(forever).await.unwrap();
    let answer = introspect(address, &caller, forever.token.expose_secret()).await;
    let expected = json!({
        "active": true, "scope": "files:read files:upload", "iat": 1_893_456_060, "sub": "acme",
        "jti": forever.record.id().to_string(), "token_type": "Bearer",
    });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn introspect_inactive_token_hides_the_reason() {
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(MemoryStore::new());
    let service = Arc::new(builder(store.clone(), &clock).build().unwrap());
    let elsewhere =
        builder(store, &clock).token_type(TokenType::new("new", ["*"]).unwrap()).build().unwrap();
    let address = serve(standards::router(service.clone())).await;
    let caller = caller(&service).await;
    let connector = || IssueRequest::new("connector", "backup");
    let acme = service.owner("acme");

    let active = issue(&service, connector()).await;
    let mut wrong = issue(&service, connector()).await;
    // The id of this token with the secret of another one.
    let other = issue(&service, connector()).await;
    let middle = "acme_test_1".len() + 22;
    wrong.replace_range(middle.., &other[middle..]);
    let pending = connector().not_before(service.now() + Duration::from_secs(3600));
    let pending = issue(&service, pending).await;
    let expired = issue(&service, connector().expires_in(Duration::from_secs(60))).await;
    let revoked = service.owner("acme").issue(connector()).await.unwrap();
    acme.revoke(revoked.record.id(), RevokeRequest::new()).await.unwrap();
    let rotated = service.owner("acme").issue(connector()).await.unwrap();
    let _new = acme.rotate(rotated.record.id(), RotateRequest::at_once()).await.unwrap();
    let purged = {
        let there = builder(MemoryStore::new(), &clock).build().unwrap();
        issue(&there, connector()).await
    };
    let foreign = service
        .owner("globex")
        .issue(IssueRequest::new("connector", "backup"))
        .await
        .unwrap()
        .token
        .expose_secret()
        .to_owned();
    let unknown_type = issue(&elsewhere, IssueRequest::new("new", "x")).await;
    clock.advance(Duration::from_secs(60));

    assert_eq!(introspect(address, &caller, &active).await.json()["active"], true);
    for token in [
        "x",
        "acme_test_1",
        &"a".repeat(10_000),
        "%20",
        "%00%0D%0A",
        "%C3%A9",
        &wrong,
        &pending,
        &expired,
        revoked.token.expose_secret(),
        rotated.token.expose_secret(),
        &purged,
        &foreign,
        &unknown_type,
        &format!("{active}%20"),
        &active.to_uppercase(),
    ] {
        inactive(&introspect(address, &caller, token).await);
    }
}

#[tokio::test]
async fn introspect_without_scope_is_refused() {
    let (service, _) = service();
    let manager = token(&service, "acme", "manager").await;
    // `*` does not include the reserved scopes.
    let developer = token(&service, "acme", "developer").await;
    let revoked = token(&service, "acme", "manager").await;
    let id = service.verify(&revoked, &Requirement::any_token()).await.unwrap().id();
    service.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
    let address = serve(standards::router(service)).await;
    let body = format!("token={developer}");

    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let invalid_request = format!("{CHALLENGE}, error=\"invalid_request\"");
    let invalid_token = format!("{CHALLENGE}, error=\"invalid_token\"");
    let missing =
        format!("{CHALLENGE}, error=\"insufficient_scope\", scope=\"service-tokens:introspect\"");
    let cases: [(&[&str], u16, &str, Option<&str>); 8] = [
        (&[], 401, CHALLENGE, None),
        (&["Authorization: Basic YTpi"], 401, CHALLENGE, None),
        (&["Authorization: Bearer"], 400, &invalid_request, Some("invalid_request")),
        (&["Authorization: Bearer a b"], 400, &invalid_request, Some("invalid_request")),
        (&[&bearer(&manager), &bearer(&manager)], 400, &invalid_request, Some("invalid_request")),
        (&[&bearer("a")], 401, &invalid_token, Some("invalid_token")),
        (&[&bearer(&revoked)], 401, &invalid_token, Some("invalid_token")),
        (&[&bearer(&developer)], 403, &missing, Some("insufficient_scope")),
    ];
    for (headers, status, challenge, error) in cases {
        let headers: Vec<_> = headers.iter().copied().chain([FORM]).collect();
        // The caller's token is not read from the query or the form.
        for path in ["/introspect".to_owned(), format!("/introspect?access_token={manager}")] {
            let body = format!("{body}&access_token={manager}");
            let answer = send(address, "POST", &path, &headers, &body).await;
            check_headers(&answer);
            assert_eq!(answer.status, status, "{headers:?} {answer:?}");
            assert_eq!(answer.header("www-authenticate"), Some(challenge));
            match error {
                Some(error) => assert_eq!(answer.json()["error"], error),
                None => assert_eq!(answer.body, ""),
            }
        }
    }
}

#[tokio::test]
async fn introspect_form_requires_exactly_one_token() {
    let (service, _) = service();
    let manager = token(&service, "acme", "manager").await;
    let address = serve(standards::router(service)).await;
    let bearer = format!("Authorization: Bearer {manager}");
    let one = format!("token={manager}");
    let padded = |length: usize| format!("{one}&pad={}", "x".repeat(length - one.len() - 5));

    for (content_type, body) in [
        ("application/x-www-form-urlencoded", &*one),
        ("Application/X-WWW-Form-URLencoded ; charset=UTF-8", &one),
        ("application/x-www-form-urlencoded", &padded(16 * 1024)),
        (
            "application/x-www-form-urlencoded",
            &format!("token_type_hint=x&{one}&token_type_hint=y"),
        ),
    ] {
        let content_type = format!("Content-Type: {content_type}");
        let answer = send(address, "POST", "/introspect", &[&bearer, &content_type], body).await;
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{body}");
    }

    let form = "application/x-www-form-urlencoded";
    let in_query = format!("/introspect?{one}");
    for (path, content_type, body) in [
        ("/introspect", Some(form), ""),
        ("/introspect", Some(form), "token="),
        ("/introspect", Some(form), "tokens=x"),
        ("/introspect", Some(form), &*format!("{one}&{one}")),
        ("/introspect", Some(form), &format!("{one}&token=")),
        ("/introspect", Some(form), &format!("{one}&x=%FF")),
        ("/introspect", Some(form), &padded(16 * 1024 + 1)),
        ("/introspect", Some(form), &padded(1024 * 1024)),
        ("/introspect", Some("application/json"), &format!("{{\"token\":\"{manager}\"}}")),
        ("/introspect", Some("text/plain"), &one),
        ("/introspect", Some("application/x-www-form-urlencodedx"), &one),
        ("/introspect", Some("multipart/form-data; boundary=x"), &one),
        ("/introspect", None, &one),
        (&in_query, Some(form), ""),
        (&in_query, Some(form), "x=y"),
    ] {
        let content_type = content_type.map(|name| format!("Content-Type: {name}"));
        let headers: Vec<_> = [&*bearer].into_iter().chain(content_type.as_deref()).collect();
        let answer = send(address, "POST", path, &headers, body).await;
        check_headers(&answer);
        assert_eq!(answer.status, 400, "{path} {headers:?} {answer:?}");
        assert_eq!(answer.header("www-authenticate"), None);
        let json = answer.json();
        assert_eq!(json["error"], "invalid_request");
        assert!(json["error_description"].is_string());
        assert!(!answer.body.contains("acme_test"), "{answer:?}");
    }
    let twice = [&*bearer, FORM, FORM];
    assert_eq!(send(address, "POST", "/introspect", &twice, &one).await.status, 400);
    for encoding in ["gzip", "identity"] {
        let encoded = [&*bearer, FORM, &*format!("Content-Encoding: {encoding}")];
        let answer = send(address, "POST", "/introspect", &encoded, &one).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")));
    }

    // Without an announced length the limit applies while the body is read.
    let head = format!("POST /introspect HTTP/1.1\r\nHost: x\r\n{bearer}\r\n{FORM}\r\n");
    let chunked = format!("{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(5);
    let request = format!("{chunked}{chunk}0\r\n\r\n");
    let answer = exchange(address, request.as_bytes()).await.unwrap();
    assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_request")));
    let bytes =
        [head.as_bytes(), b"Connection: close\r\nContent-Length: 7\r\n\r\ntoken=\xff"].concat();
    assert_eq!(exchange(address, &bytes).await.unwrap().status, 400);
}

#[tokio::test]
async fn call_standards_by_other_method_returns_405() {
    let (service, _) = service();
    let manager = token(&service, "acme", "manager").await;
    let address = serve(standards::router(service)).await;
    let bearer = format!("Authorization: Bearer {manager}");
    for path in ["/introspect", "/revoke"] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"] {
            let answer = send(address, method, path, &[&bearer], "").await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("POST"), "{method} {path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
}

#[tokio::test]
async fn introspect_counts_only_active_as_use() {
    let (service, clock) = service();
    let address = serve(standards::router(service.clone())).await;
    let acme = token(&service, "acme", "manager").await;
    let globex = token(&service, "globex", "manager").await;
    let issued = service.owner("acme").issue(IssueRequest::new("connector", "x")).await.unwrap();
    let (id, old) = (issued.record.id(), issued.token);
    let last_used = async || service.all_owners().get(id).await.unwrap().last_used;
    let day = Duration::from_secs(86_400);
    clock.advance(Duration::from_secs(60));
    let new = service.owner("acme").rotate(id, RotateRequest::until_first_use(day)).await.unwrap();

    inactive(&introspect(address, &globex, new.token.expose_secret()).await);
    assert_eq!(last_used().await, LastUsed::Never);
    assert_eq!(introspect(address, &acme, old.expose_secret()).await.json()["active"], true);
    assert_eq!(last_used().await, LastUsed::At(service.now()));

    clock.advance(Duration::from_secs(3600));
    assert_eq!(introspect(address, &acme, new.token.expose_secret()).await.json()["active"], true);
    assert_eq!(last_used().await, LastUsed::At(service.now()));
    // This was the first use of the new secret.
    inactive(&introspect(address, &acme, old.expose_secret()).await);
}

#[tokio::test]
async fn introspect_during_store_failure_returns_503() {
    let clock = Arc::new(ManualClock::default());
    let service = Arc::new(builder(FaultyStore::new(), &clock).build().unwrap());
    let address = serve(standards::router(service.clone())).await;
    let caller = caller(&service).await;
    let token = issue(&service, IssueRequest::new("connector", "backup")).await;

    for after in [0, 1] {
        service.store().fail(Call::Find, after, Fault::Unavailable);
        let answer = introspect(address, &caller, &token).await;
        check_headers(&answer);
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("www-authenticate"), None);
        assert_eq!(answer.json()["error"], "temporarily_unavailable");
    }
    service.store().repair();
    assert_eq!(introspect(address, &caller, &token).await.json()["active"], true);
    assert_eq!(service.store().calls(Call::Find), 2, "so there is no third find that could fail");
}

#[tokio::test]
async fn introspect_ignores_cached_records() {
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(MemoryStore::new());
    let minute = Duration::from_secs(60);
    let here = builder(FaultyStore::over(store.clone()), &clock).cache_records(minute, 100).build();
    let here = Arc::new(here.unwrap());
    let elsewhere = builder(store, &clock).build().unwrap();
    let address = serve(standards::router(here.clone())).await;
    let caller = caller(&here).await;
    let token = issue(&here, IssueRequest::new("connector", "backup")).await;
    let ids = [&token, &caller]
        .map(async |token| here.verify(token, &Requirement::any_token()).await.unwrap().id());
    for (id, revoked) in ids.into_iter().zip(["the token", "the caller"]) {
        let id = id.await;
        assert_eq!(introspect(address, &caller, &token).await.status, 200, "{revoked}");
        elsewhere.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
        let answer = introspect(address, &caller, &token).await;
        match revoked {
            "the token" => inactive(&answer),
            _ => assert_eq!(answer.status, 401),
        }
    }
}

#[tokio::test]
async fn introspect_over_dyn_store_below_prefix_works() {
    let clock = Arc::new(ManualClock::default());
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let service = Arc::new(builder(store, &clock).build().unwrap());
    let nested = Router::new()
        .nest("/oauth/{tenant}", standards::introspection(service.clone()))
        .nest("/other", standards::router(service.clone()));
    let address = serve(nested).await;
    let caller = caller(&service).await;
    for path in ["/oauth/x/introspect", "/other/introspect"] {
        let bearer = format!("Authorization: Bearer {caller}");
        let body = format!("token={caller}");
        let answer = send(address, "POST", path, &[&bearer, FORM], &body).await;
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)));
    }
    assert_eq!(send(address, "POST", "/oauth/x/revoke", &[FORM], "token=x").await.status, 404);
    assert_eq!(send(address, "POST", "/other/revoke", &[FORM], "token=x").await.status, 200);
}
