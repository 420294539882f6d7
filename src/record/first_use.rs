//! The first use of a new secret, which may end the overlap with the older one.

use chrono::{DateTime, Utc};

use super::field::nearest_valid;
use super::{Matched, PresentedSecret, Record};
use crate::digest::StoredDigest;

/// Evidence that the newest secret was presented during an overlap that ends on this use. It is
/// bound to the secret, so it has no effect after another rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FirstUse {
    newest: StoredDigest,
}

impl FirstUse {
    /// Returns a number that identifies the secret, to remember that it was tried.
    pub(crate) fn number(&self) -> u128 {
        let bytes = self.newest.to_bytes();
        bytes.iter().rev().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
    }
}

impl Matched<'_> {
    /// Returns the first use that accepting this match at `now` would be. Most records have no
    /// overlap, and then only this is checked.
    #[inline]
    pub(crate) fn first_use(&self, now: DateTime<Utc>) -> Option<FirstUse> {
        let overlap = self.record.overlap(now)?;
        (overlap.ends_on_first_use && self.presented == PresentedSecret::Newest)
            .then_some(FirstUse { newest: self.record.newest.digest })
    }
}

impl Record {
    /// Returns the record without its older secret, which ends at `now`. Returns `None` if the
    /// record does not change, because the overlap has ended, another secret is the newest, or the
    /// token has ended.
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
