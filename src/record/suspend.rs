//! The suspensions of a token, as pure functions.
//!
//! A token can be suspended for several reasons at once, for example for an unpaid bill and because of an
//! incident. Each of them is a suspension of its own, named by its author and reason. So ending one of them
//! does not end another, and the token is refused until the last one has ended.
//!
//! A record has at most [`MAX_SUSPENSIONS`]. One more of the embedder takes the place of the one that ends
//! first, and takes over its end, because it must neither be refused nor shorten another one. A calling token
//! takes the place of a suspension that has passed only, because an operator may have made the others.
//!
//! A suspension that has passed stays in the record until it is resumed or its place is needed. A clock that
//! runs ahead must not delete it.

use chrono::{DateTime, Utc};

use super::Record;
use super::field::{Field, MAX_TEXT_LEN, Rule, nearest_valid};
use super::lifecycle::ChangeDenied;
use super::suspension::{MAX_SUSPENSIONS, Suspension};
use crate::clock::whole_micros;

/// The input of a suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewSuspension<'r> {
    pub(crate) since: DateTime<Utc>,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) by: Option<&'r str>,
    pub(crate) reason: Option<&'r str>,
    /// Whether it may take the place of another one that has not passed, if the record has no room.
    pub(crate) displaces: bool,
}

impl Record {
    /// Returns whether the token is suspended at this time.
    #[inline]
    pub(crate) fn is_suspended(&self, earlier: DateTime<Utc>) -> bool {
        self.suspensions().iter().any(|suspension| suspension.is_running(earlier))
    }

    /// Returns whether the token has a suspension that passes by itself.
    #[inline]
    pub(crate) fn has_suspension_end(&self) -> bool {
        self.suspensions().iter().any(|suspension| suspension.until.is_some())
    }

    /// Returns the suspension with this author and reason.
    pub(crate) fn suspension_named(
        &self,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Option<&Suspension> {
        self.suspensions().iter().find(|suspension| suspension.is_named(by, reason))
    }

    /// Returns the record with one more suspension and the one whose place it took, or `None` if the record
    /// has one with the same name that lasts as long or longer.
    ///
    /// A suspension takes the place of a shorter one with the same name. If the record has no room, it takes
    /// the place of one that has passed at `now`, or of another one if it displaces.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeDenied`].
    pub(crate) fn suspend(
        &self,
        now: DateTime<Utc>,
        new: NewSuspension<'_>,
    ) -> Result<Option<(Self, Option<Suspension>)>, ChangeDenied> {
        self.expect_live(now)?;
        for (field, text) in [(Field::SuspendedBy, new.by), (Field::Reason, new.reason)] {
            text.map_or(Ok(()), |text| field.filled(text, MAX_TEXT_LEN))?;
        }
        let until = new.until.map(whole_micros);
        if let Some(end) = until {
            Field::SuspendedUntil.in_range(end)?;
            if end <= now {
                return Err(Field::SuspendedUntil.breaks(Rule::NotAfterNow).into());
            }
        }
        let mut suspension = Suspension {
            since: nearest_valid(new.since),
            until,
            by: new.by.map(Into::into),
            reason: new.reason.map(Into::into),
        };
        let named = self.suspension_named(new.by, new.reason);
        if named.is_some_and(|named| named.cmp_end(&suspension).is_ge()) {
            return Ok(None);
        }
        let mut suspensions = self.suspensions().to_vec();
        let named = suspensions.iter().position(|other| other.is_named(new.by, new.reason));
        let replaced = match named {
            Some(index) => Some(suspensions.remove(index)),
            None if suspensions.len() < MAX_SUSPENSIONS => None,
            None if new.displaces || suspensions.iter().any(|other| !other.is_running(now)) => {
                suspension.take_over_first_to_end(&mut suspensions)
            }
            None => {
                let max = MAX_SUSPENSIONS;
                return Err(Field::Suspensions.breaks(Rule::TooMany { max }).into());
            }
        };
        suspensions.push(suspension);
        suspensions.sort_by(Suspension::cmp_place);
        let mut suspended = self.clone();
        suspended.rare.get_or_insert_default().suspensions = suspensions;
        Ok(Some((suspended, replaced)))
    }

    /// Returns the record without the selected suspensions, and these, or `None` if it has none of them.
    /// Whether they have passed has no effect.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeDenied`].
    pub(crate) fn resume(
        &self,
        now: DateTime<Utc>,
        selects: impl Fn(&Suspension) -> bool,
    ) -> Result<Option<(Self, Vec<Suspension>)>, ChangeDenied> {
        self.expect_live(now)?;
        let all = self.suspensions().iter().cloned();
        let (ended, others): (Vec<Suspension>, Vec<Suspension>) =
            all.partition(|suspension| selects(suspension));
        if ended.is_empty() {
            return Ok(None);
        }
        let mut resumed = self.clone();
        let mut rare = resumed.rare.take().map(|rare| *rare).unwrap_or_default();
        rare.suspensions = others;
        resumed.set_rare(rare);
        Ok(Some((resumed, ended)))
    }
}
