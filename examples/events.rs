//! An event sink that writes one row of an audit table for each event, here as JSON lines.
//!
//! ```text
//! cargo run --example events
//! ```
//!
//! A sink runs on its own thread, so a slow table does not delay a verification.
#![allow(clippy::print_stdout, reason = "this program prints its steps")]

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use service_tokens::{
    Event, EventSink, IssueRequest, MemoryStore, Requirement, RevokeRequest, RotateRequest,
    TokenService, TokenType,
};

/// Writes each event as a JSON line. With a database, insert a row in place of the line.
struct AuditLog;

impl EventSink for AuditLog {
    fn record(&self, event: &Event, at: DateTime<Utc>) {
        // JSON escapes the texts. They come from callers and can contain line breaks.
        let row = json!({
            "at": at.to_rfc3339(),
            "event": event.name(),
            "id": event.id().map(|id| id.to_string()),
            "owner": event.owner(),
            "by": event.by(),
        });
        // A sink cannot report an error to the service. Handle the errors of your table here.
        let _ = writeln!(io::stdout(), "{row}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = TokenService::builder(MemoryStore::new(), "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"])?)
        .events(AuditLog)
        .build()?;

    // Each change and each refusal causes one event. An accepted verification causes none, because
    // there are too many of them.
    let acme = service.owner("acme");
    let request = IssueRequest::new("connector", "nightly backup").issued_by("ada");
    let issued = acme.issue(request).await?;
    let (id, old) = (issued.record.id(), issued.token);
    let new = acme.rotate(id, RotateRequest::at_once().by("ada")).await?.token;
    service.verify(new.expose_secret(), &Requirement::any_token()).await?;

    // The use of a secret that ended can be a leak, so it has an event of its own. Alert on it.
    let refused = service.verify(old.expose_secret(), &Requirement::any_token()).await;
    assert!(refused.is_err(), "the old secret ended with the rotation");
    acme.revoke(id, RevokeRequest::new().by("bob").reason("not needed")).await?;

    // Events wait in a queue. Flush it before the process ends, so that no event is lost.
    // It has no time limit of its own, because a sink may hang.
    tokio::time::timeout(Duration::from_secs(5), service.flush_events()).await?;
    println!("\nAll events are written.");
    Ok(())
}
