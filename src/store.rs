//! The contract between the service and the storage that holds its records.
//!
//! Implement [`TokenStore`] for the storage that you already run. The module also has the types that a
//! store receives and returns, and the error that it reports. The manual goes through an
//! implementation in [writing a store](crate::manual::writing_a_store).

mod error;
mod filter;
mod list;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

pub use error::{BoxError, StoreError};
pub use filter::{Filter, States};
pub use list::{ListRequest, MAX_PAGE_LEN, Order, Page};

use crate::clock::from_micros;
use crate::record::Record;
use crate::token::TokenId;

/// The compare-and-swap number of a stored record, chosen by the store.
///
/// Each insert and each replacement returns a version that the store never used for this id, also after
/// the record was removed and another one inserted (`versions_are_new`). A version has no other meaning.
/// A store may use a sequence or the revision of its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

/// The time at which a token was last accepted, as far as the store knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LastUsed {
    /// The store does not track last uses.
    NotTracked,
    /// The token was never used.
    Never,
    /// The latest time that [`TokenStore::touch`] received.
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
    /// The record's version, for the next [`TokenStore::replace`] or [`TokenStore::remove`].
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

/// A borrowed record, which [`TokenStore::find_now`] passes to its visitor.
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
    /// The method [`TokenStore::find_now`] of a store that has every record in memory:
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

/// An entry of a change feed, as [`ChangeStream::next`] returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The record of this id was inserted, replaced or removed.
    Record(TokenId),
    /// Changes may have been missed, so every cached record must be dropped.
    Missed,
}

/// A feed of the ids whose records change, also if another process writes them.
#[async_trait]
pub trait ChangeStream: Send {
    /// Waits for the next change and returns it. Dropping the future must not lose a change.
    ///
    /// # Errors
    ///
    /// Any error if the stream broke and will not return another change. The caller opens a new stream
    /// with [`TokenStore::changes`] and treats the time in between as [`Change::Missed`].
    async fn next(&mut self) -> Result<Change, StoreError>;
}

