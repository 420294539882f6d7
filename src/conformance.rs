//! The conformance suite for authors of stores. Every store must pass its checks.
//!
//! [`TokenStore`] documents the promises of a store. Each [`Promise`] has a name
//! and a check that fails under that name. The stores in this crate pass the same suite.
//!
//! # Testing a store in another crate
//!
//! The suite is behind the feature `conformance`. As a feature of a dev-dependency it is compiled only
//! into your tests:
//!
//! ```toml
//! [dependencies]
//! service-tokens = "0.1"
//!
//! [dev-dependencies]
//! service-tokens = { version = "0.1", features = ["conformance"] }
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```
//!
//! One line in a test file, for example `tests/conformance.rs`, creates one test per promise. It
//! takes the test attribute of your runtime and a factory that creates empty stores:
//!
//! ```
//! use service_tokens::conformance::fresh;
//! # use service_tokens::MemoryStore as MyStore;
//!
//! service_tokens::conformance_tests!(tokio::test, fresh(|| async { MyStore::new() }));
//! # fn main() {}
//! ```
//!
//! ```text
//! test promises::insert_never_overwrites ... ok
//! test promises::one_insert_wins ... FAILED
//! ```
//!
//! [`run`] returns the results as data, for example for a program that prints a report:
//!
//! ```
//! use service_tokens::conformance::{fresh, run};
//! # use service_tokens::MemoryStore as MyStore;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let report = run(&fresh(|| async { MyStore::new() })).await;
//! print!("{report}");
//! assert_eq!(report.broken().count(), 0);
//! # }
//! ```
//!
//! # Promises that need more than an empty store
//!
//! Some promises can be checked only if the store can be reopened, opened twice, made unavailable,
//! damaged or called from several threads. A [`StoreFactory`] offers these operations. Without them
//! [`run`] reports the promises as *not checked*, not as kept, and names the missing operation. A test of
//! the macro passes in this case and prints the reason (shown with `--nocapture`).
//!
//! ```
//! use async_trait::async_trait;
//! use service_tokens::conformance::{Outcome, Promise, StoreFactory, check};
//! use service_tokens::store::BoxError;
//! use service_tokens::MemoryStore;
//! use std::sync::Arc;
//!
//! struct Factory;
//!
//! #[async_trait]
//! impl StoreFactory for Factory {
//!     type Store = Arc<MemoryStore>;
//!     type Guard = ();
//!
//!     async fn fresh(&self) -> Result<(Arc<MemoryStore>, ()), BoxError> {
//!         Ok((Arc::new(MemoryStore::new()), ()))
//!     }
//!
//!     async fn second(
//!         &self,
//!         store: &Arc<MemoryStore>,
//!         _: &mut (),
//!     ) -> Option<Result<Arc<MemoryStore>, BoxError>> {
//!         Some(Ok(store.clone()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! assert_eq!(check(&Factory, Promise::HandlesAgree).await, Outcome::Kept);
//! let reopened = check(&Factory, Promise::SurvivesReopening).await;
//! assert!(matches!(reopened, Outcome::NotChecked { .. }));
//! # }
//! ```
//!
//! # How the checks run
//!
//! Each promise gets its own store, so that one broken promise affects few other checks. The suite
//! starts no runtime and no task. Overlapping calls are polled in turn inside the test, which
//! reveals the races of a store that waits between reading and writing. The races of a store that
//! never waits are visible on threads only. They are checked if the factory declares the store as
//! [`runtime_free`](StoreFactory::runtime_free), or says how to run a future on a thread
//! ([`spawn_on_thread`](StoreFactory::spawn_on_thread)). Dropped calls are dropped at each point at
//! which they wait, and delayed calls are delayed there while others run to their end. If the factory
//! offers a second handle and reopening, the state is then read through them as well.
//!
//! The promises about many rows repeat the checks of the single calls with `find_many`, `versions`,
//! `replace_many` and `remove_many`, each on a new store. If a check fails, it is repeated with one of the four
//! calls at a time, and the report names the one that fails. If it also fails with single calls, the report says so.
//!
//! The suite makes about 100,000 calls if every operation is offered, which take seconds in memory and a
//! minute or two on a database. If no version is above 65,535, or if the store answers within some
//! microseconds, it makes 65,000 more replacements for at most 25 seconds, because a version number of 16
//! bits is found only by counting to its end.
//!
//! No suite can prove a store correct. This one does not check whether a write survives a power
//! failure, how the store behaves with millions of records, or promises that are broken once in a
//! thousand runs.

