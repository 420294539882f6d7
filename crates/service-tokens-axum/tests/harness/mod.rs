//! Helpers that all test binaries of this package share with those of the example service.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    reason = "each binary uses a part, and a test may fail"
)]

mod http;
mod store;

use std::sync::Arc;

use service_tokens::clock::ManualClock;
use service_tokens::{IssueRequest, MemoryStore, ReservedScope, TokenService, TokenType};

#[allow(unused_imports, reason = "each binary uses a part")]
pub(crate) use self::http::{Answer, exchange, send, serve};
#[allow(unused_imports, reason = "each binary uses a part")]
pub(crate) use self::store::{Call, Fault, FaultyStore};

/// A service with the token types of the tests, and its clock.
pub(crate) fn service() -> (Arc<TokenService<MemoryStore>>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let manager = ReservedScope::ALL.map(ReservedScope::as_str);
    let service = TokenService::builder(MemoryStore::new(), "acme_test")
        .token_type(TokenType::new("connector", ["files:upload"]).expect("a type"))
        .token_type(TokenType::new("developer", ["*"]).expect("a type"))
        .token_type(TokenType::new("manager", manager.into_iter().chain(["*"])).expect("a type"))
        .clock(clock.clone())
        .build()
        .expect("a service");
    (Arc::new(service), clock)
}

/// Issues a token and returns its text.
pub(crate) async fn token(service: &TokenService<MemoryStore>, owner: &str, kind: &str) -> String {
    let request = IssueRequest::new(kind, format!("{owner}'s {kind}"));
    let issued = service.owner(owner).issue(request).await.expect("a token");
    issued.token.expose_secret().to_owned()
}
