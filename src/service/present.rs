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
        match ParsedToken::parse(text, &self.core.prefixes) {
            Ok(token) => Ok(self.core.digests.hash(&token)),
            Err(malformed) => self.present_imported(text).ok_or(malformed),
        }
    }

    /// Hashes a text of an older system, which is not a native token.
    pub(super) fn present_imported(&self, text: &[u8]) -> Option<HashedSecret<'static>> {
        let digest = self.core.import_forms.digest_of(text, &self.core.prefixes)?;
        Some(HashedSecret::imported(digest.token_id(), digest.stored()))
    }
}
