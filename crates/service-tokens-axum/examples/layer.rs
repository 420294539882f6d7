//! Protects a service with the layer in ten lines. Run `cargo run -p service-tokens-axum --example layer`,
//! and then the two commands that it prints.
#![allow(clippy::print_stdout, reason = "the example prints two commands")]

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
use service_tokens_axum::{Bearer, BearerLayer, RequireLayer};
use tokio::net::TcpListener;

async fn whoami(Bearer(token): Bearer) -> String {
    format!("{} of {}\n", token.issued_to(), token.owner())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let reader = TokenType::new("reader", ["files:read"])?;
    let tokens = TokenService::builder(MemoryStore::new(), "acme_live").token_type(reader);
    let tokens = Arc::new(tokens.build()?);
    let issued = tokens.owner("acme").issue(IssueRequest::new("reader", "layer example")).await?;

    let upload = post(|| async { "stored\n" }).layer(RequireLayer::scope("files:upload")?);
    let app = Router::new()
        .route("/whoami", get(whoami))
        .route("/upload", upload)
        .layer(BearerLayer::new(tokens));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, token) = (listener.local_addr()?, issued.token.expose_secret());
    println!("allowed: curl -i -H 'Authorization: Bearer {token}' http://{address}/whoami");
    println!("refused: curl -i -H 'Authorization: Bearer {token}' -d x http://{address}/upload");
    Ok(axum::serve(listener, app).await?)
}
