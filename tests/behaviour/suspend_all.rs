//! Suspending and resuming many tokens: every token gets the same suspension, the passes end although the
//! tokens stay live, and a resumption ends one incident only.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::harness::{
    DAY, Fault, HOUR, Harness, MICRO, SharedStore, Stores, any, backup, below, builder, delta,
    issue_many, newer, plant, records, text,
};
use chrono::{DateTime, Utc};
use futures_lite::future::poll_once;
use service_tokens::clock::Clock;
use service_tokens::record::SuspensionMatch;
use service_tokens::{
    Event, Filter, IssueRequest, ManageError, Refusal, ResumeRequest, RevokeRequest, State,
    SuspendRequest, TokenId,
};

behaviours! {
    suspend_all_gives_each_token_one_suspension,
    suspend_all_adds_to_other_suspensions,
    suspend_all_again_does_nothing,
    suspend_all_finds_tokens_issued_meanwhile,
    suspend_all_spares_tokens_used_meanwhile,
    suspend_all_by_corrected_clock_finds_live,
    suspend_all_counts_failures_and_ends,
    suspend_all_stops_with_failing_store,
    interrupted_suspend_all_can_continue,
    suspend_with_descendants_spares_other_tokens,
    suspend_below_suspended_or_removed_head,
    bulk_suspensions_are_events,
    resume_all_ends_one_incident_only,
    resume_all_matches_exactly,
    resume_all_rechecks_each_token,
    resume_all_by_corrected_clock_ends,
    resume_all_during_clock_jump_works,
    interrupted_resume_all_can_continue,
}

fn forever() -> SuspendRequest {
    SuspendRequest::new().by("alice").reason("INC-42")
}

fn of_incident(reason: &str) -> SuspensionMatch {
    SuspensionMatch::ByAndReason { by: Some("alice".into()), reason: Some(reason.into()) }
}

async fn suspend_all(harness: &Harness, filter: Filter, request: SuspendRequest) -> u64 {
    let view = harness.service.all_owners();
    let counted = view.suspend_all(filter.clone(), request.clone()).count().await.unwrap();
    let outcome = view.suspend_all(filter, request).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (counted, 0));
    assert_eq!(outcome.passes, if counted == 0 { 1 } else { 2 }, "the last pass finds nothing");
    counted
}

async fn resume_all(harness: &Harness, which: SuspensionMatch) -> u64 {
    let view = harness.service.all_owners();
    let run = || view.resume_all(Filter::new(), which.clone(), ResumeRequest::new());
    let counted = run().count().await.unwrap();
    let outcome = run().run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (counted, 0));
    counted
}

/// Returns the ids of the tokens whose suspension has this reason.
async fn suspended_for(store: &SharedStore, reason: &str) -> BTreeSet<TokenId> {
    let mut all = records(&**store).await;
    all.retain(|record| record.suspensions().iter().any(|s| s.reason.as_deref() == Some(reason)));
    all.iter().map(service_tokens::Record::id).collect()
}

pub(crate) async fn suspend_all_gives_each_token_one_suspension(stores: Stores) {
    for request in [forever(), forever().lasting(DAY)] {
        let harness = Harness::new(stores);
        issue_many(&harness.store, 150).await;
        let developer = harness.issue(IssueRequest::new("developer", "stays")).await;
        let filter = Filter::new().token_type("connector");
        let view = harness.service.owner("acme");
        let since = Arc::new(Mutex::new(Vec::new()));
        let reports = since.clone();
        let clock = harness.clock.clone();
        let run = view.suspend_all(filter, request.clone()).on_progress(move |progress| {
            // Time passes during the operation.
            clock.advance(HOUR);
            reports.lock().unwrap().push(progress.done);
        });
        let began = run.since();
        assert_eq!(began, harness.service.now());
        assert_eq!(run.run().await.unwrap().done, 150);
        assert_eq!(since.lock().unwrap().last(), Some(&150));
        let until = (request != forever()).then(|| began + delta(DAY));
        for record in records(&*harness.store).await {
            if record.id() == developer.record.id() {
                assert_eq!(record.suspensions(), []);
                continue;
            }
            let suspension = &record.suspensions()[0];
            assert_eq!((suspension.since, suspension.until), (began, until));
            assert_eq!(suspension.by.as_deref(), Some("alice"));
        }
        assert_eq!(resume_all(&harness, SuspensionMatch::Since(began)).await, 150);
        assert!(suspended_for(&harness.store, "INC-42").await.is_empty());
    }
}

