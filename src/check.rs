//! The last step of a verification, pure: proof, time and need in, verified token or refusal out.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::from_micros;
use crate::record::{Matched, Mismatch, Record, State};
use crate::scope::{Need, Scopes, TokenTypes};
use crate::token::TokenId;

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
/// use service_tokens::{Denied, Digests, Mismatch, Need, ParsedToken, Record, TokenTypes};
/// use service_tokens::{VerifiedToken, check};
///
/// fn verify(token: &ParsedToken<'_>, record: &Record, types: &TokenTypes) -> Option<VerifiedToken> {
///     let matched = record.matches(token, &Digests::plain()).ok()?;
///     check(matched, chrono::DateTime::UNIX_EPOCH, &Need::authenticated(), types).ok()
/// }
/// ```
///
/// Without the comparison there is nothing to pass on:
///
/// ```compile_fail,E0308
/// use service_tokens::{Need, Record, TokenTypes, VerifiedToken, check};
///
/// fn verify(record: &Record, types: &TokenTypes) -> Option<VerifiedToken> {
///     check(record, chrono::DateTime::UNIX_EPOCH, &Need::authenticated(), types).ok()
/// }
/// ```
///
/// A proof cannot be made by hand:
///
/// ```compile_fail,E0451
/// use service_tokens::{Matched, Record};
///
/// fn forge(record: &Record) -> Matched<'_> {
///     Matched { record, ..todo!() }
/// }
/// ```
///
/// The record cannot be exchanged between the comparison and the check:
///
/// ```compile_fail,E0506
/// use service_tokens::{Digests, Need, ParsedToken, Record, TokenTypes, VerifiedToken, check};
///
/// fn verify(token: &ParsedToken<'_>, mut record: Record, other: Record, types: &TokenTypes)
///     -> Option<VerifiedToken>
/// {
///     let matched = record.matches(token, &Digests::plain()).ok()?;
///     record = other;
///     check(matched, chrono::DateTime::UNIX_EPOCH, &Need::authenticated(), types).ok()
/// }
/// ```
///
/// One proof serves one check:
///
/// ```compile_fail,E0382
/// use service_tokens::{Matched, Need, TokenTypes, check};
///
/// fn twice(matched: Matched<'_>, types: &TokenTypes) {
///     let now = chrono::DateTime::UNIX_EPOCH;
///     let _ = check(matched, now, &Need::authenticated(), types);
///     let _ = check(matched, now, &Need::authenticated(), types);
/// }
/// ```
///
/// # Errors
///
/// [`Denied`], the first that applies in the order of its variants.
pub fn check(
    matched: Matched<'_>,
    now: DateTime<Utc>,
    need: &Need,
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
    let permitted = |effective: Scopes<'_>| {
        if effective.permits(need) {
            Ok(VerifiedToken::of(&matched, effective))
        } else {
            Err(Denied::MissingScope)
        }
    };
    if issued == present || present.contains(issued) {
        return permitted(issued);
    }
    // Not each side by itself: a need for any of several could be met by another scope on either.
    permitted(issued.intersection(present).as_scopes())
}

/// A token that was found, matched and checked. Owned and cheap to clone: it travels with the
/// request.
///
/// Verifying shares nothing that all cores would write: a hot token scales.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    id: TokenId,
    /// Owner, type and effective scopes in one allocation.
    identity: Box<str>,
    owner_end: u32,
    type_end: u32,
    created_at: i64,
    not_before: Option<i64>,
    expires_at: Option<i64>,
    secret_made_at: i64,
    age: Duration,
}

impl VerifiedToken {
    /// The token's public id, for logs and audit trails.
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The tenant or account that the token belongs to.
    pub fn owner(&self) -> &str {
        self.part(0, self.owner_end as usize)
    }

    /// The name of the token's type.
    pub fn token_type(&self) -> &str {
        self.part(self.owner_end as usize, self.type_end as usize)
    }

    /// What the token may do now: the scopes it was issued with and the type's, intersected.
    pub fn scopes(&self) -> Scopes<'_> {
        Scopes::from_canonical(self.part(self.type_end as usize, self.identity.len()))
    }

    /// Whether a further need of the same request is permitted.
    pub fn permits(&self, need: &Need) -> bool {
        self.scopes().permits(need)
    }

    /// When it was issued.
    pub fn created_at(&self) -> DateTime<Utc> {
        from_micros(self.created_at)
    }

    /// From when on it is accepted; inclusive.
    pub fn not_before(&self) -> Option<DateTime<Utc>> {
        self.not_before.map(from_micros)
    }

    /// From when on it is dead; exclusive. `None` is never.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at.map(from_micros)
    }

    /// How old the record behind this verification may be, counted from before the store was asked.
    /// Zero where the store answered in this process.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// The comparison that was made for this token, on its record as it is now.
    ///
    /// # Errors
    ///
    /// [`Mismatch::OtherId`] if it is another token's record, [`Mismatch::NewerRecord`].
    pub(crate) fn matched_on<'r>(&self, record: &'r Record) -> Result<Matched<'r>, Mismatch> {
        let same = record.id() == self.id
            && record.owner() == self.owner()
            && record.created_at() == self.created_at();
        if !same {
            return Err(Mismatch::OtherId);
        }
        record.matched_before(from_micros(self.secret_made_at))
    }

    pub(crate) fn aged(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    fn part(&self, start: usize, end: usize) -> &str {
        self.identity.get(start..end).unwrap_or_default()
    }

    fn of(matched: &Matched<'_>, effective: Scopes<'_>) -> Self {
        let record = matched.record();
        let (identity, [owner_end, type_end]) = record.identity();
        let identity = if effective == record.scopes() {
            identity.into()
        } else {
            [&identity[..type_end as usize], effective.as_str()].concat().into()
        };
        Self {
            id: record.id(),
            identity,
            owner_end,
            type_end,
            created_at: record.created_at().timestamp_micros(),
            not_before: record.not_before().map(|t| t.timestamp_micros()),
            expires_at: record.expires_at().map(|t| t.timestamp_micros()),
            secret_made_at: matched.secret_made_at().timestamp_micros(),
            age: Duration::ZERO,
        }
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("id", &self.id)
            .field("owner", &self.owner())
            .field("token_type", &self.token_type())
            .field("scopes", &self.scopes())
            .field("created_at", &self.created_at())
            .field("not_before", &self.not_before())
            .field("expires_at", &self.expires_at())
            .field("age", &self.age)
            .finish()
    }
}

#[cfg(test)]
mod tests;
