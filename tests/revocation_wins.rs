//! A revocation comes through, however fast its token is rotated or used meanwhile.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::poll_once;
use service_tokens::clock::ManualClock;
use service_tokens::record::ReplacedSecret;
use service_tokens::store::{StoreError, Version};
use service_tokens::{
    Event, Filter, ListRequest, ManageError, MemoryStore, Page, Record, Refusal, RevokeRequest,
    RotateRequest, StoredRecord, TokenId, TokenService, TokenStore,
};
use support::acting;
use support::many::{request, words};
use support::rotated::remote;
use support::{Fault, Faulty, HOUR, Op, Open, Remote, any, builder, over_stores, text};

over_stores! {
    hundreds_of_changes_by_other_processes_do_not_hold_it_off,
    many_are_revoked_though_each_is_changed_hundreds_of_times,
    over_a_store_that_conflicts_for_ever_it_ends,
    rotations_of_this_process_step_aside,
    a_first_use_steps_aside_and_is_made_up_for,
    a_revocation_that_was_given_up_is_in_nobody_s_way,
    one_of_another_owner_s_token_is_in_nobody_s_way,
}

/// A service whose store lets another process change the token before any call that meets a rival.
fn changed_by_others(open: Open) -> (Arc<Faulty>, TokenService<Arc<Faulty>>, support::Opened) {
    let opened = open();
    let store = opened.store.clone();
    let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), move |_| {
        let store = store.clone();
        Box::pin(async move {
            for record in support::records(&*store).await {
                let present = store.find(record.id()).await.unwrap().unwrap();
                let _ = store.replace(&present.record, present.version).await;
            }
        })
    }));
    let service = builder(faulty.clone()).build().unwrap();
    (faulty, service, opened)
}

async fn hundreds_of_changes_by_other_processes_do_not_hold_it_off(open: Open) {
    let (faulty, service, _opened) = changed_by_others(open);
    let issued = service.owner("acme").issue(request()).await.unwrap();
    faulty.arm(&[Fault::Rival(0); 1_000], Fault::None);
    let revoked = service.owner("acme").revoke(issued.record.id(), words()).await.unwrap();
    assert!(!revoked.already_revoked);
    let refused = service.verify(&text(&issued), &any()).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Revoked));
}

async fn many_are_revoked_though_each_is_changed_hundreds_of_times(open: Open) {
    let (faulty, service, _opened) = changed_by_others(open);
    for _ in 0..3 {
        let _ = service.owner("acme").issue(request()).await.unwrap();
    }
    faulty.arm(&[Fault::Rival(0); 1_000], Fault::None);
    let outcome = service.owner("acme").revoke_all(Filter::new(), words()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed), (3, 0), "{:?}", outcome.failures);
}

async fn over_a_store_that_conflicts_for_ever_it_ends(open: Open) {
    let (faulty, service, _opened) = changed_by_others(open);
    let id = service.owner("acme").issue(request()).await.unwrap().record.id();
    faulty.arm(&[], Fault::Rival(0));
    let contended = service.owner("acme").revoke(id, words()).await.unwrap_err();
    assert!(matches!(contended, ManageError::Contended { id: of } if of == id), "{contended:?}");
    let replaces = faulty.calls().iter().filter(|(op, _)| *op == Op::Replace).count();
    assert_eq!(replaces, 10_000);
    let rotated = service.owner("acme").rotate(id, RotateRequest::at_once()).await;
    assert!(matches!(rotated, Err(ManageError::Contended { .. })));
    let outcome = service.owner("acme").revoke_all(Filter::new(), words()).run().await.unwrap();
    assert_eq!((outcome.done, outcome.failed, outcome.passes), (0, 1, 1));
}

type Rotated = Arc<Mutex<Vec<Result<(), ManageError>>>>;

async fn rotations_of_this_process_step_aside(open: Open) {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let service: Arc<OnceLock<TokenService<Arc<Faulty>>>> = Arc::default();
    let (token, rotated) = (Arc::new(OnceLock::new()), Rotated::default());
    // The thief, in the moment in which the revocation is about to be written.
    let rival = {
        let (service, token, rotated) = (service.clone(), token.clone(), rotated.clone());
        move |_: u8| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let (service, token, rotated) = (service.clone(), token.clone(), rotated.clone());
            Box::pin(async move {
                let service = service.get().unwrap();
                let token = token.get().unwrap();
                let again = || RotateRequest::with_overlap(HOUR).replacing(ReplacedSecret::Newest);
                let itself = service.on_behalf_of(token).rotate_self(again()).await;
                let embedder = service.all_owners().rotate(token.id(), again()).await;
                rotated.lock().unwrap().extend([itself.map(drop), embedder.map(drop)]);
            })
        }
    };
    let faulty = Arc::new(Faulty::with_rival(opened.store.clone(), rival));
    let service = {
        let built = acting::builder(faulty.clone(), clock).build().unwrap();
        service.get_or_init(|| built)
    };
    let issued = service
        .owner("acme")
        .issue(acting::request(&["service-tokens:rotate-self"]))
        .await
        .unwrap();
    let id = issued.record.id();
    let _ = token.set(service.verify(&text(&issued), &any()).await.unwrap());
    let first = RotateRequest::with_overlap(HOUR);
    let _ = service.owner("acme").rotate(id, first).await.unwrap();

    faulty.arm(&[Fault::None, Fault::Rival(0)], Fault::None);
    assert!(!service.owner("acme").revoke(id, words()).await.unwrap().already_revoked);
    let rotated = std::mem::take(&mut *rotated.lock().unwrap());
    assert_eq!(rotated.len(), 2);
    for outcome in rotated {
        assert!(matches!(outcome, Err(ManageError::Contended { .. })), "{outcome:?}");
    }
    let writes = faulty.calls().iter().filter(|(op, _)| op.writes()).count();
    assert_eq!(writes, 1, "somebody else wrote");
}

