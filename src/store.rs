//! The contract between the service and the storage that holds its records.
//!
//! Implement [`TokenStore`] for the storage that you already run. The module also has the types that a
//! store receives and returns, and the error that it reports. The manual goes through an
//! implementation in [writing a store](crate::manual::writing_a_store).

mod batch;
mod change;
mod error;
mod filter;
mod gathering;
mod list;
mod pointers;
mod stored;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use batch::in_order;
pub use change::{Change, ChangeStream};
pub use error::{BoxError, StoreError};
pub use filter::{Filter, States};
pub use gathering::Gathering;
pub use list::{ListRequest, MAX_PAGE_LEN, Order, Page};
pub use stored::{LastUsed, RecordRef, StoredRecord, Version};

use crate::concurrency::yield_once::yield_once;
use crate::record::Record;
use crate::token::TokenId;

/// The storage for the records of tokens. Implement it for the storage that you already run.
///
/// Put the attribute [`async_trait`](macro@crate::async_trait) on the `impl`. The file
/// `examples/custom_store.rs` is a complete store.
///
/// Five methods are required. The others have defaults that are correct for every store that is not a
/// [wrapper](#wrappers). A store that returns `true` from [`tracks_last_used`](Self::tracks_last_used) must
/// also implement [`touch`](Self::touch).
///
/// | to gain | implement |
/// | --- | --- |
/// | last uses in lists | [`tracks_last_used`](Self::tracks_last_used), [`touch`](Self::touch) |
/// | many verifications in one call to the storage | [`gathering`](Self::gathering), [`find_many`](Self::find_many) |
/// | bulk operations in few calls | [`replace_many`](Self::replace_many), [`remove_many`](Self::remove_many), [`count`](Self::count) |
/// | fresh caches on every node | [`changes`](Self::changes), or [`versions`](Self::versions) for polling |
/// | verification without a future | [`find_now`](Self::find_now), only for a store in this process |
/// | an orderly end | [`close`](Self::close) |
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
/// (`threads_agree`), and for calls of which one waits while others run to their end
/// (`delayed_calls_agree`). A call whose future is dropped takes effect completely or not at all
/// (`dropped_calls_are_atomic`). The exception is [`touch`](Self::touch). A part of its batch may be
/// written, because the service can repeat the batch safely. A refused or dropped call leaves neither a
/// lock nor a lost connection behind (`calls_leave_nothing_behind`).
///
/// **A row of a call about many rows keeps the promises of a single call** (`many_keep_the_rules`). The
/// other rows of the call may conflict or be damaged (`damaged_rows_are_reported`), and a call has up to
/// [`MAX_PAGE_LEN`] rows (`large_batches_are_complete`). This includes races with single calls
/// (`one_row_wins`, `many_agree_on_threads`), other handles (`many_agree_through_handles`), dropped futures
/// (`dropped_rows_are_atomic`), reopening (`many_survive_reopening`), changes
/// (`changes_of_many_are_reported`), outages (`failures_of_many_are_errors`) and the end of the store
/// (`closing_hides_no_row`). An error leaks no record (`errors_of_many_leak_nothing`).
///
/// **Acknowledged means durable.** After a call has returned `Ok`, the write survives every failure that
/// the store promises to survive, and at least closing and opening the store (`survives_reopening`).
/// Compacting files, flushing a buffer or evicting from a cache changes no answer, and no version returns
/// after it (`long_history_is_kept`).
///
/// **Texts are bytes.** A store compares ids (`ids_are_exact`), owners (`owners_are_separate`) and all
/// other texts (`text_is_compared_as_bytes`) byte by byte. It must not fold case, trim, collate or
/// normalise them, and a text does not end at a NUL (`text_is_preserved`). Times keep their
/// microseconds. A read returns exactly the record that was written (`record_is_preserved`).
///
/// **Time is an argument.** A store must not read a clock for a decision about a token. Methods that
/// need the time receive it (`states_follow_now`). It is in whole microseconds, and so are the times of a
/// [`Filter`] and of a [`touch`](Self::touch).
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
/// happen. This also holds if the storage fails in the middle of a call that makes several requests
/// (`interrupted_calls_are_true`). After an outage the same store answers again (`outages_end`).
///
/// | situation | a read returns | a write returns |
/// | --- | --- | --- |
/// | the call was refused before it was sent | `Unavailable` | `Unavailable` |
/// | the answer was lost after the call was sent | `Unavailable` | `Indeterminate`; `touch` any error |
/// | the row is missing | `Ok(None)` | `Conflict` (`replace`, `remove`) |
/// | the row is damaged | `Corrupt` | `Corrupt`, if the write reads the row |
///
/// The checks of these rows are `refused_calls_are_unavailable`, `lost_answers_are_indeterminate` and
/// `damage_is_reported`, and for calls about many rows `refused_rows_are_unavailable`,
/// `lost_rows_are_indeterminate` and `damaged_rows_are_reported`.
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
    /// A page after a cursor is as current as a call of [`find`](Self::find), also if another handle has
    /// returned the cursor. So a store must not read pages ahead.
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

    /// Returns the sizes in which the service gathers concurrent look-ups, or `None` if it must not gather
    /// them.
    ///
    /// With a value, the service makes concurrent look-ups for verifications with
    /// [`find_many`](Self::find_many), and a single look-up with [`find`](Self::find). A look-up joins only a
    /// call that was not sent yet, so its answer contains every write that was acknowledged before the look-up
    /// began. Return the same value each time.
    ///
    /// The default returns `None`. It is right for a store in this process, and for a store whose single
    /// look-ups are as fast as many at once.
    fn gathering(&self) -> Option<Gathering> {
        None
    }

    /// Returns the records with these ids, one result for each id, in the order of `ids`
    /// (`many_agree_with_single`).
    ///
    /// The ids differ from each other. Their number is at least one and at most [`Gathering::max_ids`], or
    /// [`MAX_PAGE_LEN`] if this store has no [`gathering`](Self::gathering). Each result is the one that
    /// [`find`](Self::find) would return. A damaged record is the error of its own id and leaves the other
    /// results intact. If the call fails as a whole, every result is an error. [`StoreError::duplicate`]
    /// makes them.
    ///
    /// A store that joins look-ups itself, in this method or in `find`, keeps the same rule. It must not answer
    /// from a look-up that was sent before a write was acknowledged (`delayed_calls_agree`).
    ///
    /// The default calls `find` for each id, several at once.
    ///
    /// # Errors
    ///
    /// In each result, the errors of [`find`](Self::find). The service treats a wrong number of results as
    /// an error for each id.
    async fn find_many(&self, ids: &[TokenId]) -> Vec<Result<Option<StoredRecord>, StoreError>> {
        in_order(ids.iter().map(|id| self.find(*id))).await
    }

    /// Returns the versions of the records with these ids, one result for each id, in the order of `ids`,
    /// and `None` for an id without a record (`many_agree_with_single`).
    ///
    /// The service calls it to check its cached records in batches of at most [`MAX_PAGE_LEN`] ids, which
    /// differ from each other, also if [`Gathering::max_ids`] is smaller. Each answer is as current as that of
    /// [`find`](Self::find): it is never the version of a replaced or removed record. A store that overrides
    /// it does not ship or parse the records.
    ///
    /// The default takes the versions from [`find_many`](Self::find_many).
    ///
    /// # Errors
    ///
    /// In each result, any error. A store need not notice a damaged record.
    async fn versions(&self, ids: &[TokenId]) -> Vec<Result<Option<Version>, StoreError>> {
        let max_ids = self.gathering().map_or(MAX_PAGE_LEN, |gathering| gathering.max_ids.max(1));
        let mut versions = Vec::with_capacity(ids.len());
        for ids in ids.chunks(max_ids) {
            let found = self.find_many(ids).await;
            versions.extend(found.into_iter().map(|found| Ok(found?.map(|stored| stored.version))));
        }
        versions
    }

    /// Replaces many records, each as [`replace`](Self::replace) does, and returns one result for each row,
    /// in the order of `writes` (`many_agree_with_single`).
    ///
    /// Each row is atomic, and the whole call is not. So a row with a conflict does not prevent the others.
    /// If the future is dropped or the answer is lost, some rows may be replaced and others not. The
    /// service sends at most [`MAX_PAGE_LEN`] rows, whose ids differ from each other.
    ///
    /// In SQL, one statement replaces all rows. The rows that it does not return were not replaced. See
    /// [writing a store](crate::manual::writing_a_store).
    ///
    /// The default calls `replace` for each row, several at once. After an error that every other row would
    /// get too, such as [`StoreError::Unavailable`], it starts no further row and returns that error for the
    /// rest.
    ///
    /// # Errors
    ///
    /// In each result, the errors of [`replace`](Self::replace). The service treats a wrong number of
    /// results as [`StoreError::Indeterminate`] for each row.
    async fn replace_many(&self, writes: &[(Record, Version)]) -> Vec<Result<Version, StoreError>> {
        in_order(writes.iter().map(|(record, expected)| self.replace(record, *expected))).await
    }

    /// Removes many records, each as [`remove`](Self::remove) does, and returns one result for each row, in
    /// the order of `removals` (`many_agree_with_single`).
    ///
    /// The rules of [`replace_many`](Self::replace_many) apply. The default calls `remove` for each row in
    /// the same way.
    ///
    /// # Errors
    ///
    /// In each result, the errors of [`remove`](Self::remove).
    async fn remove_many(&self, removals: &[(TokenId, Version)]) -> Vec<Result<(), StoreError>> {
        in_order(removals.iter().map(|(id, expected)| self.remove(*id, *expected))).await
    }

    /// Counts the records that the filter selects at the time `now` (`count_agrees_with_list`).
    ///
    /// The number is exact for records that do not change during the call, and contains every write that was
    /// acknowledged before it (`counts_follow_writes`). A store that overrides it counts
    /// only if its columns decide every field of the filter that is set, and otherwise calls
    /// [`Filter::matches`] for the candidates as [`list`](Self::list) does.
    ///
    /// The default reads every page of the list.
    ///
    /// # Errors
    ///
    /// The errors of [`list`](Self::list).
    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut request =
            ListRequest::from(filter.clone()).order(Order::OldestFirst).limit(MAX_PAGE_LEN);
        let mut count: u64 = 0;
        loop {
            let page = self.list(&request, now).await?;
            let selected =
                |found: &&StoredRecord| filter.matches(&found.record, found.last_used, now);
            count += page.items.iter().filter(selected).count() as u64;
            let Some(next) = page.next else { return Ok(count) };
            request = request.after(next);
            yield_once().await;
        }
    }

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
    /// The feed reports every replacement and removal, each only after reads can see it
    /// (`changes_are_reported`). This includes the writes of other handles and processes
    /// (`changes_reach_every_handle`). An insert need not be reported, because no cached record depends on it.
    /// A change may be reported more than once. A [`touch`](Self::touch) is not a change.
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
