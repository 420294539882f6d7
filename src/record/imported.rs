//! The digest by which a token was imported.

use super::Record;
use crate::digest::StoredDigest;

impl Record {
    /// Returns whether the record is that of a token imported by this digest, given that it has the id of
    /// the digest.
    ///
    /// Rotations may have dropped the digest. A record without any imported digest counts as a match, because
    /// the id is a hash of the digest.
    pub(crate) fn was_imported_by(&self, digest: &StoredDigest) -> bool {
        let digests = [
            Some(&self.newest.digest),
            self.older().map(|older| &older.digest),
            self.ended().map(|ended| &ended.digest),
        ];
        self.holds(digest) || !digests.into_iter().flatten().any(StoredDigest::is_imported)
    }
}
