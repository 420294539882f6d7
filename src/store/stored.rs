//! What a store holds for a token: the record, its version and its last use.

use chrono::{DateTime, Utc};

use crate::clock::from_micros;
use crate::random::{RandomError, RandomSource};
use crate::record::Record;

/// The compare-and-swap number of a stored record, chosen by the store.
///
/// Each insert and each replacement returns a version that the store never used for this id, also after
/// the record was removed and another one inserted (`versions_are_new`). A version has no other meaning.
///
/// A store across a network draws a fresh number for each write with [`Version::random`]. A sequence or a
/// revision of the database is not enough there. After a failover to a server that had not received the
/// last writes, it counts through the same numbers again, and a write that was prepared before the failover
/// would replace another record than it had read. A store in one process, or in one file, may count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// Draws a version at random, below 2^63, so that it fits a signed column such as `bigint`.
    ///
    /// Among a billion versions of one record, two are equal with a probability of about 5 %, and a write
    /// is only at risk if the second one follows while the write waits.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the random source failed. The store then returns
    /// [`StoreError::Unavailable`](super::StoreError::Unavailable).
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::random::OsRandom;
    /// use service_tokens::store::{StoreError, Version};
    ///
    /// fn next_version() -> Result<Version, StoreError> {
    ///     Version::random(&OsRandom).map_err(StoreError::unavailable)
    /// }
    /// # assert!(next_version().is_ok_and(|version| i64::try_from(version.0).is_ok()));
    /// ```
    pub fn random(random: &dyn RandomSource) -> Result<Self, RandomError> {
        let mut bytes = [0; 8];
        random.fill(&mut bytes)?;
        Ok(Self(u64::from_ne_bytes(bytes) >> 1))
    }
}

/// The time at which a token was last accepted, as far as the store knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LastUsed {
    /// The store does not track last uses.
    NotTracked,
    /// The token was never used.
    Never,
    /// The latest time that [`TokenStore::touch`](super::TokenStore::touch) received.
    At(DateTime<Utc>),
}

impl LastUsed {
    /// Returns the time in microseconds since 1970, if one is known.
    #[inline]
    pub(crate) fn micros(self) -> Option<i64> {
        match self {
            Self::At(time) => Some(time.timestamp_micros()),
            Self::Never | Self::NotTracked => None,
        }
    }
}

/// A record as a store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// The record.
    pub record: Record,
    /// The record's version, for the next [`TokenStore::replace`](super::TokenStore::replace) or [`TokenStore::remove`](super::TokenStore::remove).
    pub version: Version,
    /// The token's last use.
    pub last_used: LastUsed,
}

impl StoredRecord {
    /// Creates the value that a store returns.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::store::{LastUsed, StoreError, Version};
    /// use service_tokens::{Record, StoredRecord};
    ///
    /// /// Reads the columns of a row.
    /// fn read(bytes: &[u8], version: u64) -> Result<StoredRecord, StoreError> {
    ///     let record = Record::from_bytes(bytes)?;
    ///     Ok(StoredRecord::new(record, Version(version), LastUsed::NotTracked))
    /// }
    /// # assert!(read(b"damaged", 1).is_err());
    /// ```
    pub fn new(record: Record, version: Version, last_used: LastUsed) -> Self {
        Self { record, version, last_used }
    }
}

/// A borrowed record, which [`TokenStore::find_now`](super::TokenStore::find_now) passes to its visitor.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RecordRef<'s> {
    /// The record.
    pub record: &'s Record,
    /// The record's version.
    pub version: Version,
    /// Whether the store tracks last uses.
    tracked: bool,
    /// The last use in microseconds since 1970. It is a number, because a verification only compares it,
    /// and a conversion to a date costs time.
    used_micros: Option<i64>,
}

impl<'s> RecordRef<'s> {
    /// Creates the value that a store passes to the visitor.
    ///
    /// # Examples
    ///
    /// The method [`TokenStore::find_now`](super::TokenStore::find_now) of a store that has every record in memory:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use service_tokens::store::{LastUsed, RecordRef, Version};
    /// use service_tokens::{Record, TokenId};
    ///
    /// struct InMemory(HashMap<TokenId, (Record, Version)>);
    ///
    /// impl InMemory {
    ///     fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
    ///         let found = self.0.get(&id);
    ///         visit(found.map(|(record, version)| {
    ///             RecordRef::new(record, *version, LastUsed::NotTracked)
    ///         }));
    ///         true
    ///     }
    /// }
    /// # let empty = InMemory(HashMap::new());
    /// # assert!(empty.find_now(TokenId::from_bytes([0; 16]), &mut |found| assert!(found.is_none())));
    /// ```
    pub fn new(record: &'s Record, version: Version, last_used: LastUsed) -> Self {
        let tracked = last_used != LastUsed::NotTracked;
        Self { record, version, tracked, used_micros: last_used.micros() }
    }

    #[cfg(any(feature = "memory", feature = "file"))]
    #[inline]
    pub(crate) fn used_at(record: &'s Record, version: Version, used: Option<i64>) -> Self {
        Self { record, version, tracked: true, used_micros: used }
    }

    /// Returns the token's last use.
    pub fn last_used(&self) -> LastUsed {
        match self.used_micros {
            Some(micros) => LastUsed::At(from_micros(micros)),
            None if self.tracked => LastUsed::Never,
            None => LastUsed::NotTracked,
        }
    }

    /// Returns the last use in microseconds since 1970, if one is known.
    #[inline]
    pub(crate) fn used_micros(&self) -> Option<i64> {
        self.used_micros
    }
}
