//! Serves the management API alone, with a store in memory and a free port.
//!
//! Prints two lines, the address and a manager token. `.ci/openapi` starts it.

#![allow(clippy::print_stdout, reason = "the example prints its address")]

use std::sync::Arc;

use service_tokens::{IssueRequest, MemoryStore, ReservedScope, TokenService, TokenType};
use service_tokens_axum::management;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let all_scopes = ReservedScope::ALL.map(ReservedScope::as_str).into_iter().chain(["*"]);
    let service = TokenService::builder(MemoryStore::new(), "acme_test")
        .token_type(
            TokenType::new("connector", ["files:upload"])?.with_description("may upload files"),
        )
        .token_type(TokenType::new("manager", all_scopes)?.with_description("manages tokens"))
        .build()?;
    let manager = service.owner("acme").issue(IssueRequest::new("manager", "an operator")).await?;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    println!("{}", manager.token.expose_secret());
    axum::serve(listener, management::router(Arc::new(service))).await?;
    Ok(())
}
