//! Purging: which ended tokens are removed, and when none is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::harness::{
    DAY, Fault, Faulty, HOUR, Harness, MICRO, Remote, Stores, any, backup, builder, incident,
    newer, plant, records, text,
};
use futures_lite::future::poll_once;
use service_tokens::bulk::BulkError;
use service_tokens::clock::{Clock, ManualClock, SystemClock};
use service_tokens::record::{Field, Rule};
use service_tokens::store::{MAX_PAGE_LEN, StoreError};
use service_tokens::{
    Event, IssueRequest, ManageError, Policy, Refusal, RotateRequest, TokenId, TokenStore,
};

behaviours! {
    purge_removes_only_long_ended_tokens,
    purge_of_view_removes_its_owner_only,
    purge_below_one_day_is_refused,
    purge_with_longest_retention_removes_nothing,
    purge_after_clock_jump_is_refused,
    purge_stops_at_clock_jump_midway,
    purge_rereads_changed_record,
    purge_keeps_record_of_newer_format,
    purge_resolves_lost_answers,
    failed_purge_reports_progress,
    dropped_purge_can_be_run_again,
    purge_invalidates_cached_record,
    purge_counts_from_its_start_time,
}

/// A service whose rival revokes every record, removes it or moves the clock.
fn contested(stores: Stores) -> Harness<Arc<Faulty>> {
    let harness = Harness::builder(stores).faulty_with_rival(|store, clock, what| {
        Box::pin(async move {
            for record in records(&*store).await {
                let id = record.id();
                match what {
                    0 => {
                        let service = builder(store.clone()).clock(clock.clone()).build().unwrap();
                        let _ = service.all_owners().revoke(id, incident()).await.unwrap();
                    }
                    1 => {
                        let version = store.find(id).await.unwrap().unwrap().version;
                        store.remove(id, version).await.unwrap();
                    }
                    _ => clock.set(clock.now() + chrono::TimeDelta::hours(2)),
                }
            }
        })
    });
    harness.configure(|service| service.policy(Policy::new().allow_never(true))).build()
}

impl Harness<Arc<Faulty>> {
    async fn issue_id(&self, request: IssueRequest) -> TokenId {
        self.issue(request).await.record.id()
    }

    async fn ids(&self) -> BTreeSet<TokenId> {
        records(&*self.store).await.iter().map(|record| record.id()).collect()
    }

    /// Issues this many tokens, which have been expired for ten days when it returns.
    async fn issue_long_ended(&self, many: usize) -> Vec<TokenId> {
        let mut ids = Vec::new();
        for _ in 0..many {
            ids.push(self.issue_id(backup().expires_in(HOUR)).await);
        }
        self.clock.advance(10 * DAY);
        let _ = self.events();
        ids
    }

    /// Counts and purges. Both must give the same number.
    async fn purge(&self, retention: Duration) -> u64 {
        let view = self.service.all_owners();
        let before = self.ids().await;
        let counted = view.purge(retention).count().await.unwrap();
        assert_eq!(self.ids().await, before, "counting removed something");
        let outcome = view.purge(retention).run().await.unwrap();
        assert_eq!((outcome.done, outcome.failed), (counted, 0));
        counted
    }
}

pub(crate) async fn purge_removes_only_long_ended_tokens(stores: Stores) {
    let harness = contested(stores);
    let view = harness.service.all_owners();
    let never = harness.issue_id(backup().never_expires()).await;
    let expires = harness.issue_id(backup().expires_in(HOUR)).await;
    let both = harness.issue_id(backup().expires_in(HOUR)).await;
    let revoked = harness.issue_id(backup()).await;
    let rotated = harness.issue_id(backup()).await;
    let pending = harness.service.now() + chrono::TimeDelta::days(40);
    let pending = harness.issue_id(backup().not_before(pending)).await;
    let _ = view.rotate(rotated, RotateRequest::at_once()).await.unwrap();
    harness.clock.advance(HOUR);
    let _ = view.revoke(revoked, incident()).await.unwrap();
    harness.clock.advance(HOUR);
    // Revoked after its end. The retention begins at the end.
    let _ = view.revoke(both, incident()).await.unwrap();
    harness.clock.advance(2 * DAY - HOUR);
    // They ended exactly two days ago.
    assert_eq!(harness.purge(2 * DAY).await, 0);
    harness.clock.advance(MICRO);
    assert_eq!(harness.purge(2 * DAY + MICRO).await, 0);
    assert_eq!(harness.purge(2 * DAY).await, 3);
    let left = BTreeSet::from([never, rotated, pending]);
    assert_eq!(harness.ids().await, left);
    assert!([expires, both, revoked].iter().all(|id| !left.contains(id)));
    harness.clock.advance(1_000 * DAY);
    assert_eq!(harness.purge(DAY).await, 2);
    assert_eq!(harness.ids().await, BTreeSet::from([never]));
}

