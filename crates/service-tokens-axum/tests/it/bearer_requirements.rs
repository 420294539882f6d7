//! Requirements on layers, routers and routes, and which requests count as uses.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, Router};
use service_tokens::store::LastUsed;
use service_tokens::{
    Event, IssueRequest, Issued, MemoryStore, Requirement, RotateRequest, TokenService, TokenStore,
    TokenType, VerifiedToken,
};
use service_tokens_axum::{Bearer, BearerLayer, RequireLayer};
use tower::{Service as _, ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::harness::{Answer, FaultyStore, send, serve, service};

const HOUR: Duration = Duration::from_secs(3_600);

type Service = Arc<TokenService<MemoryStore>>;

async fn ok() -> &'static str {
    "ok"
}

fn requirement(scope: &str) -> Requirement {
    Requirement::scope(scope).unwrap()
}

fn require(scope: &str) -> RequireLayer {
    RequireLayer::scope(scope).unwrap()
}

/// A rotated token whose first use ends the overlap.
struct Token {
    service: Service,
    issued: Issued,
    older: String,
}

impl Token {
    async fn new(service: &Service) -> Self {
        let request = IssueRequest::new("connector", "backup");
        let first = service.owner("acme").issue(request).await.unwrap();
        let rotation = RotateRequest::until_first_use(HOUR);
        let issued = service.owner("acme").rotate(first.record.id(), rotation).await.unwrap();
        let older = first.token.expose_secret().to_owned();
        Self { service: service.clone(), issued, older }
    }

    async fn get(&self, router: Router, path: &str) -> Answer {
        let header = format!("Authorization: Bearer {}", self.issued.token.expose_secret());
        send(serve(router).await, "GET", path, &[&header], "").await
    }

    /// Whether a use was counted, which also ends the overlap.
    async fn used(&self) -> bool {
        let stored = self.service.owner("acme").get(self.issued.record.id()).await.unwrap();
        let noted = stored.last_used != LastUsed::Never;
        let ended = stored.record.overlap(self.service.now()).is_none();
        assert_eq!(noted, ended, "{stored:?}");
        noted
    }
}

fn insufficient(answer: &Answer, scopes: &str) {
    assert_eq!(answer.status, 403, "{answer:?}");
    let challenge = format!(
        "Bearer realm=\"service-tokens\", error=\"insufficient_scope\", scope=\"{scopes}\""
    );
    assert_eq!(answer.header("www-authenticate"), Some(&*challenge));
}

#[tokio::test]
async fn miss_scope_anywhere_counts_no_use() {
    let (service, _) = service();
    let bearer = || BearerLayer::new(service.clone());
    let delete = || get(ok).layer(require("files:delete"));
    let routers = [
        (
            "layer",
            Router::new()
                .route("/", get(ok))
                .layer(bearer().requirement(requirement("files:delete"))),
        ),
        (
            "uncached",
            Router::new()
                .route("/", get(ok))
                .layer(bearer().uncached().requirement(requirement("files:delete"))),
        ),
        ("route", Router::new().route("/", delete()).layer(bearer())),
        ("uncached route", Router::new().route("/", delete()).layer(bearer().uncached())),
        (
            "router",
            Router::new().route("/", get(ok)).layer(require("files:delete")).layer(bearer()),
        ),
        ("optional", Router::new().route("/", delete()).layer(bearer().optional())),
        (
            "builder",
            Router::new()
                .route("/", get(ok))
                .layer(ServiceBuilder::new().layer(bearer()).layer(require("files:delete"))),
        ),
        (
            "inner extractor",
            Router::new()
                .route("/", get(async |_: Bearer| "ok").layer(require("files:delete")))
                .layer(bearer()),
        ),
    ];
    let token = Token::new(&service).await;
    for (name, router) in routers {
        insufficient(&token.get(router, "/").await, "files:delete");
        assert!(!token.used().await, "{name}");
    }
    service.verify(&token.older, &Requirement::any_token()).await.unwrap();
}

