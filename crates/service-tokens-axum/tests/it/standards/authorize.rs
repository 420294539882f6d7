//! The endpoint for reverse proxies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use service_tokens::store::LastUsed;
use service_tokens::{
    IssueRequest, MemoryStore, RevokeRequest, RotateRequest, TokenService, TokenType,
};
use service_tokens_axum::standards;

use crate::harness::{Answer, Call, Fault, FaultyStore, exchange, send, serve, service, token};

const CHALLENGE: &str = "Bearer realm=\"service-tokens\"";
const IDENTITY: [&str; 5] = [
    "service-token-id",
    "service-token-owner",
    "service-token-type",
    "service-token-issued-to",
    "service-token-scopes",
];

async fn authorize(address: SocketAddr, path: &str, token: &str) -> Answer {
    send(address, "GET", path, &[&format!("Authorization: Bearer {token}")], "").await
}

/// A refusal contains no fact about the token.
#[track_caller]
fn refused(answer: &Answer, status: u16, challenge: &str) {
    assert_eq!((answer.status, &*answer.body), (status, ""), "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("service-token")));
}

#[track_caller]
fn passed(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (204, ""), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(IDENTITY.iter().all(|name| answer.header(name).is_some()), "{answer:?}");
}

#[tokio::test]
async fn authorize_ignores_method_body_and_subpath() {
    let (service, _) = service();
    let token = token(&service, "acme", "connector").await;
    let address = serve(standards::router(service)).await;
    let bearer = format!("Authorization: Bearer {token}");
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
    {
        for path in [
            "/authorize/files:upload",
            "/authorize/files%3Aupload",
            "/authorize/files:upload/",
            "/authorize/files:upload//",
            "/authorize/files:upload/files:read/../..",
            "/authorize/files:upload/%FF%00%2F/x",
            "/authorize/files:upload?scope=files:read&need=files:read",
        ] {
            passed(&send(address, method, path, &[&bearer], "").await);
        }
    }
    // The body is not read: this one never arrives.
    let request = format!(
        "POST /authorize/files:upload/x HTTP/1.1\r\nHost: x\r\n{bearer}\r\n\
         Content-Length: 1000000\r\nConnection: close\r\n\r\n"
    );
    passed(&exchange(address, request.as_bytes()).await.unwrap());
}

#[tokio::test]
async fn authorize_for_envoy_returns_200_or_refuses() {
    let (service, _) = service();
    let token = token(&service, "acme", "connector").await;
    let address = serve(standards::router(service)).await;
    let bearer = format!("Authorization: Bearer {token}");
    // Envoy's filter sends the client's method, its path after the prefix, and no body.
    let headers = ["X-Forwarded-For: 10.0.0.1", "Content-Length: 0", &bearer];
    for path in ["", "/", "/x?y=z", "//x", "/%FF", "/files:read"] {
        let path = format!("/ext-authz/files:upload{path}");
        for method in ["GET", "POST", "OPTIONS"] {
            let mut answer = send(address, method, &path, &headers, "").await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("content-length"), Some("0"));
            answer.status = 204;
            passed(&answer);
        }
    }
    for (path, status) in [
        ("/files:read", 403),
        ("/files:read/files:upload", 403),
        ("/*", 403),
        ("/authorize/files:upload", 403),
        ("//files:upload", 403),
        ("/", 403),
        ("", 403),
    ] {
        let path = format!("/ext-authz{path}");
        assert_eq!(send(address, "POST", &path, &headers, "").await.status, status, "{path}");
        let without_token = send(address, "POST", &path, &[], "").await;
        refused(&without_token, 401, CHALLENGE);
    }
}

