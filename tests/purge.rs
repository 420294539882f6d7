//! Removing what has been dead for long: what goes, what stays, and when nothing goes at all.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::poll_once;
use service_tokens::bulk::BulkError;
use service_tokens::clock::{Clock, ManualClock, SystemClock};
use service_tokens::record::{Field, Rule};
use service_tokens::store::{MAX_PAGE_LEN, StoreError};
use service_tokens::{
    Event, IssueRequest, ManageError, Policy, Refusal, RotateRequest, TokenId, TokenService,
    TokenStore,
};
use support::many::{request, words};
use support::planted::{newer, plant};
use support::{
    Collected, DAY, Fault, Faulty, HOUR, MICRO, Open, SharedStore, any, builder, over_stores,
    records, text,
};

over_stores! {
    what_has_been_dead_for_longer_goes_and_nothing_else,
    a_view_removes_its_owner_s,
    a_retention_below_a_day_is_refused,
    the_longest_retention_removes_nothing,
    a_jump_of_the_clock_stops_it_until_that_is_acknowledged,
    a_jump_midway_stops_it_before_the_next_page,
    a_record_that_changes_meanwhile_is_looked_at_again,
    a_record_of_a_newer_program_stays,
    lost_answers_are_resolved,
    a_store_that_fails_midway_says_how_far_it_came,
    dropped_midway_it_is_run_again,
    what_is_kept_of_a_removed_record_counts_no_more,
    a_token_may_live_and_die_while_it_runs,
}

struct Scene {
    clock: Arc<ManualClock>,
    collected: Collected,
    store: SharedStore,
    faulty: Arc<Faulty>,
    service: TokenService<Arc<Faulty>>,
    _guard: Box<dyn std::any::Any>,
}

/// The rival revokes all that it finds or, told so, removes it, or moves the clock.
fn scene(open: Open) -> Scene {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let collected = Collected::default();
    let (store, of_rival, hand) = (opened.store.clone(), opened.store.clone(), clock.clone());
    let faulty = Arc::new(Faulty::with_rival(opened.store, move |what| {
        let (store, clock) = (of_rival.clone(), hand.clone());
        Box::pin(async move {
            for record in records(&*store).await {
                let id = record.id();
                match what {
                    0 => {
                        let service = builder(store.clone()).clock(clock.clone()).build().unwrap();
                        let _ = service.all_owners().revoke(id, words()).await.unwrap();
                    }
                    1 => {
                        let version = store.find(id).await.unwrap().unwrap().version;
                        store.remove(id, version).await.unwrap();
                    }
                    _ => clock.set(clock.now() + chrono::TimeDelta::hours(2)),
                }
            }
        })
    }));
    let policy = Policy::new().allow_never(true);
    let service = builder(faulty.clone()).policy(policy).clock(clock.clone());
    let service = service.events(collected.sink()).build().unwrap();
    Scene { clock, collected, store, faulty, service, _guard: opened.guard }
}

impl Scene {
    async fn issue(&self, request: IssueRequest) -> TokenId {
        self.service.owner("acme").issue(request).await.unwrap().record.id()
    }

    async fn ids(&self) -> BTreeSet<TokenId> {
        records(&*self.store).await.iter().map(|record| record.id()).collect()
    }

    /// So many tokens that have been expired for ten days.
    async fn long_dead(&self, many: usize) -> Vec<TokenId> {
        let mut ids = Vec::new();
        for _ in 0..many {
            ids.push(self.issue(request().expires_in(HOUR)).await);
        }
        self.clock.advance(10 * DAY);
        let _ = self.collected.take(&self.service);
        ids
    }

