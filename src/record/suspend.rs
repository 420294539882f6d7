//! The suspension of a token, as pure functions.

use chrono::{DateTime, Utc};

use super::Record;
use super::field::{Field, MAX_TEXT_LEN, Rule, nearest_valid};
use super::lifecycle::ChangeDenied;
use crate::clock::whole_micros;

/// The suspension of a token. Until it passes or the token is resumed, the token is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suspension {
    /// The time of the suspension. All tokens of one bulk suspension have the same time.
    pub since: DateTime<Utc>,
    /// The time at which the suspension passes by itself, or `None` if it lasts until the token is
    /// resumed.
    pub until: Option<DateTime<Utc>>,
    /// The person or program that suspended the token, named by the embedder.
    pub by: Option<Box<str>>,
    /// The reason, for people who read the record later.
    pub reason: Option<Box<str>>,
}

/// The input of a suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewSuspension<'r> {
    pub(crate) since: DateTime<Utc>,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) by: Option<&'r str>,
    pub(crate) reason: Option<&'r str>,
}

impl Suspension {
    /// Returns whether this suspension ends later than a suspension until the given time.
    fn outlasts(&self, until: Option<DateTime<Utc>>) -> bool {
        match (self.until, until) {
            (None, until) => until.is_some(),
            (Some(own), Some(until)) => own > until,
            (Some(_), None) => false,
        }
    }
}

impl Record {
    /// Returns whether the token is suspended at this time.
    #[inline]
    pub(crate) fn is_suspended(&self, now: DateTime<Utc>) -> bool {
        self.suspension().is_some_and(|suspension| suspension.until.is_none_or(|end| now < end))
    }

    /// Returns whether the token has a suspension that passes by itself.
    #[inline]
    pub(crate) fn has_suspension_end(&self) -> bool {
        self.suspension().is_some_and(|suspension| suspension.until.is_some())
    }

    /// Returns the suspended record, or `None` if the token is suspended for as long or longer.
    ///
    /// A suspension that lasts longer takes the place of the one before. So resuming the earlier one does
    /// not end the later one.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeDenied`].
    pub(crate) fn suspend(
        &self,
        now: DateTime<Utc>,
        new: NewSuspension<'_>,
    ) -> Result<Option<Self>, ChangeDenied> {
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
        let suspension = Suspension {
            since: nearest_valid(new.since),
            until,
            by: new.by.map(Into::into),
            reason: new.reason.map(Into::into),
        };
        if self.suspension().is_some_and(|present| !suspension.outlasts(present.until)) {
            return Ok(None);
        }
        let mut suspended = self.clone();
        suspended.rare.get_or_insert_default().suspension = Some(suspension);
        Ok(Some(suspended))
    }

    /// Returns the record without its suspension, or `None` if the token is not suspended at the time
    /// `earlier`.
    ///
    /// # Errors
    ///
    /// Returns [`ChangeDenied`].
    pub(crate) fn resume(
        &self,
        now: DateTime<Utc>,
        earlier: DateTime<Utc>,
    ) -> Result<Option<Self>, ChangeDenied> {
        self.expect_live(now)?;
        if !self.is_suspended(earlier) {
            return Ok(None);
        }
        let mut resumed = self.clone();
        let mut rare = resumed.rare.take().map(|rare| *rare).unwrap_or_default();
        rare.suspension = None;
        resumed.set_rare(rare);
        Ok(Some(resumed))
    }
}