#[tokio::test]
async fn meet_requirement_counts_use() {
    let (service, _) = service();
    let bearer = || BearerLayer::new(service.clone());
    let either = Requirement::any_of(["files:delete", "files:upload"]).unwrap();
    let upload = || get(ok).layer(require("files:upload"));
    let routers = [
        (
            "layer",
            Router::new()
                .route("/", get(ok))
                .layer(bearer().requirement(requirement("files:upload"))),
        ),
        ("any of", Router::new().route("/", get(ok)).layer(bearer().requirement(either.clone()))),
        ("route", Router::new().route("/", upload()).layer(bearer())),
        ("uncached", Router::new().route("/", upload()).layer(bearer().uncached())),
        ("optional", Router::new().route("/", upload()).layer(bearer().optional())),
        (
            "router",
            Router::new().route("/", get(ok)).layer(RequireLayer::new(either)).layer(bearer()),
        ),
        ("extractor", Router::new().route("/", get(async |_: Bearer| "ok")).layer(bearer())),
        (
            "optional extractor",
            Router::new()
                .route("/", get(async |b: Option<Bearer>| b.map_or("none", |_| "ok")))
                .layer(bearer().optional()),
        ),
        ("unread token", Router::new().route("/", get(ok)).layer(bearer())),
        (
            "extension",
            Router::new().route("/", get(async |_: Extension<VerifiedToken>| "ok")).layer(bearer()),
        ),
        ("route_layer", Router::new().route("/", get(ok)).route_layer(bearer())),
    ];
    for (name, router) in routers {
        let token = Token::new(&service).await;
        assert!(!token.used().await);
        let answer = token.get(router, "/").await;
        assert_eq!((answer.status, &*answer.body), (200, "ok"), "{name}");
        assert!(token.used().await, "{name}");
        let ended = service.verify(&token.older, &Requirement::any_token()).await;
        assert!(ended.is_err(), "{name}");
    }
}

/// Not before the answer, because an inner layer may still refuse.
#[tokio::test]
async fn meet_requirement_counts_use_after_answer() {
    let (service, _) = service();
    let older = Arc::new(Mutex::new(String::new()));
    let (tokens, old) = (service.clone(), older.clone());
    let handler = async move |_: Bearer| {
        let old = old.lock().unwrap().clone();
        tokens.verify(&old, &Requirement::any_token()).await.is_ok().to_string()
    };
    let bearer = || BearerLayer::new(service.clone());
    let app = Router::new().route("/", get(handler));
    for (name, router) in [
        ("extractor", app.clone().layer(bearer())),
        ("layer", app.clone().layer(bearer().requirement(requirement("files:upload")))),
        ("router", app.layer(require("files:upload")).layer(bearer())),
    ] {
        let token = Token::new(&service).await;
        older.lock().unwrap().clone_from(&token.older);
        assert_eq!(token.get(router, "/").await.body, "true", "{name}");
        assert!(token.used().await, "{name}");
    }
}

/// Even if outer requirements were met, or the answer is replaced.
#[tokio::test]
async fn miss_scope_below_other_layers_counts_no_use() {
    let (events, seen) = mpsc::channel();
    let connector = TokenType::new("connector", ["files:upload"]).unwrap();
    let service = TokenService::builder(MemoryStore::new(), "acme_test")
        .token_type(connector)
        .events(move |event: &Event| match event {
            Event::Issued { .. } => events.send("issued").unwrap(),
            Event::MissingScope { .. } => events.send("missing scope").unwrap(),
            _ => {}
        });
    let service = Arc::new(service.build().unwrap());
    let next = || seen.recv_timeout(HOUR / 360).unwrap();
    let bearer = || BearerLayer::new(service.clone());
    let delete = Router::new().route("/", get(ok)).layer(require("files:delete"));
    let extracts = async |_: Bearer, request: Request, next: Next| next.run(request).await;
    let hides = async |request: Request, next: Next| {
        next.run(request).await;
        "ok"
    };
    let panics = async |request: Request, next: Next| -> Response {
        next.run(request).await;
        panic!("a panic that this test wants")
    };
    for (name, status, router) in [
        ("outer requirement", 403, delete.clone().layer(require("files:upload")).layer(bearer())),
        (
            "requirement of the layer",
            403,
            delete.clone().layer(bearer().requirement(requirement("files:upload"))),
        ),
        ("outer extractor", 403, delete.clone().layer(from_fn(extracts)).layer(bearer())),
        ("hidden", 200, delete.clone().layer(from_fn(hides)).layer(bearer())),
        (
            "outer panic",
            500,
            delete.layer(from_fn(panics)).layer(bearer()).layer(CatchPanicLayer::new()),
        ),
    ] {
        let token = Token::new(&service).await;
        assert_eq!(next(), "issued", "{name}");
        assert_eq!(token.get(router, "/").await.status, status, "{name}");
        assert_eq!(next(), "missing scope", "{name}");
        assert!(!token.used().await, "{name}");
        service.verify(&token.older, &Requirement::any_token()).await.unwrap();
    }
}

