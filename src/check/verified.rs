//! What a verification returns.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::record::{FirstUse, Matched, Record, Texts};
use crate::refusal::Refusal;
use crate::scope::{Requirement, Scopes};
use crate::token::TokenId;

/// A token that was found, matched and checked. Owned and cheap to clone: it travels with the
/// request.
///
/// Verifying shares nothing that all cores would write: a hot token scales.
// One allocation, so that it moves through futures and extensions as a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedToken(Box<Verified>);

#[derive(Clone, PartialEq, Eq)]
struct Verified {
    id: TokenId,
    /// The scopes among them are the effective ones.
    texts: Texts,
    created_at: DateTime<Utc>,
    not_before: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    secret_created_at: DateTime<Utc>,
    staleness: Duration,
    follows: Follows,
}

/// What follows when the use of the token is permitted; nothing, once it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Follows {
    /// Whether the use is to be noted, as far as the store's answer tells.
    pub(crate) due: bool,
    /// Boxed, because hardly any is one.
    pub(crate) first_use: Option<Box<FirstUse>>,
}

/// It is no part of what was verified.
impl PartialEq for Follows {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Follows {}

impl VerifiedToken {
    /// The record's token, with its scopes or with fewer.
    #[inline]
    pub(super) fn of(matched: &Matched<'_>, fewer: Option<Scopes<'_>>) -> Self {
        let (record, secret_created_at) = (matched.record(), matched.secret_created_at());
        // Room first: a value of this size is not made elsewhere and moved.
        let mut token = Self(Box::write(
            Box::new_uninit(),
            Verified {
                id: record.id(),
                texts: record.texts().clone(),
                created_at: record.created_at(),
                not_before: record.not_before(),
                expires_at: record.expires_at(),
                secret_created_at,
                staleness: Duration::ZERO,
                follows: Follows { due: false, first_use: None },
            },
        ));
        if let Some(scopes) = fewer {
            token.0.texts = Texts::new(
                record.owner(),
                record.token_type(),
                scopes.as_str(),
                record.issued_to(),
            );
        }
        token
    }

    /// The token's public id, for logs and audit trails.
    #[inline]
    pub fn id(&self) -> TokenId {
        self.0.id
    }

    /// The tenant or account that the token belongs to.
    #[inline]
    pub fn owner(&self) -> &str {
        self.0.texts.owner()
    }

    /// The name of the token's type.
    #[inline]
    pub fn token_type(&self) -> &str {
        self.0.texts.token_type()
    }

    /// The human label: which service was this given to.
    #[inline]
    pub fn issued_to(&self) -> &str {
        self.0.texts.issued_to()
    }

    /// What the token may do now: the scopes it was issued with and the type's, intersected.
    #[inline]
    pub fn scopes(&self) -> Scopes<'_> {
        self.0.texts.scopes()
    }

    /// Whether a further need of the same request is permitted.
    pub fn permits(&self, requirement: &Requirement) -> bool {
        self.scopes().permits(requirement)
    }

    /// When it was issued.
    #[inline]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// From when on it is accepted; inclusive.
    #[inline]
    pub fn not_before(&self) -> Option<DateTime<Utc>> {
        self.0.not_before
    }

    /// From when on it is dead; exclusive. `None` is never.
    #[inline]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }

    /// How old the record behind this verification may be, counted from before the store was asked.
    /// Zero where the store answered in this process.
    #[inline]
    pub fn staleness(&self) -> Duration {
        self.0.staleness
    }

    /// The comparison that was made for this token, on its record as it is now.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownId`] if it is another token's record, [`Refusal::NewerRecord`].
    pub(crate) fn matched_on<'r>(&self, record: &'r Record) -> Result<Matched<'r>, Refusal> {
        let same = record.id() == self.id()
            && record.owner() == self.owner()
            && record.created_at() == self.created_at();
        if !same {
            return Err(Refusal::UnknownId);
        }
        record.matched_before(self.0.secret_created_at)
    }

    pub(crate) fn with_staleness(mut self, staleness: Duration) -> Self {
        self.0.staleness = staleness;
        self
    }

    /// The token with what is to follow when its use is permitted.
    pub(crate) fn followed_by(mut self, follows: Follows) -> Self {
        self.0.follows = follows;
        self
    }

    pub(crate) fn follows(&self) -> &Follows {
        &self.0.follows
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("id", &self.id())
            .field("owner", &self.owner())
            .field("token_type", &self.token_type())
            .field("issued_to", &self.issued_to())
            .field("scopes", &self.scopes())
            .field("created_at", &self.created_at())
            .field("not_before", &self.not_before())
            .field("expires_at", &self.expires_at())
            .field("staleness", &self.staleness())
            .finish()
    }
}
