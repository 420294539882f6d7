//! The types of tokens, the policy and the store.

use std::error::Error;
use std::path::Path;

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
        .token_type(TokenType::new("connector", ["files:upload"])?.described_as("may upload files"))
        .token_type(
            TokenType::new("developer", ["*"])?
                .described_as("for all available APIs. Handle it with caution"),
        )
        .token_type(TokenType::new("manager", manager)?.described_as("may manage service tokens"))
        // Here people issue tokens on the page. What they issue may live longer than the token with
        // which they happened to sign in. Where programs issue tokens, keep the default.
        .policy(Policy::new().allow_outliving_issuer(true)))
}
