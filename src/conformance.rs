//! The suite that any store must pass, for authors of stores.
//!
//! [`TokenStore`](crate::TokenStore) says what a store promises; here each of those promises has a name
//! ([`Promise`]) and a check that fails by that name. The stores that ship with this crate
//! pass the same suite.
//!
//! # In a crate of your own
//!
//! The suite is behind a feature, so that it is not part of what you ship:
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
//! One line in a test file, here `tests/conformance.rs`, gives one test per promise. It takes the
//! attribute of your runtime's tests and a factory of empty stores:
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
//! The same as data, for a report of your own or a check at start-up:
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
//! # What is not checked
//!
//! Some promises need more than an empty store: to open it again, to open it twice, to take its
//! storage away, to call it from threads. [`StoreFactory`] says how to offer that. Without it they
//! are reported as *not checked*, and [`run`] counts nothing as kept that nobody has seen. A test of
//! the macro passes then, and prints why (shown with `--nocapture`).
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
//! # How it works
//!
//! Each promise gets a store of its own, so that one broken promise breaks few others. The suite
//! starts no runtime and no task: calls that overlap are polled in turn inside the test that awaits
//! them, which shows the races of a store that waits between reading and writing. Those of a store
//! that never waits show on threads only, and only if the factory says that the store is
//! [`runtime_free`](StoreFactory::runtime_free).
//!
//! No suite proves a store right. What this one cannot see: whether a change survives a power cut,
//! what happens under a load of millions, and what a promise broken once in a thousand runs does.

mod beyond;
mod factory;
mod filters;
mod kept;
mod last_use;
mod lists;
mod probe;
mod promise;
mod races;
mod report;
mod sample;
mod turns;
mod verdict;
mod writes;

pub use factory::{Fresh, Guarded, StoreFactory, fresh, guarded};
pub use promise::Promise;
pub use report::{Outcome, Report};

use probe::Probe;
use verdict::{Unkept, Verdict, broken};

/// Checks all promises, each on a fresh store.
pub async fn run<F: StoreFactory + ?Sized>(factory: &F) -> Report {
    let mut outcomes = Vec::new();
    for promise in Promise::ALL {
        outcomes.push((*promise, check(factory, *promise).await));
    }
    Report::new(outcomes)
}

/// Checks one promise on a fresh store.
pub async fn check<F: StoreFactory + ?Sized>(factory: &F, promise: Promise) -> Outcome {
    let (store, mut guard) = match factory.fresh().await {
        Ok(fresh) => fresh,
        Err(error) => return Outcome::Broken { what: format!("there is no store: {error}") },
    };
    let verdict = verdict(factory, store, &mut guard, promise).await;
    factory.clean_up(guard).await;
    match verdict {
        Ok(()) => Outcome::Kept,
        Err(Unkept::Broken(what)) => Outcome::Broken { what },
        Err(Unkept::NotChecked(why)) => Outcome::NotChecked { why: why.to_owned() },
    }
}

/// Checks one promise as a test does: what the tests of
/// [`conformance_tests!`](crate::conformance_tests) call.
///
/// # Panics
///
/// If the promise is broken, with its name and what was expected and seen.
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

async fn verdict<F: StoreFactory + ?Sized>(
    factory: &F,
    store: F::Store,
    guard: &mut F::Guard,
    promise: Promise,
) -> Verdict {
    let probe = Probe { store: &store };
    match promise {
        Promise::ThreadsAgree if factory.runtime_free() => races::threads_agree(probe),
        Promise::ThreadsAgree => {
            Err(Unkept::NotChecked("the factory does not say that the store is runtime-free"))
        }
        Promise::HandlesAgree => match factory.second(&store, guard).await {
            None => Err(Unkept::NotChecked("the factory offers no second handle")),
            Some(Err(error)) => broken(format!("there is no second handle: {error}")),
            Some(Ok(second)) => beyond::handles_agree(probe, Probe { store: &second }).await,
        },
        Promise::SurvivesReopening => survives_reopening(factory, store, guard).await,
        Promise::FailuresAreErrors | Promise::ErrorsLeakNothing => {
            let known = beyond::before_failing(probe).await?;
            if !factory.make_unavailable(&store, guard).await {
                return Err(Unkept::NotChecked("the factory cannot make the store unavailable"));
            }
            let (errors, wrong) = beyond::while_failing(&store, &known).await?;
            if promise == Promise::FailuresAreErrors {
                beyond::failed_as_errors(&errors, wrong)
            } else {
                beyond::leaked_nothing(&errors, &known)
            }
        }
        _ => on_one_handle(probe, promise).await,
    }
}

