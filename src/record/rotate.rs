//! The rotation of a token, and the end of its older secret, as pure functions.

use chrono::{DateTime, Utc};

use super::field::{Field, InvalidField, Rule, nearest_valid};
use super::lifecycle::{ChangeDenied, State, Times};
use super::{EndedSecret, NewestSecret, OlderSecret, Rare, Record};
use crate::clock::{NAMED_APART, names, whole_micros};
use crate::digest::StoredDigest;
use crate::token::TokenId;

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
pub(crate) struct Rotation<'r> {
    /// The digest of the new secret.
    pub(crate) digest: StoredDigest,
    /// The end of the newest secret so far.
    pub(crate) older_ends: OlderEnds,
    /// The secret to discard. Required during an overlap.
    pub(crate) replaces: Option<ReplacedSecret>,
    /// The new expiry time. The old one is retained if this is `None`.
    pub(crate) expires_at: Option<Option<DateTime<Utc>>>,
    /// The person or program that rotates the token.
    pub(crate) by: Option<&'r str>,
    /// The calling token that rotates the token.
    pub(crate) on_behalf_of: Option<TokenId>,
    /// The creation time of the presented secret, if the token rotates itself.
    pub(crate) made_with: Option<DateTime<Utc>>,
}

/// The error returned when a token cannot be rotated, or its older secret cannot be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotateDenied {
    /// The token is not active, or has ended.
    #[error("only an active token can be rotated, and this one is {0}")]
    NotActive(State),
    /// Two secrets are accepted, and the request does not say which one it replaces.
    #[error(
        "two secrets are accepted, so the request must say whether it replaces the newest or the oldest"
    )]
    OverlapRuns,
    /// The token does not have the secret that the request names, because another caller has rotated
    /// the token.
    #[error("the token was rotated again, so it does not have the expected secret")]
    RotatedSince,
    /// A newer version of this crate wrote the record.
    #[error("a newer version of this crate wrote the record")]
    NewerRecord,
    /// A time is outside the range of a record, or an expiry time is not after now.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
}

impl Record {
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
        times: Times,
        rotation: &Rotation<'_>,
    ) -> Result<Self, RotateDenied> {
        if self.is_newer() {
            return Err(RotateDenied::NewerRecord);
        }
        match self.state_by(times) {
            State::Active => {}
            state => return Err(RotateDenied::NotActive(state)),
        }
        let now = times.now;
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
        rare.secret_by = rotation.by.map(Into::into);
        rare.secret_on_behalf_of = rotation.on_behalf_of;
        rare.secret_made_with = rotation.made_with.map(whole_micros);
        rotated.set_rare(rare);
        if let Some(end) = rotation.expires_at {
            rotated.set_end(end, now);
        }
        Ok(rotated)
    }

    /// Returns the record without its older secret, which ends at `now`, or `None` if that secret has ended
    /// already. The secret is named by its creation time.
    ///
    /// # Errors
    ///
    /// - [`RotateDenied::RotatedSince`] if the token has no older secret of that time, and no ended one.
    /// - [`RotateDenied::NotActive`] if the token has ended.
    /// - [`RotateDenied::NewerRecord`].
    pub(crate) fn end_older(
        &self,
        now: DateTime<Utc>,
        created_at: DateTime<Utc>,
    ) -> Result<Option<Self>, RotateDenied> {
        match self.expect_live(now) {
            Ok(()) => {}
            Err(ChangeDenied::Ended(state)) => return Err(RotateDenied::NotActive(state)),
            Err(_) => return Err(RotateDenied::NewerRecord),
        }
        let is_older = self.older().is_some_and(|older| names(created_at, older.created_at));
        if is_older && self.overlap(now).is_some() {
            let mut ended = self.clone();
            if let Some(rare) = ended.rare.as_mut()
                && let Some(older) = rare.older.take()
            {
                rare.ended = Some(older.ended(nearest_valid(now)));
            }
            return Ok(Some(ended));
        }
        if is_older || self.ended().is_some_and(|ended| names(created_at, ended.created_at)) {
            return Ok(None);
        }
        Err(RotateDenied::RotatedSince)
    }

    /// Returns the creation time and the end of the secret that ended last.
    pub(crate) fn last_ended(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        self.ended().map(|ended| (ended.created_at, ended.ended_at))
    }

    /// Sets the end. The time of the change is retained if the end is another one.
    pub(super) fn set_end(&mut self, end: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        let end = end.map(whole_micros);
        if end != self.expires_at {
            self.expires_at = end;
            self.rare.get_or_insert_default().end_set_at = Some(nearest_valid(now));
        }
    }
}

impl Rotation<'_> {
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
    fn replace_newest(
        &mut self,
        newest: NewestSecret,
        now: DateTime<Utc>,
        rotation: &Rotation<'_>,
    ) {
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
