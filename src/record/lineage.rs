//! The chain of tokens on whose behalf a token was issued.

use super::Record;
use super::field::{Field, InvalidField, MAX_ISSUERS, Rule};
use crate::token::TokenId;

impl Record {
    /// Returns the issuers of a token that this one issues. These are the token itself and its own
    /// issuers, nearest first.
    pub(crate) fn lineage(&self) -> Vec<TokenId> {
        let own = self.issuers().iter().copied().filter(|id| *id != self.id);
        std::iter::once(self.id).chain(own).collect()
    }

    /// Returns the record with the tokens in `lineage` as additional issuers. They come first,
    /// followed by the present ones, without duplicates. A token is never its own issuer.
    ///
    /// # Errors
    ///
    /// Returns an error if there are more issuers than a record can hold.
    pub(crate) fn below(mut self, lineage: &[TokenId]) -> Result<Self, InvalidField> {
        if lineage.is_empty() {
            return Ok(self);
        }
        let mut issuers = Vec::new();
        for id in lineage.iter().chain(self.issuers()) {
            if *id != self.id && !issuers.contains(id) {
                issuers.push(*id);
            }
        }
        if issuers.len() > MAX_ISSUERS {
            return Err(Field::Issuers.breaks(Rule::TooMany { max: MAX_ISSUERS }));
        }
        let mut rare = self.rare.take().map(|rare| *rare).unwrap_or_default();
        rare.issuers = issuers;
        self.set_rare(rare);
        Ok(self)
    }
}
