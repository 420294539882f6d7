//! The calls of the store in bulk operations: pages of records travel together, and a record is read again
//! only after a conflict or a lost answer.

use std::sync::Arc;

use futures_lite::future::{block_on, poll_once};
use service_tokens::bulk::{BulkError, BulkOutcome};
use service_tokens::record::SuspensionMatch;
use service_tokens::store::{StoreError, Version};
use service_tokens::{
    Event, Filter, ManageError, ResumeRequest, RevokeRequest, SuspendRequest, TokenId,
};

use super::harness::{
    DAY, Fate, HOUR, Harness, Method, Networked, Rival, SharedStore, Stores, any, backup, incident,
    issue_many, records, text,
};

behaviours! {
    bulk_of_2000_makes_two_writes,
    bulk_with_conflicts_finds_those_only,
    bulk_resolves_lost_answer_of_page,
    bulk_resolves_lost_answer_of_partial_page,
    bulk_with_wrong_number_of_results_is_resolved,
    bulk_with_finds_of_wrong_number_fails_each,
    bulk_reports_unknown_of_earlier_pass,
    unavailable_bulk_counts_acknowledged,
    bulk_executed_twice_changes_each_once,
    dropped_bulk_changes_whole_records,
    unanswered_bulk_can_be_dropped,
    revoke_all_invalidates_cached_records,
    unused_filter_limits_records_in_progress,
    bulk_rows_respect_gathering,
}

/// A bulk operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bulk {
    Revoke,
    Suspend,
    Resume,
    Purge,
}

const THREADS: usize = 16;

const ALL: [Bulk; 4] = [Bulk::Revoke, Bulk::Suspend, Bulk::Resume, Bulk::Purge];

/// A service with this many tokens that the operation can change, over a network that has counted no calls.
async fn prepared(stores: Stores, bulk: Bulk, many: usize) -> Harness<Arc<Networked>> {
    let harness = Harness::over_network(stores);
    // Several threads, because a store in a file is faster if writes share a sync.
    std::thread::scope(|threads| {
        let service = &harness.service;
        let issue = move |many: usize| {
            for _ in 0..many {
                let _ = block_on(service.owner("acme").issue(backup())).unwrap();
            }
        };
        for thread in 0..THREADS {
            threads.spawn(move || issue(many / THREADS + usize::from(thread < many % THREADS)));
        }
    });
    match bulk {
        Bulk::Revoke | Bulk::Suspend => {}
        Bulk::Resume => drop(run(&harness, Bulk::Suspend).await.unwrap()),
        Bulk::Purge => {
            let _ = run(&harness, Bulk::Revoke).await.unwrap();
            harness.clock.advance(3 * DAY);
        }
    }
    let _ = harness.collected.take(&harness.service);
    harness.network().reset();
    harness
}

async fn run(harness: &Harness<Arc<Networked>>, bulk: Bulk) -> Result<BulkOutcome, BulkError> {
    let acme = harness.service.owner("acme");
    let filter = Filter::new();
    match bulk {
        Bulk::Revoke => acme.revoke_all(filter, incident()).run().await,
        Bulk::Suspend => {
            let request = SuspendRequest::new().by("alice").reason("INC-42");
            acme.suspend_all(filter, request).run().await
        }
        Bulk::Resume => acme.resume_all(filter, inc_42(), ResumeRequest::new()).run().await,
        Bulk::Purge => acme.purge(DAY).run().await,
    }
}

fn inc_42() -> SuspensionMatch {
    SuspensionMatch::ByAndReason { by: Some("alice".into()), reason: Some("INC-42".into()) }
}

impl Bulk {
    /// Returns the method with which the operation writes.
    fn writes(self) -> Method {
        if self == Self::Purge { Method::RemoveMany } else { Method::ReplaceMany }
    }

    /// Returns the number of records that the operation has still to change.
    async fn left(self, store: &SharedStore) -> usize {
        let all = records(&**store).await;
        let left = |record: &&service_tokens::Record| match self {
            Self::Revoke => record.revocation().is_none(),
            Self::Suspend => record.suspensions().is_empty(),
            Self::Resume => !record.suspensions().is_empty(),
            Self::Purge => true,
        };
        all.iter().filter(left).count()
    }

    /// Returns whether this is the event of one changed record. A purge emits none.
    fn is_event(self, event: &Event) -> bool {
        match self {
            Self::Revoke => matches!(event, Event::Revoked { .. }),
            Self::Suspend => matches!(event, Event::Suspended { .. }),
            Self::Resume => matches!(event, Event::Resumed { .. }),
            Self::Purge => false,
        }
    }

