//! The layer while the store fails, over a cache, and over each type of store.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use service_tokens::{
    FileStore, IssueRequest, MemoryStore, Requirement, RevokeRequest, TokenService, TokenStore,
    TokenType,
};
use service_tokens_axum::{Bearer, BearerLayer, RequireLayer};

use crate::harness::{FaultyStore, send, serve};

async fn ok() -> &'static str {
    "ok"
}

fn over<S: TokenStore>(store: S) -> Arc<TokenService<S>> {
    let connector = TokenType::new("connector", ["files:upload"]).unwrap();
    Arc::new(TokenService::builder(store, "acme_test").token_type(connector).build().unwrap())
}

async fn issued<S: TokenStore>(service: &TokenService<S>) -> String {
    let request = IssueRequest::new("connector", "backup");
    let issued = service.owner("acme").issue(request).await.unwrap();
    format!("Authorization: Bearer {}", issued.token.expose_secret())
}

#[tokio::test]
async fn pass_layer_during_store_failure_returns_503() {
    let store = FaultyStore::without_last_used();
    let service = over(store.clone());
    let header = issued(&service).await;
    let bearer = || BearerLayer::new(service.clone());
    let upload = || Requirement::scope("files:upload").unwrap();
    for layer in [
        bearer(),
        bearer().requirement(upload()),
        bearer().uncached(),
        bearer().uncached().requirement(upload()),
        bearer().optional(),
    ] {
        let address = serve(Router::new().route("/", get(ok)).layer(layer)).await;
        store.fail_all();
        let answer = send(address, "GET", "/", &[&header], "").await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("www-authenticate"), None);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json()["type"], "urn:service-tokens:problem:unavailable");
        assert!(!answer.body.contains("driver"), "{answer:?}");
        // A malformed token is refused without the store.
        let malformed = send(address, "GET", "/", &["Authorization: Bearer a"], "").await;
        assert_eq!(malformed.status, 401);
        store.repair();
        assert_eq!(send(address, "GET", "/", &[&header], "").await.status, 200);
    }
}

/// A cached record does not show a revocation on another node. An uncached layer reads the store.
#[tokio::test]
async fn pass_uncached_layer_ignores_cached_record() {
    for (uncached, status) in [(false, 200), (true, 401)] {
        let store = FaultyStore::without_last_used();
        let hour = std::time::Duration::from_secs(3_600);
        let connector = TokenType::new("connector", ["files:upload"]).unwrap();
        let here = TokenService::builder(store.clone(), "acme_test").token_type(connector);
        let here = Arc::new(here.cache_records(hour, 100).build().unwrap());
        let elsewhere = over(store);
        let request = IssueRequest::new("connector", "backup");
        let issued = here.owner("acme").issue(request).await.unwrap();
        let token = issued.token.expose_secret();
        here.verify(token, &Requirement::any_token()).await.unwrap();
        let revocation = RevokeRequest::new();
        elsewhere.owner("acme").revoke(issued.record.id(), revocation).await.unwrap();

        let layer = BearerLayer::new(here);
        let layer = if uncached { layer.uncached() } else { layer };
        let address = serve(Router::new().route("/", get(ok)).layer(layer)).await;
        let header = format!("Authorization: Bearer {token}");
        assert_eq!(send(address, "GET", "/", &[&header], "").await.status, status);
    }
}

#[tokio::test]
async fn pass_layer_over_each_store_type_works() {
    async fn check<S: TokenStore>(store: S) {
        let service = over(store);
        let header = issued(&service).await;
        let app = Router::new()
            .route(
                "/",
                get(async |_: Bearer| "ok").layer(RequireLayer::scope("files:upload").unwrap()),
            )
            .route("/delete", get(ok).layer(RequireLayer::scope("files:delete").unwrap()))
            .layer(BearerLayer::new(service));
        let address = serve(app).await;
        assert_eq!(send(address, "GET", "/", &[&header], "").await.status, 200);
        assert_eq!(send(address, "GET", "/delete", &[&header], "").await.status, 403);
        assert_eq!(send(address, "GET", "/", &[], "").await.status, 401);
    }
    let folder = tempfile::tempdir().unwrap();
    check(MemoryStore::new()).await;
    check(FaultyStore::without_last_used()).await;
    check(FileStore::open(folder.path().join("tokens")).unwrap()).await;
    check(Arc::new(MemoryStore::new()) as Arc<dyn TokenStore>).await;
    check(Arc::new(FaultyStore::without_last_used()) as Arc<dyn TokenStore>).await;
    check(Box::new(MemoryStore::new()) as Box<dyn TokenStore>).await;
}
