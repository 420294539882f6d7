//! Who obtained a token through which others.

use super::Record;
use super::field::{Field, InvalidField, MAX_ISSUERS, Rule};
use crate::token::TokenId;

impl Record {
    /// The issuers of whatever this token obtains: itself, then its own, nearest first.
    pub(crate) fn lineage(&self) -> Vec<TokenId> {
        let own = self.issuers().iter().copied().filter(|id| *id != self.id);
        std::iter::once(self.id).chain(own).collect()
    }

    /// The record, known from now on to whoever stands in `lineage`: they come first, those that it
    /// had stay behind them, each once. It is never its own issuer.
    ///
    /// # Errors
    ///
    /// There would be more than a record keeps.
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
