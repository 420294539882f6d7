//! The last step of a verification. It is a pure function of a proof, the time, a requirement, the request
//! and the rules of the embedder, and it returns a verified token or a refusal.

mod context;
mod rules;
mod verified;

use chrono::{DateTime, Utc};

pub use context::RequestContext;
pub use rules::{AccessRules, OwnerGate, OwnerStatus};
pub(crate) use verified::Follows;
pub use verified::VerifiedToken;

use crate::record::{Details, Matched, Record, State, Times};
use crate::refusal::Refusal;
use crate::scope::Requirement;

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
    /// [`Refusal::KeyEnded`], [`Refusal::Expired`], [`Refusal::NotYetActive`], [`Refusal::Suspended`],
    /// [`Refusal::OwnerClosed`] or [`Refusal::OwnerUnknown`], [`Refusal::UnknownType`],
    /// [`Refusal::MissingScope`] and [`Refusal::OutsideNetworks`].
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::chrono::{DateTime, Utc};
    /// use service_tokens::steps::{AccessRules, Digests, ParsedToken};
    /// use service_tokens::{Record, Refusal, RequestContext, Requirement, VerifiedToken};
    ///
    /// fn verify(
    ///     token: &ParsedToken<'_>,
    ///     record: &Record,
    ///     context: &RequestContext,
    ///     rules: &AccessRules,
    ///     now: DateTime<Utc>,
    /// ) -> Result<VerifiedToken, Refusal> {
    ///     let digests = Digests::plain();
    ///     let matched = record.matches(token, &digests)?;
    ///     matched.authorize(now, &Requirement::any_token(), context, rules)
    /// }
    /// ```
    #[inline]
    pub fn authorize(
        self,
        now: DateTime<Utc>,
        requirement: &Requirement,
        context: &RequestContext,
        rules: &AccessRules,
    ) -> Result<VerifiedToken, Refusal> {
        self.authorize_by(now, || now, requirement, context, rules)
    }

    /// Decides as [`authorize`](Self::authorize) does. `earlier` returns the time by which a suspension
    /// passes, and is only called for a suspension that passes by itself.
    #[inline]
    pub(crate) fn authorize_by(
        self,
        now: DateTime<Utc>,
        earlier: impl FnOnce() -> DateTime<Utc>,
        requirement: &Requirement,
        context: &RequestContext,
        rules: &AccessRules,
    ) -> Result<VerifiedToken, Refusal> {
        let record = self.record();
        // A token without rare fields has one secret, and is neither revoked nor suspended.
        let is_plain = record.is_plain() && !self.has_key();
        if !is_plain || !record.is_within_period(now) {
            let earlier = if record.has_suspension_end() { earlier() } else { now };
            self.refuse_inactive(Times { now, earlier })?;
        }
        refusal_of_owner(record, rules)?;
        let present = rules.types().get(record.token_type()).ok_or(Refusal::UnknownType)?.scopes();
        let issued = record.scopes();
        if issued == present || present.contains(issued) {
            return if issued.permits(requirement) {
                if !is_plain {
                    within_networks(record, context)?;
                }
                Ok(VerifiedToken::of(&self, None, context))
            } else {
                Err(Refusal::MissingScope)
            };
        }
        // It is not enough that both sides meet the requirement. If it names several scopes of which any
        // one is enough, each side could meet it with a different scope.
        let effective = issued.intersection(present);
        if effective.as_scopes().permits(requirement) {
            within_networks(record, context)?;
            Ok(VerifiedToken::of(&self, Some(effective.as_scopes()), context))
        } else {
            Err(Refusal::MissingScope)
        }
    }

    /// Refuses a token or a secret that is not active, with the first reason that applies.
    fn refuse_inactive(&self, times: Times) -> Result<(), Refusal> {
        let (record, state) = (self.record(), self.record().state_by(times));
        if state == State::Revoked {
            return Err(Refusal::Revoked);
        }
        if self.secret_ended(times.now) {
            return Err(Refusal::SecretEnded);
        }
        if let Some(key) = self.ended_key(times.now) {
            return Err(Refusal::KeyEnded(key));
        }
        match state {
            State::Active => Ok(()),
            State::Expired => Err(Refusal::Expired),
            _ if record.is_pending(times.now) => Err(Refusal::NotYetActive),
            _ => Err(Refusal::Suspended),
        }
    }
}

#[inline]
fn refusal_of_owner(record: &Record, rules: &AccessRules) -> Result<(), Refusal> {
    match rules.owner_status(record.owner()) {
        OwnerStatus::Open => Ok(()),
        OwnerStatus::Closed => Err(Refusal::OwnerClosed),
        OwnerStatus::Unknown => Err(Refusal::OwnerUnknown),
    }
}

/// Refuses a request from outside the networks of the token. A request without an address is outside of
/// every network.
fn within_networks(record: &Record, context: &RequestContext) -> Result<(), Refusal> {
    let Some(networks) = record.details().and_then(Details::networks) else { return Ok(()) };
    match context.client_address {
        Some(address) if networks.permits(address) => Ok(()),
        _ => Err(Refusal::OutsideNetworks),
    }
}

#[cfg(test)]
mod tests;
