//! The promises of a store, with their names.

use std::fmt;

/// Generates the enum, the names and the tests of the macro from one list, so that none can be
/// missing.
macro_rules! promises {
    ($d:tt $($variant:ident $name:ident $sentence:literal,)+) => {
        /// A promise that [`TokenStore`](crate::TokenStore) requires of every store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Promise {
            $(#[doc = concat!("`", stringify!($name), "`: ", $sentence, ".")] $variant,)+
        }

        impl Promise {
            /// All promises, in the order in which [`run`](super::run()) checks them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name of the promise, as in the documentation of
            /// [`TokenStore`](crate::TokenStore) and in the tests of
            /// [`conformance_tests!`](crate::conformance_tests).
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)+
                }
            }

            /// Returns the promise as a sentence.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)+
                }
            }
        }

        /// Generates a module with one test per [`Promise`](crate::conformance::Promise).
        ///
        /// The first argument is the attribute that turns an `async fn` into a test, of any runtime
        /// and with any arguments. The second is an expression for a
        /// [`StoreFactory`](crate::conformance::StoreFactory), which each test evaluates again. It
        /// can use all names in scope at the macro call. The module is called `promises` unless
        /// another name is given first.
        ///
        /// A test fails with the name of the promise, the expected and the actual result. If a
        /// promise cannot be checked, its test passes and prints "not checked" with the reason
        /// (shown by `cargo test -- --nocapture`).
        ///
        /// ```
        /// use service_tokens::MemoryStore;
        /// use service_tokens::conformance::fresh;
        ///
        /// service_tokens::conformance_tests!(tokio::test, fresh(|| async { MemoryStore::new() }));
        ///
        /// service_tokens::conformance_tests!(
        ///     mod on_several_threads,
        ///     tokio::test(flavor = "multi_thread"),
        ///     fresh(|| async { MemoryStore::new() }).runtime_free()
        /// );
        /// # fn main() {}
        /// ```
        #[macro_export]
        macro_rules! conformance_tests {
            (mod $d module:ident, $d test:meta, $d factory:expr $d (,)?) => {
                mod $d module {
                    #[allow(unused_imports)]
                    use super::*;

                    $(
                        #[$d test]
                        async fn $name() {
                            let factory = $d factory;
                            $crate::conformance::expect_kept(
                                &factory,
                                $crate::conformance::Promise::$variant,
                            )
                            .await;
                        }
                    )+
                }
            };
            ($d test:meta, $d factory:expr $d (,)?) => {
                $crate::conformance_tests!(mod promises, $d test, $d factory);
            };
        }
    };
}

