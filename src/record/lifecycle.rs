//! The states of a record and its revocation, as pure functions. [`rotate`](super::rotate),
//! [`suspend`](super::suspend) and [`amend`](super::amend) have the other changes.

use std::fmt;

use chrono::{DateTime, Utc};

use super::field::{Field, InvalidField, MAX_TEXT_LEN, nearest_valid};
use super::{Record, Revocation};

/// The state of a token. [The manual](crate::manual::life#states) describes the transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum State {
    /// Not accepted yet, because its `not_before` is in the future.
    Pending,
    /// Accepted.
    Active,
    /// Not accepted until it is resumed, or until the suspension has passed. A token that is also pending
    /// is suspended.
    Suspended,
    /// Not accepted any more, because its `expires_at` has passed.
    Expired,
    /// Revoked. A revocation is final.
    Revoked,
}

impl State {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Active, Self::Suspended, Self::Expired, Self::Revoked];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

/// The error returned when a record cannot be revoked, suspended, resumed or amended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeDenied {
    /// The token has ended, and this change is for live tokens. A revocation never returns it.
    #[error("the token is {0}")]
    Ended(State),
    /// A newer version of this crate wrote the record, and this one could not change it.
    #[error("a newer version of this crate wrote the record")]
    NewerRecord,
    /// A field breaks a limit of a record or a rule of the change.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

/// The times that decide the state of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// The time of the service.
    pub(crate) now: DateTime<Utc>,
    /// The earlier of the service's time and the clock's reading. A suspension passes by this time, because
    /// a clock that runs ahead must not resume a token. It stands still while a clock jump is not
    /// acknowledged.
    pub(crate) earlier: DateTime<Utc>,
}

impl Times {
    /// Returns the times of a clock that was never ahead.
    #[inline]
    pub(crate) fn at(now: DateTime<Utc>) -> Self {
        Self { now, earlier: now }
    }
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
        self.state_by(Times::at(now))
    }

    /// Returns the state of the token by these times.
    #[inline]
    pub(crate) fn state_by(&self, times: Times) -> State {
        if self.revocation().is_some() {
            State::Revoked
        } else if self.expires_at.is_some_and(|end| times.now >= end) {
            State::Expired
        } else if self.is_suspended(times.earlier) {
            State::Suspended
        } else if self.is_pending(times.now) {
            State::Pending
        } else {
            State::Active
        }
    }

    /// Returns whether the record has no field that few tokens have. Such a token has one secret, no
    /// networks, and is neither revoked nor suspended.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.rare.is_none()
    }

    /// Returns whether the token has started and has not expired.
    #[inline]
    pub(crate) fn is_within_period(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| now < end) && !self.is_pending(now)
    }

    /// Returns whether the token's `not_before` is in the future.
    #[inline]
    pub(crate) fn is_pending(&self, now: DateTime<Utc>) -> bool {
        self.not_before.is_some_and(|start| now < start)
    }

    /// Checks that the token has not ended and that this version of the crate can change the record.
    pub(crate) fn expect_live(&self, now: DateTime<Utc>) -> Result<(), ChangeDenied> {
        match self.state(now) {
            _ if self.is_newer() => Err(ChangeDenied::NewerRecord),
            state @ (State::Expired | State::Revoked) => Err(ChangeDenied::Ended(state)),
            State::Pending | State::Active | State::Suspended => Ok(()),
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
    /// Returns [`ChangeDenied`], but never `Ended`. A wrong clock never prevents a revocation.
    pub(crate) fn revoke(
        &self,
        now: DateTime<Utc>,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Option<Self>, ChangeDenied> {
        if self.revocation().is_some() {
            return Ok(None);
        }
        if self.is_newer() {
            return Err(ChangeDenied::NewerRecord);
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
}
