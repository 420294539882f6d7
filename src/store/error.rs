//! The errors of a store.

use crate::record::{CorruptRecord, Record};

/// The cause of a [`StoreError`], as the driver of the storage reports it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The error of a store. Authors of stores create it, and the service acts on its kind.
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
    /// A record with this id exists. The write did not happen.
    #[error("a record with this id exists")]
    Exists,
    /// No record has this id, or the stored record has another version, owner or creation time. The write
    /// did not happen. Read the record again.
    #[error("the record is missing, or has another version, owner or creation time")]
    Conflict,
    /// The store cannot be reached or cannot answer. If the call was a write, it did not happen.
    #[error("the store is unavailable")]
    Unavailable {
        /// The cause.
        source: BoxError,
    },
    /// The answer was lost, so the write may have happened. Read the record to find out.
    #[error("the store's answer was lost, and the write may have happened")]
    Indeterminate {
        /// The cause.
        source: BoxError,
    },
    /// The storage is full. The write did not happen, and reading still works.
    #[error("the store is full and wrote nothing")]
    Full {
        /// The cause.
        source: BoxError,
    },
    /// The store was opened for reading only. The write did not happen.
    #[error("the store is read-only")]
    ReadOnly,
    /// A newer program wrote the record, so this program must not replace it.
    #[error("a newer program wrote the record: use that program to change it")]
    NewerFormat,
    /// The stored bytes are not a valid record, or are the record of another id.
    #[error("the stored record is damaged")]
    Corrupt {
        /// The cause.
        source: BoxError,
    },
    /// The store does not have the data that the query needs.
    #[error("the store does not support this query: {reason}")]
    Unsupported {
        /// The reason, such as "last use is not tracked".
        reason: &'static str,
    },
}

impl StoreError {
    /// Creates [`StoreError::Unavailable`] with its cause. Use it for a failed read, and for a write
    /// only if it did not happen.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::store::StoreError;
    ///
    /// let error = StoreError::unavailable("no connection is free");
    /// assert_eq!(error.to_string(), "the store is unavailable");
    /// ```
    pub fn unavailable(source: impl Into<BoxError>) -> Self {
        Self::Unavailable { source: source.into() }
    }

    /// Creates [`StoreError::Indeterminate`] with its cause. Use it if the connection broke after the
    /// write was sent, because the write may have happened.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::store::StoreError;
    ///
    /// let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    /// let error = StoreError::indeterminate(lost);
    /// assert!(matches!(error, StoreError::Indeterminate { .. }));
    /// ```
    pub fn indeterminate(source: impl Into<BoxError>) -> Self {
        Self::Indeterminate { source: source.into() }
    }

    /// Creates [`StoreError::Full`] with its cause. Use it only if the write did not happen.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::store::StoreError;
    ///
    /// let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    /// assert!(matches!(StoreError::full(full), StoreError::Full { .. }));
    /// ```
    pub fn full(source: impl Into<BoxError>) -> Self {
        Self::Full { source: source.into() }
    }

    /// Creates [`StoreError::Corrupt`] with its cause. The operator `?` makes it from a
    /// [`CorruptRecord`].
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::store::StoreError;
    /// use service_tokens::{Record, TokenId};
    ///
    /// fn read(id: TokenId, bytes: &[u8]) -> Result<Record, StoreError> {
    ///     let record = Record::from_bytes(bytes)?;
    ///     if record.id() != id {
    ///         return Err(StoreError::corrupt("the row contains the record of another id"));
    ///     }
    ///     Ok(record)
    /// }
    /// # let error = read(TokenId::from_bytes([0; 16]), b"damaged").unwrap_err();
    /// # assert!(matches!(error, StoreError::Corrupt { .. }));
    /// ```
    pub fn corrupt(source: impl Into<BoxError>) -> Self {
        Self::Corrupt { source: source.into() }
    }

    /// Creates the error for a query by last use on a store that does not track it.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::ListRequest;
    /// use service_tokens::store::StoreError;
    ///
    /// fn check(request: &ListRequest) -> Result<(), StoreError> {
    ///     match request.filter.unused_since {
    ///         Some(_) => Err(StoreError::last_use_not_tracked()),
    ///         None => Ok(()),
    ///     }
    /// }
    /// # assert!(check(&ListRequest::new()).is_ok());
    /// ```
    pub fn last_use_not_tracked() -> Self {
        Self::Unsupported { reason: "last use is not tracked" }
    }

    /// Creates an error of the same kind with the text of the same cause. Use it if one failure is the
    /// result of several rows of a call, as in [`TokenStore::find_many`](super::TokenStore::find_many).
    ///
    /// The cause of the new error is a text, because errors of drivers cannot be copied.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::store::StoreError;
    /// use service_tokens::{StoredRecord, TokenId};
    ///
    /// /// The statement for all ids failed, so each id gets the error.
    /// fn failed(ids: &[TokenId], error: StoreError) -> Vec<Result<Option<StoredRecord>, StoreError>> {
    ///     ids.iter().map(|_| Err(error.duplicate())).collect()
    /// }
    /// # let failed = failed(&[TokenId::from_bytes([0; 16])], StoreError::unavailable("timeout"));
    /// # assert!(matches!(failed[0], Err(StoreError::Unavailable { .. })));
    /// ```
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let text = |source: &BoxError| BoxError::from(with_sources(&**source));
        match self {
            Self::Exists => Self::Exists,
            Self::Conflict => Self::Conflict,
            Self::Unavailable { source } => Self::Unavailable { source: text(source) },
            Self::Indeterminate { source } => Self::Indeterminate { source: text(source) },
            Self::Full { source } => Self::Full { source: text(source) },
            Self::ReadOnly => Self::ReadOnly,
            Self::NewerFormat => Self::NewerFormat,
            Self::Corrupt { source } => Self::Corrupt { source: text(source) },
            Self::Unsupported { reason } => Self::Unsupported { reason },
        }
    }

    /// Returns whether a call for another record would fail with the same error.
    pub(crate) fn concerns_every_call(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Full { .. }
                | Self::ReadOnly
                | Self::Unsupported { .. }
        )
    }

    /// Checks whether `replacement` may replace `stored`, for a store that has both at hand. The store
    /// compares the version itself.
    ///
    /// # Errors
    ///
    /// - [`StoreError::NewerFormat`] if a newer program wrote `stored`.
    /// - [`StoreError::Conflict`] if the two records differ in id, owner or creation time.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::store::{StoreError, Version};
    /// use service_tokens::{Record, StoredRecord};
    ///
    /// fn may_replace(
    ///     stored: &StoredRecord,
    ///     replacement: &Record,
    ///     expected: Version,
    /// ) -> Result<(), StoreError> {
    ///     StoreError::check_replacement(&stored.record, replacement)?;
    ///     if stored.version == expected { Ok(()) } else { Err(StoreError::Conflict) }
    /// }
    /// ```
    pub fn check_replacement(stored: &Record, replacement: &Record) -> Result<(), Self> {
        if stored.is_newer() {
            return Err(Self::NewerFormat);
        }
        let same = stored.id() == replacement.id()
            && stored.owner() == replacement.owner()
            && stored.created_at() == replacement.created_at();
        if same { Ok(()) } else { Err(Self::Conflict) }
    }
}

impl From<CorruptRecord> for StoreError {
    fn from(corrupt: CorruptRecord) -> Self {
        Self::corrupt(corrupt)
    }
}

/// Returns the texts of an error and of its sources.
fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
