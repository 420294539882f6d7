//! The management API on a real socket, and a store that can fall ill.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use chrono::{DateTime, Utc};
use serde_json::Value;
use service_tokens::clock::ManualClock;
use service_tokens::store::{StoreError, Version};
use service_tokens::{
    IssueRequest, ListRequest, MemoryStore, Page, Record, ReservedScope, StoredRecord, TokenId,
    TokenService, TokenServiceBuilder, TokenStore, TokenType,
};
use service_tokens_axum::management;

use super::{Answer, send, serve};

/// A service, its management API and a token of acme that may manage.
pub(crate) struct Scene<S> {
    pub(crate) service: Arc<TokenService<S>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) address: SocketAddr,
    pub(crate) manager: String,
    pub(crate) manager_id: String,
}

/// On a store in memory.
pub(crate) async fn scene() -> Scene<MemoryStore> {
    scene_with(MemoryStore::new(), |builder| builder).await
}

/// Types as in the other tests, and one per reserved scope, named after it.
pub(crate) async fn scene_with<S: TokenStore + 'static>(
    store: S,
    more: impl FnOnce(TokenServiceBuilder<S>) -> TokenServiceBuilder<S>,
) -> Scene<S> {
    let clock = Arc::new(ManualClock::default());
    let service = Arc::new(more(builder(store, &clock)).build().expect("a service"));
    let address = serve(management::router(Arc::clone(&service))).await;
    let (manager_id, manager) = issue(&service, "acme", "manager").await;
    Scene { service, clock, address, manager, manager_id }
}

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

/// A token's id and text.
pub(crate) async fn issue<S: TokenStore>(
    service: &TokenService<S>,
    owner: &str,
    kind: &str,
) -> (String, String) {
    let request = IssueRequest::new(kind, format!("{owner}'s {kind}"));
    let issued = service.owner(owner).issue(request).await.expect("a token");
    (issued.record.id().to_string(), issued.token.expose_secret().to_owned())
}

impl<S: TokenStore + 'static> Scene<S> {
    /// A token of acme: its id and text.
    pub(crate) async fn issue(&self, kind: &str) -> (String, String) {
        issue(&self.service, "acme", kind).await
    }

    /// A request of the manager.
    pub(crate) async fn manage(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(&self.manager, method, path, body).await
    }

    pub(crate) async fn ask(&self, token: &str, method: &str, path: &str, body: &str) -> Answer {
        ask(self.address, token, method, path, body, &[]).await
    }

    /// A request of the manager with more headers.
    pub(crate) async fn with(&self, path: &str, body: &str, more: &[&str]) -> Answer {
        ask(self.address, &self.manager, "POST", path, body, more).await
    }
}

/// A request with a body of JSON, if there is one. Whatever the answer, it may not be kept.
pub(crate) async fn ask(
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

/// What every answer has.
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

/// The name of the problem.
pub(crate) fn name(answer: &Answer) -> String {
    let kind = answer.json()["type"].as_str().unwrap_or_default().to_owned();
    kind.strip_prefix("urn:service-tokens:problem:").unwrap_or(&kind).to_owned()
}

/// Status, name, field and rule of a problem.
pub(crate) fn problem(answer: &Answer) -> (u16, String, String, String) {
    let member = |name: &str| match &answer.json()[name] {
        Value::String(text) => text.clone(),
        _ => String::new(),
    };
    (answer.status, name(answer), member("field"), member("rule"))
}

/// Nested under a prefix.
pub(crate) async fn nested<S: TokenStore + 'static>(service: &Arc<TokenService<S>>) -> SocketAddr {
    let api = management::router(Arc::clone(service));
    serve(Router::new().nest("/manage/v1", api)).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Insert,
    Find,
    Replace,
    List,
}

/// A memory store whose answers fail or are lost, from some call on.
#[derive(Debug, Default)]
pub(crate) struct Sick {
    inner: MemoryStore,
    faults: Mutex<HashMap<Op, (usize, bool)>>,
    gone: Mutex<Option<(TokenId, usize)>>,
}

impl Sick {
    /// After so many good calls this one is unavailable.
    pub(crate) fn unavailable(&self, op: Op, after: usize) {
        self.faults.lock().expect("no panic inside").insert(op, (after, false));
    }

    /// After so many good calls this one is done and its answer lost.
    pub(crate) fn lost(&self, op: Op, after: usize) {
        self.faults.lock().expect("no panic inside").insert(op, (after, true));
    }

    /// After it was found so many times, there is no such record.
    pub(crate) fn gone(&self, id: TokenId, after: usize) {
        *self.gone.lock().expect("no panic inside") = Some((id, after));
    }

    fn is_gone(&self, id: TokenId) -> bool {
        match &mut *self.gone.lock().expect("no panic inside") {
            Some((gone, 0)) => *gone == id,
            Some((gone, left)) if *gone == id => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }

    pub(crate) fn mend(&self) {
        self.faults.lock().expect("no panic inside").clear();
    }

    fn fault(&self, op: Op) -> Option<bool> {
        let mut faults = self.faults.lock().expect("no panic inside");
        match faults.get_mut(&op)? {
            (0, lost) => Some(*lost),
            (left, _) => {
                *left -= 1;
                None
            }
        }
    }

    async fn answer<T>(
        &self,
        op: Op,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self.fault(op) {
            None => act.await,
            Some(false) => Err(StoreError::unavailable("a secret of the driver")),
            Some(true) => {
                act.await?;
                Err(StoreError::indeterminate("a secret of the driver"))
            }
        }
    }
}

#[async_trait]
impl TokenStore for Sick {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.answer(Op::Insert, self.inner.insert(record)).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        if self.is_gone(id) {
            return Ok(None);
        }
        self.answer(Op::Find, self.inner.find(id)).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.answer(Op::Replace, self.inner.replace(record, expected)).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.answer(Op::List, self.inner.list(query, now)).await
    }
}