#[tokio::test]
async fn authorize_sends_encoded_identity_headers() {
    let (service, _) = service();
    let address = serve(standards::router(service.clone())).await;
    for (label, encoded) in [
        ("nightly backup", "nightly%20backup"),
        ("a-b._~c:*", "a-b._~c:*"),
        ("x\r\nService-Token-Owner: globex", "x%0D%0AService-Token-Owner:%20globex"),
        ("Zürich 東京 🦀", "Z%C3%BCrich%20%E6%9D%B1%E4%BA%AC%20%F0%9F%A6%80"),
        ("100%, \"a\"; b=c\\d", "100%25%2C%20%22a%22%3B%20b%3Dc%5Cd"),
        ("%0D%0A+\u{0}\u{7f}", "%250D%250A%2B%00%7F"),
        (" x ", "%20x%20"),
    ] {
        for owner in ["acme", label] {
            let Ok(issued) =
                service.owner(owner).issue(IssueRequest::new("connector", label)).await
            else {
                // The core refuses some of these texts.
                assert!(label.contains(char::is_control) || label.starts_with(' '), "{label:?}");
                continue;
            };
            let answer =
                authorize(address, "/authorize/files:upload", issued.token.expose_secret()).await;
            passed(&answer);
            let id = issued.record.id().to_string();
            let owner = if owner == label { encoded } else { owner };
            let expected = [&*id, owner, "connector", encoded, "files:upload"];
            for (name, expected) in IDENTITY.into_iter().zip(expected) {
                assert_eq!(answer.header(name), Some(expected), "{label:?}");
            }
        }
    }
    let developer = token(&service, "acme", "developer").await;
    let answer = authorize(address, "/authorize/anything", &developer).await;
    assert_eq!(answer.header("service-token-scopes"), Some("*"));
    let manager = token(&service, "acme", "manager").await;
    let answer = authorize(address, "/authorize/service-tokens:read", &manager).await;
    let scopes = answer.header("service-token-scopes").unwrap();
    assert!(scopes.starts_with("*%20service-tokens:"), "{scopes}");
    assert!(!scopes.contains(' '));
}

#[tokio::test]
async fn authorize_without_valid_token_is_refused() {
    let (service, _) = service();
    let connector = token(&service, "acme", "connector").await;
    let revoked = service.owner("acme").issue(IssueRequest::new("connector", "x")).await.unwrap();
    let id = revoked.record.id();
    service.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
    let address = serve(standards::router(service)).await;
    let invalid = format!("{CHALLENGE}, error=\"invalid_token\"");
    let bearer = format!("Authorization: Bearer {connector}");
    let revoked = format!("Authorization: Bearer {}", revoked.token.expose_secret());

    let cases: [(&[&str], &str); 8] = [
        (&[], CHALLENGE),
        (&["Authorization: Basic YTpi"], CHALLENGE),
        (&[&format!("Cookie: token={connector}"), &format!("X-Token: {connector}")], CHALLENGE),
        // Not 400, which nginx would turn into 500.
        (&["Authorization: Bearer"], &invalid),
        (&["Authorization: Bearer a b"], &invalid),
        (&[&bearer, &bearer], &invalid),
        (&["Authorization: Bearer a"], &invalid),
        (&[&revoked], &invalid),
    ];
    for (headers, challenge) in cases {
        for path in [
            "/authorize/files:upload".to_owned(),
            format!("/authorize/files:upload/x?access_token={connector}&token={connector}"),
            "/authorize/no%20need".to_owned(),
        ] {
            refused(&send(address, "GET", &path, headers, "").await, 401, challenge);
        }
    }

    let missing = format!("{CHALLENGE}, error=\"insufficient_scope\", scope=\"files:read\"");
    let headers = [
        &*bearer,
        "X-Original-URI: /authorize/files:upload",
        "X-Forwarded-Uri: /authorize/files:upload",
        "X-Rewrite-URL: /authorize/files:upload",
        "X-HTTP-Method-Override: POST",
        "Service-Token-Scopes: files:read",
    ];
    for path in [
        "/authorize/files:read",
        "/authorize/files:read/files:upload",
        "/authorize/files:read/../files:upload",
        "/authorize/files:read?scope=files:upload",
        "/authorize/files:read/authorize/files:upload",
    ] {
        refused(&send(address, "GET", path, &headers, "").await, 403, &missing);
    }
}

