//! The promises of a store, by name.

use std::fmt;

/// One list for the enum, its names and the tests of the macro, so that none can be forgotten.
macro_rules! promises {
    ($d:tt $($variant:ident $name:ident $sentence:literal,)+) => {
        /// One promise that [`TokenStore`](crate::TokenStore) asks of every store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Promise {
            $(#[doc = concat!("`", stringify!($name), "`: ", $sentence)] $variant,)+
        }

        impl Promise {
            /// All of them, in the order in which [`run`](super::run()) checks them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name, as in the docs of [`TokenStore`](crate::TokenStore) and in the tests of
            /// [`conformance_tests!`](crate::conformance_tests).
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)+
                }
            }

            /// What is promised, in a sentence.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)+
                }
            }
        }

        /// Writes a module with one test per [`Promise`](crate::conformance::Promise).
        ///
        /// It takes the attribute that makes a test of an `async fn`, of whatever runtime and with
        /// whatever arguments, and a [`StoreFactory`](crate::conformance::StoreFactory), evaluated
        /// anew for each test. The module is called `promises`; another name can be given first.
        /// The expression sees what is in scope where the macro stands.
        ///
        /// A test fails with the name of the promise and what was expected and seen. One that cannot
        /// be checked passes and prints "not checked" with the reason (`cargo test -- --nocapture`
        /// shows it).
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
    // Writing.
    InsertNeverOverwrites insert_never_overwrites
        "an insert under an id that has a record fails with `Exists`, even if the two are equal, and changes nothing",
    OneInsertWins one_insert_wins
        "of simultaneous inserts under one id one succeeds, the others fail with `Exists`, and the winner's record is kept",
    ReplaceNeedsTheVersion replace_needs_the_version
        "a replacement with any version but the present one fails with `Conflict` and changes nothing",
    ReplaceCreatesNothing replace_creates_nothing
        "a replacement under an id without a record fails with `Conflict` and creates none",
    ReplaceKeepsIdentity replace_keeps_identity
        "a replacement with another owner or creation time fails with `Conflict` and changes nothing",
    ReplaceKeepsLastUse replace_keeps_last_use
        "a replacement leaves the last use as it is",
    OneReplaceWins one_replace_wins
        "of simultaneous replacements and removals with one version one succeeds, the others fail with `Conflict`, and the winner's change is kept",
    VersionsAreNew versions_are_new
        "each replacement gives a version that the record never had, and every answer tells the present one",
    RemoveNeedsTheVersion remove_needs_the_version
        "a removal with any version but the present one, or without a record, fails with `Conflict` and changes nothing",
    RemovedIsGone removed_is_gone
        "a removed record is in no answer any more, nothing but an insert brings the id back, and then without the old last use",
    DroppedCallsAreWhole dropped_calls_are_whole
        "a call whose future is dropped has happened wholly or not at all, and blocks nothing",
    NewerRecordStays newer_record_stays
        "a record in a newer format is kept byte for byte, and a replacement of it fails with `NewerFormat`",
    // Keeping.
    ReadYourWrites read_your_writes
        "what was acknowledged is in the next answer of `find` and `list`",
    RecordIsKept record_is_kept
        "a record comes back with every field as it went in: times to the microsecond, secrets, scopes, issuers, metadata, revocation",
    TextIsKept text_is_kept
        "any text of any allowed length comes back byte for byte",
    IdsAreExact ids_are_exact
        "`find` answers with the record of exactly the id that was asked for, or with none",
    FindNowAgrees find_now_agrees
        "`find_now` lends what `find` answers, calling the visitor once if it returns true and not at all if false",
    // Lists.
    ListAgreesWithFind list_agrees_with_find
        "`list` shows each record with the content, version and last use that `find` answers with",
    ListIsInOrder list_is_in_order
        "each page is sorted by id as an unsigned number, in the direction asked for, and lies behind its cursor",
    DirectionsAgree directions_agree
        "newest first is exactly the reverse of oldest first",
    PageLengthHolds page_length_holds
        "a page has no more records than asked for",
    WalkIsComplete walk_is_complete
        "a walk over pages of any length meets each record that was there before and stays exactly once, whatever is written meanwhile",
    CursorIsAPlace cursor_is_a_place
        "a page starts behind its cursor even if no record has that id, or none any more",
    ShortPageIsNoEnd short_page_is_no_end
        "a walk that few records match goes on to the last of them: only a missing `next` is the end",
    FiltersAreExact filters_are_exact
        "each filter and each combination of them selects exactly what `Filter::matches` accepts",
    StatesFollowNow states_follow_now
        "the state of a token is that at the time given with the query, to the microsecond",
    OwnersStayApart owners_stay_apart
        "a list of one owner shows no other owner's record, however alike their names are",
    TextIsComparedAsBytes text_is_compared_as_bytes
        "texts in a query are compared byte for byte and mean nothing else",
    // Last use.
    LastUseIsTold last_use_is_told
        "every answer tells the last use: `Never` and then the time on a store that tracks it, `NotTracked` on any other",
    TouchKeepsTheLatest touch_keeps_the_latest
        "of all times given to `touch` for an id the latest stays, to the microsecond",
    TouchCreatesNothing touch_creates_nothing
        "a touch of an id without a record is passed over and creates nothing, and the rest of the batch is noted",
    TouchLeavesTheRecord touch_leaves_the_record
        "a touch changes neither a record nor its version",
    UnusedSinceIsHonest unused_since_is_honest
        "a query by last use selects exactly the right records, or fails with `Unsupported` on a store that does not track it",
    // Beyond one handle.
    ThreadsAgree threads_agree
        "under calls from several threads each call is atomic and no update is lost",
    HandlesAgree handles_agree
        "a second handle on the same storage sees what the first acknowledged, and competes with it by the same rules",
    SurvivesReopening survives_reopening
        "what was acknowledged is there after the store was closed and opened again",
    ChangesAreTold changes_are_told
        "a stream of changes tells each insert, replacement and removal after it can be read",
    FailuresAreErrors failures_are_errors
        "a store that cannot answer returns an error: never no record, an empty page, `Exists` or `Conflict`",
    ErrorsLeakNothing errors_leak_nothing
        "no error repeats the bytes of a record",
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