pub(crate) async fn purge_of_view_removes_its_owner_only(stores: Stores) {
    let harness = contested(stores);
    let _ = harness.issue_id(IssueRequest::new("connector", "x").expires_in(HOUR)).await;
    let brief = IssueRequest::new("connector", "x").expires_in(HOUR);
    let globex = harness.service.owner("globex").issue(brief).await.unwrap().record.id();
    harness.clock.advance(2 * DAY);
    let _ = harness.collected.take(&harness.service);
    assert_eq!(harness.service.owner("acme").purge(DAY).run().await.unwrap().done, 1);
    assert_eq!(harness.ids().await, BTreeSet::from([globex]));
    let events = harness.collected.take(&harness.service);
    let [Event::Purged { owner, retention, purged: 1, failed: 0, stopped: None, .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((owner.as_deref(), *retention), (Some("acme"), DAY));
    assert_eq!(harness.service.owner("no such owner").purge(DAY).run().await.unwrap().done, 0);
}

pub(crate) async fn purge_below_one_day_is_refused(stores: Stores) {
    let harness = contested(stores);
    let _ = harness.issue_long_ended(1).await;
    harness.faulty().disarm();
    let view = harness.service.all_owners();
    let refused = |error: ManageError| match error {
        ManageError::Invalid(invalid) => {
            assert_eq!(invalid.field, Field::Retention);
            assert_eq!(invalid.rule, Rule::TooShort { min: DAY });
        }
        other => panic!("{other:?}"),
    };
    for retention in [Duration::ZERO, DAY - Duration::from_nanos(1)] {
        refused(view.purge(retention).count().await.unwrap_err());
        let BulkError { so_far, cause, .. } = view.purge(retention).run().await.unwrap_err();
        refused(cause);
        assert_eq!(so_far.done, 0);
    }
    assert!(harness.faulty().calls().is_empty());
    assert_eq!(harness.purge(DAY).await, 1);
}

pub(crate) async fn purge_with_longest_retention_removes_nothing(stores: Stores) {
    let harness = contested(stores);
    let _ = harness.issue_long_ended(1).await;
    for retention in [Duration::MAX, Duration::from_secs(u64::MAX / 1_000_000), 300_000 * DAY] {
        assert_eq!(harness.purge(retention).await, 0);
    }
}

pub(crate) async fn purge_after_clock_jump_is_refused(stores: Stores) {
    let harness = contested(stores);
    let id = harness.issue_id(backup()).await;
    let _ = harness.service.all_owners().revoke(id, incident()).await.unwrap();
    harness.clock.set(harness.service.now() + chrono::TimeDelta::days(5));
    let _ = harness.collected.take(&harness.service);
    let view = harness.service.all_owners();
    for _ in 0..2 {
        assert!(matches!(view.purge(DAY).count().await, Err(ManageError::ClockJumped)));
        let error = view.purge(DAY).run().await.unwrap_err();
        assert!(matches!(error.cause, ManageError::ClockJumped));
    }
    assert_eq!(harness.ids().await.len(), 1);
    let events = harness.collected.take(&harness.service);
    let Some(Event::Purged { purged: 0, stopped: Some(why), .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert!(why.contains("clock"), "{why}");
    assert!(harness.service.acknowledge_clock_jump().is_some());
    assert_eq!(harness.purge(DAY).await, 1);
}

pub(crate) async fn purge_stops_at_clock_jump_midway(stores: Stores) {
    let harness = contested(stores);
    let many = MAX_PAGE_LEN + 10;
    let _ = harness.issue_long_ended(many).await;
    // The clock jumps during the first removal.
    harness.faulty().arm(&[Fault::None, Fault::Rival(2)], Fault::None);
    let error = harness.service.all_owners().purge(DAY).run().await.unwrap_err();
    assert!(matches!(error.cause, ManageError::ClockJumped));
    assert_eq!((error.so_far.done, error.so_far.passes), (MAX_PAGE_LEN as u64, 1));
    assert_eq!(harness.ids().await.len(), 10);
}

pub(crate) async fn purge_rereads_changed_record(stores: Stores) {
    let harness = contested(stores);
    let _ = harness.issue_long_ended(1).await;
    // Others revoke it after it was found. It is still ended, so it is removed.
    harness.faulty().arm(&[Fault::None, Fault::Rival(0)], Fault::None);
    let outcome = harness.service.all_owners().purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (1, 0));
    // Others remove it.
    let _ = harness.issue_long_ended(1).await;
    harness.faulty().arm(&[Fault::None, Fault::Rival(1)], Fault::None);
    let outcome = harness.service.all_owners().purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (0, 0));
    assert!(harness.ids().await.is_empty());
}

pub(crate) async fn purge_keeps_record_of_newer_format(stores: Stores) {
    let harness = contested(stores);
    let _ = harness.issue_long_ended(2).await;
    let (id, _) = plant(&*harness.store, backup().expires_in(HOUR), newer).await;
    // The real clock issued this token.
    harness.clock.set(SystemClock::new().now());
    assert!(
        harness.service.has_clock_jumped() && harness.service.acknowledge_clock_jump().is_some()
    );
    let _ = harness.issue_long_ended(2).await;
    let outcome = harness.service.all_owners().purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (4, 1));
    assert_eq!(outcome.failures[0].id, id);
    let error = &outcome.failures[0].error;
    assert!(matches!(error, ManageError::Store(StoreError::NewerFormat)), "{error:?}");
    assert_eq!(harness.ids().await, BTreeSet::from([id]));
}

pub(crate) async fn purge_resolves_lost_answers(stores: Stores) {
    let harness = contested(stores);
    let _ = harness.issue_long_ended(1).await;
    let view = harness.service.all_owners();
    // The store removes it and the answer is lost.
    harness.faulty().arm(&[Fault::None, Fault::DoneAndLost], Fault::None);
    assert_eq!(view.purge(DAY).run().await.unwrap().done, 1);
    // The store does not remove it and the answer is lost.
    let _ = harness.issue_long_ended(1).await;
    harness
        .faulty()
        .arm(&[Fault::None, Fault::LostBefore, Fault::None, Fault::LostBefore], Fault::None);
    assert_eq!(view.purge(DAY).run().await.unwrap().done, 1);
    // Every answer to a removal is lost, and reading fails.
    let [id] = harness.issue_long_ended(1).await[..] else { panic!() };
    harness.faulty().arm(&[Fault::None, Fault::LostBefore], Fault::Unavailable);
    let outcome = view.purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (0, 1));
    let failure = &outcome.failures[0];
    assert_eq!(failure.id, id);
    assert!(matches!(failure.error, ManageError::Indeterminate { .. }), "{failure:?}");
    harness.faulty().disarm();
    assert_eq!(harness.purge(DAY).await, 1);
}

