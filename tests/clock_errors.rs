//! After the clock ran ahead, whether it was noticed or not, nothing that lives is purged, and nothing
//! that lives escapes a revocation.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_lite::future::block_on;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::store::MAX_PAGE_LEN;
use service_tokens::{Filter, IssueRequest, ManageError, State, TokenId, TokenService};
use support::many::{request, words};
use support::planted::{below, plant};
use support::{DAY, HOUR, Open, SharedStore, any, builder, over_stores, records, text};

over_stores! {
    a_purge_after_a_corrected_jump_keeps_what_lives,
    revoking_many_after_a_corrected_jump_misses_nothing,
    revoking_many_after_an_acknowledged_jump_leaves_what_expired,
    a_small_error_that_was_corrected_counts_as_well,
    a_purge_does_not_wait_for_another_thread_to_note_the_jump,
    a_purge_notices_the_jump_though_its_thread_is_stopped,
}

/// Two processes over one store, and one clock. The first sees it run ahead by this, and corrected.
struct Scene {
    clock: Arc<ManualClock>,
    store: SharedStore,
    service: TokenService<SharedStore>,
    other: TokenService<SharedStore>,
    _guard: Box<dyn std::any::Any>,
}

fn scene(open: Open) -> Scene {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let process = || builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let (service, other) = (process(), process());
    Scene { clock, store: opened.store, service, other, _guard: opened.guard }
}

impl Scene {
    fn runs_ahead(&self, by: TimeDelta) {
        let right = self.clock.now();
        self.clock.set(right + by);
        self.service.now();
        self.clock.set(right);
        self.clock.advance(Duration::from_secs(30));
    }

    async fn issue(&self, request: IssueRequest) -> (TokenId, String) {
        let issued = self.service.owner("acme").issue(request).await.unwrap();
        (issued.record.id(), text(&issued))
    }
}

async fn a_purge_after_a_corrected_jump_keeps_what_lives(open: Open) {
    let scene = scene(open);
    let (id, token) = scene.issue(request()).await;
    let (dead, _) = scene.issue(request().expires_in(HOUR)).await;
    scene.clock.advance(3 * DAY);
    scene.runs_ahead(TimeDelta::days(400));
    let view = scene.service.all_owners();
    assert!(matches!(view.purge(DAY).count().await, Err(ManageError::ClockJumped)));
    // The operator sees that the clock is right, and says so.
    assert!(scene.service.acknowledge_clock_jump().is_some());
    assert!(scene.service.now() > scene.clock.now() + TimeDelta::days(300));
    assert_eq!(view.purge(DAY).count().await.unwrap(), 1);
    assert_eq!(view.purge(DAY).run().await.unwrap().done, 1);
    let left = records(&*scene.store).await;
    assert_eq!(left.iter().map(|record| record.id()).collect::<Vec<_>>(), [id], "{dead}");
    scene.other.verify(&token, &any()).await.unwrap();
}

async fn revoking_many_after_a_corrected_jump_misses_nothing(open: Open) {
    for acknowledged in [false, true] {
        let scene = scene(open);
        let (id, token) = scene.issue(request()).await;
        let (_, child) = plant(&*scene.store, request(), |record| below(record, &[id])).await;
        scene.runs_ahead(TimeDelta::days(400));
        if acknowledged {
            assert!(
                scene.service.has_clock_jumped()
                    && scene.service.acknowledge_clock_jump().is_some()
            );
        }
        let view = scene.service.all_owners();
        scene.other.verify(&token, &any()).await.unwrap();
        assert_eq!(view.revoke_with_descendants(id, words()).count().await.unwrap(), 2);
        let outcome = view.revoke_with_descendants(id, words()).run().await.unwrap();
        assert_eq!((outcome.done, outcome.failed), (2, 0));
        let (_, third) = scene.issue(request()).await;
        let fourth = text(&scene.other.owner("acme").issue(request()).await.unwrap());
        assert_eq!(view.revoke_all(Filter::new(), words()).count().await.unwrap(), 2);
        assert_eq!(view.revoke_all(Filter::new(), words()).run().await.unwrap().done, 2);
        for token in [token, child, third, fourth] {
            assert!(scene.other.verify(&token, &any()).await.is_err());
        }
    }
}

