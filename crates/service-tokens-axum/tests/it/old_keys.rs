//! The middleware of the example `old_keys` answers as the layer does, and accepts what the layer refuses.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use service_tokens::{IssueRequest, Requirement, RevokeRequest, requirement};
use service_tokens_axum::BearerLayer;
use tokio::net::TcpListener;

use crate::harness::{Answer, send, serve};

#[allow(dead_code, reason = "the test does not call `main`")]
#[path = "../../examples/old_keys.rs"]
mod example;

const OLD_KEY: &str = "7|RqPz7mXv0KcB4tWn9sYd2LhG6jFa1UeO8iTkQxN3";

/// Serves the routes of the example, and the same routes with the layer.
async fn world() -> (example::Tokens, [SocketAddr; 2]) {
    let tokens = example::service(OLD_KEY).await.unwrap();
    let layered = |requirement: Requirement| {
        let layer = BearerLayer::new(tokens.clone()).requirement(requirement);
        get(example::whoami).layer(layer)
    };
    let layered = Router::new()
        .route("/whoami", layered(Requirement::any_token()))
        .route("/upload", layered(requirement!("files:upload")));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = example::app(tokens.clone()).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (tokens, [address, serve(layered).await])
}

async fn get_with(address: SocketAddr, path: &str, headers: &[String]) -> Answer {
    let headers: Vec<&str> = headers.iter().map(|header| &**header).collect();
    send(address, "GET", path, &headers, "").await
}

#[tokio::test]
async fn old_key_is_accepted_by_own_middleware() {
    let (tokens, [own, layer]) = world().await;
    let header = [format!("Authorization: Bearer {OLD_KEY}")];
    let answer = get_with(own, "/whoami", &header).await;
    assert_eq!((answer.status, &*answer.body), (200, "old of acme\n"));
    assert_eq!(get_with(own, "/upload", &header).await.status, 403);
    assert_eq!(get_with(layer, "/whoami", &header).await.status, 400);

    let verified = tokens.verify(OLD_KEY, &Requirement::any_token()).await.unwrap();
    tokens.owner("acme").revoke(verified.id(), RevokeRequest::new()).await.unwrap();
    let refused = get_with(own, "/whoami", &header).await;
    assert_eq!(refused.status, 401);
    let other = [format!("Authorization: Bearer 7|{}", "x".repeat(40))];
    assert_eq!(get_with(own, "/whoami", &other).await.body, refused.body);
}

#[tokio::test]
async fn own_middleware_answers_as_layer() {
    let (tokens, [own, layer]) = world().await;
    let acme = tokens.owner("acme");
    let issued = acme.issue(IssueRequest::new("reader", "native")).await.unwrap();
    let inside = IssueRequest::new("reader", "native").networks(["127.0.0.0/8".parse().unwrap()]);
    let inside = acme.issue(inside).await.unwrap();
    let token = issued.token.expose_secret();
    for (path, values) in [
        ("/whoami", vec![]),
        ("/whoami", vec!["Bearer {token}"]),
        ("/whoami", vec!["bEARER   {token}"]),
        ("/upload", vec!["Bearer {token}"]),
        ("/upload", vec!["Bearer {token}x"]),
        ("/whoami", vec!["Bearer {token}", "Bearer {token}"]),
        ("/whoami", vec!["Basic eDp5", "Bearer {token}"]),
        ("/whoami", vec!["Basic eDp5"]),
        ("/whoami", vec!["BearerX {token}"]),
        ("/whoami", vec!["{token}"]),
        ("/whoami", vec![""]),
        ("/whoami", vec!["Bearer"]),
        ("/whoami", vec!["Bearer "]),
        ("/whoami", vec!["Bearer\t{token}"]),
        ("/whoami", vec!["Bearer \t{token}"]),
        ("/whoami", vec!["Bearer {token} {token}"]),
        ("/whoami", vec!["Bearer {token}\t{token}"]),
        ("/whoami", vec!["Bearer unknown"]),
    ] {
        let header = |value: &&str| format!("Authorization: {}", value.replace("{token}", token));
        let headers: Vec<String> = values.iter().map(header).collect();
        let [own, layer] =
            [get_with(own, path, &headers).await, get_with(layer, path, &headers).await];
        assert_eq!(own.status, layer.status, "{path} {values:?}");
        assert_eq!(own.body, layer.body, "{path} {values:?}");
        for name in ["www-authenticate", "cache-control", "content-type", "retry-after"] {
            assert_eq!(own.header(name), layer.header(name), "{path} {values:?}");
        }
    }
    // The address of the connection is the context.
    let header = [format!("Authorization: Bearer {}", inside.token.expose_secret())];
    assert_eq!(get_with(own, "/whoami", &header).await.status, 200);
    assert_eq!(get_with(layer, "/whoami", &header).await.status, 401);
}
