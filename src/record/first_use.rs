//! The first use of a new secret, where it ends the overlap with the older one.

use chrono::{DateTime, Utc};

use super::field::nearest_valid;
use super::{Matched, PresentedSecret, Record};
use crate::digest::StoredDigest;

/// That the newest secret of a record was presented while an overlap ran that this ends. It is bound
/// to that secret: after another rotation it ends nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FirstUse {
    newest: StoredDigest,
}

impl FirstUse {
    /// A number for this secret, by which to remember that it was tried.
    pub(crate) fn number(&self) -> u128 {
        let bytes = self.newest.to_bytes();
        bytes.iter().rev().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
    }
}

impl Matched<'_> {
    /// The first use that an acceptance of this proof at `now` would be. Most records have nothing
    /// that it could end, and that is all that is looked at.
    #[inline]
    pub(crate) fn first_use(&self, now: DateTime<Utc>) -> Option<FirstUse> {
        let overlap = self.record.overlap(now)?;
        (overlap.ends_on_first_use && self.presented == PresentedSecret::Newest)
            .then_some(FirstUse { newest: self.record.newest.digest })
    }
}

impl Record {
    /// The record without its older secret, which ended at `now` because the newest was used; `None`
    /// if that is settled: the overlap has ended, another secret is the newest, the token is dead.
    pub(crate) fn first_used(&self, first_use: &FirstUse, now: DateTime<Utc>) -> Option<Self> {
        let ends = self.overlap(now)?.ends_on_first_use
            && self.newest.digest == first_use.newest
            && self.ended_at(now).is_none()
            && !self.is_newer();
        if !ends {
            return None;
        }
        let mut used = self.clone();
        let rare = used.rare.as_mut()?;
        rare.ended = Some(rare.older.take()?.ended(nearest_valid(now)));
        Some(used)
    }
}
