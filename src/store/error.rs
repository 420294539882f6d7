//! What can go wrong in a store.

use crate::record::{CorruptRecord, Record};

/// The cause behind a [`StoreError`], as the storage's own driver reports it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong in a store. Authors of stores make these; the service acts on their kind.
///
/// ```
/// use service_tokens::store::StoreError;
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = StoreError::unavailable(refused);
/// assert!(matches!(error, StoreError::Unavailable { .. }));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A record with this id exists; nothing was written.
    #[error("a record with this id exists")]
    Exists,
    /// The record is not the one that the caller read: another version, owner or creation time, or
    /// none at all. Nothing was written; read again.
    #[error("the record changed meanwhile")]
    Conflict,
    /// The store cannot be reached or cannot answer. Nothing was written.
    #[error("the store is unavailable and wrote nothing")]
    Unavailable {
        /// The cause.
        source: BoxError,
    },
    /// The answer was lost: the change may have been written or not. Reading tells.
    #[error("the store's answer was lost: the change may have been written")]
    Indeterminate {
        /// The cause.
        source: BoxError,
    },
    /// There is no room. Nothing was written; reading goes on.
    #[error("the store is full and wrote nothing")]
    Full {
        /// The cause.
        source: BoxError,
    },
    /// The store was opened for reading only.
    #[error("the store is read-only")]
    ReadOnly,
    /// A newer program wrote the record; this one must not replace it.
    #[error("a newer program wrote the record: use that one to change it")]
    NewerFormat,
    /// What is stored is no record, or not the one it should be.
    #[error("the stored record is damaged")]
    Corrupt {
        /// The cause.
        source: BoxError,
    },
    /// The store does not keep what the query asks for.
    #[error("the store does not support this query: {what}")]
    Unsupported {
        /// What it lacks.
        what: &'static str,
    },
}

impl StoreError {
    /// [`StoreError::Unavailable`] with its cause.
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable { source: source.into() }
    }

    /// [`StoreError::Indeterminate`] with its cause.
    pub fn indeterminate(source: impl Into<BoxError>) -> Self {
        Self::Indeterminate { source: source.into() }
    }

    /// [`StoreError::Full`] with its cause.
    pub fn full(source: impl Into<BoxError>) -> Self {
        Self::Full { source: source.into() }
    }

    /// [`StoreError::Corrupt`] with its cause.
    pub fn corrupt(source: impl Into<BoxError>) -> Self {
        Self::Corrupt { source: source.into() }
    }

    /// The error for a query by last use on a store that does not track it.
    pub fn last_use_not_tracked() -> Self {
        Self::Unsupported { what: "last use is not tracked" }
    }

    /// Whether `replacement` may take the place of `present`, for a store that has both at hand.
    /// Comparing the version is the store's own part.
    ///
    /// # Errors
    ///
    /// [`StoreError::NewerFormat`] or [`StoreError::Conflict`], as
    /// [`TokenStore::replace`](super::TokenStore::replace) asks for.
    pub fn check_replacement(present: &Record, replacement: &Record) -> Result<(), Self> {
        if present.is_newer() {
            return Err(Self::NewerFormat);
        }
        let same = present.id() == replacement.id()
            && present.owner() == replacement.owner()
            && present.created_at() == replacement.created_at();
        if same { Ok(()) } else { Err(Self::Conflict) }
    }
}

impl From<CorruptRecord> for StoreError {
    fn from(corrupt: CorruptRecord) -> Self {
        Self::corrupt(corrupt)
    }
}
