//! The layer: the credentials that it reads, and its refusals, header by header.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use service_tokens::clock::ManualClock;
use service_tokens::{IssueRequest, MemoryStore, RevokeRequest, RotateRequest, TokenService};
use service_tokens_axum::{Bearer, BearerLayer, RequireLayer};

use crate::harness::{Answer, exchange, send, serve, service, token};

const HOUR: Duration = Duration::from_secs(3_600);

type Service = Arc<TokenService<MemoryStore>>;

/// Returns the owner, and the header as the handler receives it.
async fn whoami(Bearer(token): Bearer, request: Request) -> String {
    let authorization = &request.headers()["authorization"];
    assert!(authorization.is_sensitive());
    format!("{} {authorization:?}", token.owner())
}

async fn world() -> (SocketAddr, Service, Arc<ManualClock>) {
    let (service, clock) = service();
    let app = Router::new()
        .route("/", any(whoami))
        .route("/upload", any(whoami).layer(RequireLayer::scope("files:upload").unwrap()))
        .route("/delete", any(whoami).layer(RequireLayer::scope("files:delete").unwrap()))
        .layer(BearerLayer::new(service.clone()));
    (serve(app).await, service, clock)
}

/// Checks a whole refusal: it must have no other header.
#[track_caller]
fn refused(answer: &Answer, status: u16, challenge: Option<&str>, kind: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), challenge, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("retry-after").is_some(), status == 503);
    let problem = answer.json();
    assert_eq!(problem["type"], format!("urn:service-tokens:problem:{kind}"));
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string());
    let known = [
        "www-authenticate",
        "cache-control",
        "content-type",
        "content-length",
        "retry-after",
        "date",
        "connection",
    ];
    let unknown = answer.headers.iter().find(|(name, _)| !known.contains(&&**name));
    assert_eq!(unknown, None);
}

const BARE: Option<&str> = Some("Bearer realm=\"service-tokens\"");
const INVALID_REQUEST: Option<&str> =
    Some("Bearer realm=\"service-tokens\", error=\"invalid_request\"");
const INVALID_TOKEN: Option<&str> =
    Some("Bearer realm=\"service-tokens\", error=\"invalid_token\"");

#[tokio::test]
async fn pass_layer_ignores_case_of_scheme() {
    let (address, service, _) = world().await;
    let token = token(&service, "acme", "connector").await;
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer  ", "Bearer        "] {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            let header = format!("Authorization: {scheme}{token}");
            let answer = send(address, method, "/", &[&header], "").await;
            assert_eq!((answer.status, &*answer.body), (200, "acme Sensitive"), "{scheme}");
        }
    }
    // White space around a field value does not belong to the value (RFC 9110 §5.5).
    let header = format!("aUTHORIZATION:\t Bearer {token} \t");
    assert_eq!(send(address, "GET", "/", &[&header], "").await.status, 200);
}

#[tokio::test]
async fn refuse_without_token_sends_bare_challenge() {
    let (address, service, _) = world().await;
    let token = token(&service, "acme", "developer").await;
    let absent: [&[&str]; 5] = [
        &[],
        &["Proxy-Authorization: Bearer {token}"],
        &["X-Api-Key: {token}"],
        &["Cookie: token={token}; access_token={token}; Authorization=Bearer {token}"],
        &["X-Authorization: Bearer {token}"],
    ];
    let other: [&[&str]; 9] = [
        &["Authorization: Basic eDp5"],
        &["Authorization: {token}"],
        &["Authorization:"],
        &["Authorization: Token {token}"],
        &["Authorization: BearerX {token}"],
        &["Authorization: XBearer {token}"],
        &["Authorization: Bearer={token}"],
        &["Authorization: Bearer,{token}"],
        &["Authorization: Basic eDp5, Bearer {token}"],
    ];
    for headers in absent.into_iter().chain(other) {
        let headers: Vec<_> = headers.iter().map(|h| h.replace("{token}", &token)).collect();
        let headers: Vec<_> = headers.iter().map(|h| &**h).collect();
        let answer = send(address, "GET", "/", &headers, "").await;
        refused(&answer, 401, BARE, "no-credentials");
    }
    // RFC 6750 §2.2 and §2.3, and other common places.
    for path in
        ["/?access_token={token}", "/?token={token}", "/upload?Authorization=Bearer%20{token}"]
    {
        let answer = send(address, "GET", &path.replace("{token}", &token), &[], "").await;
        refused(&answer, 401, BARE, "no-credentials");
    }
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let body = format!("access_token={token}");
    refused(&send(address, "POST", "/", &form, &body).await, 401, BARE, "no-credentials");
}