    /// Checks that the operation emitted one event for each changed record.
    fn check_events(self, harness: &Harness<Arc<Networked>>, done: u64) {
        let events = harness.collected.take(&harness.service);
        let changed = events.iter().filter(|event| self.is_event(event)).count() as u64;
        assert_eq!(changed, if self == Self::Purge { 0 } else { done }, "{self:?}");
    }
}

/// Returns the calls of single records: look-ups, replacements, removals.
fn single_calls(network: &Networked) -> usize {
    let methods = [Method::Find, Method::Replace, Method::Remove];
    methods.iter().map(|method| network.calls(*method).0).sum()
}

/// Another process writes these records, so that their versions change.
fn touched(ids: Vec<TokenId>) -> Fate {
    Fate::After(Box::new(move |store: SharedStore| -> Rival {
        Box::pin(async move {
            for id in ids {
                let found = store.find(id).await.unwrap().unwrap();
                store.replace(&found.record, found.version).await.unwrap();
            }
        })
    }))
}

pub(crate) async fn bulk_of_2000_makes_two_writes(stores: Stores) {
    for bulk in ALL {
        let harness = prepared(stores, bulk, 2_000).await;
        assert_eq!(run(&harness, bulk).await.unwrap().done, 2_000, "{bulk:?}");
        let network = harness.network();
        assert_eq!(network.calls(bulk.writes()), (2, 2_000), "{bulk:?}");
        // The pages, and those of the last pass, which finds no record to change.
        let pages = if bulk == Bulk::Suspend { 4 } else { 3 };
        assert_eq!(network.calls(Method::List).0, pages, "{bulk:?}");
        assert_eq!(
            (single_calls(network), network.calls(Method::FindMany)),
            (0, (0, 0)),
            "{bulk:?}"
        );
        assert_eq!(bulk.left(&harness.store).await, 0);
        bulk.check_events(&harness, 2_000);
    }
}

pub(crate) async fn bulk_with_conflicts_finds_those_only(stores: Stores) {
    for bulk in ALL {
        let harness = prepared(stores, bulk, 2_000).await;
        let all = records(&*harness.store).await;
        let others: Vec<TokenId> = all.iter().step_by(100).map(|record| record.id()).collect();
        // Ten of them are on each page, and three change again before they are written again.
        let (first, second) = others.split_at(10);
        harness.network().script(
            bulk.writes(),
            [
                touched(first.to_vec()),
                touched(first[..3].to_vec()),
                Fate::Fine,
                touched(second.to_vec()),
            ],
        );
        assert_eq!(run(&harness, bulk).await.unwrap().done, 2_000, "{bulk:?}");
        let network = harness.network();
        assert_eq!(network.calls(bulk.writes()), (5, 2_000 + 10 + 3 + 10), "{bulk:?}");
        assert_eq!(network.calls(Method::FindMany), (3, 10 + 3 + 10), "{bulk:?}");
        assert_eq!(single_calls(network), 0, "{bulk:?}");
        assert_eq!(bulk.left(&harness.store).await, 0);
        bulk.check_events(&harness, 2_000);
    }
}

pub(crate) async fn bulk_resolves_lost_answer_of_page(stores: Stores) {
    for bulk in ALL {
        for (lost, writes) in [(Fate::Lost, (2, 2_000)), (Fate::LostBefore, (3, 3_000))] {
            let harness = prepared(stores, bulk, 2_000).await;
            harness.network().script(bulk.writes(), [lost]);
            let outcome = run(&harness, bulk).await.unwrap();
            assert_eq!((outcome.done, outcome.failed), (2_000, 0), "{bulk:?}");
            let network = harness.network();
            assert_eq!(network.calls(bulk.writes()), writes, "{bulk:?}");
            assert_eq!(network.calls(Method::FindMany), (1, 1_000), "{bulk:?}");
            assert_eq!(bulk.left(&harness.store).await, 0);
            bulk.check_events(&harness, 2_000);
        }
    }
}

pub(crate) async fn bulk_resolves_lost_answer_of_partial_page(stores: Stores) {
    for bulk in ALL {
        let harness = prepared(stores, bulk, 300).await;
        harness.network().script(bulk.writes(), [Fate::FirstAndLost(100)]);
        let outcome = run(&harness, bulk).await.unwrap();
        assert_eq!((outcome.done, outcome.failed), (300, 0), "{bulk:?}");
        let network = harness.network();
        assert_eq!(network.calls(bulk.writes()), (2, 300 + 200), "{bulk:?}");
        assert_eq!(network.calls(Method::FindMany), (1, 300), "{bulk:?}");
        bulk.check_events(&harness, 300);
    }
}

