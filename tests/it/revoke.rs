//! Revocation on the threads of a runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::clock::ManualClock;
use service_tokens::record::ReplacedSecret;
use service_tokens::store::{StoreError, Version};
use service_tokens::{
    Filter, ListRequest, MemoryStore, Page, Record, RotateRequest, StoredRecord, TokenId,
    TokenStore,
};

use crate::behaviour::harness::{
    DAY, Factory, Faulty, HOUR, Op, SharedStore, any, builder, incident, issue_many,
    scoped_request, text,
};
use crate::stores::Memory;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_futures_can_be_spawned() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let _ = issue_many(&store, 10).await;
    let service = Arc::new(builder(store).build().unwrap());
    let spawned = service.clone();
    let done = tokio::spawn(async move {
        let view = spawned.all_owners();
        let _ = view.revoke_all(Filter::new(), incident()).count().await.unwrap();
        let run = view.revoke_all(Filter::new(), incident()).on_progress(|_| {});
        let done = run.run().await.unwrap().done;
        let _ = view.purge(DAY).run().await.unwrap();
        spawned.pause_issuing("enough").await.unwrap();
        done
    });
    assert_eq!(done.await.unwrap(), 10);
}

#[test]
fn revoke_all_writes_by_compare_and_swap() {
    block_on(async {
        let opened = Memory.open();
        let faulty = Arc::new(Faulty::new(opened.store.clone()));
        let service = builder(faulty.clone()).build().unwrap();
        let _ = issue_many(&opened.store, 3).await;
        faulty.disarm();
        let _ = service.all_owners().revoke_all(Filter::new(), incident()).run().await.unwrap();
        let writes = faulty.calls().iter().filter(|(op, _)| op.writes()).count();
        assert_eq!(writes, 3);
        assert!(faulty.calls().iter().all(|(op, _)| !op.writes() || *op == Op::Replace));
    });
}

/// A store across a network, with a delay in each direction.
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

/// A thief rotates a token with `rotate-self` over many connections, in this process and in another one,
/// and presents a secret that is accepted all the time. The revocation must still succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoke_prevails_over_self_rotation() {
    let store = Arc::new(Slow(MemoryStore::new(), AtomicU64::new(0)));
    let process =
        || Arc::new(builder(store.clone()).clock(Arc::<ManualClock>::default()).build().unwrap());
    let (here, elsewhere) = (process(), process());
    for turn in 0..6 {
        let issued = here
            .owner("acme")
            .issue(scoped_request(&["service-tokens:rotate-self"]))
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
            here.owner("acme").revoke(id, incident()).await.map(|_| 0)
        } else {
            let run = here.owner("acme").revoke_all(Filter::new(), incident()).run().await;
            run.map(|outcome| outcome.failed).map_err(|error| error.cause)
        };
        // Stops the threads before the assertions. Otherwise a failure would leave them running.
        stop.store(true, Ordering::SeqCst);
        for rotator in rotators {
            rotator.await.unwrap();
        }
        assert_eq!(failed.unwrap(), 0, "{turn}");
        let record = here.all_owners().get(id).await.unwrap().record;
        assert!(record.revocation().is_some());
    }
}
