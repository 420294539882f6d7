//! Tests of the conformance suite itself. Each store has one known fault, which the suite must find under the
//! right name. The other promises that a fault breaks are printed (`-- --nocapture`).

#[path = "planted_faults/calls.rs"]
mod calls;
#[path = "planted_faults/closing.rs"]
mod closing;
#[path = "planted_faults/content.rs"]
mod content;
#[path = "planted_faults/delays.rs"]
mod delays;
#[path = "planted_faults/flaws.rs"]
mod flaws;
#[path = "planted_faults/harness.rs"]
mod harness;
#[path = "planted_faults/interrupted.rs"]
mod interrupted;
#[path = "planted_faults/journal.rs"]
mod journal;
#[path = "planted_faults/last_use.rs"]
mod last_use;
#[path = "planted_faults/lists.rs"]
mod lists;
#[path = "planted_faults/many.rs"]
mod many;
#[path = "planted_faults/many_settings.rs"]
mod many_settings;
#[path = "planted_faults/pages.rs"]
mod pages;
#[path = "planted_faults/reads.rs"]
mod reads;
#[path = "planted_faults/rows.rs"]
mod rows;
#[path = "planted_faults/table.rs"]
mod table;
#[path = "planted_faults/writes.rs"]
mod writes;

use closing::{Closed, What};
use flaws::Flaw;
use futures_lite::future::block_on;
use harness::{Correct, Factory, broken, expect_broken};
use last_use::Untracked;
use many::ManyRows;
use many_settings::{Many, Setting};
use reads::{ErrorQuotes, Reopening};
use service_tokens::MemoryStore;
use service_tokens::conformance::{Outcome, Promise, check, expect_kept, fresh, guarded, run};

/// One test for each flaw of the table: its name and the promise that it breaks.
macro_rules! flaws {
    ($($name:ident: $flaw:expr => $promise:ident;)+) => {
        mod campaign_of_the_table {
            use super::*;

            $(
                #[test]
                #[ignore = "campaign: cargo xtask campaigns"]
                fn $name() {
                    expect_broken(&table::Tables($flaw), Promise::$promise);
                }
            )+
        }

        /// Runs the whole suite over each flaw and prints the promises that it breaks.
        #[test]
        #[ignore = "long: cargo test --all-features --test it whole_suite_over -- --ignored"]
        fn whole_suite_over_each_flaw() {
            $(
                let seen = table::broken($flaw);
                for (promise, what) in &seen {
                    println!("{} breaks {promise}: {what}", stringify!($name));
                }
                assert!(seen.iter().any(|(promise, _)| *promise == Promise::$promise));
            )+
        }

        const FLAWED: &[Promise] = &[$(Promise::$promise),+];
    };
}

/// One test for each fault: its name, the store, and the promise that it breaks.
macro_rules! faults {
    ($($name:ident: $fault:expr => $promise:ident;)+) => {
        mod campaign {
            use super::*;

            $(
                #[test]
                #[ignore = "campaign: cargo xtask campaigns"]
                fn $name() {
                    expect_broken(&Factory(|| $fault), Promise::$promise);
                }
            )+
        }

        /// Runs the whole suite over each fault and prints the other promises that it breaks.
        #[test]
        #[ignore = "long: cargo test --all-features --test it whole_suite_over -- --ignored"]
        fn whole_suite_over_each_fault() {
            $(
                let seen = broken(|| $fault);
                for (promise, what) in &seen {
                    println!("{} breaks {promise}: {what}", stringify!($name));
                }
                let names: Vec<Promise> = seen.iter().map(|(promise, _)| *promise).collect();
                assert!(names.contains(&Promise::$promise), "it breaks {names:?} instead");
            )+
        }

        /// Some fault here breaks every promise. The suite need not check a promise that no fault can
        /// break.
        #[test]
        fn every_promise_has_a_fault() {
            let planted = [&[$(Promise::$promise),+][..], FLAWED, delays::BROKEN, journal::BROKEN];
            let planted = planted.concat();
            let without: Vec<_> = Promise::ALL.iter().filter(|p| !planted.contains(p)).collect();
            assert_eq!(without, [] as [&Promise; 0]);
        }
    };
}

#[test]
fn correct_store_breaks_no_promise() {
    assert_eq!(broken(|| Correct), []);
}

#[test]
#[ignore = "campaign: cargo xtask campaigns"]
fn feed_without_inserts_is_right_campaign() {
    assert_eq!(broken(|| reads::InsertsAreNotReported), []);
}