mod changes;
mod closing;
mod damage;
mod delays;
mod dropped;
mod edges;
mod factory;
mod failures;
mod feeds;
mod filters;
mod handles;
mod history;
mod in_time;
mod indexes;
mod interrupted;
mod lab;
mod last_use;
mod leaks;
mod lists;
mod lost;
mod many;
mod other_handle;
mod outage;
mod owners;
mod polling;
mod probe;
mod promise;
mod races;
mod reads;
mod reopening;
mod report;
mod samples;
mod sizes;
mod threads;
mod together;
mod touches;
mod verdict;
mod versions;
mod writes;

pub use factory::{Fresh, Guarded, StoreFactory, ThreadJob, fresh, guarded};
pub use promise::Promise;
pub use report::{Outcome, Report};

use lab::{At, Lab};
use probe::Probe;
use verdict::{NotKept, Verdict, broken};

use crate::store::TokenStore;

/// Checks all promises, each on a new store.
///
/// # Examples
///
/// ```
/// use service_tokens::MemoryStore;
/// use service_tokens::conformance::{fresh, run};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let report = run(&fresh(|| async { MemoryStore::new() })).await;
/// assert_eq!(report.broken().count(), 0);
/// # }
/// ```
pub async fn run<F: StoreFactory + ?Sized>(factory: &F) -> Report {
    let mut outcomes = Vec::new();
    for promise in Promise::ALL {
        outcomes.push((*promise, check(factory, *promise).await));
    }
    Report::new(outcomes)
}

/// Checks one promise on a new store.
///
/// # Examples
///
/// ```
/// use service_tokens::MemoryStore;
/// use service_tokens::conformance::{Outcome, Promise, check, fresh};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let factory = fresh(|| async { MemoryStore::new() });
/// assert_eq!(check(&factory, Promise::ReadYourWrites).await, Outcome::Kept);
/// # }
/// ```
pub async fn check<F: StoreFactory + ?Sized>(factory: &F, promise: Promise) -> Outcome {
    let verdict = many::check(&At(factory), promise).await;
    match verdict {
        Ok(()) => Outcome::Kept,
        Err(NotKept::Broken(what)) => Outcome::Broken { what },
        Err(NotKept::NotChecked(why)) => Outcome::NotChecked { why: why.to_owned() },
    }
}

/// Checks one promise and panics if it is broken. The tests of
/// [`conformance_tests!`](crate::conformance_tests) call this function.
///
/// # Panics
///
/// Panics if the promise is broken. The message contains its name, the expected and the actual
/// result.
///
/// # Examples
///
/// ```
/// use service_tokens::MemoryStore;
/// use service_tokens::conformance::{Promise, expect_kept, fresh};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// expect_kept(&fresh(|| async { MemoryStore::new() }), Promise::ReadYourWrites).await;
/// # }
/// ```
#[allow(clippy::panic, clippy::print_stdout, reason = "the body of a test")]
pub async fn expect_kept<F: StoreFactory + ?Sized>(factory: &F, promise: Promise) {
    match check(factory, promise).await {
        Outcome::Kept => {}
        Outcome::NotChecked { why } => println!("{promise}: not checked: {why}"),
        Outcome::Broken { what } => {
            panic!("{promise} is broken: {}.\nSeen: {what}", promise.sentence())
        }
    }
}

