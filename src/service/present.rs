//! A presented text, parsed and prepared for the comparison with stored digests.

use super::core::TokenService;
use crate::digest::HashedSecret;
use crate::token::{MalformedToken, ParsedToken};

impl<S> TokenService<S> {
    /// Parses a presented text and hashes its secret.
    pub(super) fn present<'t>(
        &'t self,
        text: &'t [u8],
    ) -> Result<HashedSecret<'t>, MalformedToken> {
        ParsedToken::parse(text, &self.prefixes).map(|token| self.digests.hash(&token))
    }
}