async fn survives_reopening<F: StoreFactory + ?Sized>(
    factory: &F,
    mut store: F::Store,
    guard: &mut F::Guard,
) -> Verdict {
    let before = beyond::before_reopening(Probe { store: &store }).await?;
    // Twice: what the second opening reads, the first one has left.
    for _ in 0..2 {
        store = match factory.reopen(store, guard).await {
            None => return Err(Unkept::NotChecked("the factory cannot reopen a store")),
            Some(Err(error)) => return broken(format!("the store does not open again: {error}")),
            Some(Ok(store)) => store,
        };
        beyond::after_reopening(Probe { store: &store }, &before).await?;
    }
    Ok(())
}

async fn on_one_handle(probe: Probe<'_>, promise: Promise) -> Verdict {
    match promise {
        Promise::InsertNeverOverwrites => writes::insert_never_overwrites(probe).await,
        Promise::OneInsertWins => races::one_insert_wins(probe).await,
        Promise::ReplaceNeedsTheVersion => writes::replace_needs_the_version(probe).await,
        Promise::ReplaceCreatesNothing => writes::replace_creates_nothing(probe).await,
        Promise::ReplaceKeepsIdentity => writes::replace_keeps_identity(probe).await,
        Promise::ReplaceKeepsLastUse => writes::replace_keeps_last_use(probe).await,
        Promise::OneReplaceWins => races::one_replace_wins(probe).await,
        Promise::VersionsAreNew => writes::versions_are_new(probe).await,
        Promise::RemoveNeedsTheVersion => writes::remove_needs_the_version(probe).await,
        Promise::RemovedIsGone => writes::removed_is_gone(probe).await,
        Promise::DroppedCallsAreWhole => races::dropped_calls_are_whole(probe).await,
        Promise::NewerRecordStays => writes::newer_record_stays(probe).await,
        Promise::ReadYourWrites => kept::read_your_writes(probe).await,
        Promise::RecordIsKept => kept::record_is_kept(probe).await,
        Promise::TextIsKept => kept::text_is_kept(probe).await,
        Promise::IdsAreExact => kept::ids_are_exact(probe).await,
        Promise::FindNowAgrees => kept::find_now_agrees(probe).await,
        Promise::ListAgreesWithFind => lists::list_agrees_with_find(probe).await,
        Promise::ListIsInOrder => lists::list_is_in_order(probe).await,
        Promise::DirectionsAgree => lists::directions_agree(probe).await,
        Promise::PageLengthHolds => lists::page_length_holds(probe).await,
        Promise::WalkIsComplete => lists::walk_is_complete(probe).await,
        Promise::CursorIsAPlace => lists::cursor_is_a_place(probe).await,
        Promise::ShortPageIsNoEnd => lists::short_page_is_no_end(probe).await,
        Promise::FiltersAreExact => filters::filters_are_exact(probe).await,
        Promise::StatesFollowNow => filters::states_follow_now(probe).await,
        Promise::OwnersStayApart => filters::owners_stay_apart(probe).await,
        Promise::TextIsComparedAsBytes => filters::text_is_compared_as_bytes(probe).await,
        Promise::LastUseIsTold => last_use::last_use_is_told(probe).await,
        Promise::TouchKeepsTheLatest => last_use::touch_keeps_the_latest(probe).await,
        Promise::TouchCreatesNothing => last_use::touch_creates_nothing(probe).await,
        Promise::TouchLeavesTheRecord => last_use::touch_leaves_the_record(probe).await,
        Promise::UnusedSinceIsHonest => last_use::unused_since_is_honest(probe).await,
        Promise::ChangesAreTold => beyond::changes_are_told(probe).await,
        Promise::ThreadsAgree
        | Promise::HandlesAgree
        | Promise::SurvivesReopening
        | Promise::FailuresAreErrors
        | Promise::ErrorsLeakNothing => Err(Unkept::NotChecked("it takes more than one handle")),
    }
}
