//! The last step of a verification. It is a pure function of a proof, a time, a requirement and the token
//! types, and it returns a verified token or a refusal.

mod verified;

use chrono::{DateTime, Utc};

pub(crate) use verified::Follows;
pub use verified::VerifiedToken;

use crate::record::{Matched, State};
use crate::refusal::Refusal;
use crate::scope::{Requirement, TokenTypes};

impl Matched<'_> {
    /// Decides whether the token is accepted and meets the requirement at the time `now`.
    ///
    /// This is the only public way to a [`VerifiedToken`]. It consumes the proof, so a program cannot
    /// skip the comparison or exchange the record. The module [`steps`](crate::steps) has the examples
    /// that do not compile.
    ///
    /// # Errors
    ///
    /// The first that applies in this order: [`Refusal::Revoked`], [`Refusal::SecretEnded`],
    /// [`Refusal::Expired`], [`Refusal::NotYetActive`], [`Refusal::UnknownType`] and
    /// [`Refusal::MissingScope`].
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::chrono::{DateTime, Utc};
    /// use service_tokens::steps::{Digests, ParsedToken, TokenTypes};
    /// use service_tokens::{Record, Refusal, Requirement, VerifiedToken};
    ///
    /// fn verify(
    ///     token: &ParsedToken<'_>,
    ///     record: &Record,
    ///     types: &TokenTypes,
    ///     now: DateTime<Utc>,
    /// ) -> Result<VerifiedToken, Refusal> {
    ///     let matched = record.matches(token, &Digests::plain())?;
    ///     matched.authorize(now, &Requirement::any_token(), types)
    /// }
    /// ```
    #[inline]
    pub fn authorize(
        self,
        now: DateTime<Utc>,
        requirement: &Requirement,
        types: &TokenTypes,
    ) -> Result<VerifiedToken, Refusal> {
        let record = self.record();
        let state = record.state(now);
        if state == State::Revoked {
            return Err(Refusal::Revoked);
        }
        if self.secret_ended(now) {
            return Err(Refusal::SecretEnded);
        }
        match state {
            State::Expired => return Err(Refusal::Expired),
            State::Pending => return Err(Refusal::NotYetActive),
            State::Active | State::Revoked => {}
        }
        let present = types.get(record.token_type()).ok_or(Refusal::UnknownType)?.scopes();
        let issued = record.scopes();
        if issued == present || present.contains(issued) {
            return if issued.permits(requirement) {
                Ok(VerifiedToken::of(&self, None))
            } else {
                Err(Refusal::MissingScope)
            };
        }
        // It is not enough that both sides meet the requirement. If it names several scopes of which any
        // one is enough, each side could meet it with a different scope.
        let effective = issued.intersection(present);
        if effective.as_scopes().permits(requirement) {
            Ok(VerifiedToken::of(&self, Some(effective.as_scopes())))
        } else {
            Err(Refusal::MissingScope)
        }
    }
}

#[cfg(test)]
mod tests;