#[test]
#[ignore = "campaign: cargo xtask campaigns"]
fn correct_table_breaks_no_promise_campaign() {
    assert_eq!(table::broken(Flaw::Correct), []);
}

#[test]
#[should_panic(expected = "insert_never_overwrites is broken: an insert under an id")]
fn broken_promise_fails_with_its_name() {
    let factory = Factory(|| writes::InsertOverwrites);
    block_on(expect_kept(&factory, Promise::InsertNeverOverwrites));
}

#[test]
fn factory_without_store_breaks_promises() {
    let factory = guarded(|| async { Err::<(MemoryStore, ()), _>("no room".into()) });
    let outcome = block_on(check(&factory, Promise::ReadYourWrites));
    assert!(matches!(outcome, Outcome::Broken { what } if what.contains("no room")));
}

#[test]
fn missing_ability_is_reported_unchecked() {
    let factory = fresh(|| async { MemoryStore::new() });
    for promise in [
        Promise::ThreadsAgree,
        Promise::HandlesAgree,
        Promise::SurvivesReopening,
        Promise::FailuresAreErrors,
        Promise::ErrorsLeakNothing,
        Promise::ChangesAreReported,
        Promise::ChangesReachEveryHandle,
        Promise::OutagesEnd,
        Promise::InterruptedCallsAreTrue,
        Promise::LostAnswersAreIndeterminate,
        Promise::RefusedCallsAreUnavailable,
        Promise::DamageIsReported,
        Promise::ManyAgreeOnThreads,
        Promise::ManyAgreeThroughHandles,
        Promise::ManySurviveReopening,
        Promise::ChangesOfManyAreReported,
        Promise::FailuresOfManyAreErrors,
        Promise::LostRowsAreIndeterminate,
        Promise::RefusedRowsAreUnavailable,
        Promise::DamagedRowsAreReported,
        Promise::ErrorsOfManyLeakNothing,
    ] {
        let outcome = block_on(check(&factory, promise));
        assert!(matches!(outcome, Outcome::NotChecked { .. }), "{promise}: {outcome}");
    }
}

#[test]
fn report_has_one_line_per_promise() {
    let report = block_on(run(&Factory(|| reads::FindNowNeverCalls)));
    let text = report.to_string();
    assert_eq!(text.lines().count(), Promise::ALL.len());
    let broken: Vec<&str> = text.lines().filter(|line| line.contains("BROKEN: ")).collect();
    assert!(matches!(broken[..], [line] if line.starts_with("find_now_agrees ")), "{text}");
}

#[test]
fn untracked_correct_store_breaks_no_promise() {
    assert_eq!(broken(|| Untracked::Correct), []);
}