async fn verdict(lab: &mut dyn Lab, spawn: &threads::Spawn<'_>, promise: Promise) -> Verdict {
    match promise {
        Promise::ThreadsAgree => {
            let mut handles = vec![lab.store()?];
            threads::threads_agree(&handles, spawn).await?;
            // Two handles have no lock in common, except the storage.
            if let Some(Ok(second)) = lab.second().await {
                handles.push(second.into());
                threads::races(&handles, spawn).await?;
            }
            Ok(())
        }
        Promise::HandlesAgree => {
            let (first, second) = (lab.store()?, second(lab).await?);
            let handles = [Probe { store: &*first }, Probe { store: &*second }];
            handles::handles_agree(handles[0], handles[1]).await?;
            let third = match self::second(lab).await {
                Err(NotKept::NotChecked(_)) => {
                    return broken("the factory offers a second handle only once");
                }
                third => third?,
            };
            versions::across_handles([handles[0], handles[1], Probe { store: &*third }]).await
        }
        Promise::ChangesReachEveryHandle => {
            let (first, second) = (lab.store()?, second(lab).await?);
            let (first, second) = (Probe { store: &*first }, Probe { store: &*second });
            feeds::changes_reach_every_handle(first, second).await
        }
        Promise::SurvivesReopening => reopening::survives_reopening(lab).await,
        Promise::DelayedCallsAgree => delays::delayed_calls_agree(lab).await,
        Promise::DroppedCallsAreAtomic => dropped::dropped_calls_are_atomic(lab).await,
        Promise::CallsLeaveNothingBehind => dropped::calls_leave_nothing_behind(lab).await,
        Promise::LongHistoryIsKept => history::long_history_is_kept(lab).await,
        Promise::FailuresAreErrors => failures::failures_are_errors(lab).await,
        Promise::OutagesEnd => outage::outages_end(lab).await,
        Promise::InterruptedCallsAreTrue => interrupted::interrupted_calls_are_true(lab).await,
        Promise::LostAnswersAreIndeterminate => lost::lost_answers_are_indeterminate(lab).await,
        Promise::RefusedCallsAreUnavailable => lost::refused_calls_are_unavailable(lab).await,
        Promise::DamageIsReported => damage::damage_is_reported(lab).await,
        Promise::ErrorsLeakNothing => leaks::errors_leak_nothing(lab).await,
        Promise::FailuresOfManyAreErrors => many::failures_are_errors(lab).await,
        Promise::LostRowsAreIndeterminate => many::lost_rows_are_indeterminate(lab).await,
        Promise::RefusedRowsAreUnavailable => many::refused_rows_are_unavailable(lab).await,
        Promise::DamagedRowsAreReported => many::damaged_rows_are_reported(lab).await,
        Promise::CountsFollowWrites => many::counts_follow_writes(lab, spawn).await,
        Promise::ManyKeepTheRules => many::versions_are_new(lab.store()?).await,
        _ => {
            let store = lab.store()?;
            on_one_handle(Probe { store: &*store }, promise).await
        }
    }
}

async fn second(lab: &mut dyn Lab) -> Result<Box<dyn TokenStore>, NotKept> {
    match lab.second().await {
        None => Err(NotKept::NotChecked("the factory offers no second handle (`second`)")),
        Some(Err(error)) => broken(format!("the second handle could not be opened: {error}")),
        Some(Ok(second)) => Ok(second),
    }
}