/// The storage for the records of tokens. Implement it for the storage that you already run.
///
/// Put the attribute [`async_trait`](macro@crate::async_trait) on the `impl`. The file
/// `examples/custom_store.rs` is a complete store.
///
/// Five methods are required. The other five have defaults that are correct for a store without last use,
/// without a change feed, without records in memory and without a resource that must be closed. A store that returns `true` from
/// [`tracks_last_used`](Self::tracks_last_used) must also implement [`touch`](Self::touch). A
/// [wrapper](#wrappers) must implement all ten.
///
/// A store saves [`Record::to_bytes`] and, next to it, the columns by which it searches. It takes those
/// columns from the record's accessors. A store contains no rule about revocation, rotation or expiry,
/// because the crate applies these rules above the store.
///
/// The feature `conformance` has a suite that tests a store against this contract. Names such as
/// `one_insert_wins` are checks of the suite, see `conformance::Promise`. The manual builds a store over a
/// database table in [writing a store](crate::manual::writing_a_store).
///
/// # Contract
///
/// **Operations on one id are atomic and linearizable.** Every call sees all writes that were
/// acknowledged before it (`read_your_writes`), from every clone, connection and process
/// (`handles_agree`). Of several concurrent [`insert`](Self::insert) calls with one id, at most one
/// succeeds, and exactly one if the id is free and no call fails (`one_insert_wins`). The same holds for concurrent [`replace`](Self::replace) and
/// [`remove`](Self::remove) calls with one version (`one_replace_wins`), also on several threads
/// (`threads_agree`). A call whose future is dropped takes effect completely or not at all
/// (`dropped_calls_are_atomic`). The exception is [`touch`](Self::touch). A part of its batch may be
/// written, because the service can repeat the batch safely. A refused or dropped call leaves neither a
/// lock nor a lost connection behind (`calls_leave_nothing_behind`).
///
/// **Acknowledged means durable.** After a call has returned `Ok`, the write survives every failure that
/// the store promises to survive, and at least closing and opening the store (`survives_reopening`).
///
/// **Texts are bytes.** A store compares ids (`ids_are_exact`), owners (`owners_are_separate`) and all
/// other texts (`text_is_compared_as_bytes`) byte by byte. It must not fold case, trim, collate or
/// normalise them, and a text does not end at a NUL (`text_is_preserved`). Times keep their
/// microseconds. A read returns exactly the record that was written (`record_is_preserved`).
///
/// **Time is an argument.** A store must not read a clock for a decision about a token. Methods that
/// need the time receive it (`states_follow_now`).
///
/// **Input is hostile.** Anyone who can reach the service chooses the id given to [`find`](Self::find),
/// which may be any 128-bit number. A caller that issues tokens chooses texts of the record, and a
/// caller that lists them chooses the texts of a [`Filter`]. These texts are bounded in length and
/// otherwise arbitrary. Never put them into a query language without escaping or binding them. A store
/// never receives a secret. The service trusts the data that a store returns, so protect write access: a
/// person who can write to the storage can forge records.
///
/// **An error says whether the write happened.** After [`StoreError::Unavailable`] the service assumes
/// that the write did not happen, and after [`StoreError::Indeterminate`] that it may have happened. Never
/// report a failure as absence: if the storage could not answer, return an error and not `Ok(None)`, an
/// empty page, `Exists` or `Conflict` (`failures_are_errors`). Never acknowledge a write that does not
/// happen. After an outage the same store answers again (`outages_end`).
///
/// | situation | a read returns | a write returns |
/// | --- | --- | --- |
/// | the call was refused before it was sent | `Unavailable` | `Unavailable` |
/// | the answer was lost after the call was sent | `Unavailable` | `Indeterminate` |
/// | the row is missing | `Ok(None)` | `Conflict` (`replace`, `remove`) |
/// | the row is damaged | `Corrupt` | `Corrupt`, if the write reads the row |
///
/// The checks of these rows are `refused_calls_are_unavailable`, `lost_answers_are_indeterminate` and
/// `damage_is_reported`.
///
/// The text of an error must not contain the bytes of a record (`errors_leak_nothing`).
///
/// **A new method of this trait has a default** that is correct for every store except a wrapper.
///
/// # Wrappers
///
/// A store that wraps another store, for example to measure it, must forward every method. With a default
/// it would hide the last uses, the change feed and the records in memory of the store inside, and
/// [`touch`](Self::touch) would lose the uses. The attribute `#[deny(clippy::missing_trait_methods)]` on
/// the `impl` makes Clippy report a method that is not forwarded, also if a later version of this crate
/// adds it. `Arc<S>` and `Box<S>` forward in this way.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Stores a new record and returns its first version.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Exists`] if a record with this id exists. That record must not change, and the
    ///   error is the same if both records are equal (`insert_never_overwrites`).
    /// - [`StoreError::Corrupt`], if the store reads the bytes under this id and they are not a valid
    ///   record.
    async fn insert(&self, record: &Record) -> Result<Version, StoreError>;

    /// Returns the record with this id, or `None` if the store has no record with this id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the bytes under this id are not a valid record, or are the record of
    /// another id.
    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError>;

    /// Replaces the record with the same id if its version is `expected`, and returns the new version.
    ///
    /// The last use must not change (`replace_preserves_last_use`).
    ///
    /// The comparison and the write are one atomic operation, called compare-and-swap. In SQL, one
    /// statement does both. If it changes 0 rows, another call was first, which is a `Conflict`:
    ///
    /// ```sql
    /// UPDATE tokens SET version = $3, record = $4 WHERE id = $1 AND version = $2
    /// ```
    ///
    /// The complete statement is in [writing a store](crate::manual::writing_a_store). It also compares the
    /// owner, the creation time and the format.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Conflict`] if no record has this id (`replace_creates_nothing`), if the stored
    ///   record has another version (`replace_requires_the_version`), or if its owner or creation time
    ///   is not that of the replacement (`replace_preserves_identity`).
    /// - [`StoreError::Corrupt`], if the store reads the bytes under this id and they are not a valid
    ///   record.
    /// - [`StoreError::NewerFormat`] if the stored record is in a format that is newer than this crate
    ///   reads ([`Record::is_newer`]). Such a record may carry a restriction that a replacement would
    ///   lose (`newer_record_is_protected`).
    ///
    /// After any error except [`StoreError::Indeterminate`], the record must be unchanged. If several
    /// errors apply, return any of them.
    /// [`StoreError::check_replacement`] compares owner, creation time and format for a store that has
    /// the stored record at hand.
    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError>;

    /// Removes the record with this id, and its last use, if its version is `expected`
    /// (`removed_record_is_gone`).
    ///
    /// # Errors
    ///
    /// - [`StoreError::Conflict`] if no record has this id, or if the record has another version
    ///   (`remove_requires_the_version`).
    /// - [`StoreError::Corrupt`], if the store reads the bytes under this id and they are not a valid
    ///   record.
    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError>;

    /// Returns one page of the records that match `request` at the time `now`.
    ///
    /// Records are sorted by id as an unsigned number, ascending for
    /// [`OldestFirst`](Order::OldestFirst) and descending for [`NewestFirst`](Order::NewestFirst)
    /// (`list_is_in_order`, `orders_agree`). This is the order of issue, except for
    /// [imported](crate::import) tokens, whose ids sort before all others. Each record is the same as [`find`](Self::find) returns it
    /// (`list_agrees_with_find`).
    ///
    /// A record matches if [`Filter::matches`] accepts it. A store may use its indexes to read fewer
    /// records, but the result must be the same (`filters_are_exact`), also for times below a microsecond
    /// (`filter_edges_are_exact`) and after a replacement has changed any field except owner and creation
    /// time (`replaced_record_is_indexed`). Call `matches` for every record
    /// even if there is a column for every field, because a later version of this crate may add a
    /// field.
    ///
    /// The page starts after the cursor [`ListRequest::after`](field@ListRequest::after). The cursor need
    /// not be the id of a record (`cursor_is_a_position`). The page has at most
    /// [`ListRequest::limit`](field@ListRequest::limit) records (`page_limit_is_respected`). The service
    /// checks the limit, so a store may assume that it is in `1..=MAX_PAGE_LEN`
    /// (`large_pages_are_complete`).
    ///
    /// A page may have fewer records than the limit, or be empty, and still have a next page.
    /// [`Page::next`] is `None` only if no further record can match (`sparse_scan_is_complete`). A scan
    /// from page to page returns each record exactly once if the record existed before the scan, is not
    /// removed and matches all the time (`scan_is_complete`).
    ///
    /// # Errors
    ///
    /// - [`StoreError::Unsupported`] for a filter by last use on a store that does not track it
    ///   (`unused_since_is_exact`).
    /// - [`StoreError::Corrupt`] if a row that may belong on the page is not a valid record. A store
    ///   must not skip such a row, because that would hide a token.
    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError>;

    /// Returns whether this store tracks the last use of tokens.
    ///
    /// If it does, the last use of a new record must be [`LastUsed::Never`]. Otherwise every record must
    /// have [`LastUsed::NotTracked`] (`last_use_is_reported`).
    ///
    /// The default returns `false`.
    fn tracks_last_used(&self) -> bool {
        false
    }

    /// Records the times at which tokens were used.
    ///
    /// For each id the store must keep the later of the stored and the given time
    /// (`latest_touch_wins`). It must ignore an id without a record and must not create one
    /// (`touch_creates_nothing`). The record and its version must not change
    /// (`touch_does_not_change_record`), also if another write happens at the same time
    /// (`touch_undoes_nothing`). The service gives at most 1,000 uses to a call (`touch_batch_is_complete`).
    ///
    /// The default does not write. It is correct for a store that does not track last use.
    ///
    /// # Errors
    ///
    /// Any error. The store may then have recorded a part of the batch, and the service repeats the
    /// batch.
    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        let _ = uses;
        Ok(())
    }

    /// Opens a feed of the ids whose records change from now on, or returns `None` if this store has no
    /// feed.
    ///
    /// The feed reports every insert, replacement and removal, each only after reads can see it
    /// (`changes_are_reported`). This includes the writes of other handles and processes
    /// (`changes_reach_every_handle`). A change may be reported
    /// more than once. A [`touch`](Self::touch) is not a change.
    ///
    /// The default returns `None`.
    ///
    /// # Errors
    ///
    /// Any error if the feed could not be opened.
    async fn changes(&self) -> Result<Option<Box<dyn ChangeStream>>, StoreError> {
        Ok(None)
    }

    /// Looks up a record without waiting. Returns `true` after exactly one call of `visit`, or `false`
    /// without calling it.
    ///
    /// `visit` receives the record, or `None` if no record has this id. After `false` the service calls
    /// [`find`](Self::find).
    ///
    /// The record must be the one that `find` would return (`find_now_agrees`). Do not answer from a copy
    /// that may be outdated, because the service treats this answer as current. `visit` is short and does
    /// not call the store, so the store may hold a lock during the call.
    ///
    /// The default returns `false`. [`RecordRef::new`] has an example.
    fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        let _ = (id, visit);
        false
    }

    /// Completes the pending writes and releases the resources of the store, such as its files and
    /// connections. [`TokenService::shut_down`](crate::TokenService::shut_down) calls it last.
    ///
    /// A later call on the store, also through another handle in this process, succeeds as before or fails
    /// with an error. It must not panic, and it must not report a record as missing
    /// (`closing_hides_nothing`). Closing again is not an error.
    ///
    /// The default has no effect. It is correct for a store that releases its resources when it is dropped.
    ///
    /// # Errors
    ///
    /// Any error if acknowledged data may be lost or a resource could not be released.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

macro_rules! forward {
    ($($pointer:tt)+) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: TokenStore + ?Sized> TokenStore for $($pointer)+<S> {
            async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
                (**self).insert(record).await
            }

            async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
                (**self).find(id).await
            }

            async fn replace(&self, record: &Record, v: Version) -> Result<Version, StoreError> {
                (**self).replace(record, v).await
            }

            async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
                (**self).remove(id, expected).await
            }

            async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
                (**self).list(request, now).await
            }

            fn tracks_last_used(&self) -> bool {
                (**self).tracks_last_used()
            }

            async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
                (**self).touch(uses).await
            }

            async fn changes(&self) -> Result<Option<Box<dyn ChangeStream>>, StoreError> {
                (**self).changes().await
            }

            fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
                (**self).find_now(id, visit)
            }

            async fn close(&self) -> Result<(), StoreError> {
                (**self).close().await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
