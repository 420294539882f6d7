//! Suspended tokens, and tokens of closed and unknown owners, over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::routing::get;
use service_tokens::{
    IssueRequest, MemoryStore, OwnerStatus, SuspendRequest, TokenService, TokenType,
};
use service_tokens_axum::{BearerLayer, management, standards};

use crate::harness::{Answer, send, serve};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

struct Gated {
    service: Arc<TokenService<MemoryStore>>,
    status: Arc<AtomicU8>,
    address: std::net::SocketAddr,
}

/// Serves a page behind the layer, the management API and the standard endpoints. A gate decides about the
/// owner acme.
async fn gated() -> Gated {
    let status = Arc::<AtomicU8>::default();
    let of_gate = status.clone();
    let gate = move |owner: &str| match of_gate.load(Ordering::SeqCst) {
        1 if owner == "acme" => OwnerStatus::Closed,
        2 if owner == "acme" => OwnerStatus::Unknown,
        _ => OwnerStatus::Open,
    };
    let service = TokenService::builder(MemoryStore::new(), "acme_test")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .token_type(TokenType::new("manager", ["*", "service-tokens:*"]).unwrap())
        .owner_gate(gate)
        .build()
        .unwrap();
    let service = Arc::new(service);
    let router = Router::new()
        .route("/", get(async || "ok"))
        .layer(BearerLayer::new(service.clone()))
        .merge(management::router(service.clone()))
        .merge(standards::router(service.clone()));
    Gated { service, status, address: serve(router).await }
}

impl Gated {
    async fn issue(&self, token_type: &str) -> (service_tokens::TokenId, String) {
        let request = IssueRequest::new(token_type, "a program");
        let issued = self.service.owner("acme").issue(request).await.unwrap();
        (issued.record.id(), issued.token.expose_secret().to_owned())
    }

    fn set(&self, status: OwnerStatus) {
        let number = match status {
            OwnerStatus::Open => 0,
            OwnerStatus::Closed => 1,
            OwnerStatus::Unknown => 2,
        };
        self.status.store(number, Ordering::SeqCst);
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        send(self.address, "GET", path, &[&format!("Authorization: Bearer {token}")], "").await
    }

    async fn post(&self, path: &str, caller: Option<&str>, token: &str) -> Answer {
        let bearer = caller.map(|caller| format!("Authorization: Bearer {caller}"));
        let mut headers = vec![FORM];
        headers.extend(bearer.as_deref());
        send(self.address, "POST", path, &headers, &format!("token={token}")).await
    }
}

#[tokio::test]
async fn pass_layer_with_suspended_token_returns_401() {
    let gated = gated().await;
    let (id, token) = gated.issue("manager").await;
    let acme = gated.service.owner("acme");
    acme.suspend(id, SuspendRequest::new()).await.unwrap();
    for path in ["/", "/tokens"] {
        let answer = gated.get(path, &token).await;
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("invalid_token"), "{challenge}");
        assert!(!answer.body.contains("suspended"), "the reason is not for the client");
    }
    acme.resume(id, service_tokens::ResumeRequest::new()).await.unwrap();
    assert_eq!(gated.get("/", &token).await.status, 200);
}

#[tokio::test]
async fn pass_layer_with_gated_owner_is_refused() {
    let gated = gated().await;
    let (_, token) = gated.issue("manager").await;
    gated.set(OwnerStatus::Closed);
    for path in ["/", "/tokens"] {
        let answer = gated.get(path, &token).await;
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
    }
    gated.set(OwnerStatus::Unknown);
    for path in ["/", "/tokens"] {
        let answer = gated.get(path, &token).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    gated.set(OwnerStatus::Open);
    assert_eq!(gated.get("/", &token).await.status, 200);
}

#[tokio::test]
async fn introspect_suspended_token_is_inactive() {
    let gated = gated().await;
    let (_, caller) = gated.issue("manager").await;
    let (id, token) = gated.issue("connector").await;
    let active = gated.post("/introspect", Some(&caller), &token).await;
    assert_eq!(active.json()["active"], true, "{active:?}");
    gated.service.owner("acme").suspend(id, SuspendRequest::new()).await.unwrap();
    let answer = gated.post("/introspect", Some(&caller), &token).await;
    assert_eq!((answer.status, &*answer.body), (200, r#"{"active":false}"#));
    // The caller belongs to the same owner.
    gated.set(OwnerStatus::Unknown);
    assert_eq!(gated.post("/introspect", Some(&caller), &token).await.status, 503);
    gated.set(OwnerStatus::Closed);
    assert_eq!(gated.post("/introspect", Some(&caller), &token).await.status, 401);
}

/// The holder of a secret can always revoke its token, by RFC 7009.
#[tokio::test]
async fn revoke_suspended_or_gated_token_succeeds() {
    for status in [OwnerStatus::Open, OwnerStatus::Closed, OwnerStatus::Unknown] {
        let gated = gated().await;
        let (id, token) = gated.issue("connector").await;
        let acme = gated.service.owner("acme");
        if status == OwnerStatus::Open {
            acme.suspend(id, SuspendRequest::new()).await.unwrap();
        }
        gated.set(status);
        assert_eq!(gated.post("/revoke", None, &token).await.status, 200, "{status:?}");
        assert!(acme.get(id).await.unwrap().record.revocation().is_some(), "{status:?}");
    }
}
