//! A clock that ran ahead and was corrected: no live token is purged, and every live token can be revoked.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use super::harness::{
    DAY, HOUR, Harness, Stores, any, backup, below, builder, incident, plant, records, text,
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::block_on;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::store::MAX_PAGE_LEN;
use service_tokens::{Filter, IssueRequest, ManageError, State, TokenId};

behaviours! {
    purge_after_corrected_jump_keeps_live_tokens,
    revoke_all_after_corrected_jump_is_complete,
    revoke_all_after_known_jump_skips_expired,
    revoke_all_after_small_error_is_complete,
    purge_sees_jump_before_other_threads,
    purge_sees_jump_after_thread_was_paused,
}

/// Two processes over one store and one clock.
fn two_processes(stores: Stores) -> Harness {
    let harness = Harness::new(stores);
    let _ = harness.elsewhere();
    harness
}

/// Shows the service a clock that runs ahead by this much and is corrected. Another process does not see
/// it.
fn run_ahead(harness: &Harness, by: TimeDelta) {
    let right = harness.clock.now();
    harness.clock.set(right + by);
    harness.service.now();
    harness.clock.set(right);
    harness.advance(Duration::from_secs(30));
}

async fn issue(harness: &Harness, request: IssueRequest) -> (TokenId, String) {
    let issued = harness.issue(request).await;
    (issued.record.id(), text(&issued))
}

pub(crate) async fn purge_after_corrected_jump_keeps_live_tokens(stores: Stores) {
    let harness = two_processes(stores);
    let (id, token) = issue(&harness, backup()).await;
    let (expired, _) = issue(&harness, backup().expires_in(HOUR)).await;
    harness.clock.advance(3 * DAY);
    run_ahead(&harness, TimeDelta::days(400));
    let view = harness.service.all_owners();
    assert!(matches!(view.purge(DAY).count().await, Err(ManageError::ClockJumped)));
    // The operator checks the clock and confirms it.
    assert!(harness.service.acknowledge_clock_jump().is_some());
    assert!(harness.service.now() > harness.clock.now() + TimeDelta::days(300));
    assert_eq!(view.purge(DAY).count().await.unwrap(), 1);
    assert_eq!(view.purge(DAY).run().await.unwrap().done, 1);
    let left = records(&*harness.store).await;
    assert_eq!(left.iter().map(|record| record.id()).collect::<Vec<_>>(), [id], "{expired}");
    harness.elsewhere().verify(&token, &any()).await.unwrap();
}

pub(crate) async fn revoke_all_after_corrected_jump_is_complete(stores: Stores) {
    for acknowledged in [false, true] {
        let harness = two_processes(stores);
        let (id, token) = issue(&harness, backup()).await;
        let (_, child) = plant(&*harness.store, backup(), |record| below(record, &[id])).await;
        run_ahead(&harness, TimeDelta::days(400));
        if acknowledged {
            assert!(
                harness.service.has_clock_jumped()
                    && harness.service.acknowledge_clock_jump().is_some()
            );
        }
        let view = harness.service.all_owners();
        harness.elsewhere().verify(&token, &any()).await.unwrap();
        assert_eq!(view.revoke_with_descendants(id, incident()).count().await.unwrap(), 2);
        let outcome = view.revoke_with_descendants(id, incident()).run().await.unwrap();
        assert_eq!((outcome.done, outcome.failed), (2, 0));
        let (_, third) = issue(&harness, backup()).await;
        let fourth = text(&harness.elsewhere().owner("acme").issue(backup()).await.unwrap());
        assert_eq!(view.revoke_all(Filter::new(), incident()).count().await.unwrap(), 2);
        assert_eq!(view.revoke_all(Filter::new(), incident()).run().await.unwrap().done, 2);
        for token in [token, child, third, fourth] {
            assert!(harness.elsewhere().verify(&token, &any()).await.is_err());
        }
    }
}