/// The results cannot belong to the rows, so each write may have happened.
pub(crate) async fn bulk_with_wrong_number_of_results_is_resolved(stores: Stores) {
    for bulk in ALL {
        for wrong in [Fate::Fewer(1), Fate::Fewer(300), Fate::More(1)] {
            let harness = prepared(stores, bulk, 300).await;
            harness.network().script(bulk.writes(), [wrong]);
            let outcome = run(&harness, bulk).await.unwrap();
            assert_eq!((outcome.done, outcome.failed), (300, 0), "{bulk:?}");
            let network = harness.network();
            assert_eq!(network.calls(bulk.writes()), (1, 300), "{bulk:?}");
            assert_eq!(network.calls(Method::FindMany), (1, 300), "{bulk:?}");
            bulk.check_events(&harness, 300);
        }
    }
}

/// The answer for the first page is lost, and so is the reading after it. The second pass does not find the changed
/// records.
pub(crate) async fn bulk_reports_unknown_of_earlier_pass(stores: Stores) {
    for bulk in ALL {
        let harness = prepared(stores, bulk, 1_100).await;
        harness.network().script(bulk.writes(), [Fate::Lost]);
        harness.network().script(Method::FindMany, [Fate::Fewer(1)]);
        let outcome = run(&harness, bulk).await.unwrap();
        assert_eq!((outcome.done, outcome.failed, outcome.passes), (100, 1_000, 2), "{bulk:?}");
        assert_eq!(outcome.failures.len(), 100);
        for failure in &outcome.failures {
            let error = &failure.error;
            assert!(matches!(error, ManageError::Indeterminate { .. }), "{bulk:?}: {error:?}");
        }
        assert_eq!(bulk.left(&harness.store).await, 0);
    }
}

/// A record without a result is not missing.
pub(crate) async fn bulk_with_finds_of_wrong_number_fails_each(stores: Stores) {
    for bulk in ALL {
        let harness = prepared(stores, bulk, 30).await;
        harness.network().script(bulk.writes(), [Fate::LostBefore]);
        harness.network().script(Method::FindMany, [Fate::Fewer(1)]);
        let outcome = run(&harness, bulk).await.unwrap();
        assert_eq!((outcome.done, outcome.failed, outcome.passes), (0, 30, 1), "{bulk:?}");
        for failure in &outcome.failures {
            let error = &failure.error;
            assert!(matches!(error, ManageError::Indeterminate { .. }), "{bulk:?}: {error:?}");
        }
        assert_eq!(bulk.left(&harness.store).await, 30);
        // Another run continues.
        assert_eq!(run(&harness, bulk).await.unwrap().done, 30);
    }
}

pub(crate) async fn unavailable_bulk_counts_acknowledged(stores: Stores) {
    for bulk in ALL {
        for (fate, acknowledged) in [(Fate::Unavailable, 0), (Fate::First(123), 123)] {
            let harness = prepared(stores, bulk, 2_000).await;
            harness.network().script(bulk.writes(), [Fate::Fine, fate]);
            let error = run(&harness, bulk).await.unwrap_err();
            let cause = &error.cause;
            assert!(
                matches!(cause, ManageError::Store(StoreError::Unavailable { .. })),
                "{cause:?}"
            );
            assert_eq!(error.so_far.done, 1_000 + acknowledged, "{bulk:?}");
            assert_eq!(harness.network().calls(bulk.writes()), (2, 2_000), "{bulk:?}");
            assert_eq!(harness.network().calls(Method::FindMany), (0, 0), "{bulk:?}");
            assert_eq!(bulk.left(&harness.store).await as u64, 1_000 - acknowledged);
            bulk.check_events(&harness, 1_000 + acknowledged);
            assert_eq!(run(&harness, bulk).await.unwrap().done, 1_000 - acknowledged);
        }
    }
}

/// A store that repeats a call by itself answers with conflicts. No record is changed twice.
pub(crate) async fn bulk_executed_twice_changes_each_once(stores: Stores) {
    for bulk in ALL {
        let harness = prepared(stores, bulk, 300).await;
        harness.network().script(bulk.writes(), [Fate::Twice]);
        let outcome = run(&harness, bulk).await.unwrap();
        assert_eq!((outcome.done, outcome.failed), (0, 0), "{bulk:?}");
        assert_eq!(bulk.left(&harness.store).await, 0, "{bulk:?}");
        assert_eq!(harness.network().calls(bulk.writes()), (1, 300), "{bulk:?}");
    }
}