#[tokio::test]
async fn authorize_with_malformed_scope_is_refused() {
    let (service, _) = service();
    let developer = token(&service, "acme", "developer").await;
    let address = serve(standards::router(service.clone())).await;
    let challenge = format!("{CHALLENGE}, error=\"insufficient_scope\"");
    for path in [
        "/authorize",
        "/authorize/",
        "/authorize//",
        "/authorize//files:upload",
        "/authorize/*",
        "/authorize/files:*",
        "/authorize/files:",
        "/authorize/files%253Aupload",
        "/authorize/files%2Fupload",
        "/authorize/files:upload%20",
        "/authorize/files:upload%00",
        "/authorize/files:upload,files:read",
        "/authorize/files:upload;x",
        "/authorize/.%2F",
        "/authorize/%FF",
        "/authorize/%C3%A9",
        "/authorize/%",
        &format!("/authorize/{}", "a".repeat(257)),
    ] {
        refused(&authorize(address, path, &developer).await, 403, &challenge);
        refused(&send(address, "GET", path, &[], "").await, 401, CHALLENGE);
    }
}

#[tokio::test]
async fn authorize_counts_only_success_as_use() {
    let (service, clock) = service();
    let address = serve(standards::router(service.clone())).await;
    let issued = service.owner("acme").issue(IssueRequest::new("connector", "x")).await.unwrap();
    let (id, old) = (issued.record.id(), issued.token);
    let last_used = async || service.all_owners().get(id).await.unwrap().last_used;
    clock.advance(Duration::from_secs(60));
    let rotate = RotateRequest::until_first_use(Duration::from_secs(3600));
    let new = service.owner("acme").rotate(id, rotate).await.unwrap().token;

    for path in ["/authorize/files:read", "/authorize/*", "/authorize"] {
        assert_eq!(authorize(address, path, new.expose_secret()).await.status, 403);
    }
    assert_eq!(last_used().await, LastUsed::Never);
    passed(&authorize(address, "/authorize/files:upload", old.expose_secret()).await);
    assert_eq!(last_used().await, LastUsed::At(service.now()));
    passed(&authorize(address, "/authorize/files:upload", new.expose_secret()).await);
    let ended = authorize(address, "/authorize/files:upload", old.expose_secret()).await;
    refused(&ended, 401, &format!("{CHALLENGE}, error=\"invalid_token\""));
}

#[tokio::test]
async fn authorize_during_store_failure_returns_503() {
    let service = TokenService::builder(FaultyStore::new(), "acme_test")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .build()
        .unwrap();
    let service = Arc::new(service);
    let issued = service.owner("acme").issue(IssueRequest::new("connector", "x")).await.unwrap();
    let address = serve(standards::router(service.clone())).await;
    service.store().fail(Call::Find, 0, Fault::Unavailable);
    for path in ["/authorize/files:upload", "/authorize/files:read", "/authorize/*"] {
        let answer = authorize(address, path, issued.token.expose_secret()).await;
        assert_eq!((answer.status, &*answer.body), (503, ""), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    // Without a token the store is not read.
    refused(&send(address, "GET", "/authorize/files:upload", &[], "").await, 401, CHALLENGE);
}

#[tokio::test]
async fn authorize_with_cached_record_needs_no_store() {
    let service = TokenService::builder(FaultyStore::new(), "acme_test")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .cache_records(Duration::from_secs(60), 100)
        .build()
        .unwrap();
    let service = Arc::new(service);
    let issued = service.owner("acme").issue(IssueRequest::new("connector", "x")).await.unwrap();
    let address = serve(standards::router(service.clone())).await;
    for _ in 0..2 {
        passed(&authorize(address, "/authorize/files:upload", issued.token.expose_secret()).await);
        service.store().fail(Call::Find, 0, Fault::Unavailable);
    }
}

#[tokio::test]
async fn authorize_below_any_prefix_finds_the_scope() {
    let (service, _): (Arc<TokenService<MemoryStore>>, _) = service();
    let token = token(&service, "acme", "connector").await;
    let app = Router::new()
        .nest("/a/{scope}", standards::authorization(service.clone()))
        .nest("/authorize/files:upload", standards::authorization(service));
    let address = serve(app).await;
    for prefix in ["/a/files:upload", "/a/%FF", "/authorize/files:upload"] {
        let path = |scope: &str| format!("{prefix}/authorize/{scope}/below");
        passed(&authorize(address, &path("files:upload"), &token).await);
        assert_eq!(authorize(address, &path("files:read"), &token).await.status, 403);
    }
}