pub(crate) async fn suspend_all_adds_to_other_suspensions(stores: Stores) {
    let harness = Harness::new(stores);
    let ids = issue_many(&harness.store, 4).await;
    let view = harness.service.owner("acme");
    let other = |request: SuspendRequest| request.by("bob").reason("INC-41");
    view.suspend(ids[0], other(SuspendRequest::new())).await.unwrap();
    view.suspend(ids[1], other(SuspendRequest::new().lasting(2 * DAY))).await.unwrap();
    view.suspend(ids[2], other(SuspendRequest::new().lasting(HOUR))).await.unwrap();
    assert_eq!(suspend_all(&harness, Filter::new(), forever().lasting(2 * DAY)).await, 4);
    let before: BTreeSet<TokenId> = ids[..3].iter().copied().collect();
    assert_eq!(suspended_for(&harness.store, "INC-41").await, before);
    // The end of this incident does not undo the other one.
    assert_eq!(resume_all(&harness, of_incident("INC-42")).await, 4);
    assert_eq!(suspended_for(&harness.store, "INC-41").await, before);
    assert_eq!(suspended_for(&harness.store, "INC-42").await.len(), 0);
    assert_eq!(harness.state(ids[3]).await, State::Active);
}

pub(crate) async fn suspend_all_again_does_nothing(stores: Stores) {
    let harness = Harness::new(stores);
    issue_many(&harness.store, 3).await;
    let until = harness.clock.now() + delta(DAY);
    assert_eq!(suspend_all(&harness, Filter::new(), forever().until(until)).await, 3);
    let before = records(&*harness.store).await;
    harness.advance(HOUR);
    assert_eq!(suspend_all(&harness, Filter::new(), forever().until(until)).await, 0);
    assert_eq!(records(&*harness.store).await, before);
    assert_eq!(suspend_all(&harness, Filter::new(), forever().lasting(DAY)).await, 3, "longer");
    assert_eq!(suspend_all(&harness, Filter::new(), forever()).await, 3, "for ever");
    assert_eq!(suspend_all(&harness, Filter::new(), forever()).await, 0);
}

pub(crate) async fn suspend_all_finds_tokens_issued_meanwhile(stores: Stores) {
    let harness = Harness::builder(stores)
        .faulty_with_rival(|store, clock, _| {
            Box::pin(async move {
                let service = builder(store).clock(clock).build().unwrap();
                let _ = service.owner("acme").issue(backup()).await.unwrap();
            })
        })
        .build();
    harness.issue_backup().await;
    // The calls: page, look-up, write, page, page. A token is issued before the write, and another one
    // before the look-up of the second pass.
    let mut script = vec![Fault::None; 12];
    script[2] = Fault::Rival(0);
    script[4] = Fault::Rival(0);
    harness.faulty().arm(&script, Fault::None);
    let run = harness.service.owner("acme").suspend_all(Filter::new(), forever()).run();
    let outcome = run.await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (3, 0));
    assert_eq!(suspended_for(&harness.store, "INC-42").await.len(), 3);
}

pub(crate) async fn suspend_all_spares_tokens_used_meanwhile(stores: Stores) {
    let harness = Harness::new(stores);
    let (used, text) = harness.issue_backup().await;
    let (unused, _) = harness.issue_backup().await;
    harness.advance(30 * DAY);
    let filter = Filter::new().unused_since(harness.clock.now() - delta(DAY));
    harness.verify(&text).await.unwrap();
    assert_eq!(suspend_all(&harness, filter, forever()).await, 1);
    assert_eq!(suspended_for(&harness.store, "INC-42").await, BTreeSet::from([unused]));
    assert_eq!(harness.state(used).await, State::Active);
}

/// Sets the clock ahead by this time, and back. The jump is acknowledged.
fn ran_ahead(harness: &Harness, by: std::time::Duration) -> DateTime<Utc> {
    let now = harness.clock.now();
    harness.clock.set(now + delta(by));
    harness.service.now();
    harness.clock.set(now);
    harness.service.acknowledge_clock_jump();
    now
}

