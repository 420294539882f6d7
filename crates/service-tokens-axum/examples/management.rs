//! The management API by itself, on a store in memory and a port of its own.
//!
//! Prints two lines: where it is, and a manager token for it. `.ci/openapi` starts it.

#![allow(clippy::print_stdout, reason = "it prints where it is")]

use std::sync::Arc;

use service_tokens::{IssueRequest, MemoryStore, ReservedScope, TokenService, TokenType};
use service_tokens_axum::management;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let every = ReservedScope::ALL.map(ReservedScope::as_str).into_iter().chain(["*"]);
    let service = TokenService::builder(MemoryStore::new(), "acme_test")
        .token_type(
            TokenType::new("connector", ["files:upload"])?.with_description("may upload files"),
        )
        .token_type(TokenType::new("manager", every)?.with_description("manages tokens"))
        .build()?;
    let manager = service.owner("acme").issue(IssueRequest::new("manager", "an operator")).await?;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    println!("{}", manager.token.expose_secret());
    axum::serve(listener, management::router(Arc::new(service))).await?;
    Ok(())
}
