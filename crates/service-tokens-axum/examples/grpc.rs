//! Protects a gRPC service with the layer, and calls it three times with a client. Run it with
//! `cargo run -p service-tokens-axum --example grpc`.
#![allow(clippy::print_stdout, reason = "the example prints the results")]

use std::error::Error;
use std::sync::Arc;

use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
use service_tokens_axum::BearerLayer;
use tokio::net::TcpListener;
use tonic::Request;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let tokens = TokenService::builder(MemoryStore::new(), "acme_live")
        .token_type(TokenType::new("monitor", ["health:read"])?)
        .token_type(TokenType::new("connector", ["files:upload"])?)
        .build()?;
    let tokens = Arc::new(tokens);

    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("files", ServingStatus::Serving).await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder()
        .layer(BearerLayer::new(tokens.clone()).requirement(Requirement::scope("health:read")?))
        .add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let channel = Endpoint::try_from(format!("http://{address}"))?.connect().await?;
    let mut client = HealthClient::new(channel);
    for token_type in [None, Some("connector"), Some("monitor")] {
        let mut request = Request::new(HealthCheckRequest { service: "files".into() });
        if let Some(token_type) = token_type {
            let issued =
                tokens.owner("acme").issue(IssueRequest::new(token_type, "gRPC example")).await?;
            let header = format!("Bearer {}", issued.token.expose_secret());
            request.metadata_mut().insert("authorization", header.try_into()?);
        }
        let with = token_type.unwrap_or("no token");
        match client.check(request).await {
            Ok(answer) => println!("{with:<10} {:?}", answer.into_inner().status()),
            Err(status) => println!("{with:<10} {:?}: {}", status.code(), status.message()),
        }
    }
    Ok(())
}
