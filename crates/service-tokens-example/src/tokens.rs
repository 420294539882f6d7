//! The token types, the policy and the store.

use std::error::Error;
use std::path::Path;

use service_tokens::file::OpenError;
use service_tokens::{
    FileStore, Policy, ReservedScope, TokenService, TokenServiceBuilder, TokenType,
};

/// The owner of all tokens of this service. A service with several customers has one owner for each
/// customer, and separates their files by [`VerifiedToken::owner`](service_tokens::VerifiedToken::owner).
pub(crate) const OWNER: &str = "acme";

/// Opens the store in this file, or creates it, and builds the service.
pub(crate) fn open(journal: &Path) -> Result<TokenService<FileStore>, Box<dyn Error>> {
    Ok(builder(journal)?.build()?)
}

/// Returns the builder of the same service, for callers that change a setting.
pub(crate) fn builder(journal: &Path) -> Result<TokenServiceBuilder<FileStore>, Box<dyn Error>> {
    // `*` does not include the reserved scopes for managing tokens, so the manager's type lists them.
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
        // In this service people issue tokens on the page, and those may expire later than the token of the
        // sign-in. Keep the default in a service where programs issue tokens.
        .policy(Policy::new().allow_outliving_issuer(true)))
}

/// Returns advice for the operator if the store does not open.
pub(crate) fn advice(error: &OpenError) -> Option<&'static str> {
    match error {
        OpenError::Locked { .. } => {
            Some("Another process uses this folder. Stop it, or choose another --folder.")
        }
        OpenError::Damaged { .. } | OpenError::Empty { .. } => Some(
            "Nothing was changed. Follow the steps in \
             src/manual/rotation_and_incidents.md#the-file-is-damaged of the repository.",
        ),
        OpenError::NotAStore { .. } => Some("Nothing was changed. Choose another --folder."),
        _ => None,
    }
}
