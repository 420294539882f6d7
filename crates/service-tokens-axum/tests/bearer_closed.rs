//! What cannot be decided is refused: a store that fails, and a need without a layer above it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use service_tokens::{
    FileStore, IssueRequest, MemoryStore, Requirement, RevokeRequest, TokenService, TokenStore,
    TokenType,
};
use service_tokens_axum::{Bearer, BearerLayer, RequireLayer};
use support::failing::Failing;
use support::{send, serve, service, token};
use tracing_subscriber::layer::SubscriberExt;

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
async fn a_store_without_an_answer_is_503_and_nothing_passes() {
    let store = Failing::default();
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
        store.fail(true);
        let answer = send(address, "GET", "/", &[&header], "").await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("www-authenticate"), None);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json()["type"], "urn:service-tokens:problem:unavailable");
        assert!(!answer.body.contains("database"), "{answer:?}");
        // What needs no store is answered as ever.
        let malformed = send(address, "GET", "/", &["Authorization: Bearer a"], "").await;
        assert_eq!(malformed.status, 401);
        store.fail(false);
        assert_eq!(send(address, "GET", "/", &[&header], "").await.status, 200);
    }
}

/// What another node has revoked: a kept record does not know it, unless the layer is strict.
#[tokio::test]
async fn a_strict_layer_does_not_go_by_kept_records() {
    for (uncached, status) in [(false, 200), (true, 401)] {
        let store = Failing::default();
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
async fn every_store_will_do() {
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
    check(Failing::default()).await;
    check(FileStore::open(folder.path().join("tokens")).unwrap()).await;
    check(Arc::new(MemoryStore::new()) as Arc<dyn TokenStore>).await;
    check(Arc::new(Failing::default()) as Arc<dyn TokenStore>).await;
    check(Box::new(MemoryStore::new()) as Box<dyn TokenStore>).await;
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Logged {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Fields<'s>(&'s mut String);
        impl tracing::field::Visit for Fields<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                let _ = write!(self.0, " {field}={value:?}");
            }
        }
        let mut logged = self.0.lock().unwrap();
        let metadata = event.metadata();
        let _ = write!(logged, "\n{} {}", metadata.level(), metadata.target());
        event.record(&mut Fields(&mut logged));
    }
}

#[tokio::test]
async fn without_a_layer_above_nothing_passes_and_the_operator_is_told() {
    let logged = Logged::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(logged.clone()));
    let (service, _) = service();
    let header = format!("Authorization: Bearer {}", token(&service, "acme", "developer").await);
    let require = RequireLayer::scope("files:upload").unwrap();
    let app = Router::new()
        .route("/require", get(ok).layer(require.clone()))
        .route("/bearer", get(async |_: Bearer| "ok"))
        .route("/optional", get(async |_: Option<Bearer>| "ok"))
        // The wrong way round.
        .route(
            "/inside",
            get(ok).layer(
                tower::ServiceBuilder::new().layer(require).layer(BearerLayer::new(service)),
            ),
        );
    let address = serve(app).await;
    for (path, asking) in [
        ("/require", "RequireLayer"),
        ("/bearer", "Bearer"),
        ("/optional", "Option<Bearer>"),
        ("/inside", "RequireLayer"),
    ] {
        for headers in [&[][..], &[&*header]] {
            logged.0.lock().unwrap().clear();
            let answer = send(address, "GET", path, headers, "").await;
            assert_eq!(answer.status, 500, "{path}");
            assert_eq!(answer.header("www-authenticate"), None);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.json()["type"], "urn:service-tokens:problem:internal");
            let logged = logged.0.lock().unwrap();
            let told: Vec<_> =
                logged.lines().filter(|line| line.starts_with("ERROR service_tokens ")).collect();
            assert_eq!(told.len(), 1, "{logged}");
            assert!(told[0].contains(&format!("required_by={asking:?}")), "{logged}");
            assert!(told[0].contains("there is no BearerLayer above"), "{logged}");
        }
    }
}

/// What the layer lets through and what it refuses, with everything logged that there is.
#[tokio::test]
async fn no_token_is_logged() {
    let logged = Logged::default();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(logged.clone()));
    let (service, _) = service();
    let text = token(&service, "acme", "connector").await;
    let app = Router::new()
        .route("/", get(ok))
        .route("/delete", get(ok).layer(RequireLayer::scope("files:delete").unwrap()))
        .layer(
            // The usual logger of requests, with headers: further in than the layer.
            tower_http::trace::TraceLayer::new_for_http()
                .make_span_with(|request: &axum::extract::Request| {
                    tracing::info!(headers = ?request.headers(), extensions = ?request.extensions(), "a request");
                    tracing::Span::none()
                }),
        )
        .layer(BearerLayer::new(service));
    let address = serve(app).await;
    for path in ["/", "/delete"] {
        let header = format!("Authorization: Bearer {text}");
        send(address, "GET", path, &[&header], "").await;
    }
    let logged = logged.0.lock().unwrap();
    assert!(logged.contains("\"authorization\": Sensitive"), "{logged}");
    // The last 49 characters are the secret and the checksum.
    let secret = &text[text.len() - 49..];
    assert!(!logged.contains(secret), "{logged}");
}
