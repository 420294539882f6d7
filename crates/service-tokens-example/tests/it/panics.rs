//! Panics and timeouts, as clients of the example's server see them.

use crate::harness::{self, send};
use crate::server;
use axum::Router;
use axum::routing::{get, post};
use service_tokens_axum::{Bearer, BearerLayer};
use tokio::net::TcpListener;

const SECRET: &str = "the message of a panic";

#[tokio::test]
async fn panic_in_handler_returns_500_without_details() {
    let (service, _) = harness::service();
    let token = harness::token(&service, "acme", "connector").await;
    let early = async |Bearer(token): Bearer| -> String { panic!("{SECRET} {}", token.id()) };
    let late = async |body: String| -> String { panic!("{SECRET} {body}") };
    let routes = Router::new()
        .route("/panic", get(early))
        .route("/late", post(late))
        .route("/well", get(async || "well"))
        .route_layer(BearerLayer::new(service));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app: Router = server::guarded(routes, server::LIMITS);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, app, server::LIMITS, async {
        let _ = stopped.await;
    }));

    let authorization = format!("Authorization: Bearer {token}");
    let headers = [&*authorization];
    for _ in 0..50 {
        for answer in [
            send(address, "GET", "/panic", &headers, "").await,
            send(address, "POST", "/late", &headers, "a body").await,
        ] {
            assert_eq!((answer.status, &*answer.body), (500, ""));
            let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| &**name).collect();
            names.sort_unstable();
            assert_eq!(names, ["cache-control", "connection", "content-length", "date"]);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        assert_eq!(send(address, "GET", "/well", &headers, "").await.body, "well");
    }

    drop(stop);
    assert!(serving.await.expect("it serves on"), "no connection is left over");
}

/// Answers that the server creates instead of the routers must not be cacheable either.
#[tokio::test]
async fn panic_or_hang_of_store_is_not_cacheable() {
    use crate::harness::{Call, Fault, FaultyStore};
    use service_tokens::{IssueRequest, TokenService, TokenType};
    use service_tokens_axum::{management, standards};

    let connector = TokenType::new("connector", ["files:upload"]).expect("a type");
    let service =
        TokenService::builder(FaultyStore::new(), "acme_test").token_type(connector).build();
    let service = std::sync::Arc::new(service.expect("a service"));
    let request = IssueRequest::new("connector", "backup");
    let issued = service.owner("acme").issue(request).await.expect("a token");
    let token = issued.token.expose_secret();
    let routes = Router::new()
        .route("/files", get(async || "files").layer(BearerLayer::new(service.clone())))
        .merge(standards::router(service.clone()))
        .merge(management::router(service.clone()));
    let limits =
        server::Limits { request: std::time::Duration::from_millis(100), ..server::LIMITS };
    let address = harness::serve(server::guarded(routes, limits)).await;

    let authorization = format!("Authorization: Bearer {token}");
    let headers = [&*authorization, "Content-Type: application/x-www-form-urlencoded"];
    let form = format!("token={token}");
    for (fault, status) in [(Fault::Panics, 500), (Fault::Hangs, 408)] {
        service.store().fail(Call::Find, 0, fault);
        for (method, path, body) in [
            ("GET", "/files", ""),
            ("POST", "/introspect", &*form),
            ("POST", "/revoke", &form),
            ("GET", "/authorize/files:upload", ""),
            ("GET", "/tokens", ""),
        ] {
            let answer = send(address, method, path, &headers, body).await;
            assert_eq!((answer.status, &*answer.body), (status, ""), "{path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path} {status}");
        }
    }
}
