//! The life of a token, from issue and rotation to expiry and revocation.
//!
//! ```text
//! cargo run -p service-tokens --example quickstart --features file
//! ```
//!
//! The tokens are in a file store. The clock is manual, so that days can pass at once.
#![allow(clippy::print_stdout, reason = "this program prints its steps")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use service_tokens::clock::ManualClock;
use service_tokens::store::States;
use service_tokens::{
    FileStore, Filter, IssueRequest, ListRequest, Requirement, RevokeRequest, RotateRequest, Token,
    TokenService, TokenType, VerifyError, requirement,
};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let store = FileStore::open(folder.path().join("tokens.journal"))?;
    let clock = Arc::new(ManualClock::default());
    // A token type is a named set of scopes.
    let service = TokenService::builder(store, "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"])?)
        .clock(clock.clone())
        .build()?;
    let acme = service.owner("acme");
    let upload = requirement!("files:upload");

    // The token is shown once. The store holds only a digest of its secret.
    let request = IssueRequest::new("connector", "nightly backup").expires_in(30 * DAY);
    let issued = acme.issue(request).await?;
    let (id, first) = (issued.record.id(), issued.token);
    let text = first.expose_secret();
    println!("1. Issue. The client sends this header:\n\n   Authorization: Bearer {text}");

    println!("\n2. Verify. The token may upload files, but it may not read invoices:\n");
    show(&service, "the token", &first, &upload).await;
    show(&service, "the token", &first, &requirement!("invoices:read")).await;

    println!("\n3. Rotate with an overlap of one day. Both secrets work on this day:\n");
    let second = acme.rotate(id, RotateRequest::with_overlap(DAY)).await?.token;
    show(&service, "old secret", &first, &upload).await;
    show(&service, "new secret", &second, &upload).await;
    clock.advance(DAY);
    show(&service, "old secret after a day", &first, &upload).await;

    println!("\n4. Expire. After 30 days the token is refused:\n");
    clock.advance(29 * DAY);
    show(&service, "new secret", &second, &upload).await;

    println!("\n5. Revoke. A revoked token cannot be recovered:\n");
    let laptop = acme.issue(IssueRequest::new("connector", "laptop of Ada")).await?;
    acme.revoke(laptop.record.id(), RevokeRequest::new().reason("it was stolen")).await?;
    show(&service, "the laptop", &laptop.token, &upload).await;

    println!("\n6. List. The records of ended tokens stay until you purge them:\n");
    let all = ListRequest::from(Filter::new().states(States::ALL));
    for record in acme.list(all).await?.items.into_iter().map(|stored| stored.record) {
        println!("   {}: {}, {}", record.id(), record.issued_to(), record.state(service.now()));
    }
    Ok(())
}

/// Prints whether a token is accepted. A client sees the reason only if a scope is missing.
async fn show(service: &TokenService<FileStore>, name: &str, token: &Token, to: &Requirement) {
    match service.verify(token.expose_secret(), to).await {
        Ok(_) => println!("   {name} for {to}: accepted"),
        Err(VerifyError::Refused(reason)) => println!("   {name} for {to}: refused, {reason}"),
        Err(error) => println!("   {name} for {to}: refused, {error}"),
    }
}