pub(crate) async fn failed_purge_reports_progress(stores: Stores) {
    let harness = contested(stores);
    let _ = harness.issue_long_ended(100).await;
    harness.faulty().arm(&[Fault::None; 31], Fault::Unavailable);
    let error = harness.service.all_owners().purge(DAY).run().await.unwrap_err();
    assert!(matches!(error.cause, ManageError::Store(StoreError::Unavailable { .. })));
    assert_eq!(error.so_far.done, 30);
    let events = harness.collected.take(&harness.service);
    let [Event::Purged { purged: 30, stopped: Some(_), .. }] = &events[..] else {
        panic!("{events:?}")
    };
    harness.faulty().disarm();
    assert_eq!(harness.purge(DAY).await, 70);
}

pub(crate) async fn dropped_purge_can_be_run_again(stores: Stores) {
    let harness = contested(stores);
    let many = MAX_PAGE_LEN + 200;
    let _ = harness.issue_long_ended(many).await;
    let mut run = Box::pin(harness.service.all_owners().purge(DAY).run());
    assert!(poll_once(&mut run).await.is_none());
    drop(run);
    let events = harness.collected.take(&harness.service);
    let [Event::Purged { stopped: Some(why), .. }] = &events[..] else { panic!("{events:?}") };
    assert!(why.contains("gave up"), "{why}");
    let _ = harness.service.all_owners().purge(DAY).run().await.unwrap();
    assert!(harness.ids().await.is_empty());
}

pub(crate) async fn purge_invalidates_cached_record(stores: Stores) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let remote = Arc::new(Remote::new(opened.store));
    let service =
        builder(remote).clock(clock.clone()).cache_records(100 * DAY, 10).build().unwrap();
    let token = text(&service.owner("acme").issue(backup().expires_in(HOUR)).await.unwrap());
    service.verify(&token, &any()).await.unwrap();
    clock.advance(2 * DAY);
    let refusal = async || service.verify(&token, &any()).await.unwrap_err().refusal();
    assert_eq!(refusal().await, Some(Refusal::Expired));
    assert_eq!(service.all_owners().purge(DAY).run().await.unwrap().done, 1);
    assert_eq!(refusal().await, Some(Refusal::UnknownId));
}

pub(crate) async fn purge_counts_from_its_start_time(stores: Stores) {
    let harness = contested(stores);
    let _ = harness.issue_long_ended(MAX_PAGE_LEN + 1).await;
    let young = harness.issue_id(backup().expires_in(HOUR)).await;
    let hand = harness.clock.clone();
    let run = harness.service.all_owners().purge(DAY).on_progress(move |_| hand.advance(DAY)).run();
    // The time at the beginning of the purge decides.
    assert_eq!(run.await.unwrap().done, MAX_PAGE_LEN as u64 + 1);
    assert_eq!(harness.ids().await, BTreeSet::from([young]));
    assert_eq!(harness.purge(DAY).await, 1);
}
