//! Matching a record again for a secret that was verified before, without the secret.

use chrono::{DateTime, Utc};

use super::{Matched, PresentedSecret, Record};
use crate::digest::Digests;
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
    pub(crate) fn matched_before<'r>(
        &'r self,
        secret_created_at: DateTime<Utc>,
        digests: &'r Digests,
    ) -> Result<Matched<'r>, Refusal> {
        if self.is_newer() {
            return Err(Refusal::NewerRecord);
        }
        let (presented, digest) = if self.newest.created_at == secret_created_at {
            (PresentedSecret::Newest, &self.newest.digest)
        } else {
            match self.older().filter(|older| older.created_at == secret_created_at) {
                Some(older) => (PresentedSecret::Older, &older.digest),
                None => (PresentedSecret::Ended, &self.newest.digest),
            }
        };
        Ok(Matched::new(self, presented, digest, digests))
    }
}