/// While the clock is in doubt, what has expired by it may live. Once it is believed, it does not.
async fn revoking_many_after_an_acknowledged_jump_leaves_what_expired(open: Open) {
    let scene = scene(open);
    let (expired, _) = scene.issue(request().expires_in(HOUR)).await;
    let right = scene.clock.now();
    scene.clock.set(right + TimeDelta::days(2));
    let view = scene.service.all_owners();
    // Noticed by the act itself, and by each of its counts.
    assert_eq!(view.revoke_all(Filter::new(), words()).count().await.unwrap(), 1);
    assert!(scene.service.acknowledge_clock_jump().is_some());
    assert_eq!(view.revoke_all(Filter::new(), words()).count().await.unwrap(), 0);
    assert_eq!(view.revoke_with_descendants(expired, words()).count().await.unwrap(), 0);
    scene.clock.set(right);
    assert_eq!(view.revoke_all(Filter::new(), words()).run().await.unwrap().done, 1);
    let record = view.get(expired).await.unwrap().record;
    assert_eq!(record.state(scene.service.now()), State::Revoked);
}

/// No jump, so nobody need acknowledge it.
async fn a_small_error_that_was_corrected_counts_as_well(open: Open) {
    let scene = scene(open);
    let (_, token) = scene.issue(request().expires_in(Duration::from_secs(50))).await;
    scene.runs_ahead(TimeDelta::seconds(55));
    assert!(!scene.service.has_clock_jumped());
    assert!(scene.service.verify(&token, &any()).await.is_err());
    scene.other.verify(&token, &any()).await.unwrap();
    let view = scene.service.all_owners();
    assert_eq!(view.revoke_all(Filter::new(), words()).run().await.unwrap().done, 1);
}

/// A clock whose monotonic side can be held for one thread, or go on while a thread is stopped.
#[derive(Default)]
struct Held {
    wall: AtomicI64,
    monotonic: AtomicI64,
    holds: Mutex<Option<ThreadId>>,
    inside: (Mutex<bool>, Condvar),
    go: (Mutex<bool>, Condvar),
    stops: AtomicBool,
}

fn say((said, heard): &(Mutex<bool>, Condvar)) {
    *said.lock().unwrap() = true;
    heard.notify_all();
}

fn hear((said, heard): &(Mutex<bool>, Condvar)) {
    drop(heard.wait_while(said.lock().unwrap(), |said| !*said).unwrap());
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
            say(&self.inside);
            hear(&self.go);
        }
        let was = self.monotonic.load(Ordering::SeqCst);
        if self.stops.swap(false, Ordering::SeqCst) {
            self.monotonic.fetch_add(2_000_000, Ordering::SeqCst);
        }
        Duration::from_micros(was.unsigned_abs())
    }
}

async fn a_purge_does_not_wait_for_another_thread_to_note_the_jump(open: Open) {
    let opened = open();
    let clock = Held::new();
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let _ = service.owner("acme").issue(request().expires_in(HOUR)).await.unwrap();
    clock.jump();
    let outcome = std::thread::scope(|threads| {
        threads.spawn(|| {
            *clock.holds.lock().unwrap() = Some(std::thread::current().id());
            service.now()
        });
        hear(&clock.inside);
        let outcome = block_on(service.all_owners().purge(DAY).run());
        say(&clock.go);
        outcome
    });
    assert!(matches!(outcome.unwrap_err().cause, ManageError::ClockJumped));
    assert_eq!(records(&*opened.store).await.len(), 1);
    assert!(service.acknowledge_clock_jump().is_some());
    assert!(!service.has_clock_jumped(), "one jump was noted twice");
}

async fn a_purge_notices_the_jump_though_its_thread_is_stopped(open: Open) {
    let opened = open();
    let clock = Held::new();
    let service = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let many = MAX_PAGE_LEN + 1;
    for _ in 0..many {
        let _ = service.owner("acme").issue(request().expires_in(HOUR)).await.unwrap();
    }
    clock.jump();
    clock.stops.store(true, Ordering::SeqCst);
    let error = service.all_owners().purge(DAY).run().await.unwrap_err();
    assert!(matches!(error.cause, ManageError::ClockJumped));
    assert_eq!((error.so_far.done, records(&*opened.store).await.len()), (0, many));
}