pub(crate) async fn suspend_all_by_corrected_clock_finds_live(stores: Stores) {
    let harness = Harness::new(stores);
    let expiring = harness.issue(backup().expires_in(DAY)).await;
    let _ = harness.issue_backup().await;
    ran_ahead(&harness, 2 * DAY);
    assert_eq!(harness.refusal(&text(&expiring)).await, Some(Refusal::Expired));
    assert_eq!(suspend_all(&harness, Filter::new(), forever()).await, 2);
    let refused = harness.elsewhere().verify(&text(&expiring), &any()).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Suspended));
}

pub(crate) async fn suspend_all_counts_failures_and_ends(stores: Stores) {
    let harness = Harness::new(stores);
    let (id, _) = plant(&*harness.store, backup(), newer).await;
    let _ = harness.issue_backup().await;
    let run = harness.service.owner("acme").suspend_all(Filter::new(), forever()).run();
    let outcome = run.await.unwrap();
    assert_eq!((outcome.done, outcome.failed, outcome.passes), (1, 1, 2));
    assert_eq!(outcome.failures[0].id, id);
}

pub(crate) async fn suspend_all_stops_with_failing_store(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    for _ in 0..3 {
        harness.issue_backup().await;
    }
    harness.faulty().arm(&[Fault::None], Fault::Unavailable);
    let run = harness.service.owner("acme").suspend_all(Filter::new(), forever()).run();
    let error = run.await.unwrap_err();
    assert!(matches!(error.cause, ManageError::Store(_)), "{error:?}");
    assert_eq!(error.so_far.done, 0);
    let events = harness.events();
    let Some(Event::SuspendedAll { suspended: 0, stopped: Some(_), .. }) = events.last() else {
        panic!("{events:?}")
    };
}

pub(crate) async fn interrupted_suspend_all_can_continue(stores: Stores) {
    for polls in 1..6 {
        let harness = Harness::new(stores);
        issue_many(&harness.store, 1_200).await;
        let view = harness.service.all_owners();
        let mut dropped = Box::pin(view.suspend_all(Filter::new(), forever()).run());
        for _ in 0..polls {
            if poll_once(&mut dropped).await.is_some() {
                break;
            }
        }
        drop(dropped);
        let events = harness.events();
        let own = |event: &&Event| matches!(event, Event::Suspended { .. });
        let done = events.iter().filter(own).count() as u64;
        // A write that was in progress may have happened without its event.
        assert!(suspended_for(&harness.store, "INC-42").await.len() as u64 >= done);
        assert!(matches!(events.last(), Some(Event::SuspendedAll { .. })));
        harness.advance(HOUR);
        let left = view.suspend_all(Filter::new(), forever()).run().await.unwrap();
        assert!(left.done <= 1_200 - done, "nothing is done twice");
        assert_eq!(suspended_for(&harness.store, "INC-42").await.len(), 1_200);
        // The tokens have two starts, and the same name and reason.
        assert_eq!(resume_all(&harness, of_incident("INC-42")).await, 1_200);
    }
}

/// A tree: `head` issued `child`, which issued `grandchild`. No token issued `other`.
struct Tree {
    harness: Harness,
    ids: [TokenId; 4],
    tokens: [String; 4],
}

async fn tree(stores: Stores) -> Tree {
    let harness = Harness::new(stores);
    let (head, first) = harness.issue_backup().await;
    let store = harness.store.clone();
    let (child, second) = plant(&*store, backup(), |record| below(record, &[head])).await;
    let (grandchild, third) =
        plant(&*store, backup(), |record| below(record, &[child, head])).await;
    let (other, fourth) = harness.issue_backup().await;
    let _ = harness.events();
    Tree { harness, ids: [head, child, grandchild, other], tokens: [first, second, third, fourth] }
}

impl Tree {
    async fn suspend_below(&self, id: TokenId) -> u64 {
        let view = self.harness.service.all_owners();
        let counted = view.suspend_with_descendants(id, forever()).count().await.unwrap();
        let outcome = view.suspend_with_descendants(id, forever()).run().await.unwrap();
        assert_eq!((outcome.done, outcome.failed), (counted, 0));
        counted
    }

    async fn accepted(&self) -> [bool; 4] {
        let mut accepted = [false; 4];
        for (accepted, token) in accepted.iter_mut().zip(&self.tokens) {
            *accepted = self.harness.refusal(token).await.is_none();
        }
        accepted
    }
}

