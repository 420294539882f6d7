//! The types of tokens, the policy and the store.

use std::error::Error;
use std::path::Path;

use service_tokens::file::OpenError;
use service_tokens::{
    FileStore, Policy, ReservedScope, TokenService, TokenServiceBuilder, TokenType,
};

/// Who all tokens of this service belong to. A service with several customers has one owner for each,
/// and keeps their files apart by [`VerifiedToken::owner`](service_tokens::VerifiedToken::owner).
pub(crate) const OWNER: &str = "acme";

/// Opens the tokens in this file, or creates it.
pub(crate) fn open(journal: &Path) -> Result<TokenService<FileStore>, Box<dyn Error>> {
    Ok(builder(journal)?.build()?)
}

/// The same, but for what somebody wants to be otherwise.
pub(crate) fn builder(journal: &Path) -> Result<TokenServiceBuilder<FileStore>, Box<dyn Error>> {
    // `*` does not reach the scopes for managing tokens, so the manager's type names them.
    let manager = ReservedScope::ALL.map(ReservedScope::as_str).into_iter().chain(["*"]);
    Ok(TokenService::builder(FileStore::open(journal)?, "acme_live")
        .token_type(
            TokenType::new("connector", ["files:upload"])?.with_description("may upload files"),
        )
        .token_type(
            TokenType::new("developer", ["*"])?
                .with_description("for all available APIs. Handle it with caution"),
        )
        .token_type(
            TokenType::new("manager", manager)?.with_description("may manage service tokens"),
        )
        // Here people issue tokens on the page. What they issue may live longer than the token with
        // which they happened to sign in. Where programs issue tokens, keep the default.
        .policy(Policy::new().allow_outliving_issuer(true)))
}

/// What whoever starts the service can do when the store does not open.
pub(crate) fn way_on(error: &OpenError) -> Option<&'static str> {
    match error {
        OpenError::Locked { .. } => {
            Some("Another process uses this folder: stop it, or take another --folder.")
        }
        OpenError::Damaged { .. } => Some(
            "Nothing was changed. What to do, step by step: \
             https://docs.rs/service-tokens/latest/service_tokens/manual/rotation_and_incidents/index.html#the-file-is-damaged",
        ),
        OpenError::NotAStore { .. } => Some("Nothing was changed. Take another --folder."),
        _ => None,
    }
}
