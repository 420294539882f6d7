//! A management API on a real socket, over a service.
#![allow(dead_code, reason = "which parts are used depends on the features")]

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use serde_json::Value;
use service_tokens::clock::ManualClock;
use service_tokens::{
    IssueRequest, MemoryStore, ReservedScope, TokenService, TokenServiceBuilder, TokenStore,
    TokenType,
};
use service_tokens_axum::management;

use crate::harness::{Answer, send, serve};

/// A service, its management API, and a token of acme with every scope.
pub(crate) struct Api<S> {
    pub(crate) service: Arc<TokenService<S>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) address: SocketAddr,
    pub(crate) manager: String,
    pub(crate) manager_id: String,
}

/// Serves the management API over a store in memory.
pub(crate) async fn api() -> Api<MemoryStore> {
    api_with(MemoryStore::new(), |builder| builder).await
}

/// Serves the management API over this store, after `change` of the builder.
pub(crate) async fn api_with<S: TokenStore + 'static>(
    store: S,
    change: impl FnOnce(TokenServiceBuilder<S>) -> TokenServiceBuilder<S>,
) -> Api<S> {
    let clock = Arc::new(ManualClock::default());
    let service = Arc::new(change(builder(store, &clock)).build().expect("a service"));
    let address = serve(management::router(Arc::clone(&service))).await;
    let (manager_id, manager) = issue(&service, "acme", "manager").await;
    Api { service, clock, address, manager, manager_id }
}

/// A builder with the types `connector`, `developer`, `manager`, and one type for each reserved scope.
pub(crate) fn builder<S: TokenStore>(store: S, clock: &Arc<ManualClock>) -> TokenServiceBuilder<S> {
    let every = ReservedScope::ALL.map(ReservedScope::as_str).into_iter().chain(["*"]);
    let mut builder = TokenService::builder(store, "acme_test")
        .token_type(TokenType::new("connector", ["files:upload"]).expect("a type"))
        .token_type(TokenType::new("developer", ["*"]).expect("a type"))
        .token_type(TokenType::new("manager", every).expect("a type"))
        .clock(Arc::clone(clock));
    for scope in ReservedScope::ALL {
        let name = scope.as_str().trim_start_matches("service-tokens:");
        builder = builder.token_type(TokenType::new(name, [scope]).expect("a type"));
    }
    builder
}

/// Issues a token and returns its id and text.
pub(crate) async fn issue<S: TokenStore>(
    service: &TokenService<S>,
    owner: &str,
    kind: &str,
) -> (String, String) {
    let request = IssueRequest::new(kind, format!("{owner}'s {kind}"));
    let issued = service.owner(owner).issue(request).await.expect("a token");
    (issued.record.id().to_string(), issued.token.expose_secret().to_owned())
}

impl<S: TokenStore + 'static> Api<S> {
    /// Issues a token of acme and returns its id and text.
    pub(crate) async fn issue(&self, kind: &str) -> (String, String) {
        issue(&self.service, "acme", kind).await
    }

    /// Sends a request with the manager token.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call(&self.manager, method, path, body).await
    }

    /// Sends a request with this token.
    pub(crate) async fn call(&self, token: &str, method: &str, path: &str, body: &str) -> Answer {
        call(self.address, token, method, path, body, &[]).await
    }

    /// Sends a POST request with the manager token and more headers.
    pub(crate) async fn post_with(&self, path: &str, body: &str, more: &[&str]) -> Answer {
        call(self.address, &self.manager, "POST", path, body, more).await
    }
}

/// Sends a request, as JSON if there is a body, and checks the headers that every answer must have.
pub(crate) async fn call(
    address: SocketAddr,
    token: &str,
    method: &str,
    path: &str,
    body: &str,
    more: &[&str],
) -> Answer {
    let bearer = format!("Authorization: Bearer {token}");
    let mut headers = vec![&*bearer];
    if !body.is_empty() {
        headers.push("Content-Type: application/json");
    }
    headers.extend(more);
    checked(send(address, method, path, &headers, body).await)
}

/// Checks the headers that every answer of the management API must have.
pub(crate) fn checked(answer: Answer) -> Answer {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status, "{answer:?}");
        assert!(problem["title"].is_string(), "{answer:?}");
        let challenged = answer.header("www-authenticate").is_some();
        assert_eq!(
            challenged,
            matches!(answer.status, 401 | 403) || name(&answer) == "malformed-credentials"
        );
        assert_eq!(answer.header("retry-after").is_some(), answer.status == 503, "{answer:?}");
    } else {
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    }
    answer
}

/// Returns the name of the problem, without its URN prefix.
pub(crate) fn name(answer: &Answer) -> String {
    let kind = answer.json()["type"].as_str().unwrap_or_default().to_owned();
    kind.strip_prefix("urn:service-tokens:problem:").unwrap_or(&kind).to_owned()
}

/// Returns status, name, field and rule of the problem.
pub(crate) fn problem(answer: &Answer) -> (u16, String, String, String) {
    let member = |name: &str| match &answer.json()[name] {
        Value::String(text) => text.clone(),
        _ => String::new(),
    };
    (answer.status, name(answer), member("field"), member("rule"))
}

/// Serves the management API below a prefix.
pub(crate) async fn nested<S: TokenStore + 'static>(service: &Arc<TokenService<S>>) -> SocketAddr {
    let api = management::router(Arc::clone(service));
    serve(Router::new().nest("/manage/v1", api)).await
}