    /// Counts, runs, and sees that both say the same.
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

async fn what_has_been_dead_for_longer_goes_and_nothing_else(open: Open) {
    let scene = scene(open);
    let view = scene.service.all_owners();
    let never = scene.issue(request().never_expires()).await;
    let expires = scene.issue(request().expires_in(HOUR)).await;
    let both = scene.issue(request().expires_in(HOUR)).await;
    let revoked = scene.issue(request()).await;
    let rotated = scene.issue(request()).await;
    let pending = scene.service.now() + chrono::TimeDelta::days(40);
    let pending = scene.issue(request().not_before(pending)).await;
    let _ = view.rotate(rotated, RotateRequest::at_once()).await.unwrap();
    scene.clock.advance(HOUR);
    let _ = view.revoke(revoked, words()).await.unwrap();
    scene.clock.advance(HOUR);
    // Revoked after its end: what counts is the end.
    let _ = view.revoke(both, words()).await.unwrap();
    scene.clock.advance(2 * DAY - HOUR);
    // They have been dead for exactly two days.
    assert_eq!(scene.purge(2 * DAY).await, 0);
    scene.clock.advance(MICRO);
    assert_eq!(scene.purge(2 * DAY + MICRO).await, 0);
    assert_eq!(scene.purge(2 * DAY).await, 3);
    let left = BTreeSet::from([never, rotated, pending]);
    assert_eq!(scene.ids().await, left);
    assert!([expires, both, revoked].iter().all(|id| !left.contains(id)));
    scene.clock.advance(1_000 * DAY);
    assert_eq!(scene.purge(DAY).await, 2);
    assert_eq!(scene.ids().await, BTreeSet::from([never]));
}

async fn a_view_removes_its_owner_s(open: Open) {
    let scene = scene(open);
    let _ = scene.issue(IssueRequest::new("connector", "x").expires_in(HOUR)).await;
    let globex = scene
        .service
        .owner("globex")
        .issue(IssueRequest::new("connector", "x").expires_in(HOUR))
        .await
        .unwrap()
        .record
        .id();
    scene.clock.advance(2 * DAY);
    let _ = scene.collected.take(&scene.service);
    assert_eq!(scene.service.owner("acme").purge(DAY).run().await.unwrap().done, 1);
    assert_eq!(scene.ids().await, BTreeSet::from([globex]));
    let events = scene.collected.take(&scene.service);
    let [Event::Purged { owner, retention, purged: 1, failed: 0, stopped: None, .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((owner.as_deref(), *retention), (Some("acme"), DAY));
    assert_eq!(scene.service.owner("nobody").purge(DAY).run().await.unwrap().done, 0);
}

async fn a_retention_below_a_day_is_refused(open: Open) {
    let scene = scene(open);
    let _ = scene.long_dead(1).await;
    scene.faulty.disarm();
    let view = scene.service.all_owners();
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
    assert!(scene.faulty.calls().is_empty());
    assert_eq!(scene.purge(DAY).await, 1);
}

async fn the_longest_retention_removes_nothing(open: Open) {
    let scene = scene(open);
    let _ = scene.long_dead(1).await;
    for retention in [Duration::MAX, Duration::from_secs(u64::MAX / 1_000_000), 300_000 * DAY] {
        assert_eq!(scene.purge(retention).await, 0);
    }
}

async fn a_jump_of_the_clock_stops_it_until_that_is_acknowledged(open: Open) {
    let scene = scene(open);
    let id = scene.issue(request()).await;
    let _ = scene.service.all_owners().revoke(id, words()).await.unwrap();
    scene.clock.set(scene.service.now() + chrono::TimeDelta::days(5));
    let _ = scene.collected.take(&scene.service);
    let view = scene.service.all_owners();
    for _ in 0..2 {
        assert!(matches!(view.purge(DAY).count().await, Err(ManageError::ClockJumped)));
        let error = view.purge(DAY).run().await.unwrap_err();
        assert!(matches!(error.cause, ManageError::ClockJumped));
    }
    assert_eq!(scene.ids().await.len(), 1);
    let events = scene.collected.take(&scene.service);
    let Some(Event::Purged { purged: 0, stopped: Some(why), .. }) = events.last() else {
        panic!("{events:?}")
    };
    assert!(why.contains("clock"), "{why}");
    assert!(scene.service.acknowledge_clock_jump().is_some());
    assert_eq!(scene.purge(DAY).await, 1);
}

async fn a_jump_midway_stops_it_before_the_next_page(open: Open) {
    let scene = scene(open);
    let many = MAX_PAGE_LEN + 10;
    let _ = scene.long_dead(many).await;
    // While the first record is removed.
    scene.faulty.arm(&[Fault::None, Fault::Rival(2)], Fault::None);
    let error = scene.service.all_owners().purge(DAY).run().await.unwrap_err();
    assert!(matches!(error.cause, ManageError::ClockJumped));
    assert_eq!((error.so_far.done, error.so_far.passes), (MAX_PAGE_LEN as u64, 1));
    assert_eq!(scene.ids().await.len(), 10);
}

async fn a_record_that_changes_meanwhile_is_looked_at_again(open: Open) {
    let scene = scene(open);
    let _ = scene.long_dead(1).await;
    // Others revoke it after it was found: it is as dead as before, and goes.
    scene.faulty.arm(&[Fault::None, Fault::Rival(0)], Fault::None);
    let outcome = scene.service.all_owners().purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (1, 0));
    // Others remove it.
    let _ = scene.long_dead(1).await;
    scene.faulty.arm(&[Fault::None, Fault::Rival(1)], Fault::None);
    let outcome = scene.service.all_owners().purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (0, 0));
    assert!(scene.ids().await.is_empty());
}

async fn a_record_of_a_newer_program_stays(open: Open) {
    let scene = scene(open);
    let _ = scene.long_dead(2).await;
    let (id, _) = plant(&*scene.store, request().expires_in(HOUR), newer).await;
    // That one was issued by the real clock.
    scene.clock.set(SystemClock::new().now());
    assert!(scene.service.has_clock_jumped() && scene.service.acknowledge_clock_jump().is_some());
    let _ = scene.long_dead(2).await;
    let outcome = scene.service.all_owners().purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (4, 1));
    assert_eq!(outcome.failures[0].id, id);
    let error = &outcome.failures[0].error;
    assert!(matches!(error, ManageError::Store(StoreError::NewerFormat)), "{error:?}");
    assert_eq!(scene.ids().await, BTreeSet::from([id]));
}

