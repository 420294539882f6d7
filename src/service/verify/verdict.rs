//! What the look at a record leads to.

use std::time::Duration;

use super::super::TokenService;
use super::{Later, Outcome, Use};
use crate::check::{Follows, VerifiedToken};
use crate::clock::Moment;
use crate::digest::HashedSecret;
use crate::error::{VerifyError, other_record};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::scope::Requirement;
use crate::store::TokenStore;
use crate::token::TokenId;

/// A token that was accepted, and what its use brings with it.
pub(super) struct Accepted {
    pub(super) verified: VerifiedToken,
    follows: Follows,
}

impl Accepted {
    /// Whether nothing follows from it.
    pub(super) fn is_all(&self) -> bool {
        !self.follows.due && self.follows.first_use.is_none()
    }

    pub(super) fn with_staleness(mut self, staleness: Duration) -> Self {
        self.verified = self.verified.with_staleness(staleness);
        self
    }
}

/// Why a token is not accepted. The error is made where it is needed, because this is small.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rejected {
    /// The store answered with the record of another id, which is a failure of the store.
    OtherRecord,
    Refused(Refusal),
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Rejected {
    #[cold]
    pub(super) fn into_error(self, id: TokenId, requirement: &Requirement) -> VerifyError {
        match self {
            Self::OtherRecord => other_record().into(),
            Self::Refused(refusal) => VerifyError::refused(refusal, id, requirement),
        }
    }
}

impl<S: TokenStore> TokenService<S> {
    #[inline]
    pub(super) fn judge(
        &self,
        token: &HashedSecret<'_>,
        found: Option<(&Record, Option<i64>)>,
        now: Moment,
        requirement: &Requirement,
    ) -> Result<Accepted, Rejected> {
        let Some((record, used)) = found else {
            self.digests.verify_nothing(token);
            return Err(Refusal::UnknownId.into());
        };
        if record.id() != token.id() {
            return Err(Rejected::OtherRecord);
        }
        let matched = record.matches_hashed(token, &self.digests)?;
        let first_use = matched.first_use(now.time).map(Box::new);
        let verified = matched.authorize(now.time, requirement, &self.types)?;
        let due = self.uses.as_ref().is_some_and(|uses| uses.is_due(used, now.micros));
        Ok(Accepted { verified, follows: Follows { due, first_use } })
    }

    /// What follows from an acceptance: its use is noted, and if it is the first of a secret, an overlap
    /// may end with it. Where that is for later, the token carries it.
    #[inline]
    pub(super) fn conclude(
        &self,
        id: TokenId,
        accepted: Accepted,
        at: Moment,
        usage: Use,
    ) -> Result<Outcome, Later<'_>> {
        let Accepted { verified, follows } = accepted;
        if usage == Use::WhenPermitted {
            return Ok(Ok(verified.followed_by(follows)));
        }
        if follows.due {
            self.note_use(id, at.time);
        }
        match follows.first_use {
            None => Ok(Ok(verified)),
            Some(first) => Err(Box::pin(async move {
                self.end_overlap(id, *first, at.time).await;
                Ok(verified)
            })),
        }
    }
}