/// The future is dropped at each of its waits: before a call is done and before its answer.
pub(crate) async fn dropped_bulk_changes_whole_records(stores: Stores) {
    for bulk in ALL {
        for polls in 1.. {
            let harness = prepared(stores, bulk, 60).await;
            let others: Vec<TokenId> =
                records(&*harness.store).await.iter().take(3).map(|record| record.id()).collect();
            let network = harness.network();
            network.script(bulk.writes(), [touched(others), Fate::Late(1), Fate::Late(2)]);
            network.script(Method::FindMany, [Fate::Late(1)]);
            network.script(Method::List, [Fate::Late(1), Fate::Late(1)]);
            let mut running = Box::pin(run(&harness, bulk));
            let mut ended = false;
            for _ in 0..polls {
                ended = ended || poll_once(&mut running).await.is_some();
            }
            drop(running);
            // A store may complete a write whose future was dropped. This one comes after it.
            let absent = TokenId::from_bytes([0; 16]);
            assert!(harness.store.remove(absent, Version(0)).await.is_err());
            let left = bulk.left(&harness.store).await;
            let again = run(&harness, bulk).await.unwrap();
            assert_eq!(
                (again.done, again.failed),
                (left as u64, 0),
                "{bulk:?} after {polls} polls"
            );
            assert_eq!(bulk.left(&harness.store).await, 0, "{bulk:?} after {polls} polls");
            if ended {
                assert!(polls > 8, "{bulk:?}: the future waited {polls} times");
                break;
            }
        }
    }
}

pub(crate) async fn unanswered_bulk_can_be_dropped(stores: Stores) {
    for bulk in ALL {
        for (fate, left) in [(Fate::Never, 30), (Fate::DoneAndNever, 0)] {
            let harness = prepared(stores, bulk, 30).await;
            harness.network().script(bulk.writes(), [fate]);
            let mut running = Box::pin(run(&harness, bulk));
            // A store in a file takes some polls.
            for turn in 0.. {
                assert!(poll_once(&mut running).await.is_none(), "{bulk:?}");
                if turn > 3 && bulk.left(&harness.store).await == left {
                    break;
                }
            }
            drop(running);
            let again = run(&harness, bulk).await.unwrap();
            assert_eq!((again.done, again.failed), (left as u64, 0), "{bulk:?}");
        }
    }
}

/// No cached record outlives the write, with any answer and without one.
pub(crate) async fn revoke_all_invalidates_cached_records(stores: Stores) {
    for fate in [Fate::Fine, Fate::Lost, Fate::Twice, Fate::Fewer(1), Fate::DoneAndNever] {
        let answers = !matches!(fate, Fate::DoneAndNever);
        let harness = Harness::builder(stores).over(|store| Arc::new(Networked::new(store)));
        let harness = harness.configure(|service| service.cache_records(HOUR, 100)).build();
        let mut tokens = Vec::new();
        for _ in 0..3 {
            tokens.push(text(&harness.issue(backup()).await));
        }
        for _ in 0..2 {
            for token in &tokens {
                assert!(harness.service.verify(token, &any()).await.is_ok());
            }
        }
        assert_eq!(harness.network().calls(Method::Find).0, 3, "the records are cached");
        harness.network().script(Method::ReplaceMany, [fate]);
        let run = harness.service.owner("acme").revoke_all(Filter::new(), incident()).run();
        let mut running = Box::pin(run);
        if answers {
            let _ = running.await.unwrap();
        } else {
            while Bulk::Revoke.left(&harness.store).await > 0 {
                assert!(poll_once(&mut running).await.is_none());
            }
            drop(running);
        }
        for token in &tokens {
            assert!(harness.service.verify(token, &any()).await.is_err());
        }
    }
}

/// A use is checked when a record's turn begins, so few records begin together.
pub(crate) async fn unused_filter_limits_records_in_progress(stores: Stores) {
    let harness = prepared(stores, Bulk::Revoke, 200).await;
    harness.clock.advance(DAY);
    let filter = Filter::new().unused_since(harness.service.now());
    let acme = harness.service.owner("acme");
    assert_eq!(acme.revoke_all(filter, RevokeRequest::new()).run().await.unwrap().done, 200);
    assert_eq!(harness.network().calls(Method::ReplaceMany), (4, 200));
}

/// A store that takes at most seven ids in a look-up gets no more after conflicts.
pub(crate) async fn bulk_rows_respect_gathering(stores: Stores) {
    let gathering = service_tokens::store::Gathering::new(7, 2);
    let harness =
        Harness::builder(stores).over(|store| Arc::new(Networked::new(store).gathering(gathering)));
    let harness = harness.build();
    let ids = issue_many(&harness.store, 30).await;
    harness.network().script(Method::ReplaceMany, [touched(ids)]);
    let outcome = harness.service.owner("acme").revoke_all(Filter::new(), incident()).run().await;
    assert_eq!(outcome.unwrap().done, 30);
    assert_eq!(harness.network().calls(Method::FindMany), (5, 30));
    assert_eq!(harness.network().calls(Method::ReplaceMany).1, 60);
}