/// While the clock is in doubt, a token that seems expired may still be active, so it is revoked. After an
/// acknowledgement of the clock it is skipped.
pub(crate) async fn revoke_all_after_known_jump_skips_expired(stores: Stores) {
    let harness = two_processes(stores);
    let (expired, _) = issue(&harness, backup().expires_in(HOUR)).await;
    let right = harness.clock.now();
    harness.clock.set(right + TimeDelta::days(2));
    let view = harness.service.all_owners();
    // The operation and each of its counts notice the jump.
    assert_eq!(view.revoke_all(Filter::new(), incident()).count().await.unwrap(), 1);
    assert!(harness.service.acknowledge_clock_jump().is_some());
    assert_eq!(view.revoke_all(Filter::new(), incident()).count().await.unwrap(), 0);
    assert_eq!(view.revoke_with_descendants(expired, incident()).count().await.unwrap(), 0);
    harness.clock.set(right);
    assert_eq!(view.revoke_all(Filter::new(), incident()).run().await.unwrap().done, 1);
    let record = view.get(expired).await.unwrap().record;
    assert_eq!(record.state(harness.service.now()), State::Revoked);
}

/// An error this small is not a jump, so it needs no acknowledgement.
pub(crate) async fn revoke_all_after_small_error_is_complete(stores: Stores) {
    let harness = two_processes(stores);
    let (_, token) = issue(&harness, backup().expires_in(Duration::from_secs(50))).await;
    run_ahead(&harness, TimeDelta::seconds(55));
    assert!(!harness.service.has_clock_jumped());
    assert!(harness.service.verify(&token, &any()).await.is_err());
    harness.elsewhere().verify(&token, &any()).await.unwrap();
    let view = harness.service.all_owners();
    assert_eq!(view.revoke_all(Filter::new(), incident()).run().await.unwrap().done, 1);
}

/// A clock whose monotonic time a test can stop for one thread, or let advance while a thread is stopped.
#[derive(Default)]
struct Held {
    wall: AtomicI64,
    monotonic: AtomicI64,
    holds: Mutex<Option<ThreadId>>,
    inside: (Mutex<bool>, Condvar),
    go: (Mutex<bool>, Condvar),
    stops: AtomicBool,
}

fn signal((signalled, changed): &(Mutex<bool>, Condvar)) {
    *signalled.lock().unwrap() = true;
    changed.notify_all();
}

fn wait((signalled, changed): &(Mutex<bool>, Condvar)) {
    drop(changed.wait_while(signalled.lock().unwrap(), |signalled| !*signalled).unwrap());
}

impl Held {
    fn new() -> Arc<Self> {
        let start = ManualClock::default().now().timestamp_micros();
        Arc::new(Self { wall: AtomicI64::new(start), ..Self::default() })
    }

    fn jump(&self) {
        self.wall.fetch_add(10 * 86_400_000_000, Ordering::SeqCst);
    }
}

impl Clock for Held {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.wall.load(Ordering::SeqCst)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        if *self.holds.lock().unwrap() == Some(std::thread::current().id()) {
            signal(&self.inside);
            wait(&self.go);
        }
        let was = self.monotonic.load(Ordering::SeqCst);
        if self.stops.swap(false, Ordering::SeqCst) {
            self.monotonic.fetch_add(2_000_000, Ordering::SeqCst);
        }
        Duration::from_micros(was.unsigned_abs())
    }
}

pub(crate) async fn purge_sees_jump_before_other_threads(stores: Stores) {
    let opened = stores.open();
    let clock = Held::new();
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let _ = service.owner("acme").issue(backup().expires_in(HOUR)).await.unwrap();
    clock.jump();
    let outcome = std::thread::scope(|threads| {
        threads.spawn(|| {
            *clock.holds.lock().unwrap() = Some(std::thread::current().id());
            service.now()
        });
        wait(&clock.inside);
        let outcome = block_on(service.all_owners().purge(DAY).run());
        signal(&clock.go);
        outcome
    });
    assert!(matches!(outcome.unwrap_err().cause, ManageError::ClockJumped));
    assert_eq!(records(&*opened.store).await.len(), 1);
    assert!(service.acknowledge_clock_jump().is_some());
    assert!(!service.has_clock_jumped(), "one jump was noted twice");
}

pub(crate) async fn purge_sees_jump_after_thread_was_paused(stores: Stores) {
    let opened = stores.open();
    let clock = Held::new();
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let many = MAX_PAGE_LEN + 1;
    for _ in 0..many {
        let _ = service.owner("acme").issue(backup().expires_in(HOUR)).await.unwrap();
    }
    clock.jump();
    clock.stops.store(true, Ordering::SeqCst);
    let error = service.all_owners().purge(DAY).run().await.unwrap_err();
    assert!(matches!(error.cause, ManageError::ClockJumped));
    assert_eq!((error.so_far.done, records(&*opened.store).await.len()), (0, many));
}