promises! { $
    // Writes.
    InsertNeverOverwrites insert_never_overwrites
        "an insert under an id that has a record fails with `Exists` and changes nothing, even if the two records are equal",
    OneInsertWins one_insert_wins
        "of concurrent inserts under one id one succeeds and its record is stored, and the others fail with `Exists`",
    ReplaceRequiresTheVersion replace_requires_the_version
        "a replacement with any version except the current one fails with `Conflict` and changes nothing",
    ReplaceCreatesNothing replace_creates_nothing
        "a replacement under an id without a record fails with `Conflict` and creates no record",
    ReplacePreservesIdentity replace_preserves_identity
        "a replacement with another owner or creation time fails with `Conflict` and changes nothing",
    ReplacePreservesLastUse replace_preserves_last_use
        "a replacement does not change the last use",
    OneReplaceWins one_replace_wins
        "of concurrent replacements and removals with one version one succeeds and takes effect, and the others fail with `Conflict`",
    VersionsAreNew versions_are_new
        "each insert and replacement returns a version that the id never had, also after a removal, and every answer contains the current version",
    RemoveRequiresTheVersion remove_requires_the_version
        "a removal with any version except the current one, or without a record, fails with `Conflict` and changes nothing",
    RemovedRecordIsGone removed_record_is_gone
        "no answer contains a removed record, and only an insert creates a record under its id again, without the old last use",
    DelayedCallsAgree delayed_calls_agree
        "if a call waits at any point while others on the id run to their end, the answers and the final state are those of some order of the calls",
    DroppedCallsAreAtomic dropped_calls_are_atomic
        "a call whose future is dropped takes effect completely or not at all, does not block other calls, and does not keep later writes from other handles",
    CallsLeaveNothingBehind calls_leave_nothing_behind
        "after hundreds of refused and dropped calls the next call succeeds, and every handle sees it",
    NewerRecordIsProtected newer_record_is_protected
        "a record in a newer format is stored byte for byte, and a replacement of it fails with `NewerFormat`",
    // Reads.
    ReadYourWrites read_your_writes
        "the next answer of `find` and `list` contains every acknowledged write",
    RecordIsPreserved record_is_preserved
        "a record is returned with every field unchanged, including times to the microsecond, digests, scopes, issuers, metadata and revocation",
    TextIsPreserved text_is_preserved
        "any text of any allowed length is returned byte for byte",
    IdsAreExact ids_are_exact
        "`find` returns the record with exactly the given id, or no record",
    FindNowAgrees find_now_agrees
        "`find_now` passes the record that `find` returns to the visitor, and calls the visitor once if it returns true and not at all if it returns false",
    // Lists.
    ListAgreesWithFind list_agrees_with_find
        "`list` returns each record with the same content, version and last use as `find`",
    ListIsInOrder list_is_in_order
        "each page is sorted by id as an unsigned number in the requested order, and starts after the cursor",
    OrdersAgree orders_agree
        "newest first is exactly the reverse of oldest first",
    PageLimitIsRespected page_limit_is_respected
        "a page has at most the requested number of records",
    ScanIsComplete scan_is_complete
        "a scan over pages of any length returns each record that exists from beginning to end exactly once, regardless of other writes",
    CursorIsAPosition cursor_is_a_position
        "a page starts after the cursor even if no record has that id, or the record was removed",
    SparseScanIsComplete sparse_scan_is_complete
        "`next` is `None` only when no further record can match",
    LargePagesAreComplete large_pages_are_complete
        "pages of up to 1,000 records, and scans over more than 1,000 records, show every record that matches",
    FiltersAreExact filters_are_exact
        "each filter and each combination of filters selects exactly the records that `Filter::matches` accepts",
    StatesFollowNow states_follow_now
        "the state of a token is its state at the time given with the query, to the microsecond",
    FilterEdgesAreExact filter_edges_are_exact
        "times in a query are compared exactly, also at an edge, and at the limits of a time",
    ReplacedRecordIsIndexed replaced_record_is_indexed
        "after a replacement, a removal, or an insert under a removed id, every filter selects by the new content only",
    OwnersAreSeparate owners_are_separate
        "a list of one owner contains no record of another owner, even if their names are similar",
    TextIsComparedAsBytes text_is_compared_as_bytes
        "texts in a query are compared byte by byte and have no special meaning",
    // Many records at once.
    ManyAgreeWithSingle many_agree_with_single
        "`find_many`, `versions`, `replace_many` and `remove_many` return one result for each row, in order, and have the effect of the single calls",
    LargeBatchesAreComplete large_batches_are_complete
        "calls about up to 1,000 rows answer for each row and write each row, also after rows that conflict",
    ManyKeepTheRules many_keep_the_rules
        "each row of a call about many keeps the promises of the single calls about versions, identity, last use, formats, content, filters and removal",
    OneRowWins one_row_wins
        "of concurrent single calls and rows of calls about many with one version one succeeds and takes effect",
    DroppedRowsAreAtomic dropped_rows_are_atomic
        "each row of a call about many whose future is dropped takes effect completely or not at all, and blocks no other call",
    CountAgreesWithList count_agrees_with_list
        "`count` returns the number of records that a scan with the same filter and time returns",
    CountsFollowWrites counts_follow_writes
        "`count` is exact for each state and each owner and type after replacements, removals, concurrent writes and writes of another handle",
    // Last use.
    LastUseIsReported last_use_is_reported
        "every answer contains the last use, which is `Never` and then the time on a store that tracks it, and `NotTracked` on any other",
    LatestTouchWins latest_touch_wins
        "the last use is the latest of all times given to `touch` for an id, to the microsecond",
    TouchCreatesNothing touch_creates_nothing
        "a touch of an id without a record creates nothing, and the rest of the batch takes effect",
    TouchDoesNotChangeRecord touch_does_not_change_record
        "a touch changes neither the record nor its version",
    TouchUndoesNothing touch_undoes_nothing
        "a touch that overlaps a replacement or a removal does not undo it, and is not lost",
    TouchBatchIsComplete touch_batch_is_complete
        "a touch of 1,000 ids takes effect for each of them",
    UnusedSinceIsExact unused_since_is_exact
        "a query by last use selects exactly the right records, or fails with `Unsupported` on a store that does not track last use",
    // More than one handle, or a store that fails.
    ThreadsAgree threads_agree
        "under calls from several threads each call is atomic, no update is lost, and no read is stale or mixes two writes",
    HandlesAgree handles_agree
        "another handle on the same storage sees the acknowledged writes of the first, competes with it by the same rules, and draws other versions",
    SurvivesReopening survives_reopening
        "acknowledged writes exist after the store was closed and opened again, and earlier versions do not return",
    LongHistoryIsKept long_history_is_kept
        "after hundreds of writes of all kinds, between which a store may compact, flush or evict, every handle and the reopened store have the acknowledged state, and no version returns",
    ChangesAreReported changes_are_reported
        "the feed reports every replacement and removal, each only after reads can see it",
    ChangesReachEveryHandle changes_reach_every_handle
        "the feed of one handle reports the changes that another handle makes",
    FailuresAreErrors failures_are_errors
        "a store that cannot answer returns an error of the right kind, and acknowledges no write that does not happen",
    OutagesEnd outages_end
        "after an outage the store answers again, every handle sees further writes, and a change feed that was open fails or reports the next change",
    InterruptedCallsAreTrue interrupted_calls_are_true
        "a call during which the storage fails answers with an error or with the truth, for each of its rows",
    LostAnswersAreIndeterminate lost_answers_are_indeterminate
        "a write whose answer was lost fails with `Indeterminate`, and a read with `Unavailable`, and every handle sees further writes",
    RefusedCallsAreUnavailable refused_calls_are_unavailable
        "a call that was refused before it was sent fails with `Unavailable` and changes nothing, and every handle sees further writes",
    DamageIsReported damage_is_reported
        "`find` and `list` fail with `Corrupt` if the stored bytes are damaged or are the record of another id",
    ClosingHidesNothing closing_hides_nothing
        "after `close` every call succeeds as before or fails with an error, and none reports a record as missing",
    ErrorsLeakNothing errors_leak_nothing
        "no error contains the bytes of a record",
    // The same for each row of a call about many.
    ManyAgreeOnThreads many_agree_on_threads
        "calls about many rows keep `threads_agree`, also in races with single calls",
    ManyAgreeThroughHandles many_agree_through_handles
        "calls about many rows keep `handles_agree`, and are the first to see a write of another handle",
    ManySurviveReopening many_survive_reopening
        "the rows that a call about many wrote keep `survives_reopening`",
    ChangesOfManyAreReported changes_of_many_are_reported
        "the feed reports every row that a call about many replaces or removes, also on another handle",
    FailuresOfManyAreErrors failures_of_many_are_errors
        "on a store that cannot answer, each row and `count` fail with an error of the right kind, and after the outage they succeed",
    LostRowsAreIndeterminate lost_rows_are_indeterminate
        "a row of a write whose answer was lost fails with `Indeterminate`, unless it has another answer that is right",
    RefusedRowsAreUnavailable refused_rows_are_unavailable
        "a row of a call that was refused before it was sent fails with `Unavailable` and is unchanged",
    DamagedRowsAreReported damaged_rows_are_reported
        "a damaged row is the error of its own id, and the other rows of the call are read and written",
    ClosingHidesNoRow closing_hides_no_row
        "after `close` no call about many rows and no `count` reports a record as missing",
    ErrorsOfManyLeakNothing errors_of_many_leak_nothing
        "no error of a row contains the bytes of a record",
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
