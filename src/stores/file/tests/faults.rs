//! Each call to the disk fails in turn, in every way.

use std::io::ErrorKind;

use super::double::{Behaviour, Call, Double};
use super::model::{Model, Step, Steps, perform};
use super::*;
use crate::store::{StoreError, TokenStore};
use crate::stores::file::OpenError;

const STEPS: usize = 24;

fn open(place: &Place, double: &Double) -> FileStore {
    let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
    options.open(place.path()).unwrap()
}

/// The result of a run of writes.
struct Run {
    /// The contents that were acknowledged.
    model: Model,
    /// The contents that are also possible, because the last error was indeterminate.
    maybe: Option<Model>,
    failures: usize,
}

/// Writes to the store. After each write, memory must have exactly the acknowledged contents.
fn write_steps(store: &FileStore, steps: &mut Steps, count: usize) -> Run {
    let mut run = Run { model: Model::of(store), maybe: None, failures: 0 };
    for _ in 0..count {
        let step = steps.next(&run.model);
        match block_on(perform(store, &step)) {
            Ok(()) => {
                run.model.apply(&step);
                // A successful write has removed the unfinished end. A compaction may have found
                // none.
                if !matches!(step, Step::Compact) {
                    run.maybe = None;
                }
            }
            Err(StoreError::Indeterminate { .. }) => {
                run.failures += 1;
                run.maybe = Some(run.model.with(&step));
            }
            Err(error) => {
                run.failures += 1;
                let expected = matches!(
                    error,
                    StoreError::Full { .. } | StoreError::Unavailable { .. } | StoreError::ReadOnly
                );
                assert!(expected, "{error}");
            }
        }
        assert_eq!(Model::of(store), run.model);
    }
    run
}

fn check(place: &Place, run: &Run, what: &str) {
    let store = place.open_quiet();
    let found = Model::of(&store);
    assert!(found == run.model || run.maybe.as_ref() == Some(&found), "{what}");
}

fn calls_without_fault() -> usize {
    let place = Place::in_memory();
    let double = Double::new(|_, _| Behaviour::Obey);
    let store = open(&place, &double);
    let before = double.calls();
    assert_eq!(write_steps(&store, &mut Steps::new(1, 1, true), STEPS).failures, 0);
    double.calls() - before
}

/// Fails `count` calls, starting with `first`.
fn fail(count: usize, behaviour: Behaviour) {
    let total = calls_without_fault();
    assert!(total > 2 * STEPS);
    for first in 0..total {
        let place = Place::in_memory();
        let double = Double::new(|_, _| Behaviour::Obey);
        let store = open(&place, &double);
        let first = double.calls() + first;
        double.set_plan(move |number, _| {
            if (first..first + count).contains(&number) { behaviour } else { Behaviour::Obey }
        });
        let run = write_steps(&store, &mut Steps::new(1, 1, true), STEPS);
        let what = format!("{count} calls from {first} on: {behaviour:?}");
        // A rename that took effect, with a sync of the directory later, is not a failure.
        assert!(run.failures > 0 || count <= 2, "{what}");
        // First the file of this moment, as after a kill. Below, the file after the store was
        // dropped.
        let copy = Place::in_memory();
        std::fs::copy(place.path(), copy.path()).unwrap();
        check(&copy, &run, &what);
        drop(store);
        check(&place, &run, &what);
    }
}

#[test]
fn write_with_one_failing_call_is_consistent() {
    fail(1, Behaviour::Fail(ErrorKind::Other));
    fail(1, Behaviour::Fail(ErrorKind::StorageFull));
}

#[test]
fn write_with_one_lost_answer_is_consistent() {
    fail(1, Behaviour::FailAfter(ErrorKind::Other));
}

/// The removal of the unfinished end fails with the write, once or several times.
#[test]
fn write_with_several_failures_is_consistent() {
    for count in [2, 3, 5] {
        fail(count, Behaviour::Fail(ErrorKind::Other));
        fail(count, Behaviour::FailAfter(ErrorKind::Other));
    }
}

/// The disk fails permanently. Reads still work, and the remaining file opens.
#[test]
fn write_to_failed_disk_keeps_reads() {
    fail(usize::MAX / 2, Behaviour::Fail(ErrorKind::Other));
    fail(usize::MAX / 2, Behaviour::FailAfter(ErrorKind::StorageFull));
}

