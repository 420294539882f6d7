//! The layer on a real socket, answer by answer.

mod support;

use axum::Router;
use axum::routing::get;

#[tokio::test]
async fn an_open_route_answers() {
    let address = support::serve(Router::new().route("/", get(|| async { "open" }))).await;
    let answer = support::send(address, "GET", "/", &[], "").await;
    assert_eq!((answer.status, &*answer.body), (200, "open"));
}
