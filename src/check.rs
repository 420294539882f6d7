//! The last step of a verification, pure: proof, time and need in, verified token or refusal out.

mod verified;

use chrono::{DateTime, Utc};

pub(crate) use verified::Follows;
pub use verified::VerifiedToken;

use crate::record::{Matched, State};
use crate::scope::{Requirement, TokenTypes};

/// Why a token whose secret is right is refused all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// The secret was replaced by a rotation and has ended: whoever presents it kept it or found it.
    #[error("the token's secret was replaced and has ended")]
    SecretEnded,
    /// Its end has come.
    #[error("the token has expired")]
    Expired,
    /// Its start lies ahead.
    #[error("the token is not yet active")]
    NotYetActive,
    /// The service knows no type of its name, and such a token is permitted nothing.
    #[error("the token's type is unknown to this service")]
    UnknownType,
    /// The token is fine and is not permitted this.
    #[error("the token lacks a scope")]
    MissingScope,
}

/// Decides over a token whose secret was found right.
///
/// It is the only public way to a [`VerifiedToken`], and it takes the proof by value: the steps
/// before it cannot be left out, and their record cannot be exchanged.
///
/// ```
/// use service_tokens::steps::{Digests, ParsedToken, TokenTypes};
/// use service_tokens::{Denied, Mismatch, Record, Requirement};
/// use service_tokens::{VerifiedToken, check};
///
/// fn verify(token: &ParsedToken<'_>, record: &Record, types: &TokenTypes) -> Option<VerifiedToken> {
///     let matched = record.matches(token, &Digests::plain()).ok()?;
///     check(matched, chrono::DateTime::UNIX_EPOCH, &Requirement::any_token(), types).ok()
/// }
/// ```
///
/// Without the comparison there is nothing to pass on:
///
/// ```compile_fail,E0308
/// use service_tokens::steps::TokenTypes;
/// use service_tokens::{Record, Requirement, VerifiedToken, check};
///
/// fn verify(record: &Record, types: &TokenTypes) -> Option<VerifiedToken> {
///     check(record, chrono::DateTime::UNIX_EPOCH, &Requirement::any_token(), types).ok()
/// }
/// ```
///
/// A proof cannot be made by hand:
///
/// ```compile_fail,E0451
/// use service_tokens::steps::Matched;
/// use service_tokens::Record;
///
/// fn forge(record: &Record) -> Matched<'_> {
///     Matched { record, ..todo!() }
/// }
/// ```
///
/// The record cannot be exchanged between the comparison and the check:
///
/// ```compile_fail,E0506
/// use service_tokens::steps::{Digests, ParsedToken, TokenTypes};
/// use service_tokens::{Record, Requirement, VerifiedToken, check};
///
/// fn verify(token: &ParsedToken<'_>, mut record: Record, other: Record, types: &TokenTypes)
///     -> Option<VerifiedToken>
/// {
///     let matched = record.matches(token, &Digests::plain()).ok()?;
///     record = other;
///     check(matched, chrono::DateTime::UNIX_EPOCH, &Requirement::any_token(), types).ok()
/// }
/// ```
///
/// One proof serves one check:
///
/// ```compile_fail,E0382
/// use service_tokens::steps::{Matched, TokenTypes};
/// use service_tokens::{Requirement, check};
///
/// fn twice(matched: Matched<'_>, types: &TokenTypes) {
///     let now = chrono::DateTime::UNIX_EPOCH;
///     let _ = check(matched, now, &Requirement::any_token(), types);
///     let _ = check(matched, now, &Requirement::any_token(), types);
/// }
/// ```
///
/// # Errors
///
/// [`Denied`], the first that applies in the order of its variants.
#[inline]
pub fn check(
    matched: Matched<'_>,
    now: DateTime<Utc>,
    requirement: &Requirement,
    types: &TokenTypes,
) -> Result<VerifiedToken, Denied> {
    let record = matched.record();
    let state = record.state(now);
    if state == State::Revoked {
        return Err(Denied::Revoked);
    }
    if matched.secret_ended(now) {
        return Err(Denied::SecretEnded);
    }
    match state {
        State::Expired => return Err(Denied::Expired),
        State::Pending => return Err(Denied::NotYetActive),
        State::Active | State::Revoked => {}
    }
    let present = types.get(record.token_type()).ok_or(Denied::UnknownType)?.scopes();
    let issued = record.scopes();
    if issued == present || present.contains(issued) {
        return if issued.permits(requirement) {
            Ok(VerifiedToken::of(&matched, None))
        } else {
            Err(Denied::MissingScope)
        };
    }
    // Not each side by itself: a need for any of several could be met by another scope on either.
    let effective = issued.intersection(present);
    if effective.as_scopes().permits(requirement) {
        Ok(VerifiedToken::of(&matched, Some(effective.as_scopes())))
    } else {
        Err(Denied::MissingScope)
    }
}

#[cfg(test)]
mod tests;
