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
/// It changes with every replacement and is never used twice for one record (`versions_are_new`). It
/// says nothing else: a store may count from one or use its database's own revision.
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
    /// Creates the answer of a store.
    pub fn new(record: Record, version: Version, last_used: LastUsed) -> Self {
        Self { record, version, last_used }
    }
}

/// A record lent by [`TokenStore::find_now`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RecordRef<'s> {
    /// The record.
    pub record: &'s Record,
    /// The record's version.
    pub version: Version,
    /// Whether the store tracks last uses, and the last one in microseconds since 1970. A verification
    /// compares the number and needs no calendar.
    tracked: bool,
    used_micros: Option<i64>,
}

impl<'s> RecordRef<'s> {
    /// Creates the answer of a store.
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
    /// Waits for the next change. Dropping the future loses no change.
    ///
    /// # Errors
    ///
    /// The stream broke and gives nothing more. Open a new one with [`TokenStore::changes`] and treat the
    /// time in between as [`Change::Missed`].
    async fn next(&mut self) -> Result<Change, StoreError>;
}

/// Where records are kept. Write one for the storage you already run: with the `async-trait` crate's
/// attribute on the `impl`, as in `examples/custom_store.rs`, which is a whole store.
///
/// Five operations are required and three have defaults that are correct. A store keeps
/// [`Record::to_bytes`] and, beside them, the columns it wants to search by, taken from the record's
/// accessors. It knows no lifecycle: every rule about revoking, rotating or expiring lives in the
/// crate, above the store. The `conformance` feature has a suite that tells whether a store keeps
/// what it promises here; its promises go by the names in parentheses. [Writing a
/// store](crate::manual::writing_a_store) in the manual goes through it all over a database table.
///
/// # Contract
///
/// **Per id, operations are atomic and linearizable.** What one call acknowledged, every later call
/// sees (`read_your_writes`), from every clone, connection and process (`handles_agree`). Of
/// simultaneous [`insert`](Self::insert) calls with one id one succeeds (`one_insert_wins`), and of
/// simultaneous [`replace`](Self::replace) and [`remove`](Self::remove) calls with one version
/// (`one_replace_wins`), on threads too (`threads_agree`). A call whose future is dropped has happened
/// wholly or not at all (`dropped_calls_are_atomic`).
///
/// **Acknowledged means durable.** When a call has returned `Ok`, the change survives whatever the
/// store claims to survive; at least being closed and opened again (`survives_reopening`).
///
/// **Bytes are bytes.** Ids (`ids_are_exact`), owners (`owners_are_separate`) and all other texts
/// (`text_is_compared_as_bytes`) are compared byte by byte: no case folding, trimming, collation or
/// Unicode normalisation, no end at a NUL (`text_is_preserved`). Times keep their microseconds. What comes
/// back is exactly what went in (`record_is_preserved`).
///
/// **Time is an argument.** A store asks no clock for anything that decides about a token: where the
/// time matters it is passed in (`states_follow_now`).
///
/// **Who controls what.** Anyone who can reach the service chooses the *id* given to
/// [`find`](Self::find): it may be any 128-bit number. Whoever may issue tokens chooses the texts in
/// a record, and whoever may list them the texts in a [`Filter`]; both are bounded in length and
/// otherwise arbitrary. Never put them into a query language unescaped. Secrets never reach a store.
/// A store in turn is trusted: whoever can write to it can forge records.
///
/// **Errors say what is known.** [`StoreError::Unavailable`] means that nothing was written and
/// [`StoreError::Indeterminate`] that it may have been; a missing row is `Ok(None)` or
/// [`StoreError::Conflict`] and never the answer to a failure (`failures_are_errors`). An error's
/// text must not contain a record's bytes (`errors_leak_nothing`).
///
/// **New methods come with correct defaults**, so that a store written today stays one.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Stores a new record and returns its first version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] if there is a record with this id: it stays as it is, even if it is
    /// equal (`insert_never_overwrites`).
    async fn insert(&self, record: &Record) -> Result<Version, StoreError>;

    /// Returns the record with this id, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if what is stored under the id is no record, or is one with another
    /// id.
    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError>;

    /// Puts a record in the place of the one with its id, if that still has the version `expected`;
    /// returns the new version. The last use stays (`replace_preserves_last_use`).
    ///
    /// # Errors
    ///
    /// - [`StoreError::Conflict`] if there is no record with this id (`replace_creates_nothing`), if
    ///   it has another version (`replace_requires_the_version`), or if its owner or creation time
    ///   differ from the replacement's (`replace_preserves_identity`).
    /// - [`StoreError::Corrupt`] if what is stored under the id is no record.
    /// - [`StoreError::NewerFormat`] if the present record is in a newer format than this crate
    ///   reads ([`Record::is_newer`]): it may carry a restriction that would be lost
    ///   (`newer_record_is_protected`).
    ///
    /// In every case nothing changes; if several apply, any of them will do. [`StoreError::check_replacement`] decides both for a store
    /// that has the present record at hand.
    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError>;

    /// Removes the record with this id, if it still has the version `expected`. Its last use goes
    /// with it (`removed_record_is_gone`).
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if there is none or it has another version
    /// (`remove_requires_the_version`).
    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError>;

    /// One page of the records that `query` selects at the time `now`, in the order of their ids as
    /// unsigned numbers, which is the order of issue (`list_is_in_order`, `orders_agree`). Each
    /// is as [`find`](Self::find) would answer (`list_agrees_with_find`).
    ///
    /// [`Filter::matches`] decides over each record; a store may use its indexes to look at fewer,
    /// with the same result (`filters_are_exact`). Call it on every record all the same: a later
    /// version of this crate may have filters for which there is no column yet. The page starts behind [`Query::cursor`], which is
    /// a place in the order and need not (any more) be a record's id (`cursor_is_a_position`), and holds
    /// at most [`Query::page_len`] records (`page_limit_is_respected`). It may hold fewer, even none, and
    /// still have a successor: only a missing [`Page::next`] is the end (`short_page_is_not_the_end`). A
    /// walk from page to page meets each record that was there before it began, is not removed and
    /// keeps matching, exactly once (`scan_is_complete`).
    ///
    /// # Errors
    ///
    /// - [`StoreError::Unsupported`] for a query by last use on a store that does not track it
    ///   (`unused_since_is_exact`).
    /// - [`StoreError::Corrupt`] if a row that may belong on the page is no record: leaving it out
    ///   would hide a token.
    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError>;

    /// Whether this store keeps when tokens were last used. If so, a new record's last use is
    /// [`LastUsed::Never`]; if not, every record's is [`LastUsed::NotTracked`] (`last_use_is_reported`).
    fn tracks_last_used(&self) -> bool {
        false
    }

    /// Records when tokens were last used.
    ///
    /// For each id the later of the noted and the given time stays (`latest_touch_wins`). An id
    /// without a record is passed over; none is created (`touch_creates_nothing`). Record and version
    /// stay as they are (`touch_does_not_change_record`).
    ///
    /// The default does nothing, and is right for a store that does not track.
    ///
    /// # Errors
    ///
    /// Any; some of the batch may have been noted then. It is always safe to repeat.
    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        let _ = uses;
        Ok(())
    }

    /// Opens a stream of the ids whose records change from now on. `None` if this store has none.
    ///
    /// A change is told after it can be read, at least once, also if another process made it
    /// (`changes_are_reported`); a touch is no change.
    ///
    /// # Errors
    ///
    /// The stream could not be opened.
    async fn changes(&self) -> Result<Option<Box<dyn ChangeStream>>, StoreError> {
        Ok(None)
    }

    /// Answers [`find`](Self::find) on the spot, if the store can without waiting: lends the record
    /// to `visit` (`None` if there is none), called exactly once, and returns `true`. Returns
    /// `false`, without having called it, if the answer needs `find`.
    ///
    /// The answer must be the one that `find` would give (`find_now_agrees`): a copy that may lag
    /// behind does not answer here, since the service takes this answer for a current one. `visit` is
    /// brief and calls nothing of the store, so that a lock may be held around it.
    fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        let _ = (id, visit);
        false
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
        }
    };
}

forward!(Arc);
forward!(Box);
