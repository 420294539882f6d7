//! The lifecycle of a record, as pure functions that return the modified record.

use std::fmt;

use chrono::{DateTime, Utc};

use super::field::{Field, InvalidField, MAX_TEXT_LEN, Rule, nearest_valid};
use super::{EndedSecret, NewestSecret, OlderSecret, Rare, Record, Revocation};
use crate::clock::{NAMED_APART, names, whole_micros};
use crate::digest::StoredDigest;

/// The state of a token. [The manual](crate::manual::life#states) describes the transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum State {
    /// Not accepted yet, because its `not_before` is in the future.
    Pending,
    /// Accepted.
    Active,
    /// Not accepted any more, because its `expires_at` has passed.
    Expired,
    /// Revoked. A revocation is final.
    Revoked,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

/// The time at which the secret that was newest before the rotation stops being accepted.
///
/// A rotation that replaces [`ReplacedSecret::Newest`] during an overlap ends that secret at once. There
/// [`Now`](Self::Now) also ends the older secret, and any other value is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OlderEnds {
    /// Every earlier secret ends with the rotation, because one has leaked.
    Now,
    /// The secret ends at this time (exclusive).
    At(DateTime<Utc>),
    /// The secret ends when the new one is first used, and at the latest at this time.
    OnFirstUse {
        /// The latest end (exclusive).
        latest: DateTime<Utc>,
    },
}

/// Which of the two accepted secrets a rotation discards. Ignored if only one is accepted.
///
/// | request | secrets accepted after the rotation |
/// | --- | --- |
/// | `Newest` | the older one until its end, and the new one |
/// | `Oldest` | the newest one so far until the requested end, and the new one |
/// | either, with [`at_once`](crate::RotateRequest::at_once) | only the new one |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacedSecret {
    /// The newest secret, for example because the response that contained it was lost. It ends at once.
    ///
    /// The end of the older secret does not change, so the overlap that the request names is ignored. If
    /// the older secret ends with the first use of the newest, that is now the first use of the secret
    /// that this rotation creates.
    Newest,
    /// The oldest secret, for example because the next rotation is due. It ends at once, and the newest
    /// becomes the older one of a new overlap.
    Oldest,
}

/// The input of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// The digest of the new secret.
    pub(crate) digest: StoredDigest,
    /// The end of the newest secret so far.
    pub(crate) older_ends: OlderEnds,
    /// The secret to discard. Required during an overlap.
    pub(crate) replaces: Option<ReplacedSecret>,
    /// The new expiry time. The old one is retained if this is `None`.
    pub(crate) expires_at: Option<Option<DateTime<Utc>>>,
}

/// The error returned when a token cannot be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotateDenied {
    /// The token is not active.
    #[error("only an active token can be rotated, and this one is {0}")]
    NotActive(State),
    /// Two secrets are accepted, and the request does not say which one it replaces.
    #[error(
        "two secrets are accepted, so the request must say whether it replaces the newest or the oldest"
    )]
    OverlapRuns,
    /// The newest secret is not the one that the request names, because another caller has rotated
    /// the token.
    #[error("the token was rotated again, so its newest secret is not the expected one")]
    RotatedSince,
    /// A newer version of this crate wrote the record.
    #[error("a newer version of this crate wrote the record")]
    NewerRecord,
    /// A time is outside the range of a record, or an expiry time is not after now.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

/// The error returned when a record cannot be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RevokeDenied {
    /// A newer version of this crate wrote the record, and this one could not add the revocation to it.
    #[error("a newer version of this crate wrote the record")]
    NewerRecord,
    /// The actor or the reason exceeds the limits of a record.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

