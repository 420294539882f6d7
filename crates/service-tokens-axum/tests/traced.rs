//! The log of the package. The tests run in a separate process, because the subscriber is global: a
//! subscriber of one thread misses the events of a call site that another thread reached first.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

#[path = "harness/mod.rs"]
mod harness;

use std::fmt::Write as _;
use std::sync::{Mutex, Once};

use axum::Router;
use axum::routing::get;
use service_tokens_axum::{Bearer, BearerLayer, RequireLayer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use harness::{send, serve, service, token};

static LOGGED: Mutex<String> = Mutex::new(String::new());

/// Events and spans of every level, as lines of text.
struct ToText;

struct Fields<'s>(&'s mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S: tracing::Subscriber> Layer<S> for ToText {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut logged = LOGGED.lock().unwrap();
        let _ = write!(logged, "\nspan {}", span.metadata().name());
        span.record(&mut Fields(&mut logged));
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut logged = LOGGED.lock().unwrap();
        let metadata = event.metadata();
        let _ = write!(logged, "\n{} {}", metadata.level(), metadata.target());
        event.record(&mut Fields(&mut logged));
    }
}

/// The log of one test. The tests run one after another.
struct Log {
    _running: tokio::sync::MutexGuard<'static, ()>,
}

impl Log {
    async fn begin() -> Self {
        static INSTALLED: Once = Once::new();
        static RUNNING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        INSTALLED.call_once(|| {
            let subscriber = tracing_subscriber::registry().with(ToText);
            tracing::subscriber::set_global_default(subscriber).unwrap();
        });
        let log = Self { _running: RUNNING.lock().await };
        log.clear();
        log
    }

    fn clear(&self) {
        LOGGED.lock().unwrap().clear();
    }

    fn text(&self) -> String {
        LOGGED.lock().unwrap().clone()
    }
}

async fn ok() -> &'static str {
    "ok"
}

#[tokio::test]
async fn require_without_bearer_layer_logs_error() {
    let log = Log::begin().await;
    let (service, _) = service();
    let header = format!("Authorization: Bearer {}", token(&service, "acme", "developer").await);
    let require = RequireLayer::scope("files:upload").unwrap();
    let app = Router::new()
        .route("/require", get(ok).layer(require.clone()))
        .route("/bearer", get(async |_: Bearer| "ok"))
        .route("/optional", get(async |_: Option<Bearer>| "ok"))
        // The two layers in the wrong order.
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
            log.clear();
            let answer = send(address, "GET", path, headers, "").await;
            assert_eq!(answer.status, 500, "{path}");
            assert_eq!(answer.header("www-authenticate"), None);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.json()["type"], "urn:service-tokens:problem:internal");
            let logged = log.text();
            let errors: Vec<_> =
                logged.lines().filter(|line| line.starts_with("ERROR service_tokens ")).collect();
            assert_eq!(errors.len(), 1, "{logged}");
            assert!(errors[0].contains(&format!("required_by={asking:?}")), "{logged}");
            assert!(errors[0].contains("there is no BearerLayer above"), "{logged}");
        }
    }
}

/// For accepted and refused requests, with every level logged.
#[tokio::test]
async fn log_headers_below_layer_hides_token() {
    let log = Log::begin().await;
    let (service, _) = service();
    let text = token(&service, "acme", "connector").await;
    let app = Router::new()
        .route("/", get(ok))
        .route("/delete", get(ok).layer(RequireLayer::scope("files:delete").unwrap()))
        .layer(
            // A usual logger of requests and headers, inside the layer.
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
    let logged = log.text();
    assert!(logged.contains("\"authorization\": Sensitive"), "{logged}");
    // The last 49 characters are the secret and the checksum.
    let secret = &text[text.len() - 49..];
    assert!(!logged.contains(secret), "{logged}");
}

#[cfg(feature = "standards")]
#[tokio::test]
async fn authorize_with_malformed_scope_logs_warning() {
    let log = Log::begin().await;
    let (service, _) = service();
    let developer = token(&service, "acme", "developer").await;
    let bearer = format!("Authorization: Bearer {developer}");
    let address = serve(service_tokens_axum::standards::router(service)).await;
    assert_eq!(send(address, "GET", "/authorize/files:upload", &[&bearer], "").await.status, 204);
    assert!(!log.text().contains("WARN"));
    assert_eq!(send(address, "GET", "/authorize/files:*", &[&bearer], "").await.status, 403);
    let logged = log.text();
    assert!(
        logged.contains("WARN") && logged.contains("a requirement must not contain a wildcard"),
        "{logged}"
    );
    assert!(!logged.contains(&developer));
}
