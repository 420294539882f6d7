//! Three ways to replace the secret of a token while clients keep working.
//!
//! ```text
//! cargo run --example rotation
//! ```
//!
//! A rotation gives a token a new secret. The id, the owner and the scopes do not change.
#![allow(clippy::print_stdout, reason = "this program prints its steps")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use service_tokens::clock::ManualClock;
use service_tokens::record::ReplacedSecret;
use service_tokens::{
    IssueRequest, ManageError, MemoryStore, Requirement, RotateRequest, Token, TokenService,
    TokenType, VerifyError,
};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(ManualClock::default());
    let service = TokenService::builder(MemoryStore::new(), "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"])?)
        .clock(clock.clone())
        .build()?;
    let acme = service.owner("acme");
    let issued = acme.issue(IssueRequest::new("connector", "nightly backup")).await?;
    let (id, first) = (issued.record.id(), issued.token);

    println!("An overlap of 24 hours, because the client needs time to change its secret:\n");
    let second = acme.rotate(id, RotateRequest::with_overlap(24 * HOUR)).await?.token;
    show(&service, &[("first", &first), ("second", &second)]).await;
    clock.advance(24 * HOUR);
    println!("\n24 hours later:\n");
    show(&service, &[("first", &first), ("second", &second)]).await;

    // The old secret ends as soon as the client has changed to the new one. The 24 hours are the
    // limit if the client never does.
    println!("\nAn overlap until the new secret is first used, but at most 24 hours:\n");
    let third = acme.rotate(id, RotateRequest::until_first_use(24 * HOUR)).await?.token;
    // The second secret works until the third one is used for the first time.
    show(&service, &[("second", &second), ("third", &third), ("second", &second)]).await;

    // The answer with the fourth secret is lost, for example because a connection broke. While the
    // overlap runs, the service cannot know which secret the next rotation should replace.
    println!("\nA rotation whose answer is lost, so the client still has the third secret:\n");
    let lost = acme.rotate(id, RotateRequest::with_overlap(24 * HOUR)).await?.token;
    let again = acme.rotate(id, RotateRequest::with_overlap(24 * HOUR)).await;
    if let Err(error @ ManageError::NotRotated(_)) = again {
        println!("   rotate again  refused: {error}");
    }
    // The repair replaces the newest secret, which no client has. The third one stays valid.
    let repair = RotateRequest::with_overlap(24 * HOUR).replacing(ReplacedSecret::Newest);
    let fifth = acme.rotate(id, repair).await?.token;
    println!("\nThe newest secret is replaced:\n");
    show(&service, &[("third", &third), ("lost", &lost), ("fifth", &fifth)]).await;
    Ok(())
}

/// Uses each secret once and prints whether the service accepts it.
async fn show(service: &TokenService<MemoryStore>, secrets: &[(&str, &Token)]) {
    for (name, token) in secrets {
        match service.verify(token.expose_secret(), &Requirement::any_token()).await {
            Ok(_) => println!("   {name:<12}  accepted"),
            Err(VerifyError::Refused(reason)) => println!("   {name:<12}  refused: {reason}"),
            Err(error) => println!("   {name:<12}  refused: {error}"),
        }
    }
}