faults! {
    insert_overwrites: writes::InsertOverwrites => InsertNeverOverwrites;
    insert_keeps_the_old_row_and_says_yes: writes::InsertSaysYes => InsertNeverOverwrites;
    insert_of_an_equal_record_says_yes: writes::InsertOfAnEqualSaysYes => InsertNeverOverwrites;
    two_concurrent_inserts_succeed: writes::InsertChecksThenWrites => OneInsertWins;
    insert_is_forgotten: writes::InsertIsForgotten => ReadYourWrites;
    replace_ignores_the_version: writes::ReplaceIgnoresTheVersion => ReplaceRequiresTheVersion;
    broken_single_call_breaks_the_rows: writes::ReplaceIgnoresTheVersion => ManyKeepTheRules;
    replace_ignores_older_versions: writes::ReplaceIgnoresOlderVersions => ReplaceRequiresTheVersion;
    replace_creates: writes::ReplaceCreates => ReplaceCreatesNothing;
    replace_changes_the_owner: writes::ReplaceChangesTheOwner => ReplacePreservesIdentity;
    replace_changes_the_creation_time:
        writes::ReplaceChangesTheCreationTime => ReplacePreservesIdentity;
    replace_rewrites_a_newer_record: writes::ReplaceRewritesNewer => NewerRecordIsProtected;
    replace_forgets_last_use: writes::ReplaceForgetsLastUse::default() => ReplacePreservesLastUse;
    two_concurrent_replaces_succeed: writes::ReplaceWaitsInBetween => OneReplaceWins;
    two_replaces_on_threads_succeed: writes::ReplaceHoldsNoLock => ThreadsAgree;
    replace_in_two_steps: writes::ReplaceInTwoSteps => DroppedCallsAreAtomic;
    version_returns_with_the_content: writes::VersionIsAHash => VersionsAreNew;
    remove_ignores_the_version: writes::RemoveIgnoresTheVersion => RemoveRequiresTheVersion;
    remove_of_nothing_says_yes: writes::RemoveOfNothingSaysYes => RemoveRequiresTheVersion;
    remove_leaves_last_use: writes::RemoveLeavesLastUse::default() => RemovedRecordIsGone;
    removed_id_stays_taken: writes::RemovedIdStaysTaken::default() => RemovedRecordIsGone;

    times_in_milliseconds: content::milliseconds() => RecordIsPreserved;
    metadata_lost: content::no_metadata() => RecordIsPreserved;
    second_digest_lost: content::no_older_secret() => RecordIsPreserved;
    ended_digest_lost: content::no_ended_secret() => RecordIsPreserved;
    key_ids_lost: content::no_key_ids() => RecordIsPreserved;
    reason_lost: content::no_reason() => RecordIsPreserved;
    start_lost: content::no_start() => RecordIsPreserved;
    issuers_lost: content::nearest_issuer_only() => RecordIsPreserved;
    unknown_field_of_a_newer_record_lost: content::no_unknown_fields() => NewerRecordIsProtected;
    text_in_lower_case: content::lower_case() => TextIsPreserved;
    text_trimmed: content::trimmed() => TextIsPreserved;
    text_composed: content::composed() => TextIsPreserved;
    text_ends_at_nul: content::up_to_nul() => TextIsPreserved;
    text_ends_at_an_emoji: content::up_to_emoji() => TextIsPreserved;
    long_text_cut: content::cut() => TextIsPreserved;
    quotes_undoubled: content::unquoted() => TextIsPreserved;
    line_ends_changed: content::windows_lines() => TextIsPreserved;

    page_ends_at_a_failure: interrupted::PageEndsAtFailure => InterruptedCallsAreTrue;
    count_ends_at_a_failure: interrupted::CountEndsAtFailure => InterruptedCallsAreTrue;
    one_error_is_that_of_all: interrupted::OneErrorIsThatOfAll => InterruptedCallsAreTrue;
    read_back_fails: interrupted::ReadBackFails => InterruptedCallsAreTrue;
    page_is_read_ahead: pages::PageIsReadAhead::default() => HandlesAgree;
    seven_issuers_are_searched: pages::SevenIssuers => FiltersAreExact;
    count_has_no_case: pages::CountHasNoCase => TextIsComparedAsBytes;
    last_use_is_a_float: pages::LastUseIsAFloat => LatestTouchWins;

    page_skips_at_its_edge: lists::EdgeIsSkipped => ScanIsComplete;
    page_repeats_at_its_edge: lists::EdgeIsRepeated => ScanIsComplete;
    cursor_dies_with_its_record: lists::CursorDiesWithItsRecord => CursorIsAPosition;
    cursor_without_a_record_starts_anew:
        lists::CursorWithoutARecordStartsAnew => CursorIsAPosition;
    cursor_is_an_offset: lists::CursorIsAnOffset => ScanIsComplete;
    newest_first_loses_the_oldest: lists::NewestFirstLosesTheOldest => OrdersAgree;
    direction_is_ignored: lists::DirectionIsIgnored => ListIsInOrder;
    ids_are_signed: lists::IdsAreSigned => ListIsInOrder;
    page_is_sorted_by_creation: lists::PageIsSortedByCreation => ListIsInOrder;
    page_has_one_too_many: lists::PageHasOneTooMany => PageLimitIsRespected;
    short_page_is_the_end: lists::ShortPageIsTheEnd => SparseScanIsComplete;
    empty_page_is_the_end: lists::EmptyPageIsTheEnd => SparseScanIsComplete;
    second_page_forgets_the_owner: lists::SecondPageForgetsTheOwner => OwnersAreSeparate;
    owner_is_a_prefix: lists::OwnerIsAPrefix => OwnersAreSeparate;
    owner_has_no_case: lists::OwnerHasNoCase => OwnersAreSeparate;
    owner_ends_at_nul: lists::OwnerEndsAtNul => OwnersAreSeparate;
    labels_are_searched_trimmed: lists::LabelsAreSearchedTrimmed => TextIsComparedAsBytes;
    only_the_nearest_issuer_is_searched: lists::OnlyTheNearestIssuerIsSearched => FiltersAreExact;
    end_is_inclusive: lists::EndIsInclusive => FiltersAreExact;
    past_end_is_inclusive: lists::PastEndIsInclusive => FiltersAreExact;
    future_ends_are_past: lists::FutureEndsArePast => FiltersAreExact;
    revocation_is_no_end: lists::RevocationIsNoEnd => FiltersAreExact;
    revoked_count_as_expired: lists::RevokedCountAsExpired => FiltersAreExact;
    suspensions_do_not_pass: lists::SuspensionsDoNotPass => StatesFollowNow;
    suspended_count_as_active: lists::SuspendedCountAsActive => FiltersAreExact;
    own_clock: lists::OwnClock => StatesFollowNow;
    states_by_the_second: lists::TimesInSeconds => StatesFollowNow;
    list_shows_other_versions: lists::ListShowsOtherVersions => ListAgreesWithFind;
    list_shows_no_metadata: lists::ListShowsNoMetadata => ListAgreesWithFind;
    list_is_stale: lists::ListIsStale::default() => ReadYourWrites;

    ids_have_no_case: reads::IdsHaveNoCase => IdsAreExact;
    ids_are_halves: reads::IdsAreHalves => IdsAreExact;
    find_takes_the_next: reads::FindTakesTheNext => IdsAreExact;
    find_is_stale: reads::FindIsStale::default() => ReadYourWrites;
    handle_caches_reads: reads::HandleCachesReads::default() => HandlesAgree;
    find_now_calls_twice: reads::FindNowCallsTwice => FindNowAgrees;
    find_now_never_calls: reads::FindNowNeverCalls => FindNowAgrees;
    find_now_takes_it_back: reads::FindNowTakesItBack => FindNowAgrees;
    find_now_is_stale: reads::FindNowIsStale::default() => FindNowAgrees;
    find_now_knows_no_last_use: reads::FindNowKnowsNoLastUse => FindNowAgrees;

    many_are_found_in_order_of_ids: ManyRows::FoundInOrderOfIds => ManyAgreeWithSingle;
    many_leave_out_the_missing: ManyRows::MissingIsLeftOut => ManyAgreeWithSingle;
    many_are_a_hundred: ManyRows::FindsAHundred => ManyAgreeWithSingle;
    many_versions_shift: ManyRows::VersionsShift => ManyAgreeWithSingle;
    many_replace_any_version: ManyRows::ReplacesAnyVersion => ManyAgreeWithSingle;
    many_say_a_conflict_is_replaced: ManyRows::ConflictIsReplaced => ManyAgreeWithSingle;
    many_stop_at_a_conflict: ManyRows::ConflictStopsTheRest => ManyAgreeWithSingle;
    many_remove_any_version: ManyRows::RemovesAnyVersion => ManyAgreeWithSingle;
    many_return_the_first_result: ManyRows::FirstResultForAll => ManyAgreeWithSingle;
    count_ignores_the_time: ManyRows::CountIgnoresTime => CountAgreesWithList;
    count_is_of_one_page: ManyRows::CountsOnePage => CountAgreesWithList;
    many_replaces_are_full_statements: Setting::with(Many::ReplacesFullStatementsOf(300)) => LargeBatchesAreComplete;
    many_removals_are_full_statements: Setting::with(Many::RemovesFullStatementsOf(256)) => LargeBatchesAreComplete;
    many_removals_are_statements_of_500: Setting::with(Many::RemovesFullStatementsOf(500)) => LargeBatchesAreComplete;
    many_are_found_in_the_last_statement: Setting::with(Many::FindsTheLastOf(500)) => LargeBatchesAreComplete;
    many_versions_end_at_512: Setting::with(Many::VersionsEndAt(512)) => LargeBatchesAreComplete;
    many_replaces_check_then_write: Setting::with(Many::ReplaceComparesThenWrites) => OneRowWins;
    many_removals_check_then_remove: Setting::with(Many::RemoveComparesThenRemoves) => OneRowWins;
    many_removals_hold_no_lock: Setting::with(Many::RemoveHoldsNoLock) => ManyAgreeOnThreads;
    many_replaces_in_two_steps: Setting::with(Many::ReplaceInTwoSteps) => DroppedRowsAreAtomic;
    many_versions_of_the_removed: Setting::with(Many::VersionsOfTheRemoved) => ManyKeepTheRules;
    many_removed_are_found: Setting::with(Many::RemovedIsFound) => ManyKeepTheRules;
    many_replaces_change_the_owner: Setting::with(Many::ReplacesTheOwner) => ManyKeepTheRules;
    many_replaces_forget_last_use: Setting::with(Many::ReplaceForgetsLastUse) => ManyKeepTheRules;
    many_replaces_are_not_reported: Setting::with(Many::ReplacesAreNotReported) => ChangesOfManyAreReported;
    many_removals_are_reported_once: Setting::with(Many::FirstRemovalIsReported) => ChangesOfManyAreReported;
    many_versions_are_cached: Setting::with(Many::HandleCachesVersions) => ManyAgreeThroughHandles;
    many_rows_are_cached: Setting::with(Many::HandleCachesRows) => ManyAgreeThroughHandles;
    many_replaces_are_lost_at_reopening: Setting::with(Many::ReplacesAreLostAtReopening) => ManySurviveReopening;
    many_failures_are_not_found: Setting::with(Many::FailureIsNotFound) => FailuresOfManyAreErrors;
    failure_is_counted_as_zero: Setting::with(Many::FailureIsCountedAsZero) => FailuresOfManyAreErrors;
    many_failed_replaces_say_yes: Setting::with(Many::FailedReplaceSaysYes) => FailuresOfManyAreErrors;
    closed_store_has_no_versions: Setting::with(Many::ClosedHasNoVersions) => ClosingHidesNoRow;
    closed_store_counts_zero: Setting::with(Many::ClosedCountsZero) => ClosingHidesNoRow;
    many_errors_quote_rows: Setting::with(Many::ErrorQuotesRows) => ErrorsOfManyLeakNothing;
    count_of_active_is_of_live: Setting::with(Many::ActiveCountsAsLive) => CountsFollowWrites;
    count_is_of_the_first_state: Setting::with(Many::FirstStateIsCounted) => CountsFollowWrites;
    count_key_is_concatenated: Setting::with(Many::KeyIsConcatenated) => CountsFollowWrites;
    count_is_of_own_writes: Setting::with(Many::CountsOwnWrites) => CountsFollowWrites;

    touch_rewrites: last_use::TouchRewrites => TouchDoesNotChangeRecord;
    touch_creates: last_use::TouchCreates => TouchCreatesNothing;
    touch_waits_for_its_record: last_use::TouchWaitsForItsRecord::default() => TouchCreatesNothing;
    touch_stops_at_a_missing_record: last_use::TouchStopsAtAMissingRecord => TouchCreatesNothing;
    touch_goes_back: last_use::TouchGoesBack::default() => LatestTouchWins;
    touch_in_seconds: last_use::TouchInSeconds => LatestTouchWins;
    untracked_says_never: Untracked::SaysNever => LastUseIsReported;
    untracked_answers_unused_since: Untracked::AnswersUnusedSince => UnusedSinceIsExact;
    unused_since_loses_the_never_used: last_use::UnusedSinceLosesTheNeverUsed => UnusedSinceIsExact;

    reopening_loses_a_record: Reopening::LosesARecord => SurvivesReopening;
    reopening_loses_last_use: Reopening::LosesLastUse => SurvivesReopening;
    reopening_revives_a_record: Reopening::RevivesARecord => SurvivesReopening;
    reopening_forgets_versions: reads::ReopeningForgetsVersions::default() => SurvivesReopening;
    failure_is_not_found: reads::FailureIsNotFound => FailuresAreErrors;
    failure_is_an_empty_list: reads::FailureIsAnEmptyList => FailuresAreErrors;
    failure_is_a_conflict: reads::FailureIsAConflict => FailuresAreErrors;
    failure_is_exists: reads::FailureIsExists => FailuresAreErrors;
    error_quotes_texts: ErrorQuotes::Texts => ErrorsLeakNothing;
    error_quotes_bytes: ErrorQuotes::Bytes => ErrorsLeakNothing;
    removal_is_not_reported: reads::RemovalIsNotReported => ChangesAreReported;
    change_is_reported_too_early: reads::ChangeIsReportedTooEarly => ChangesAreReported;
    closed_store_lacks_a_record: Closed::with(What::RecordIsMissing) => ClosingHidesNothing;
    closed_store_lists_nothing: Closed::with(What::ListIsEmpty) => ClosingHidesNothing;
    closed_store_loses_an_insert: Closed::with(What::InsertIsLost) => ClosingHidesNothing;
    closed_store_says_conflict: Closed::with(What::ReplaceConflicts) => ClosingHidesNothing;
    closed_store_lends_nothing: Closed::with(What::LendsNothing) => ClosingHidesNothing;
    store_closes_once: Closed::with(What::ClosesOnce) => ClosingHidesNothing;
    one_change_is_buffered: reads::OneChangeIsBuffered => ChangesAreReported;
}

