//! Panics in the threads of the store. Every caller that waits gets an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_lite::future::poll_once;

use super::double::{Behaviour, Call, Double};
use super::replay_blocks::journal;
use super::*;
use crate::store::{StoreError, TokenStore};

/// Opens a store with a few records, then panics at each call that `at` selects, as often as `times` says.
fn open(
    place: &Place,
    mut times: usize,
    at: impl Fn(&Call) -> bool + Send + 'static,
) -> (FileStore, Double) {
    let double = Double::new(|_, _| Behaviour::Obey);
    let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
    let store = options.open(place.path()).unwrap();
    for n in 0..10 {
        block_on(store.insert(&record(n))).unwrap();
    }
    double.set_plan(move |_, call| {
        if times > 0 && at(call) {
            times -= 1;
            return Behaviour::Panic;
        }
        Behaviour::Obey
    });
    (store, double)
}

fn is_compacting(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "compacting")
}

fn has_records(store: &FileStore, count: u64) -> bool {
    (0..count).all(|n| block_on(store.find(id(n))).unwrap().is_some())
}

#[test]
fn panic_while_compacting_is_an_error() {
    for selected in [
        |call: &Call| matches!(call, Call::Create(path) if is_compacting(path)),
        |call: &Call| matches!(call, Call::Write(path, ..) if is_compacting(path)),
        |call: &Call| matches!(call, Call::Sync(path) if is_compacting(path)),
    ] {
        let place = Place::in_memory();
        let (store, _double) = open(&place, 1, selected);
        let error = block_on(store.compact()).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("panicked"), "{source}");
        assert!(!place.path().with_extension("journal.compacting").exists());
        block_on(store.insert(&record(10))).unwrap();
        block_on(store.compact()).unwrap();
        block_on(store.insert(&record(11))).unwrap();
        drop(store);
        assert!(has_records(&place.open(), 12));
    }
}

#[test]
fn compaction_that_waits_for_a_panic_runs() {
    let place = Place::in_memory();
    let selected = |call: &Call| matches!(call, Call::Sync(path) if is_compacting(path));
    let (store, _double) = open(&place, 1, selected);
    block_on(async {
        let (mut first, mut second) = (Box::pin(store.compact()), Box::pin(store.compact()));
        assert!(poll_once(&mut first).await.is_none());
        let _ = poll_once(&mut second).await;
        first.await.unwrap_err();
        second.await.unwrap();
    });
}

#[test]
fn panic_of_the_writer_answers_all_callers() {
    let place = Place::in_memory();
    // The writer renames the new file. It waits until both callers do.
    let both_wait = Arc::new(AtomicBool::new(false));
    let waits = both_wait.clone();
    let (store, _double) = open(&place, 1, move |call| {
        let renames = matches!(call, Call::Rename(..));
        while renames && !waits.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        renames
    });
    block_on(async {
        let (mut first, mut second) = (Box::pin(store.compact()), Box::pin(store.compact()));
        assert!(poll_once(&mut first).await.is_none());
        assert!(poll_once(&mut second).await.is_none());
        both_wait.store(true, Ordering::SeqCst);
        for waiting in [first, second] {
            let error = waiting.await.unwrap_err();
            assert!(matches!(error, StoreError::Indeterminate { .. }), "{error}");
        }
        store.compact().await.unwrap_err();
        store.insert(&record(10)).await.unwrap_err();
        assert!(has_records(&store, 10));
        store.close().await.unwrap();
    });
    drop(store);
    assert!(has_records(&place.open(), 10));
}

#[test]
fn panic_of_syncing_writer_answers_compactions() {
    let place = Place::in_memory();
    // The writer syncs the insertion below, or before that the compacted file.
    let (store, _double) = open(&place, 1, |call| {
        let thread = std::thread::current();
        matches!(call, Call::Sync(_)) && thread.name() == Some("service-tokens-journal")
    });
    block_on(async {
        let mut compacted = Box::pin(store.compact());
        assert!(poll_once(&mut compacted).await.is_none());
        store.insert(&record(10)).await.unwrap_err();
        let _answer = compacted.await;
        store.close().await.unwrap();
    });
}

/// The caller's function for progress runs on one of the threads that read the file.
#[test]
fn panic_of_the_progress_function_ends_opening() {
    let place = Place::in_memory();
    let (bytes, ..) = journal(&place, 6);
    std::fs::write(place.path(), &bytes).unwrap();
    let path = place.path();
    let opening = std::panic::catch_unwind(|| {
        let options = FileStoreOptions::new().on_progress(|_| panic!("a planned panic"));
        options.open(path).map(drop)
    });
    assert!(opening.is_err());
    // The locks are released, and the file is unchanged.
    assert!(place.open_quiet().open_report().records > 0);
}