async fn a_first_use_steps_aside_and_is_made_up_for(open: Open) {
    let (store, scene) = remote(open);
    let (id, older, newer) = scene.rotated().await;
    store.hold_writes(true);
    let owner = scene.service.owner("acme");
    let mut revoke = Box::pin(owner.revoke(id, RevokeRequest::new()));
    assert!(poll_once(&mut revoke).await.is_none());
    store.replaces();
    // The revocation is not yet done: the token is accepted, and nothing is written.
    let verified = poll_once(scene.service.verify(&newer, &any())).await;
    verified.expect("it waits for a write").unwrap();
    assert_eq!(store.replaces(), 0);
    assert_eq!(scene.events(), []);
    // The revocation is given up. The next use is the first.
    drop(revoke);
    store.hold_writes(false);
    assert!(scene.accepts(&newer).await);
    assert!(matches!(&scene.events()[..], [Event::Failed { .. }, Event::OverlapEnded { .. }]));
    assert!(!scene.accepts(&older).await);
}

async fn a_revocation_that_was_given_up_is_in_nobody_s_way(open: Open) {
    let (store, scene) = remote(open);
    let (id, _) = scene.issue().await;
    let owner = scene.service.owner("acme");
    store.hold_writes(true);
    {
        let mut both = [
            Box::pin(owner.revoke(id, RevokeRequest::new())),
            Box::pin(owner.revoke(id, RevokeRequest::new())),
        ];
        for revoke in &mut both {
            assert!(poll_once(revoke).await.is_none());
        }
        let [_, second] = both;
        store.hold_writes(false);
        let aside = owner.rotate(id, RotateRequest::at_once()).await;
        assert!(matches!(aside, Err(ManageError::Contended { .. })), "one is still under way");
        drop(second);
    }
    let _ = owner.rotate(id, RotateRequest::at_once()).await.unwrap();
}

async fn one_of_another_owner_s_token_is_in_nobody_s_way(open: Open) {
    let opened = open();
    let store = Arc::new(Remote::new(opened.store.clone()));
    let service = builder(store.clone()).build().unwrap();
    let id = service.owner("acme").issue(request()).await.unwrap().record.id();
    store.hold(true);
    let globex = service.owner("globex");
    let mut foreign = pin!(globex.revoke(id, RevokeRequest::new()));
    assert!(poll_once(&mut foreign).await.is_none());
    store.hold(false);
    let _ = service.owner("acme").rotate(id, RotateRequest::at_once()).await.unwrap();
    store.release(1);
    assert!(matches!(foreign.await, Err(ManageError::NotFound { .. })));
}

/// A store across a network: each way takes a while.
struct Slow(MemoryStore, AtomicU64);

impl Slow {
    async fn travel(&self) {
        let turn = self.1.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61))
            .await;
    }
}

#[async_trait]
impl TokenStore for Slow {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.0.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.travel().await;
        let found = self.0.find(id).await;
        self.travel().await;
        found
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.travel().await;
        let replaced = self.0.replace(record, expected).await;
        self.travel().await;
        replaced
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.0.remove(id, expected).await
    }

    async fn list(&self, query: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.0.list(query, now).await
    }
}

/// Whoever holds a token with `rotate-self` rotates it over many connections, here and in another
/// process, all the time with a secret that stays accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_rotates_itself_does_not_escape() {
    let store = Arc::new(Slow(MemoryStore::new(), AtomicU64::new(0)));
    let process = || Arc::new(acting::builder(store.clone(), Arc::default()).build().unwrap());
    let (here, elsewhere) = (process(), process());
    for turn in 0..6 {
        let issued = here
            .owner("acme")
            .issue(acting::request(&["service-tokens:rotate-self"]))
            .await
            .unwrap();
        let id = issued.record.id();
        let thief = here.verify(&text(&issued), &any()).await.unwrap();
        let first = RotateRequest::with_overlap(HOUR);
        let _ = here.on_behalf_of(&thief).rotate_self(first).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let rotators: Vec<_> = (0..200)
            .map(|n| {
                let (service, thief) = (if n % 4 == 0 { &elsewhere } else { &here }, thief.clone());
                let (service, stop) = (service.clone(), stop.clone());
                tokio::spawn(async move {
                    while !stop.load(Ordering::SeqCst) {
                        let again =
                            RotateRequest::with_overlap(HOUR).replacing(ReplacedSecret::Newest);
                        let _ = service.on_behalf_of(&thief).rotate_self(again).await;
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let failed = if turn % 2 == 0 {
            here.owner("acme").revoke(id, words()).await.map(|_| 0)
        } else {
            let run = here.owner("acme").revoke_all(Filter::new(), words()).run().await;
            run.map(|outcome| outcome.failed).map_err(|error| error.cause)
        };
        // Before anything is asserted: a failure must not leave the others going.
        stop.store(true, Ordering::SeqCst);
        for rotator in rotators {
            rotator.await.unwrap();
        }
        assert_eq!(failed.unwrap(), 0, "{turn}");
        let record = here.all_owners().get(id).await.unwrap().record;
        assert!(record.revocation().is_some());
    }
}