flaws! {
    touch_writes_the_row_back: Flaw::TouchWritesTheRowBack => TouchUndoesNothing;
    touch_writes_the_row_back_on_threads: Flaw::TouchWritesTheRowBackOnThreads => ThreadsAgree;
    touch_restores_a_removed_row: Flaw::TouchRestoresARemovedRow => TouchUndoesNothing;
    touch_is_written_later: Flaw::TouchIsWrittenLater => TouchUndoesNothing;
    replace_writes_last_use_back: Flaw::ReplaceWritesLastUseBack => TouchUndoesNothing;
    versions_restart_at_opening: Flaw::VersionsRestartAtOpening => SurvivesReopening;
    versions_from_the_latest_row: Flaw::VersionsFromTheLatestRow => SurvivesReopening;
    versions_from_the_latest_row_again: Flaw::VersionsFromTheLatestRow => HandlesAgree;
    versions_of_eight_bits: Flaw::VersionsOfEightBits => VersionsAreNew;
    versions_of_sixteen_bits: Flaw::VersionsOfSixteenBits => VersionsAreNew;
    versions_compared_by_32_bits: Flaw::VersionsComparedBy32Bits => VersionsAreNew;
    remove_holds_no_lock: Flaw::RemoveHoldsNoLock => ThreadsAgree;
    removals_lock_each_other: Flaw::RemovalsLockEachOther => ThreadsAgree;
    replacements_lock_each_other: Flaw::ReplacementsLockEachOther => ThreadsAgree;
    handles_lock_themselves: Flaw::HandlesLockThemselves => ThreadsAgree;
    replace_deletes_and_inserts: Flaw::ReplaceDeletesAndInserts => ThreadsAgree;
    find_reads_two_times: Flaw::FindReadsTwoTimes => ThreadsAgree;
    insert_is_written_later: Flaw::InsertIsWrittenLater => SurvivesReopening;
    replace_is_written_later: Flaw::ReplaceIsWrittenLater => SurvivesReopening;
    remove_is_written_later: Flaw::RemoveIsWrittenLater => SurvivesReopening;
    insert_says_yes_while_down: Flaw::InsertSaysYesWhileDown => FailuresAreErrors;
    replace_says_yes_while_down: Flaw::ReplaceSaysYesWhileDown => FailuresAreErrors;
    remove_says_yes_while_down: Flaw::RemoveSaysYesWhileDown => FailuresAreErrors;
    touch_says_yes_while_down: Flaw::TouchSaysYesWhileDown => FailuresAreErrors;
    page_ends_at_100: Flaw::PageEndsAt(100) => LargePagesAreComplete;
    page_ends_at_999: Flaw::PageEndsAt(999) => LargePagesAreComplete;
    scan_ends_at_1000: Flaw::ScanEndsAt(1_000) => LargePagesAreComplete;
    page_ends_at_one_megabyte: Flaw::PageEndsAtOneMegabyte => LargePagesAreComplete;
    touch_ends_at_25: Flaw::TouchEndsAt(25) => TouchBatchIsComplete;
    touch_ends_at_500: Flaw::TouchEndsAt(500) => TouchBatchIsComplete;
    touch_ends_at_999: Flaw::TouchEndsAt(999) => TouchBatchIsComplete;
    label_is_indexed_once: Flaw::LabelIsIndexedOnce => ReplacedRecordIsIndexed;
    type_is_indexed_once: Flaw::TypeIsIndexedOnce => ReplacedRecordIsIndexed;
    end_is_indexed_once: Flaw::EndIsIndexedOnce => ReplacedRecordIsIndexed;
    issuers_are_indexed_once: Flaw::IssuersAreIndexedOnce => ReplacedRecordIsIndexed;
    state_is_indexed_once: Flaw::StateIsIndexedOnce => ReplacedRecordIsIndexed;
    owner_is_indexed_for_ever: Flaw::OwnerIsIndexedForEver => ReplacedRecordIsIndexed;
    times_are_cut_to_milliseconds: Flaw::TimesAreCutToMilliseconds => FilterEdgesAreExact;
    now_is_rounded_up: Flaw::NowIsRoundedUp => FilterEdgesAreExact;
    ends_are_inclusive: Flaw::EndsAreInclusive => FilterEdgesAreExact;
    distant_times_are_ignored: Flaw::DistantTimesAreIgnored => FilterEdgesAreExact;
    dropped_insert_is_not_listed: Flaw::DroppedInsertIsNotListed => DroppedCallsAreAtomic;
    dropped_removal_is_not_listed: Flaw::DroppedRemovalIsNotListed => DroppedCallsAreAtomic;
    dropped_replace_is_indexed: Flaw::DroppedReplaceIsIndexed => DroppedCallsAreAtomic;
    dropped_calls_lose_connections: Flaw::DroppedCallsLoseConnections => CallsLeaveNothingBehind;
    conflicts_lose_connections: Flaw::ConflictsLoseConnections => CallsLeaveNothingBehind;
    failures_lose_connections: Flaw::FailuresLoseConnections => OutagesEnd;
    feed_has_own_changes_only: Flaw::FeedHasOwnChangesOnly => ChangesReachEveryHandle;
    feed_reports_before_the_write: Flaw::FeedReportsBeforeTheWrite => ThreadsAgree;
    feed_loses_ready_changes: Flaw::FeedLosesReadyChanges => ChangesAreReported;
    feed_ends_as_missed: Flaw::FeedEndsAsMissed => FailuresAreErrors;
    feed_is_silent_after_outage: Flaw::FeedIsSilentAfterOutage => OutagesEnd;
    feed_holds_sixty_four: Flaw::FeedHoldsSixtyFour => ChangesAreReported;
    feed_has_one_reader: Flaw::FeedHasOneReader => ChangesAreReported;
    feed_reports_other_ids: Flaw::FeedReportsOtherIds => ChangesAreReported;
    damage_is_missing: Flaw::DamageIsMissing => DamageIsReported;
    damage_is_not_listed: Flaw::DamageIsNotListed => DamageIsReported;
    damage_is_unavailable: Flaw::DamageIsUnavailable => DamageIsReported;
    other_id_is_not_noticed: Flaw::OtherIdIsNotNoticed => DamageIsReported;
    lost_answer_is_unavailable: Flaw::LostAnswerIsUnavailable => LostAnswersAreIndeterminate;
    lost_answer_is_success: Flaw::LostAnswerIsSuccess => LostAnswersAreIndeterminate;
    lost_answer_is_repeated: Flaw::LostAnswerIsRepeated => LostAnswersAreIndeterminate;
    refusal_is_indeterminate: Flaw::RefusalIsIndeterminate => RefusedCallsAreUnavailable;
    refusal_is_success: Flaw::RefusalIsSuccess => RefusedCallsAreUnavailable;
    failed_write_happens: Flaw::FailedWriteHappens => FailuresAreErrors;
    failed_read_is_corrupt: Flaw::FailedReadIsCorrupt => FailuresAreErrors;
    error_has_base_64: Flaw::ErrorHasBase64 => ErrorsLeakNothing;
    error_has_escapes: Flaw::ErrorHasEscapes => ErrorsLeakNothing;
    error_has_a_long_list: Flaw::ErrorHasALongList => ErrorsLeakNothing;
    large_record_is_lost: Flaw::LargeRecordIsLost => RecordIsPreserved;
    large_record_is_cut: Flaw::LargeRecordIsCut => RecordIsPreserved;
    lost_row_is_unavailable: Flaw::LostRowIsUnavailable => LostRowsAreIndeterminate;
    lost_row_is_a_conflict: Flaw::LostRowIsAConflict => LostRowsAreIndeterminate;
    refused_row_is_indeterminate: Flaw::RefusedRowIsIndeterminate => RefusedRowsAreUnavailable;
    refused_row_is_missing: Flaw::RefusedRowIsMissing => RefusedRowsAreUnavailable;
    damage_fails_the_other_rows: Flaw::DamageFailsTheOtherRows => DamagedRowsAreReported;
    damaged_row_is_missing: Flaw::DamagedRowIsMissing => DamagedRowsAreReported;
    many_rows_are_indexed_once: Flaw::RowsAreIndexedOnce => ManyKeepTheRules;
    conflicts_of_rows_lose_connections: Flaw::RowsLoseConnections => DroppedRowsAreAtomic;
}