async fn on_one_handle(probe: Probe<'_>, promise: Promise) -> Verdict {
    match promise {
        Promise::InsertNeverOverwrites => writes::insert_never_overwrites(probe).await,
        Promise::OneInsertWins => races::one_insert_wins(probe).await,
        Promise::ReplaceRequiresTheVersion => writes::replace_requires_the_version(probe).await,
        Promise::ReplaceCreatesNothing => writes::replace_creates_nothing(probe).await,
        Promise::ReplacePreservesIdentity => writes::replace_preserves_identity(probe).await,
        Promise::ReplacePreservesLastUse => writes::replace_preserves_last_use(probe).await,
        Promise::OneReplaceWins => races::one_replace_wins(probe).await,
        Promise::VersionsAreNew => versions::versions_are_new(probe).await,
        Promise::RemoveRequiresTheVersion => writes::remove_requires_the_version(probe).await,
        Promise::RemovedRecordIsGone => writes::removed_record_is_gone(probe).await,
        Promise::NewerRecordIsProtected => writes::newer_record_is_protected(probe).await,
        Promise::ReadYourWrites => reads::read_your_writes(probe).await,
        Promise::RecordIsPreserved => reads::record_is_preserved(probe).await,
        Promise::TextIsPreserved => reads::text_is_preserved(probe).await,
        Promise::IdsAreExact => reads::ids_are_exact(probe).await,
        Promise::FindNowAgrees => reads::find_now_agrees(probe).await,
        Promise::ListAgreesWithFind => lists::list_agrees_with_find(probe).await,
        Promise::ListIsInOrder => lists::list_is_in_order(probe).await,
        Promise::OrdersAgree => lists::orders_agree(probe).await,
        Promise::PageLimitIsRespected => lists::page_limit_is_respected(probe).await,
        Promise::ScanIsComplete => lists::scan_is_complete(probe).await,
        Promise::CursorIsAPosition => lists::cursor_is_a_position(probe).await,
        Promise::SparseScanIsComplete => lists::sparse_scan_is_complete(probe).await,
        Promise::LargePagesAreComplete => sizes::large_pages_are_complete(probe).await,
        Promise::FiltersAreExact => {
            filters::filters_are_exact(probe).await?;
            together::conditions_hold_together(probe).await?;
            together::scattered_records_are_found(probe).await?;
            together::every_issuer_is_found(probe).await
        }
        Promise::StatesFollowNow => filters::states_follow_now(probe).await,
        Promise::FilterEdgesAreExact => edges::filter_edges_are_exact(probe).await,
        Promise::ReplacedRecordIsIndexed => indexes::replaced_record_is_indexed(probe).await,
        Promise::ManyAgreeWithSingle => many::many_agree_with_single(probe).await,
        Promise::CountAgreesWithList => many::count_agrees_with_list(probe).await,
        Promise::LargeBatchesAreComplete => many::large_batches_are_complete(probe).await,
        Promise::OneRowWins => many::one_row_wins(probe).await,
        Promise::DroppedRowsAreAtomic => many::dropped_rows_are_atomic(probe).await,
        Promise::ChangesOfManyAreReported => many::changes_are_reported(probe).await,
        Promise::ClosingHidesNoRow => many::closing_hides_no_row(probe).await,
        Promise::OwnersAreSeparate => owners::owners_are_separate(probe).await,
        Promise::TextIsComparedAsBytes => filters::text_is_compared_as_bytes(probe).await,
        Promise::LastUseIsReported => last_use::last_use_is_reported(probe).await,
        Promise::LatestTouchWins => last_use::latest_touch_wins(probe).await,
        Promise::TouchCreatesNothing => last_use::touch_creates_nothing(probe).await,
        Promise::TouchDoesNotChangeRecord => last_use::touch_does_not_change_record(probe).await,
        Promise::TouchUndoesNothing => touches::touch_undoes_nothing(probe).await,
        Promise::TouchBatchIsComplete => sizes::touch_batch_is_complete(probe).await,
        Promise::UnusedSinceIsExact => last_use::unused_since_is_exact(probe).await,
        Promise::ChangesAreReported => changes::changes_are_reported(probe).await,
        Promise::ClosingHidesNothing => closing::closing_hides_nothing(probe).await,
        Promise::ThreadsAgree
        | Promise::DelayedCallsAgree
        | Promise::DroppedCallsAreAtomic
        | Promise::CallsLeaveNothingBehind
        | Promise::LongHistoryIsKept
        | Promise::HandlesAgree
        | Promise::SurvivesReopening
        | Promise::ChangesReachEveryHandle
        | Promise::FailuresAreErrors
        | Promise::OutagesEnd
        | Promise::InterruptedCallsAreTrue
        | Promise::LostAnswersAreIndeterminate
        | Promise::RefusedCallsAreUnavailable
        | Promise::DamageIsReported
        | Promise::ErrorsLeakNothing
        | Promise::ManyKeepTheRules
        | Promise::ManyAgreeOnThreads
        | Promise::ManyAgreeThroughHandles
        | Promise::ManySurviveReopening
        | Promise::FailuresOfManyAreErrors
        | Promise::LostRowsAreIndeterminate
        | Promise::RefusedRowsAreUnavailable
        | Promise::DamagedRowsAreReported
        | Promise::ErrorsOfManyLeakNothing
        | Promise::CountsFollowWrites => {
            Err(NotKept::NotChecked("the promise needs an operation of the factory"))
        }
    }
}
