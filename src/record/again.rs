//! A comparison that was made before, on the record as it is now.

use chrono::{DateTime, Utc};

use super::{Matched, PresentedSecret, Record};
use crate::refusal::Refusal;

impl Matched<'_> {
    /// When the presented secret was made: no two of a record are made at one time.
    #[inline]
    pub(crate) fn secret_created_at(&self) -> DateTime<Utc> {
        let record = self.record;
        let made_at = match self.presented {
            PresentedSecret::Newest => Some(record.newest.created_at),
            PresentedSecret::Older => record.older().map(|older| older.created_at),
            PresentedSecret::Ended => record.ended().map(|ended| ended.created_at),
        };
        made_at.unwrap_or(record.created_at)
    }
}

impl Record {
    /// The proof for a secret that was found to be this token's earlier, and that was made at this
    /// time. One that the record has forgotten since counts as ended.
    ///
    /// # Errors
    ///
    /// A newer program has written the record since.
    pub(crate) fn matched_before(
        &self,
        secret_created_at: DateTime<Utc>,
    ) -> Result<Matched<'_>, Refusal> {
        if self.is_newer() {
            return Err(Refusal::NewerRecord);
        }
        let presented = if self.newest.created_at == secret_created_at {
            PresentedSecret::Newest
        } else if self.older().is_some_and(|older| older.created_at == secret_created_at) {
            PresentedSecret::Older
        } else {
            PresentedSecret::Ended
        };
        Ok(Matched { record: self, presented })
    }
}
