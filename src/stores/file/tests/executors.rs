//! Executors: several at once, none is blocked, futures are dropped halfway, and stores close.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_lite::future::poll_once;

use super::double::{Behaviour, Call, Double};
use super::*;
use crate::store::{StoreError, TokenStore};
use crate::stores::file::OpenError;
use crate::stores::file::queue::{Request, Write};
use crate::stores::file::reply::reply;

/// Opens a store whose syncs take this long.
fn slow(place: &Place, sync: Duration) -> FileStore {
    let double = Double::new(move |_, call| {
        if matches!(call, Call::Sync(_)) {
            std::thread::sleep(sync);
        }
        Behaviour::Obey
    });
    let options = double.under(FileStoreOptions::new());
    options.open(place.path()).unwrap()
}

#[test]
fn two_executors_drive_writes_without_blocking() {
    let place = Place::new();
    let store = Arc::new(slow(&place, Duration::from_millis(400)));
    let other = {
        let store = store.clone();
        std::thread::spawn(move || {
            for n in 0..3 {
                block_on(store.insert(&record(n))).unwrap();
            }
        })
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let longest = runtime.block_on(async {
        let ticker = tokio::spawn({
            let done = done.clone();
            async move {
                let (mut longest, mut last, mut ticks) = (Duration::ZERO, Instant::now(), 0);
                while !done.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    ticks += 1;
                }
                assert!(ticks > 20);
                longest
            }
        });
        let inserts = (10..26).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let version = store.insert(&record(n)).await.unwrap();
                store.replace(&revoked(&record(n)), version).await.unwrap();
            })
        });
        for insert in inserts.collect::<Vec<_>>() {
            insert.await.unwrap();
        }
        store.compact().await.unwrap();
        store.close().await.unwrap();
        done.store(true, Ordering::Relaxed);
        ticker.await.unwrap()
    });
    // A blocking wait for one sync would take 400 ms.
    assert!(longest < Duration::from_millis(200), "{longest:?}");
    // The writes of the other executor succeeded, or closing the store refused the whole batch.
    let all = other.join().is_ok();
    drop(store);
    let found = place.open().open_report().records;
    assert!(found == 19 || !all && found > 16, "{found}");
}

#[test]
fn waiting_writes_share_a_sync() {
    let place = Place::new();
    let store = slow(&place, Duration::from_millis(100));
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(store);
        let inserts = (0..64).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.insert(&record(n)).await.unwrap() })
        });
        for insert in inserts.collect::<Vec<_>>() {
            insert.await.unwrap();
        }
    });
    // Two or three syncs. One sync for each write would take 6.4 s.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn dropped_future_does_not_undo_its_write() {
    let place = Place::new();
    let store = place.open();
    block_on(async {
        for n in 0..10 {
            let record = record(n);
            let mut insert = store.insert(&record);
            poll_once(&mut insert).await;
        }
        // Writes are done in order, so the earlier ones are stored by now.
        store.insert(&record(10)).await.unwrap();
        for n in 0..10 {
            assert!(store.find(id(n)).await.unwrap().is_some());
        }
    });
}

#[test]
fn dropped_store_finishes_begun_writes() {
    for _ in 0..20 {
        let place = Place::new();
        for round in 0..5 {
            // Reopens at once, because the lock is free when the drop returns.
            let store = place.open();
            assert_eq!(store.open_report().records, round * 3);
            for n in 0..3 {
                let record = record(round as u64 * 3 + n);
                let mut insert = store.insert(&record);
                block_on(poll_once(&mut insert));
            }
        }
    }
}

#[test]
fn closed_store_refuses_calls_and_unlocks() {
    let place = Place::new();
    let store = place.open();
    block_on(async {
        let version = store.insert(&record(1)).await.unwrap();
        assert!(matches!(FileStore::open(place.path()), Err(OpenError::Locked { .. })));
        store.close().await.unwrap();
        store.close().await.unwrap();
        let other = FileStore::open(place.path()).unwrap();
        let unavailable = |error| matches!(error, StoreError::Unavailable { .. });
        assert!(unavailable(store.find(id(1)).await.unwrap_err()));
        assert!(unavailable(store.list(&Default::default(), now()).await.unwrap_err()));
        assert!(unavailable(store.insert(&record(2)).await.unwrap_err()));
        assert!(unavailable(store.remove(id(1), version).await.unwrap_err()));
        assert!(unavailable(store.compact().await.unwrap_err()));
        assert!(!store.find_now(id(1), &mut |_| panic!("called although refused")));
        assert!(other.find(id(1)).await.unwrap().is_some());
        drop(store);
        // Dropping the closed store does not release the lock of the other one.
        assert!(matches!(FileStore::open(place.path()), Err(OpenError::Locked { .. })));
    });
}

/// A task that the writer itself wakes may own the last handle of the store.
#[test]
fn writer_thread_may_drop_the_store() {
    struct Owner(std::sync::Mutex<Option<FileStore>>);
    impl std::task::Wake for Owner {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
        }
    }
    let place = Place::new();
    let owner = Arc::new(Owner(std::sync::Mutex::new(None)));
    let store = slow(&place, Duration::from_millis(50));
    let shared = store.shared.clone();
    let (promise, reply) = reply();
    let bytes = record(1).to_bytes();
    let write = Write::Insert { record: record(1), bytes };
    shared.queue.push(Request::Write(write, promise)).unwrap();
    *owner.0.lock().unwrap() = Some(store);
    let waker = std::task::Waker::from(owner.clone());
    let mut reply = std::pin::pin!(reply);
    let mut context = std::task::Context::from_waker(&waker);
    let pending = Future::poll(reply.as_mut(), &mut context).is_pending();
    assert!(pending);
    let end = Instant::now() + Duration::from_secs(10);
    while owner.0.lock().unwrap().is_some() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The writer thread ends without a join, and releases the lock then.
    while FileStore::open(place.path()).is_err() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn automatic_compaction_blocks_no_write() {
    let place = Place::new();
    let store = FileStoreOptions::new().compact_above(50_000).open(place.path()).unwrap();
    block_on(async {
        let mut version = store.insert(&record(1)).await.unwrap();
        let mut longest = 0;
        for n in 0..2_000 {
            version = store.replace(&rotated(&record(1), n), version).await.unwrap();
            longest = longest.max(std::fs::metadata(place.path()).unwrap().len());
        }
        // Without compaction it would be about 1.2 MB.
        assert!(longest < 600_000, "{longest}");
        let found = store.find(id(1)).await.unwrap().unwrap();
        assert_eq!(found.record, rotated(&record(1), 1_999));
        store.close().await.unwrap();
    });
    drop(store);
    let found = block_on(place.open().find(id(1))).unwrap().unwrap();
    assert_eq!(found.record, rotated(&record(1), 1_999));
}
