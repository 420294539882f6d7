//! The endpoint for reverse proxies, on a real socket.

mod support;

use service_tokens_axum::standards;

#[tokio::test]
async fn who_may_passes() {
    let (service, _) = support::service();
    let token = support::token(&service, "acme", "connector").await;
    let address = support::serve(standards::router(service)).await;
    let bearer = format!("Authorization: Bearer {token}");
    let answer = support::send(address, "GET", "/authorize/files:upload", &[&bearer], "").await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let answer = support::send(address, "GET", "/authorize/files:read", &[&bearer], "").await;
    assert_eq!(answer.status, 403, "{answer:?}");
    let answer = support::send(address, "GET", "/authorize/files:upload", &[], "").await;
    assert_eq!(answer.status, 401, "{answer:?}");
}
