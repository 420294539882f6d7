//! The routers together, below prefixes, and next to the embedder's routes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use service_tokens::{MemoryStore, TokenService};
use service_tokens_axum::{management, page, standards};
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::api::{call, checked, issue, name};
use crate::harness::{exchange, send, serve, service, token};

fn all(service: &Arc<TokenService<MemoryStore>>) -> Router {
    standards::router(service.clone())
        .merge(management::router(service.clone()))
        .merge(page::router())
}

/// Checks that every router works below this prefix.
async fn answers(address: SocketAddr, prefix: &str, service: &Arc<TokenService<MemoryStore>>) {
    let (id, _) = issue(service, "acme", "connector").await;
    let (_, token) = issue(service, "acme", "manager").await;
    let shown = call(address, &token, "GET", &format!("{prefix}/tokens/{id}"), "", &[]).await;
    assert_eq!((shown.status, shown.json()["id"].as_str()), (200, Some(&*id)), "{prefix}");
    for verb in ["rotate", "revoke"] {
        let path = format!("{prefix}/tokens/{id}/{verb}");
        assert_eq!(call(address, &token, "POST", &path, "", &[]).await.status, 200, "{path}");
    }
    let unknown = call(address, &token, "GET", &format!("{prefix}/tokens/x"), "", &[]).await;
    assert_eq!((unknown.status, &*name(&unknown)), (404, "not-found"));
    let itself = call(address, &token, "GET", &format!("{prefix}/tokens/self"), "", &[]).await;
    assert_eq!(itself.status, 200, "{prefix}");

    let bearer = format!("Authorization: Bearer {token}");
    for (path, status) in [
        ("/authorize/files:upload", 204),
        ("/authorize/files:upload/below", 204),
        ("/authorize/service-tokens:purge", 403),
        ("/ext-authz/files:upload", 200),
    ] {
        let path = format!("{prefix}{path}");
        let answer = send(address, "GET", &path, &[&bearer], "").await;
        assert_eq!(answer.status, status, "{path}");
    }
    let form = [&*bearer, "Content-Type: application/x-www-form-urlencoded"];
    let path = format!("{prefix}/introspect");
    let asked = send(address, "POST", &path, &form, "token=x").await;
    assert_eq!(asked.body, r#"{"active":false}"#, "{prefix}");

    // The links of the page work.
    let page = send(address, "GET", &format!("{prefix}/service-tokens"), &[], "").await;
    assert_eq!(page.status, 200, "{prefix}");
    for link in ["service-tokens.js", "service-tokens.css", "service-tokens.svg"] {
        assert!(page.body.contains(&format!("\"{link}\"")), "{link}");
        let file = send(address, "GET", &format!("{prefix}/{link}"), &[], "").await;
        assert_eq!(file.status, 200, "{prefix}/{link}");
    }
}

#[tokio::test]
async fn mount_routers_below_any_prefix_works() {
    let (service, _) = service();
    answers(serve(all(&service)).await, "", &service).await;
    let below = serve(Router::new().nest("/admin", all(&service))).await;
    answers(below, "/admin", &service).await;
    // The prefix has parameters, and one of them has the name of a parameter of this package.
    for prefix in ["/{tenant}/admin", "/{tenant}/{region}", "/{id}"] {
        let varying = serve(Router::new().nest(prefix, all(&service))).await;
        let concrete = prefix.replace("{tenant}", "acme").replace("{region}", "eu");
        answers(varying, &concrete.replace("{id}", "acme"), &service).await;
    }
}

#[tokio::test]
async fn merge_into_app_retains_state_and_fallback() {
    let (service, _) = service();
    let own = Router::new()
        .route("/own", get(|State(state): State<&'static str>| async move { state }))
        .route("/{*everything}", get(|| async { "everything" }))
        .fallback(|| async { "fallback" });
    let app = own.with_state("state").merge(all(&service));
    let address = serve(app).await;
    answers(address, "", &service).await;
    for (method, path, body) in [
        ("GET", "/own", "state"),
        ("GET", "/tokens/", "everything"),
        ("GET", "/tokens/self/rotate/x", "everything"),
        ("GET", "/service-tokens/", "everything"),
        ("GET", "/", "fallback"),
    ] {
        assert_eq!(send(address, method, path, &[], "").await.body, body, "{path}");
    }
    // The router answers its own paths for every method.
    let other = checked(send(address, "DELETE", "/tokens/self", &[], "").await);
    assert_eq!(other.status, 405);
}

/// A layer around a body may hide its announced length. The header still contains it.
#[tokio::test]
async fn announce_long_body_is_refused_at_once() {
    let (service, _) = service();
    let manager = token(&service, "acme", "manager").await;
    let pause = Duration::from_secs(600);
    let app = management::router(service.clone())
        .merge(standards::router(service))
        .layer(RequestBodyTimeoutLayer::new(pause));
    let address = serve(app).await;
    for (path, content_type, most, status) in [
        ("/tokens", "application/json", 65_536, 413),
        ("/tokens/self/rotate", "application/json", 65_536, 413),
        ("/introspect", "application/x-www-form-urlencoded", 16_384, 400),
        ("/revoke", "application/x-www-form-urlencoded", 16_384, 400),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {manager}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            most + 1
        );
        let answer = exchange(address, request.as_bytes());
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path} waits for the body")).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(&most.to_string()), "{answer:?}");
    }
}
