//! Matching a record again for a secret that was verified before, without the secret.

use chrono::{DateTime, Utc};

use super::{Matched, PresentedSecret, Record};
use crate::refusal::Refusal;

impl Matched<'_> {
    /// Returns the creation time of the presented secret. It is unique within the record.
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
    /// Returns a match for a secret that was found to be this token's earlier and was created at
    /// this time. A secret that the record does not contain any more counts as ended.
    ///
    /// # Errors
    ///
    /// Returns an error if a newer version of this crate has written the record in the meantime.
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