fn kinds(plan: impl FnMut(usize, &Call) -> Behaviour + Send + 'static) -> (StoreError, Place) {
    let place = Place::in_memory();
    let double = Double::new(|_, _| Behaviour::Obey);
    let store = open(&place, &double);
    block_on(store.insert(&record(1))).unwrap();
    double.set_plan(plan);
    let error = block_on(store.insert(&record(2))).unwrap_err();
    assert!(block_on(store.find(id(2))).unwrap().is_none());
    double.set_plan(|_, _| Behaviour::Obey);
    block_on(store.insert(&record(3))).unwrap();
    drop(store);
    assert_eq!(place.open().open_report().records, 2);
    (error, place)
}

#[test]
fn disk_errors_map_to_store_errors() {
    let writes = |kind, after: bool| {
        move |_, call: &Call| match call {
            Call::Write(..) if after => Behaviour::FailAfter(kind),
            Call::Write(..) => Behaviour::Fail(kind),
            _ => Behaviour::Obey,
        }
    };
    let full = kinds(writes(ErrorKind::StorageFull, true)).0;
    assert!(matches!(full, StoreError::Full { .. }), "{full}");
    let full = kinds(writes(ErrorKind::QuotaExceeded, false)).0;
    assert!(matches!(full, StoreError::Full { .. }), "{full}");
    let unavailable = kinds(writes(ErrorKind::Other, true)).0;
    assert!(matches!(unavailable, StoreError::Unavailable { .. }), "{unavailable}");
    // A read-only disk refuses even the truncation, so the write did not happen.
    let read_only = kinds(|_, _| Behaviour::Fail(ErrorKind::ReadOnlyFilesystem)).0;
    assert!(matches!(read_only, StoreError::ReadOnly), "{read_only}");
    let indeterminate = kinds(|_, call| match call {
        Call::Sync(_) => Behaviour::Fail(ErrorKind::Other),
        _ => Behaviour::Obey,
    });
    assert!(matches!(indeterminate.0, StoreError::Indeterminate { .. }), "{}", indeterminate.0);
}

/// After a failed truncation the store writes nothing until a truncation succeeds, even if the disk
/// would accept writes.
#[test]
fn truncated_tail_is_cut_before_any_write() {
    let place = Place::in_memory();
    let double = Double::new(|_, _| Behaviour::Obey);
    let store = open(&place, &double);
    block_on(store.insert(&record(1))).unwrap();
    let length = std::fs::metadata(place.path()).unwrap().len();
    double.set_plan(|_, call| match call {
        Call::Write(..) => Behaviour::Obey,
        _ => Behaviour::Fail(ErrorKind::Other),
    });
    let error = block_on(store.insert(&record(2))).unwrap_err();
    assert!(matches!(error, StoreError::Indeterminate { .. }));
    let writes = |log: Vec<Call>| log.iter().filter(|c| matches!(c, Call::Write(..))).count();
    let before = writes(double.log());
    for n in 3..6 {
        let error = block_on(store.insert(&record(n))).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }));
    }
    assert_eq!(writes(double.log()), before);
    // Reads still work.
    assert_eq!(Model::of(&store).0.len(), 1);
    double.set_plan(|_, _| Behaviour::Obey);
    block_on(store.insert(&record(2))).unwrap();
    assert!(std::fs::metadata(place.path()).unwrap().len() < 2 * length);
}

/// A killed process may have written records without a sync. A reader treats these records as
/// durable, so opening must sync them.
#[test]
fn open_syncs_the_records_it_read() {
    let place = Place::in_memory();
    drop(place.open());
    let file = std::fs::OpenOptions::new().append(true).open(place.path()).unwrap();
    std::io::Write::write_all(&mut &file, b"unfinished").unwrap();
    let bytes = std::fs::read(place.path()).unwrap();
    for failing in 0..3 {
        std::fs::write(place.path(), &bytes).unwrap();
        let double = Double::new(move |number, _| {
            if number == failing { Behaviour::Fail(ErrorKind::Other) } else { Behaviour::Obey }
        });
        let options = double.under(FileStoreOptions::new());
        let error = options.open(place.path()).unwrap_err();
        assert!(matches!(error, OpenError::Io { .. }), "{error}");
        if failing == 0 {
            assert_eq!(std::fs::read(place.path()).unwrap(), bytes);
        }
    }
    let double = Double::new(|_, _| Behaviour::Obey);
    let store = open(&place, &double);
    assert!(matches!(double.log()[..], [Call::Sync(_), Call::SyncDirectory]), "{:?}", double.log());
    assert_eq!(store.open_report().truncated_tail, None);
}