pub(crate) async fn suspend_with_descendants_spares_other_tokens(stores: Stores) {
    for (at, count, left) in [
        (0, 3, [false, false, false, true]),
        (1, 2, [true, false, false, true]),
        (2, 1, [true, true, false, true]),
    ] {
        let tree = tree(stores).await;
        assert_eq!(tree.accepted().await, [true; 4]);
        assert_eq!(tree.suspend_below(tree.ids[at]).await, count);
        assert_eq!(tree.accepted().await, left);
        assert_eq!(tree.suspend_below(tree.ids[at]).await, 0);
        assert_eq!(resume_all(&tree.harness, of_incident("INC-42")).await, count);
        assert_eq!(tree.accepted().await, [true; 4]);
    }
}

pub(crate) async fn suspend_below_suspended_or_removed_head(stores: Stores) {
    for removed in [false, true] {
        let tree = tree(stores).await;
        let view = tree.harness.service.all_owners();
        for id in &tree.ids[..2] {
            if removed {
                let version = tree.harness.store.find(*id).await.unwrap().unwrap().version;
                tree.harness.store.remove(*id, version).await.unwrap();
            } else {
                view.suspend(*id, forever().reason("INC-41")).await.unwrap();
            }
        }
        assert_eq!(tree.suspend_below(tree.ids[0]).await, if removed { 1 } else { 3 });
        assert_eq!(tree.accepted().await, [false, false, false, true]);
    }
}

pub(crate) async fn bulk_suspensions_are_events(stores: Stores) {
    let tree = tree(stores).await;
    let view = tree.harness.service.owner("acme");
    let run = view.suspend_with_descendants(tree.ids[0], forever());
    let began = run.since();
    let _ = run.run().await.unwrap();
    let events = tree.harness.events();
    let (whole, each) = events.split_last().unwrap();
    let Event::SuspendedAll {
        owner,
        filter,
        with,
        since,
        suspended: 3,
        failed: 0,
        by,
        reason,
        stopped: None,
        ..
    } = whole
    else {
        panic!("{whole:?}")
    };
    assert_eq!((owner.as_deref(), *with, *since), (Some("acme"), Some(tree.ids[0]), began));
    assert_eq!(filter.issuer, Some(tree.ids[0]));
    assert_eq!((by.as_deref(), reason.as_deref()), (Some("alice"), Some("INC-42")));
    assert_eq!(each.len(), 3);
    assert!(each.iter().all(|event| matches!(event, Event::Suspended { .. })));

    let bob = ResumeRequest::new().by("bob");
    let _ = view.resume_all(Filter::new(), of_incident("INC-42"), bob).run().await.unwrap();
    let events = tree.harness.events();
    let (whole, each) = events.split_last().unwrap();
    let Event::ResumedAll {
        with: None,
        which,
        resumed: 3,
        failed: 0,
        by: Some(by),
        stopped: None,
        ..
    } = whole
    else {
        panic!("{whole:?}")
    };
    assert_eq!((&**by, which), ("bob", &of_incident("INC-42")));
    assert!(each.len() == 3 && each.iter().all(|event| matches!(event, Event::Resumed { .. })));
}

pub(crate) async fn resume_all_ends_one_incident_only(stores: Stores) {
    let harness = Harness::new(stores);
    let ids = issue_many(&harness.store, 4).await;
    let view = harness.service.owner("acme");
    let first = view.suspend_all(Filter::new(), forever().reason("INC-1").lasting(DAY));
    let began = first.since();
    let _ = first.run().await.unwrap();
    harness.advance(MICRO);
    view.suspend(ids[0], forever().reason("INC-2")).await.unwrap();
    view.revoke(ids[1], RevokeRequest::new()).await.unwrap();
    let globex = harness.service.owner("globex");
    let which = || SuspensionMatch::Since(began);
    let foreign = globex.resume_all(Filter::new(), which(), ResumeRequest::new()).run().await;
    assert_eq!(foreign.unwrap().done, 0);
    assert_eq!(resume_all(&harness, which()).await, 3);
    assert_eq!(harness.state(ids[0]).await, State::Suspended);
    assert_eq!(suspended_for(&harness.store, "INC-2").await, BTreeSet::from([ids[0]]));
    assert_eq!(harness.state(ids[1]).await, State::Revoked);
    for id in &ids[2..] {
        assert_eq!(harness.state(*id).await, State::Active);
    }
}

