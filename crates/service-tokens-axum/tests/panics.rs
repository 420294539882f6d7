//! What a client sees of a panic, with the example's server.
#![allow(clippy::expect_used, clippy::panic)]

mod support;

#[allow(dead_code)]
#[path = "../examples/service/server.rs"]
mod server;

use axum::Router;
use axum::routing::{get, post};
use service_tokens_axum::{Bearer, BearerLayer};
use support::send;
use tokio::net::TcpListener;

const SECRET: &str = "the message of a panic";

#[tokio::test]
async fn a_panic_is_a_500_without_details_and_the_service_goes_on() {
    let (service, _) = support::service();
    let token = support::token(&service, "acme", "connector").await;
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
            assert_eq!(names, ["connection", "content-length", "date"]);
        }
        assert_eq!(send(address, "GET", "/well", &headers, "").await.body, "well");
    }

    drop(stop);
    assert!(serving.await.expect("it serves on"), "no connection is left over");
}
