//! The command line as a child process.

#![allow(clippy::unwrap_used, clippy::panic)]

mod bulk;
mod bulk_suspending;
mod changes;
mod clock_gaps;
mod clocks;
mod empty_values;
mod events;
mod events_access;
mod events_status;
mod events_targets;
mod files;
mod importing;
mod importing_repeated;
mod incidents;
mod issuing;
mod leaks;
// Compiled into the tests, because only a terminal shows its behaviour.
mod known_values;
#[path = "../../src/lines.rs"]
mod lines;
mod lists;
mod members;
mod out_files;
// The records that the library's own tests plant.
#[allow(dead_code)]
#[path = "../../../../tests/behaviour/harness/planted.rs"]
mod planted;
mod replaying;
mod secrets;
mod streams;
mod suspending;
mod terminal;
mod tool;
mod types;
mod verifying;
mod words;

use service_tokens::{Issued, TokenService, TokenServiceBuilder, TokenStore, TokenType};

/// Returns a builder with the tool's default types, for `planted`.
fn builder<S: TokenStore>(store: S) -> TokenServiceBuilder<S> {
    TokenService::builder(store, "acme_live")
        .token_type(TokenType::new("connector", ["files:read", "files:upload"]).unwrap())
        .token_type(TokenType::new("developer", ["*"]).unwrap())
}

/// Returns the text of an issued token.
fn text(issued: &Issued) -> String {
    issued.token.expose_secret().to_owned()
}
