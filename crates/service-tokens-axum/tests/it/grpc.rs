//! The layer in front of a gRPC service, the one of tonic-health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use service_tokens::store::LastUsed;
use service_tokens::{IssueRequest, Requirement, TokenService, TokenType};
use service_tokens_axum::{BearerLayer, RequireLayer};
use tokio::net::TcpListener;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::{Layer, Service};

use crate::harness::{FaultyStore, send, serve, service, token};

/// Serves the health service below these layers until the test ends.
async fn serve_grpc<L>(layer: L) -> SocketAddr
where
    L: Clone + Send + 'static,
    tower::layer::util::Stack<L, tower::layer::util::Identity>: Clone,
    L: Layer<tonic::service::Routes>,
    L::Service: Service<
            http::Request<tonic::body::Body>,
            Response = http::Response<axum::body::Body>,
            Error = std::convert::Infallible,
        > + Clone
        + Send
        + 'static,
    <L::Service as Service<http::Request<tonic::body::Body>>>::Future: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("files", ServingStatus::Serving).await;
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = Server::builder().layer(layer).add_service(health);
    tokio::spawn(server.serve_with_incoming(incoming));
    address
}

async fn client(address: SocketAddr) -> HealthClient<Channel> {
    let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

fn request_with<T>(message: T, authorization: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(authorization) = authorization {
        let value = MetadataValue::try_from(authorization).unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

async fn check(
    client: &mut HealthClient<Channel>,
    authorization: Option<&str>,
) -> Result<HealthCheckResponse, Status> {
    let message = HealthCheckRequest { service: "files".into() };
    client.check(request_with(message, authorization)).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn call_grpc_without_scope_is_refused() {
    let (service, clock) = service();
    let connector =
        service.owner("acme").issue(IssueRequest::new("connector", "backup")).await.unwrap();
    let id = connector.record.id();
    let connector = format!("Bearer {}", connector.token.expose_secret());
    let developer = format!("Bearer {}", token(&service, "acme", "developer").await);
    let read = || Requirement::scope("health:read").unwrap();
    let below = tower::ServiceBuilder::new()
        .layer(BearerLayer::new(service.clone()))
        .layer(RequireLayer::new(read()))
        .into_inner();
    let servers = [
        serve_grpc(BearerLayer::new(service.clone()).requirement(read())).await,
        serve_grpc(below).await,
    ];
    for address in servers {
        let client = &mut client(address).await;
        let answer = check(client, Some(&developer)).await.unwrap();
        assert_eq!(
            answer.status(),
            tonic_health::pb::health_check_response::ServingStatus::Serving
        );

        let refused = check(client, None).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::Unauthenticated, "a bearer token is required")
        );
        assert_eq!(
            refused.metadata().get("www-authenticate").unwrap(),
            "Bearer realm=\"service-tokens\""
        );
        let refused = check(client, Some("Bearer a b")).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::Unauthenticated, "the credentials are malformed")
        );
        let refused = check(client, Some("Bearer mF_9.B5f-4.1JqM")).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::Unauthenticated, "the token is not accepted")
        );
        let refused = check(client, Some(&connector)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(refused.message(), "the request requires the scope health:read");
        let last_used = service.owner("acme").get(id).await.unwrap().last_used;
        assert_eq!(last_used, LastUsed::Never);

        // A stream is refused before it starts.
        let message = HealthCheckRequest { service: "files".into() };
        let refused = client.watch(request_with(message.clone(), None)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        let watch = client.watch(request_with(message, Some(&developer))).await.unwrap();
        let first = watch.into_inner().message().await.unwrap().unwrap();
        assert_eq!(first.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
    }
    // The connection is still open when the token has expired.
    clock.advance(Duration::from_secs(3_600 * 24 * 365));
    let refused = check(&mut client(servers[0]).await, Some(&developer)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn call_grpc_during_store_failure_is_unavailable() {
    let store = FaultyStore::without_last_used();
    let developer = TokenType::new("developer", ["*"]).unwrap();
    let service = TokenService::builder(store.clone(), "acme_test").token_type(developer);
    let service = Arc::new(service.build().unwrap());
    let token =
        service.owner("acme").issue(IssueRequest::new("developer", "laptop")).await.unwrap();
    let header = format!("Bearer {}", token.token.expose_secret());
    let mut client = client(serve_grpc(BearerLayer::new(service)).await).await;
    store.fail_all();
    let refused = check(&mut client, Some(&header)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "tokens cannot be verified at the moment");
    assert_eq!(refused.metadata().get("retry-after").unwrap(), "1");
    store.repair();
    assert!(check(&mut client, Some(&header)).await.is_ok());
}

#[tokio::test]
async fn call_grpc_without_bearer_layer_is_internal() {
    let mut client = client(serve_grpc(RequireLayer::scope("health:read").unwrap()).await).await;
    let refused = check(&mut client, Some("Bearer a")).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Internal, "the service is misconfigured")
    );
}

/// Clients may read the HTTP status instead of the gRPC status.
#[tokio::test]
async fn refuse_grpc_sets_matching_http_status() {
    use axum::routing::post;
    let (service, _) = service();
    let layer =
        BearerLayer::new(service.clone()).requirement(Requirement::scope("files:delete").unwrap());
    let app = axum::Router::new().route("/", post(async || "ok")).layer(layer);
    let address = serve(app).await;
    let connector = format!("Authorization: Bearer {}", token(&service, "acme", "connector").await);
    for content_type in ["application/grpc", "application/grpc+proto", "Application/gRPC; x=y"] {
        for (authorization, status, grpc) in [
            ("X: y", 401, "16"),
            ("Authorization: Bearer", 400, "16"),
            ("Authorization: Bearer a", 401, "16"),
            (&*connector, 403, "7"),
        ] {
            let content_type = format!("Content-Type: {content_type}");
            let answer = send(address, "POST", "/", &[&content_type, authorization], "").await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.header("grpc-status"), Some(grpc));
            assert!(answer.header("grpc-message").is_some());
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer realm="));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("content-type"), Some("application/grpc"));
            assert_eq!(answer.body, "");
        }
    }
    for other in
        ["Content-Type: application/json", "Content-Type: application/grp", "X: application/grpc"]
    {
        let answer = send(address, "POST", "/", &[other], "").await;
        assert_eq!(answer.header("grpc-status"), None);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
}