#[tokio::test]
async fn nest_requirements_checks_each() {
    let (service, _) = service();
    let bearer = BearerLayer::new(service.clone());
    let inner = Router::new()
        .route("/both", get(ok).layer(require("files:upload")))
        .route("/inner", get(ok).layer(require("files:delete")))
        .route("/outer", get(ok));
    let app = Router::new()
        .nest("/files", inner.clone().layer(require("files:upload")))
        .nest("/all", inner.layer(require("queue:push")))
        .layer(bearer);
    let token = Token::new(&service).await;
    for path in ["/all/both", "/all/outer", "/all/inner"] {
        insufficient(&token.get(app.clone(), path).await, "queue:push");
    }
    assert!(!token.used().await);
    insufficient(&token.get(app.clone(), "/files/inner").await, "files:delete");
    assert!(!token.used().await);
    for path in ["/files/both", "/files/outer"] {
        assert_eq!(token.get(app.clone(), path).await.status, 200);
    }
    let both = RequireLayer::new(Requirement::all_of(["files:upload", "files:delete"]).unwrap());
    let app = Router::new().route("/", get(ok).layer(both)).layer(BearerLayer::new(service));
    insufficient(&token.get(app, "/").await, "files:upload files:delete");
}

#[tokio::test]
async fn pass_optional_layer_without_token_works() {
    let (service, _) = service();
    let greet = async |bearer: Option<Bearer>, extension: Option<Extension<VerifiedToken>>| {
        assert_eq!(bearer.is_some(), extension.is_some());
        bearer.map_or("no token".into(), |Bearer(token)| token.owner().to_owned())
    };
    let app = Router::new()
        .route("/greet", get(greet))
        .route("/upload", get(ok).layer(require("files:upload")))
        .route("/whoami", get(async |_: Bearer| "ok"))
        .layer(BearerLayer::new(service.clone()).optional().realm("acme").unwrap());
    let token = Token::new(&service).await;
    assert_eq!(token.get(app.clone(), "/greet").await.body, "acme");
    let address = serve(app).await;
    assert_eq!(send(address, "GET", "/greet", &[], "").await.body, "no token");
    for path in ["/upload", "/whoami"] {
        let answer = send(address, "GET", path, &[], "").await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"acme\""));
    }
    for (wrong, status) in [
        ("Authorization: Basic eDp5", 401),
        ("Authorization:", 401),
        ("Authorization: Bearer", 400),
        ("Authorization: Bearer a b", 400),
        ("Authorization: Bearer a", 401),
    ] {
        for path in ["/greet", "/upload", "/whoami"] {
            assert_eq!(send(address, "GET", path, &[wrong], "").await.status, status, "{wrong}");
        }
    }
}

/// The innermost layer decides, even if it finds no token.
#[tokio::test]
async fn nest_bearer_layers_uses_the_inner_one() {
    let (outer, _) = service();
    let (inner, _) = service();
    let whoami = async |bearer: Option<Bearer>, extension: Option<Extension<VerifiedToken>>| {
        assert_eq!(bearer.is_some(), extension.is_some());
        bearer.map_or("no token", |_| "token")
    };
    // The header is removed between the two layers.
    let strip = async |mut request: Request, next: Next| -> Response {
        request.headers_mut().remove("authorization");
        next.run(request).await
    };
    let below = Router::new().route("/", any(whoami)).layer(BearerLayer::new(inner).optional());
    let app = below.clone().layer(from_fn(strip)).layer(BearerLayer::new(outer.clone()));
    let token = Token::new(&outer).await;
    assert_eq!(token.get(app, "/").await.body, "no token");
    let app = below.layer(BearerLayer::new(outer.clone()));
    assert_eq!(token.get(app, "/").await.status, 401);
}

/// A panic and a timeout count as uses, too.
#[tokio::test]
async fn abort_authorized_request_counts_use() {
    let (service, _) = service();
    let panics = async || -> &'static str { panic!("a handler's panic, which this test wants") };
    let hangs = async || std::future::pending::<&'static str>().await;
    let app = Router::new().route("/panic", get(panics)).route("/hang", get(hangs));
    let bearer = || BearerLayer::new(service.clone());
    for router in [
        app.clone().layer(bearer()),
        app.clone().layer(bearer().requirement(requirement("files:upload"))),
        app.layer(require("files:upload")).layer(bearer()),
    ] {
        let wait = Duration::from_millis(20);
        let router = router
            .layer(TimeoutLayer::with_status_code(http::StatusCode::GATEWAY_TIMEOUT, wait))
            .layer(CatchPanicLayer::new());
        for (path, status) in [("/panic", 500), ("/hang", 504)] {
            let token = Token::new(&service).await;
            assert_eq!(token.get(router.clone(), path).await.status, status);
            assert!(token.used().await, "{path}");
        }
    }
}