pub(crate) async fn resume_all_matches_exactly(stores: Stores) {
    let texts = [None, Some("alice"), Some("Alice"), Some("alice ")];
    let harness = Harness::new(stores);
    let of = |by: Option<&str>, reason: Option<&str>| SuspensionMatch::ByAndReason {
        by: by.map(Into::into),
        reason: reason.map(Into::into),
    };
    for by in texts {
        for reason in texts {
            let (id, _) = harness.issue_backup().await;
            let mut request = SuspendRequest::new();
            request = by.map_or(request.clone(), |by| request.by(by));
            request = reason.map_or(request.clone(), |reason| request.reason(reason));
            harness.service.owner("acme").suspend(id, request).await.unwrap();
        }
    }
    for by in texts {
        for reason in texts {
            assert_eq!(resume_all(&harness, of(by, reason)).await, 1, "{by:?} {reason:?}");
        }
    }
}

/// Another operator suspends a token for longer after it was found and before it is written.
pub(crate) async fn resume_all_rechecks_each_token(stores: Stores) {
    for at in 1..3 {
        let harness = Harness::builder(stores)
            .faulty_with_rival(|store, clock, _| {
                Box::pin(async move {
                    let service = builder(store.clone()).clock(clock).build().unwrap();
                    let id = records(&*store).await[0].id();
                    let longer = forever().reason("INC-2");
                    service.all_owners().suspend(id, longer).await.unwrap();
                })
            })
            .build();
        let (_, token) = harness.issue_backup().await;
        let view = harness.service.owner("acme");
        let _ = view
            .suspend_all(Filter::new(), forever().reason("INC-1").lasting(DAY))
            .run()
            .await
            .unwrap();
        let _ = harness.events();
        let mut script = vec![Fault::None; at];
        script.push(Fault::Rival(0));
        harness.faulty().arm(&script, Fault::None);
        let run = view.resume_all(Filter::new(), of_incident("INC-1"), ResumeRequest::new());
        let outcome = run.run().await.unwrap();
        assert_eq!((outcome.done, outcome.failed), (1, 0));
        assert!(suspended_for(&harness.store, "INC-1").await.is_empty());
        assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
        assert_eq!(suspended_for(&harness.store, "INC-2").await.len(), 1);
    }
}

/// In this process the token has expired, and the store lists it as suspended.
pub(crate) async fn resume_all_by_corrected_clock_ends(stores: Stores) {
    let harness = Harness::new(stores);
    let expiring = harness.issue(backup().expires_in(DAY)).await;
    let (id, _) = harness.issue_backup().await;
    assert_eq!(suspend_all(&harness, Filter::new(), forever()).await, 2);
    ran_ahead(&harness, 2 * DAY);
    assert_eq!(resume_all(&harness, of_incident("INC-42")).await, 1);
    assert_eq!(harness.state(id).await, State::Active);
    assert!(!harness.record(expiring.record.id()).await.suspensions().is_empty());
}

pub(crate) async fn resume_all_during_clock_jump_works(stores: Stores) {
    let harness = Harness::new(stores);
    let (_, token) = harness.issue_backup().await;
    assert_eq!(suspend_all(&harness, Filter::new(), forever().lasting(HOUR)).await, 1);
    harness.clock.set(harness.clock.now() + delta(DAY));
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended), "the clock is in doubt");
    assert_eq!(resume_all(&harness, of_incident("INC-42")).await, 1);
    assert_eq!(harness.refusal(&token).await, None);
}

pub(crate) async fn interrupted_resume_all_can_continue(stores: Stores) {
    let harness = Harness::new(stores);
    issue_many(&harness.store, 1_200).await;
    assert_eq!(suspend_all(&harness, Filter::new(), forever()).await, 1_200);
    let view = harness.service.all_owners();
    let which = of_incident("INC-42");
    let run = || view.resume_all(Filter::new(), which.clone(), ResumeRequest::new());
    let mut dropped = Box::pin(run().run());
    assert!(poll_once(&mut dropped).await.is_none());
    drop(dropped);
    let left = suspended_for(&harness.store, "INC-42").await.len() as u64;
    assert!(run().run().await.unwrap().done <= left);
    assert!(suspended_for(&harness.store, "INC-42").await.is_empty());
}