#[tokio::test]
async fn send_malformed_credentials_returns_400() {
    let (address, service, _) = world().await;
    let token = token(&service, "acme", "developer").await;
    for value in [
        "Bearer",
        "Bearer ",
        "bearer",
        "Bearer a b",
        "Bearer a,b",
        "Bearer a, Bearer b",
        "Bearer {token},",
        "Bearer {token} {token}",
        "Bearer {token}, Bearer {token}",
        "Bearer\t{token}",
        "Bearer \t{token}",
        "Bearer =",
        "Bearer ==",
        "Bearer a=b",
        "Bearer a==b",
        "Bearer \"{token}\"",
        "Bearer token={token}",
        "Bearer token=\"{token}\"",
        "Bearer {token}\u{7f}x",
        "Bearer %41",
        "Bearer a*b",
        "Bearer a:b",
        "Bearer <a>",
        "Bearer ä",
        "Bearer {token}ä",
    ] {
        let header = format!("Authorization: {}", value.replace("{token}", &token));
        let answer = send(address, "GET", "/", &[&header], "").await;
        // The HTTP server refuses control characters itself.
        if value.contains('\u{7f}') {
            assert_eq!(answer.status, 400);
        } else {
            refused(&answer, 400, INVALID_REQUEST, "malformed-credentials");
        }
    }
    let good = format!("Authorization: Bearer {token}");
    for two in [
        [&*good, &good],
        [&good, "Authorization: Basic eDp5"],
        ["Authorization: Basic eDp5", &good],
        [&good, "authorization:"],
        ["Authorization: Basic eDp5", "Authorization: Basic eDp5"],
    ] {
        let answer = send(address, "GET", "/", &two, "").await;
        refused(&answer, 400, INVALID_REQUEST, "malformed-credentials");
    }
}

/// Sends each byte that a field value may contain.
#[tokio::test]
async fn send_byte_outside_b64token_returns_400() {
    let (address, ..) = world().await;
    for byte in (0x20..=0xff).filter(|byte| !matches!(byte, b' ' | 0x7f)) {
        let mut request =
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ".to_vec();
        request.extend([b'a', byte, b'a']);
        request.extend(b"\r\n\r\n");
        let answer = exchange(address, &request).await.unwrap();
        let fits = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        match fits {
            true => refused(&answer, 401, INVALID_TOKEN, "invalid-token"),
            false => refused(&answer, 400, INVALID_REQUEST, "malformed-credentials"),
        }
    }
}

/// The answer is the same, byte for byte, for every reason.
#[tokio::test]
async fn refuse_inactive_token_hides_the_reason() {
    let (address, service, clock) = world().await;
    let acme = service.owner("acme");
    let issue = async |request: IssueRequest| service.owner("acme").issue(request).await.unwrap();
    let connector = || IssueRequest::new("connector", "backup");

    let expired = issue(connector().expires_in(HOUR)).await;
    clock.advance(HOUR);
    let pending = issue(connector().not_before(service.now() + HOUR)).await;
    let revoked = issue(connector()).await;
    acme.revoke(revoked.record.id(), RevokeRequest::new()).await.unwrap();
    let rotated = issue(connector()).await;
    let _replacing = acme.rotate(rotated.record.id(), RotateRequest::at_once()).await.unwrap();
    let active = issue(connector()).await.token.expose_secret().to_owned();
    let elsewhere = token(&crate::harness::service().0, "acme", "connector").await;

    let mut checksum = active.clone();
    let last = if active.ends_with('0') { "1" } else { "0" };
    checksum.replace_range(active.len() - 1.., last);
    let known = |issued: &service_tokens::Issued| issued.token.expose_secret().to_owned();
    let tokens = [
        known(&expired),
        known(&pending),
        known(&revoked),
        known(&rotated),
        elsewhere,
        checksum,
        active.replace("acme_test", "acme_live"),
        active[..active.len() - 1].to_owned(),
        "mF_9.B5f-4.1JqM".into(),
        "vF9dft4qmT".into(),
        "a".into(),
        "a==".into(),
        "x".repeat(4_000),
    ];
    for path in ["/", "/upload", "/delete", "/nowhere"] {
        let mut first = None;
        for token in &tokens {
            let header = format!("Authorization: Bearer {token}");
            let mut answer = send(address, "GET", path, &[&header], "").await;
            refused(&answer, 401, INVALID_TOKEN, "invalid-token");
            answer.headers.retain(|(name, _)| name != "date");
            assert_eq!(first.get_or_insert_with(|| answer.clone()), &answer);
        }
    }
    let header = format!("Authorization: Bearer {active}");
    assert_eq!(send(address, "GET", "/", &[&header], "").await.status, 200);
}