/// The layer calls the service instance whose readiness it polled, even if the store or the end of an
/// overlap takes time.
#[tokio::test]
async fn call_ready_service_frees_its_permit() {
    async fn check<S: TokenStore>(store: S) {
        let connector = TokenType::new("connector", ["files:upload"]).unwrap();
        let service = TokenService::builder(store, "acme_test").token_type(connector);
        let service = Arc::new(service.build().unwrap());
        let request = IssueRequest::new("connector", "backup");
        let id = service.owner("acme").issue(request).await.unwrap().record.id();
        let answer = async |_: http::Request<String>| {
            Ok::<_, Infallible>(http::Response::new("ok".to_owned()))
        };
        let mut stack = ServiceBuilder::new()
            .layer(BearerLayer::new(service.clone()))
            .layer(require("files:upload"))
            .concurrency_limit(1)
            .service_fn(answer);
        for _ in 0..3 {
            let rotation = RotateRequest::until_first_use(HOUR);
            let rotated = service.owner("acme").rotate(id, rotation).await.unwrap();
            let bearer = format!("Bearer {}", rotated.token.expose_secret());
            let request = http::Request::builder().header("authorization", &bearer);
            let ready = stack.ready().await.unwrap();
            let response = ready.call(request.body(String::new()).unwrap()).await.unwrap();
            assert_eq!(response.status(), 200);
            let record = service.owner("acme").get(id).await.unwrap().record;
            assert!(record.overlap(service.now()).is_none());
            // A refused request returns its permit.
            let ready = stack.ready().await.unwrap();
            let response = ready.call(http::Request::new(String::new())).await.unwrap();
            assert_eq!(response.status(), 401);
        }
    }
    check(MemoryStore::new()).await;
    // Without a returned permit the call would never end.
    let waited = tokio::time::timeout(HOUR / 360, check(FaultyStore::without_last_used())).await;
    assert!(waited.is_ok());
}

/// An asynchronous store leads to the same answers and the same uses.
#[tokio::test]
async fn pass_layer_over_async_store_works() {
    let connector = TokenType::new("connector", ["files:upload"]).unwrap();
    let service =
        TokenService::builder(FaultyStore::without_last_used(), "acme_test").token_type(connector);
    let service = Arc::new(service.build().unwrap());
    let bearer = || BearerLayer::new(service.clone());
    for (router, statuses) in [
        (Router::new().route("/", get(ok)).layer(bearer()), [200, 401]),
        (Router::new().route("/", get(ok)).layer(bearer().optional()), [200, 200]),
        (
            Router::new()
                .route("/", get(ok))
                .layer(bearer().requirement(requirement("files:upload"))),
            [200, 401],
        ),
        (
            Router::new()
                .route("/", get(ok))
                .layer(bearer().requirement(requirement("files:delete"))),
            [403, 401],
        ),
        (
            Router::new().route("/", get(ok).layer(require("files:upload"))).layer(bearer()),
            [200, 401],
        ),
        (
            Router::new().route("/", get(ok).layer(require("files:delete"))).layer(bearer()),
            [403, 401],
        ),
        (Router::new().route("/", get(async |_: Bearer| "ok")).layer(bearer()), [200, 401]),
    ] {
        let request = IssueRequest::new("connector", "backup");
        let id = service.owner("acme").issue(request).await.unwrap().record.id();
        let rotation = RotateRequest::until_first_use(HOUR);
        let rotated = service.owner("acme").rotate(id, rotation).await.unwrap();
        let header = format!("Authorization: Bearer {}", rotated.token.expose_secret());
        let address = serve(router).await;
        assert_eq!(send(address, "GET", "/", &[&header], "").await.status, statuses[0]);
        assert_eq!(send(address, "GET", "/", &[], "").await.status, statuses[1]);
        let record = service.owner("acme").get(id).await.unwrap().record;
        assert_eq!(record.overlap(service.now()).is_none(), statuses[0] == 200);
    }
}
