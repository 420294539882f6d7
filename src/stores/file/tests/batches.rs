//! Writes in one batch: each sees the earlier ones, and they fail together.

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, Sender, channel};

use futures_lite::future::poll_once;

use super::double::{Behaviour, Call, Double};
use super::*;
use crate::store::{LastUsed, StoreError, TokenStore, Version};

/// A store whose next sync waits until the test sends its result.
struct Held {
    // Declared before the store, so that it is dropped first. Then a failing test does not wait for
    // the sync.
    go: Sender<Behaviour>,
    store: FileStore,
    syncs: Receiver<()>,
    place: Place,
}

fn held() -> Held {
    let place = Place::in_memory();
    let (syncing, syncs) = channel();
    let (go, goes) = channel();
    let double = Double::new(|_, _| Behaviour::Obey);
    let options = double.under(FileStoreOptions::new());
    let store = options.open(place.path()).unwrap();
    double.set_plan(move |_, call| {
        if !matches!(call, Call::Sync(_)) {
            return Behaviour::Obey;
        }
        // The test may be over, and then the channel is closed.
        let _ = syncing.send(());
        goes.recv().unwrap_or(Behaviour::Obey)
    });
    Held { place, store, syncs, go }
}

macro_rules! queue {
    ($future:expr) => {{
        let mut future = Box::pin($future);
        assert!(block_on(poll_once(&mut future)).is_none());
        future
    }};
}

#[test]
fn writes_of_one_batch_see_each_other() {
    let held = held();
    let store = &held.store;
    // The other writes form the next batch during the sync of the first.
    let (zero, one, two) = (record(0), record(1), record(2));
    let first = queue!(store.insert(&zero));
    held.syncs.recv().unwrap();
    let inserted = queue!(store.insert(&one));
    let again = queue!(store.insert(&one));
    let at_one = Version(2);
    let (left, right) = (revoked(&one), rotated(&one, 11));
    let wins = queue!(store.replace(&left, at_one));
    let loses = queue!(store.replace(&right, at_one));
    let uses = [(id(1), now()), (id(2), now())];
    let touched = queue!(store.touch(&uses));
    let stale = queue!(store.remove(id(1), at_one));
    let other = queue!(store.insert(&two));
    let gone = queue!(store.remove(id(2), Version(4)));
    let back = queue!(store.insert(&two));
    assert!(block_on(store.find(id(0))).unwrap().is_none(), "not durable, not seen");
    held.go.send(Behaviour::Obey).unwrap();
    held.go.send(Behaviour::Obey).unwrap();
    block_on(async {
        first.await.unwrap();
        assert_eq!(inserted.await.unwrap(), at_one);
        assert!(matches!(again.await, Err(StoreError::Exists)));
        assert_eq!(wins.await.unwrap(), Version(3));
        assert!(matches!(loses.await, Err(StoreError::Conflict)));
        touched.await.unwrap();
        assert!(matches!(stale.await, Err(StoreError::Conflict)));
        assert_eq!(other.await.unwrap(), Version(4));
        gone.await.unwrap();
        assert!(back.await.unwrap() > Version(4));
    });
    let check = |store: &FileStore| {
        let found = block_on(store.find(id(1))).unwrap().unwrap();
        assert_eq!((found.record, found.version), (left.clone(), Version(3)));
        assert_eq!(found.last_used, LastUsed::At(now()));
        let found = block_on(store.find(id(2))).unwrap().unwrap();
        assert_eq!(found.last_used, LastUsed::Never, "the touch was before it was there");
    };
    check(store);
    let Held { place, store, go, .. } = held;
    drop((go, store));
    check(&place.open());
}

/// A refusal because of an earlier write in the batch would be wrong if that write fails. Both must
/// fail.
#[test]
fn write_after_failed_write_in_batch_fails() {
    let held = held();
    let store = &held.store;
    let (zero, one) = (record(0), record(1));
    let first = queue!(store.insert(&zero));
    held.syncs.recv().unwrap();
    let inserted = queue!(store.insert(&one));
    let again = queue!(store.insert(&one));
    let present = queue!(store.insert(&zero));
    let replacement = revoked(&one);
    let missing = queue!(store.replace(&replacement, Version(77)));
    let unrelated = queue!(store.remove(id(9), Version(1)));
    held.go.send(Behaviour::Obey).unwrap();
    held.go.send(Behaviour::Fail(ErrorKind::Other)).unwrap();
    held.go.send(Behaviour::Obey).unwrap();
    block_on(async {
        first.await.unwrap();
        let unavailable = |error| matches!(error, StoreError::Unavailable { .. });
        assert!(unavailable(inserted.await.unwrap_err()));
        assert!(unavailable(again.await.unwrap_err()));
        assert!(unavailable(missing.await.unwrap_err()));
        // These refusals do not depend on the batch, so they are correct even though it failed.
        assert!(matches!(present.await, Err(StoreError::Exists)));
        assert!(matches!(unrelated.await, Err(StoreError::Conflict)));
        assert!(store.find(id(1)).await.unwrap().is_none());
    });
}

#[test]
fn hanging_disk_bounds_queued_writes() {
    let held = held();
    let store = &held.store;
    let scopes = ScopeSet::new(["files:read"]).unwrap();
    let text = "x".repeat(1_024);
    let metadata = [("k".to_owned(), "y".repeat(8_000))].into();
    let large = |n| {
        let new = NewRecord { issued_to: &text, ..new_record(n, &scopes, &metadata) };
        Record::new(&new).unwrap()
    };
    let first = record(0);
    let first = queue!(store.insert(&first));
    held.syncs.recv().unwrap();
    let mut taken = 0;
    let refused = loop {
        let record = large(taken + 1);
        let mut insert = store.insert(&record);
        match block_on(poll_once(&mut insert)) {
            None => taken += 1,
            Some(refused) => break refused,
        }
    };
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert!((1_000..10_000).contains(&taken), "{taken}");
    assert!(block_on(store.find(id(0))).unwrap().is_none());
    drop(held.go);
    block_on(first).unwrap();
    drop(held.store);
    // The accepted writes are on the disk, although their futures were dropped.
    assert_eq!(held.place.open().open_report().records as u64, taken + 1);
}