#[tokio::test]
async fn refuse_missing_scope_names_the_scope() {
    let (address, service, _) = world().await;
    let token = token(&service, "acme", "connector").await;
    let header = format!("Authorization: Bearer {token}");
    assert_eq!(send(address, "GET", "/upload", &[&header], "").await.status, 200);
    let answer = send(address, "GET", "/delete", &[&header], "").await;
    let challenge =
        "Bearer realm=\"service-tokens\", error=\"insufficient_scope\", scope=\"files:delete\"";
    refused(&answer, 403, Some(challenge), "insufficient-scope");
    assert_eq!(answer.json()["scope"], "files:delete");
}

/// The examples of RFC 6750 §2.1, §3 and §3.1, with their realm.
#[tokio::test]
async fn refuse_examples_of_rfc_6750_match() {
    let (service, _) = service();
    let layer = BearerLayer::new(service.clone()).realm("example").unwrap();
    let address = serve(Router::new().route("/resource", any(whoami)).layer(layer)).await;
    let answer = send(address, "GET", "/resource", &[], "").await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"example\""));
    let expired = ["Authorization: Bearer mF_9.B5f-4.1JqM"];
    let answer = send(address, "GET", "/resource", &expired, "").await;
    assert_eq!(answer.status, 401);
    let challenge = "Bearer realm=\"example\", error=\"invalid_token\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
}

#[tokio::test]
async fn set_realm_quotes_or_refuses_it() {
    let (service, _) = service();
    let layer = BearerLayer::new(service);
    for bad in ["a\nb", "a\rb", "\0", "ä", "\t", &"x".repeat(257)] {
        assert!(layer.clone().realm(bad).is_err(), "{bad:?}");
    }
    for (realm, quoted) in [
        ("files of acme", "files of acme"),
        ("", ""),
        ("a\", error=\"b", "a\\\", error=\\\"b"),
        ("\\", "\\\\"),
        (&*"x".repeat(256), &"x".repeat(256)),
    ] {
        let layer = layer.clone().realm(realm).unwrap();
        let address = serve(Router::new().route("/", any(whoami)).layer(layer)).await;
        let answer = send(address, "GET", "/", &[], "").await;
        let challenge = format!("Bearer realm=\"{quoted}\"");
        assert_eq!(answer.header("www-authenticate"), Some(&*challenge));
    }
}

/// A router's layer also wraps its answer to unknown paths and methods.
#[tokio::test]
async fn call_unknown_path_without_token_returns_401() {
    let (address, service, _) = world().await;
    refused(&send(address, "GET", "/nowhere", &[], "").await, 401, BARE, "no-credentials");
    let header = format!("Authorization: Bearer {}", token(&service, "acme", "connector").await);
    assert_eq!(send(address, "GET", "/nowhere", &[&header], "").await.status, 404);
}

#[tokio::test]
async fn refuse_head_sends_headers_without_body() {
    let (address, ..) = world().await;
    let answer = send(address, "HEAD", "/", &[], "").await;
    assert_eq!((answer.status, &*answer.body), (401, ""));
    assert_eq!(answer.header("www-authenticate"), BARE);
}

/// Each request of a connection is authenticated separately.
#[tokio::test]
async fn reuse_connection_checks_each_request() {
    let (address, service, _) = world().await;
    let token = token(&service, "acme", "connector").await;
    let good = format!("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
    let bare = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let requests = [&*good, bare, &good, last].concat();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, requests.as_bytes()).await.unwrap();
    let mut answers = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answers).await.unwrap();
    let statuses: Vec<_> =
        answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "401", "200", "401"]);
}
