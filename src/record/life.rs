//! A record's life: pure functions, each of which returns the record as it is afterwards.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::field::{Field, InvalidField, MAX_TEXT_LEN, Rule, nearest_valid};
use super::{EndedSecret, NewestSecret, OlderSecret, Rare, Record, Revocation};
use crate::clock::whole_micros;
use crate::digest::StoredDigest;

/// Where a token is in its life: see [the manual](crate::manual::life#states) for how it gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum State {
    /// Issued, not yet accepted: its `not_before` lies ahead.
    Pending,
    /// Accepted.
    Active,
    /// Its `expires_at` has come.
    Expired,
    /// Revoked, for good.
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

/// When the secret that a rotation replaces ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OlderEnds {
    /// With the rotation itself: it leaked.
    Now,
    /// At this time; exclusive.
    At(DateTime<Utc>),
    /// When the new secret is first used, and at this time at the latest.
    OnFirstUse {
        /// The latest end; exclusive.
        latest: DateTime<Utc>,
    },
}

/// Which secret a rotation replaces while an overlap of two runs. Without one it makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplacedSecret {
    /// The newest, because the answer that carried it was lost. It ends at once; the older one keeps
    /// the end that it has, be it with the first use of the newest, which is now the one that this
    /// rotation makes. Unless the rotation is one at once: a leak ends both.
    Newest,
    /// The oldest: it ends at once, and the newest becomes the older one of a new overlap.
    Oldest,
}

/// What a rotation is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// The new secret's digest.
    pub(crate) digest: StoredDigest,
    /// When the replaced secret ends.
    pub(crate) older_ends: OlderEnds,
    /// Required while an overlap runs.
    pub(crate) replaces: Option<ReplacedSecret>,
    /// A new end of the token; the old one stays if there is none.
    pub(crate) expires_at: Option<Option<DateTime<Utc>>>,
}

/// Why a record does not rotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotateDenied {
    /// Only active tokens rotate.
    #[error("only active tokens rotate, and this one is {0}")]
    NotActive(State),
    /// Two secrets are accepted at the moment, and the request does not say which one it replaces.
    #[error("an overlap of two secrets runs: say whether the newest or the oldest is replaced")]
    OverlapRuns,
    /// The newest secret is not the one that the request names: somebody else has rotated since.
    #[error("the token was rotated since: its newest secret is another one")]
    RotatedSince,
    /// A newer program wrote the record.
    #[error("a newer program wrote the record")]
    NewerRecord,
    /// A time that no record can hold, or an end that is not after now.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

/// Why a record is not revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RevokeDenied {
    /// A newer program wrote the record: this one would not be able to write the revocation.
    #[error("a newer program wrote the record")]
    NewerRecord,
    /// An actor or a reason that no record can hold.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

impl Record {
    /// Where the token is in its life at `now`.
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

    /// When the token died or will die: the earlier of revocation and expiry. For an index column.
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        match (self.revocation().map(|revocation| revocation.at), self.expires_at()) {
            (Some(revoked), Some(expires)) => Some(revoked.min(expires)),
            (revoked, expires) => revoked.or(expires),
        }
    }

    /// When the token died, if it is dead at `now`.
    pub fn ended_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Revoked is a state: it holds whatever the clock says.
        self.ends_at().filter(|end| self.revocation().is_some() || now >= *end)
    }

    /// The record, revoked; `None` if it is so already: the first revocation stands.
    ///
    /// # Errors
    ///
    /// [`RevokeDenied`]. Never because of what time it is.
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

    /// Refuses if the newest secret is not the one that was made at this time.
    ///
    /// # Errors
    ///
    /// [`RotateDenied::RotatedSince`], or [`RotateDenied::NewerRecord`].
    pub(crate) fn expect_newest(&self, made_at: DateTime<Utc>) -> Result<(), RotateDenied> {
        if self.is_newer() {
            return Err(RotateDenied::NewerRecord);
        }
        if whole_micros(made_at) == self.newest.created_at {
            Ok(())
        } else {
            Err(RotateDenied::RotatedSince)
        }
    }

    /// The record with a new secret. The id stays; at most two secrets live; the one that ended last
    /// leaves its digest behind, so that its use is recognised.
    ///
    /// # Errors
    ///
    /// [`RotateDenied`]. What a policy allows is not asked here.
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
        // A secret is known by when it was made, so none is made when another was: the clock may
        // stand still, or run behind that of the process which made the last one.
        let next = nearest_valid(self.newest.created_at + TimeDelta::microseconds(1));
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
            // What is still there as older has ended by itself, or ends now because it is the oldest.
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
    /// Refuses times that no record can hold.
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
