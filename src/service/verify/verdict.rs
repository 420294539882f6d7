//! The decision on a record, and its consequences.

use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::core::TokenService;
use crate::check::{Follows, RequestContext, VerifiedToken};
use crate::clock::Moment;
use crate::digest::HashedSecret;
use crate::error::{VerifyError, other_record};
use crate::event::Event;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::scope::Requirement;
use crate::store::TokenStore;
use crate::token::TokenId;

pub(super) type Outcome = Result<VerifiedToken, VerifyError>;

/// Moves a refusal as one value. It is not inlined, because the compiler would otherwise move the parts
/// together with those of an acceptance.
#[inline(never)]
pub(super) fn whole(refused: Outcome) -> Outcome {
    refused
}

/// A verification that has to wait. It is boxed, so that the future of one that does not wait is small.
pub(super) type Later<'f> = Pin<Box<dyn Future<Output = Outcome> + Send + 'f>>;

/// Says whether a cached record may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    Cached,
    Uncached,
}

/// The time at which an acceptance counts as a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Now,
    /// When [`TokenService::authorize`] accepts the token.
    WhenAuthorized,
}

/// An accepted token, and the consequences of its use.
pub(super) struct Accepted {
    pub(super) verified: VerifiedToken,
    follows: Follows,
}

impl Accepted {
    /// Returns whether the use has no consequences.
    pub(super) fn is_all(&self) -> bool {
        !self.follows.due && self.follows.first_use.is_none()
    }

    pub(super) fn with_staleness(mut self, staleness: Duration) -> Self {
        self.verified = self.verified.with_staleness(staleness);
        self
    }
}

/// The owner of a refused token.
#[derive(Debug)]
pub(super) struct Owner(String);

impl Owner {
    #[cold]
    pub(super) fn of(owner: &str) -> Option<Box<Self>> {
        Some(Box::new(Self(owner.to_owned())))
    }
}

/// The reason why a token is not accepted. It is small, so that it fits into the place of an acceptance;
/// the error is created only where it is needed.
#[derive(Debug)]
pub(super) enum Rejected {
    /// The store answered with the record of another id, which is a failure of the store.
    OtherRecord,
    /// The owner is known if the secret was right.
    Refused(Refusal, Option<Box<Owner>>),
}

/// The error of a token that is not accepted, and its owner if the secret was right.
pub(super) struct Denied {
    pub(super) error: VerifyError,
    pub(super) owner: Option<Box<Owner>>,
}

impl<E: Into<VerifyError>> From<E> for Denied {
    fn from(error: E) -> Self {
        Self { error: error.into(), owner: None }
    }
}

// An acceptance is moved as it was written, so a refusal must not make the result larger.
const _: () = assert!(size_of::<Result<Accepted, Rejected>>() == size_of::<Accepted>());

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal, None)
    }
}

impl Rejected {
    /// The reason why a found record does not match. An unknown id means that the record has another id.
    #[cold]
    fn of_found(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownId => Self::OtherRecord,
            refusal => refusal.into(),
        }
    }

    /// The reason why a token with the right secret is refused.
    #[cold]
    fn of_matched(refusal: Refusal, record: &Record) -> Self {
        Self::Refused(refusal, Owner::of(record.owner()))
    }

    #[cold]
    pub(super) fn into_denied(self, id: TokenId, requirement: &Requirement) -> Denied {
        match self {
            Self::OtherRecord => other_record().into(),
            Self::Refused(refusal, owner) => {
                Denied { error: VerifyError::refused(refusal, id, requirement), owner }
            }
        }
    }
}

impl<S: TokenStore> TokenService<S> {
    /// Decides on the record that the store found, with its last use in microseconds.
    #[inline]
    pub(super) fn judge(
        &self,
        token: &HashedSecret<'_>,
        found: Option<(&Record, Option<i64>)>,
        now: Moment,
        requirement: &Requirement,
        context: &RequestContext,
    ) -> Result<Accepted, Rejected> {
        let Some((record, used)) = found else {
            self.core.digests.verify_nothing(token);
            return Err(Refusal::UnknownId.into());
        };
        let matched =
            record.matches_hashed(token, &self.core.digests).map_err(Rejected::of_found)?;
        let first_use = matched.first_use(now.time).map(Box::new);
        let verified = matched
            .authorize_by(
                now.time,
                || self.earlier().passed,
                requirement,
                context,
                &self.core.rules,
            )
            .map_err(|refusal| Rejected::of_matched(refusal, record))?;
        let due = self.core.pending_uses.as_ref().is_some_and(|uses| uses.is_due(used, now.micros));
        Ok(Accepted { verified, follows: Follows { due, first_use } })
    }

    /// Applies the consequences of an acceptance. The use is noted, and the first use of a secret may end
    /// an overlap. If that has to wait for the authorization, the token carries them.
    #[inline]
    pub(super) fn conclude(
        &self,
        id: TokenId,
        accepted: Accepted,
        at: Moment,
        usage: Use,
    ) -> Result<Outcome, Later<'_>> {
        let Accepted { verified, follows } = accepted;
        if usage == Use::WhenAuthorized {
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

    /// Notes a use, if the service records uses.
    pub(super) fn note_use(&self, id: TokenId, at: DateTime<Utc>) {
        let Some(uses) = &self.core.pending_uses else { return };
        if let Some(stalled) = uses.note(id, at, || self.core.clock.monotonic()) {
            let (waiting, oldest) = (stalled.waiting, stalled.oldest);
            self.core.events.emit(Event::LastUsedStalled { waiting, oldest });
        }
    }

    /// Emits the event of a refusal, and returns the error.
    #[cold]
    pub(super) fn refuse(
        &self,
        id: Option<TokenId>,
        denied: impl Into<Denied>,
        freshness: Freshness,
    ) -> VerifyError {
        let Denied { error, owner } = denied.into();
        // The store has refused the token, so a later verification must not accept a cached record.
        if let (VerifyError::Refused(_), Freshness::Uncached, Some(id)) = (&error, freshness, id) {
            self.core.records.invalidate(id);
        }
        self.core.events.emit(Event::of_refusal(id, owner.map(|owner| owner.0), &error));
        error
    }
}
