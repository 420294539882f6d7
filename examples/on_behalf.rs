//! A token that issues tokens within its own limits, and its revocation with all tokens below it.
//!
//! ```text
//! cargo run --example on_behalf
//! ```
//!
//! A deployment system has a token of its own. With it, the system issues a token for each program
//! that it starts.
#![allow(clippy::print_stdout, reason = "this program prints its steps")]

use std::error::Error;
use std::time::Duration;

use service_tokens::{
    IssueRequest, ListRequest, ManageError, MemoryStore, Requirement, ReservedScope, RevokeRequest,
    TokenService, TokenType, VerifyError,
};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `*` does not include the reserved scopes, so a type must name the right to issue.
    let service = TokenService::builder(MemoryStore::new(), "acme_live")
        .token_type(TokenType::new("deployer", ["files:*", ReservedScope::Issue.as_str()])?)
        .token_type(TokenType::new("connector", ["files:upload"])?)
        .token_type(TokenType::new("developer", ["*"])?)
        .build()?;
    let request = IssueRequest::new("deployer", "deployment system").expires_in(30 * DAY);
    let deployer = service.owner("acme").issue(request).await?;

    // In the handler of a request, the calling token is verified first. The service then acts on
    // behalf of that token, and reads its record again before each operation.
    let caller = service.verify(deployer.token.expose_secret(), &Requirement::any_token()).await?;
    let on_behalf = service.on_behalf_of(&caller);

    println!("The deployer issues a connector within its own limits:\n");
    let connector = on_behalf.issue(IssueRequest::new("connector", "staging")).await?;
    let record = &connector.record;
    println!("   id       {}", record.id());
    println!("   scopes   {}", record.scopes());
    println!("   issuer   {}", record.issuers()[0]);
    println!("   expires  with the deployer: {}", record.expires_at() == caller.expires_at());

    println!("\nRequests beyond these limits are refused:\n");
    // A developer token has every scope, and the deployer has only some of them.
    let more_scopes = IssueRequest::new("developer", "laptop");
    refused("more scopes", on_behalf.issue(more_scopes).await);
    let longer = IssueRequest::new("connector", "production").expires_in(60 * DAY);
    refused("a later expiry", on_behalf.issue(longer).await);
    // Listing needs the reserved scope `service-tokens:read`.
    refused("another operation", on_behalf.list(ListRequest::new()).await);

    println!("\nThe deployer's token leaked. It is revoked with all tokens that it issued:\n");
    let request = RevokeRequest::new().reason("the token was in a public log");
    let outcome = service.owner("acme").revoke_with_descendants(caller.id(), request).run().await?;
    println!("   {} tokens revoked", outcome.done);
    let verified = service.verify(connector.token.expose_secret(), &Requirement::any_token()).await;
    if let Err(VerifyError::Refused(reason)) = verified {
        println!("   the connector is refused: {reason}");
    }
    Ok(())
}

/// Prints the reason for which an operation was refused.
fn refused<T>(request: &str, result: Result<T, ManageError>) {
    match result {
        Ok(_) => println!("   {request:<17}  accepted"),
        Err(error) => println!("   {request:<17}  {error}"),
    }
}