impl Record {
    /// Returns the state of the token at `now`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use service_tokens::State;
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let hour = Duration::from_secs(3_600);
    /// let request = IssueRequest::new("connector", "backup").expires_in(hour);
    /// let record = service.owner("acme").issue(request).await?.record;
    ///
    /// assert_eq!(record.state(service.now()), State::Active);
    /// assert_eq!(record.state(service.now() + hour), State::Expired);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn state(&self, now: DateTime<Utc>) -> State {
        if self.revocation().is_some() {
            State::Revoked
        } else if self.expires_at.is_some_and(|end| now >= end) {
            State::Expired
        } else if self.not_before.is_some_and(|start| now < start) {
            State::Pending
        } else {
            State::Active
        }
    }

    /// Returns the time at which the token ended or will end, which is the earlier of its revocation and
    /// its expiry, or `None` if it has neither. It can be a column for an index.
    ///
    /// The time of a revocation is that of the clock which made it. If that clock was ahead, the time can
    /// be in the future although the token has ended.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        match (self.revocation().map(|revocation| revocation.at), self.expires_at()) {
            (Some(revoked), Some(expires)) => Some(revoked.min(expires)),
            (revoked, expires) => revoked.or(expires),
        }
    }

    /// Returns the time at which the token ended, or `None` if it has not ended at `now`. A revoked token
    /// has ended at any `now`.
    pub fn ended_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // A revocation is independent of the clock.
        self.ends_at().filter(|end| self.revocation().is_some() || now >= *end)
    }

    /// Returns the revoked record, or `None` if it is revoked already. The first revocation is
    /// retained.
    ///
    /// # Errors
    ///
    /// Returns [`RevokeDenied`]. A wrong clock never prevents a revocation.
    pub(crate) fn revoke(
        &self,
        now: DateTime<Utc>,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Option<Self>, RevokeDenied> {
        if self.revocation().is_some() {
            return Ok(None);
        }
        if self.is_newer() {
            return Err(RevokeDenied::NewerRecord);
        }
        for (field, text) in [(Field::RevokedBy, by), (Field::Reason, reason)] {
            text.map_or(Ok(()), |text| field.filled(text, MAX_TEXT_LEN))?;
        }
        let mut revoked = self.clone();
        revoked.rare.get_or_insert_default().revocation = Some(Revocation {
            at: nearest_valid(now),
            by: by.map(Into::into),
            reason: reason.map(Into::into),
        });
        Ok(Some(revoked))
    }

    /// Checks that the newest secret was created at this time. A whole millisecond also names a time that
    /// is less than a millisecond away.
    ///
    /// # Errors
    ///
    /// Returns [`RotateDenied::RotatedSince`] or [`RotateDenied::NewerRecord`].
    pub(crate) fn expect_newest(&self, made_at: DateTime<Utc>) -> Result<(), RotateDenied> {
        if self.is_newer() {
            return Err(RotateDenied::NewerRecord);
        }
        if names(made_at, self.newest.created_at) {
            Ok(())
        } else {
            Err(RotateDenied::RotatedSince)
        }
    }

    /// Returns the record with a new secret. The id stays the same, and at most two secrets are
    /// accepted. The digest of the secret that ended last is retained, so that its use is
    /// recognized.
    ///
    /// # Errors
    ///
    /// Returns [`RotateDenied`]. The policy is not checked here.
    pub(crate) fn rotate(
        &self,
        now: DateTime<Utc>,
        rotation: &Rotation,
    ) -> Result<Self, RotateDenied> {
        if self.is_newer() {
            return Err(RotateDenied::NewerRecord);
        }
        match self.state(now) {
            State::Active => {}
            state => return Err(RotateDenied::NotActive(state)),
        }
        let overlap = self.overlap(now).is_some();
        if overlap && rotation.replaces.is_none() {
            return Err(RotateDenied::OverlapRuns);
        }
        rotation.check(now)?;
        // The creation time identifies a secret, so it must be unique within the record, also for clients
        // whose times have milliseconds. The clock may not have advanced, or may be behind that of
        // the process which created the last secret.
        let next = nearest_valid(self.newest.created_at + NAMED_APART);
        let now = nearest_valid(now);
        let mut rotated = self.clone();
        let mut rare = rotated.rare.take().map(|rare| *rare).unwrap_or_default();
        let newest = std::mem::replace(
            &mut rotated.newest,
            NewestSecret { digest: rotation.digest, created_at: now.max(next) },
        );
        if overlap && rotation.replaces == Some(ReplacedSecret::Newest) {
            rare.ended = Some(newest.ended(now));
            if rotation.older_ends == OlderEnds::Now
                && let Some(older) = rare.older.take()
            {
                rare.ended = Some(older.ended(now));
            }
        } else {
            // An older secret that is still present has expired, or ends now because it is the
            // oldest.
            if let Some(older) = rare.older.take() {
                let ended_at = older.latest_end.min(now);
                rare.ended = Some(older.ended(ended_at));
            }
            rare.replace_newest(newest, now, rotation);
        }
        if let Some(end) = rotation.expires_at {
            rotated.expires_at = end.map(whole_micros);
        }
        rotated.set_rare(rare);
        Ok(rotated)
    }
}

impl Rotation {
    /// Refuses times that are outside the range of a record.
    fn check(&self, now: DateTime<Utc>) -> Result<(), InvalidField> {
        match self.older_ends {
            OlderEnds::At(end) | OlderEnds::OnFirstUse { latest: end } => {
                Field::OlderEnds.in_range(end)?;
            }
            OlderEnds::Now => {}
        }
        if let Some(end) = self.expires_at.flatten() {
            Field::ExpiresAt.in_range(end)?;
            if whole_micros(end) <= whole_micros(now) {
                return Err(Field::ExpiresAt.breaks(Rule::NotAfterNow));
            }
        }
        Ok(())
    }
}

impl Rare {
    fn replace_newest(&mut self, newest: NewestSecret, now: DateTime<Utc>, rotation: &Rotation) {
        let (latest_end, ends_on_first_use) = match rotation.older_ends {
            OlderEnds::At(end) => (whole_micros(end), false),
            OlderEnds::OnFirstUse { latest } => (whole_micros(latest), true),
            OlderEnds::Now => (now, false),
        };
        if latest_end <= now {
            self.ended = Some(newest.ended(now));
        } else {
            let NewestSecret { digest, created_at } = newest;
            self.older = Some(OlderSecret { digest, created_at, latest_end, ends_on_first_use });
        }
    }
}

impl NewestSecret {
    fn ended(self, ended_at: DateTime<Utc>) -> EndedSecret {
        EndedSecret { digest: self.digest, created_at: self.created_at, ended_at }
    }
}

impl OlderSecret {
    pub(super) fn ended(self, ended_at: DateTime<Utc>) -> EndedSecret {
        EndedSecret { digest: self.digest, created_at: self.created_at, ended_at }
    }
}