async fn lost_answers_are_resolved(open: Open) {
    let scene = scene(open);
    let _ = scene.long_dead(1).await;
    let view = scene.service.all_owners();
    // Removed, and nobody said so.
    scene.faulty.arm(&[Fault::None, Fault::DoneAndLost], Fault::None);
    assert_eq!(view.purge(DAY).run().await.unwrap().done, 1);
    // Not removed, and nobody said so.
    let _ = scene.long_dead(1).await;
    scene
        .faulty
        .arm(&[Fault::None, Fault::LostBefore, Fault::None, Fault::LostBefore], Fault::None);
    assert_eq!(view.purge(DAY).run().await.unwrap().done, 1);
    // Nobody ever says anything of removals, and it is not known.
    let [id] = scene.long_dead(1).await[..] else { panic!() };
    scene.faulty.arm(&[Fault::None, Fault::LostBefore], Fault::Unavailable);
    let outcome = view.purge(DAY).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (0, 1));
    let failure = &outcome.failures[0];
    assert_eq!(failure.id, id);
    assert!(matches!(failure.error, ManageError::Indeterminate { .. }), "{failure:?}");
    scene.faulty.disarm();
    assert_eq!(scene.purge(DAY).await, 1);
}

async fn a_store_that_fails_midway_says_how_far_it_came(open: Open) {
    let scene = scene(open);
    let _ = scene.long_dead(100).await;
    scene.faulty.arm(&[Fault::None; 31], Fault::Unavailable);
    let error = scene.service.all_owners().purge(DAY).run().await.unwrap_err();
    assert!(matches!(error.cause, ManageError::Store(StoreError::Unavailable { .. })));
    assert_eq!(error.so_far.done, 30);
    let events = scene.collected.take(&scene.service);
    let [Event::Purged { purged: 30, stopped: Some(_), .. }] = &events[..] else {
        panic!("{events:?}")
    };
    scene.faulty.disarm();
    assert_eq!(scene.purge(DAY).await, 70);
}

async fn dropped_midway_it_is_run_again(open: Open) {
    let scene = scene(open);
    let many = MAX_PAGE_LEN + 200;
    let _ = scene.long_dead(many).await;
    let mut run = Box::pin(scene.service.all_owners().purge(DAY).run());
    assert!(poll_once(&mut run).await.is_none());
    drop(run);
    let events = scene.collected.take(&scene.service);
    let [Event::Purged { stopped: Some(why), .. }] = &events[..] else { panic!("{events:?}") };
    assert!(why.contains("gave up"), "{why}");
    let _ = scene.service.all_owners().purge(DAY).run().await.unwrap();
    assert!(scene.ids().await.is_empty());
}

async fn what_is_kept_of_a_removed_record_counts_no_more(open: Open) {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let remote = Arc::new(support::Remote::new(opened.store));
    let service =
        builder(remote).clock(clock.clone()).cache_records(100 * DAY, 10).build().unwrap();
    let token = text(&service.owner("acme").issue(request().expires_in(HOUR)).await.unwrap());
    service.verify(&token, &any()).await.unwrap();
    clock.advance(2 * DAY);
    let refusal = async || service.verify(&token, &any()).await.unwrap_err().refusal();
    assert_eq!(refusal().await, Some(Refusal::Expired));
    assert_eq!(service.all_owners().purge(DAY).run().await.unwrap().done, 1);
    assert_eq!(refusal().await, Some(Refusal::UnknownId));
}

async fn a_token_may_live_and_die_while_it_runs(open: Open) {
    let scene = scene(open);
    let _ = scene.long_dead(MAX_PAGE_LEN + 1).await;
    let young = scene.issue(request().expires_in(HOUR)).await;
    let hand = scene.clock.clone();
    let run = scene.service.all_owners().purge(DAY).on_progress(move |_| hand.advance(DAY)).run();
    // What counts is the time at the beginning.
    assert_eq!(run.await.unwrap().done, MAX_PAGE_LEN as u64 + 1);
    assert_eq!(scene.ids().await, BTreeSet::from([young]));
    assert_eq!(scene.purge(DAY).await, 1);
}
