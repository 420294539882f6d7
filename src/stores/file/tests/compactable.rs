//! Directories and files that a compaction cannot use, and the messages that name them.

use std::error::Error;
use std::io::ErrorKind;

use super::double::{Behaviour, Call, Double};
use super::*;
use crate::store::{StoreError, TokenStore};

/// Selects calls.
type Which = fn(&Call) -> bool;

/// Compacts a store whose disk fails these calls, and returns the error.
fn compact(kind: ErrorKind, fails: Which) -> StoreError {
    let place = Place::in_memory();
    let double = Double::new(|_, _| Behaviour::Obey);
    let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
    let store = options.open(place.path()).unwrap();
    block_on(store.insert(&record(1))).unwrap();
    double.set_plan(move |_, call| match fails(call) {
        true => Behaviour::Fail(kind),
        false => Behaviour::Obey,
    });
    let error = block_on(store.compact()).unwrap_err();
    double.set_plan(|_, _| Behaviour::Obey);
    block_on(store.insert(&record(2))).unwrap();
    error
}

fn cause(error: &StoreError) -> String {
    error.source().unwrap().to_string()
}

#[test]
fn refusing_directory_is_named_with_its_access() {
    let calls: [(Which, &str); 2] = [
        (|call| matches!(call, Call::Create(_)), "created"),
        (|call| matches!(call, Call::Rename(..)), "renamed"),
    ];
    for (fails, done) in calls {
        for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
            let error = compact(kind, fails);
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
            let cause = cause(&error);
            let begin = format!("the compacted journal could not be {done} in the directory /");
            assert!(cause.starts_with(&begin), "{cause}");
            assert!(
                cause.ends_with(
                    ": let the user of this process create, rename and remove files there"
                )
            );
            #[cfg(unix)]
            assert!(cause.contains(" (user ") && cause.contains(", mode 0"), "{cause}");
        }
        let error = compact(ErrorKind::StorageFull, fails);
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert_eq!(cause(&error), format!("the compacted journal could not be {done}"));
    }
}

/// Only a process that may not give the owner, group and mode gets the advice to be another user.
#[test]
fn failing_disk_is_not_taken_for_a_missing_right() {
    let gives: Which = |call| matches!(call, Call::Give(_));
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::Other] {
        let error = compact(kind, gives);
        assert_eq!(matches!(error, StoreError::Full { .. }), kind != ErrorKind::Other, "{error:?}");
        let expected = "the owner, group and mode of the compacted journal could not be set";
        assert_eq!(cause(&error), expected);
    }
    for kind in [ErrorKind::PermissionDenied, ErrorKind::InvalidInput] {
        let cause = cause(&compact(kind, gives));
        assert!(cause.starts_with("the compacted journal cannot have the owner, group"), "{cause}");
    }
    let syncs: Which = |call| matches!(call, Call::Sync(path) if path.extension().is_some_and(|end| end == "compacting"));
    let error = compact(ErrorKind::StorageFull, syncs);
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert_eq!(cause(&error), "the compacted journal could not be written");
}

/// Giving a file its access does not sync it, so that an error of the sync is reported as such.
#[cfg(unix)]
#[test]
fn access_is_synced_with_the_compacted_file() {
    let place = Place::in_memory();
    let double = Double::new(|_, _| Behaviour::Obey);
    let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
    let store = options.open(place.path()).unwrap();
    block_on(store.compact()).unwrap();
    let log = double.log();
    let given = log.iter().rposition(|call| matches!(call, Call::Give(_))).unwrap();
    let next = &log[given + 1];
    assert!(
        matches!(next, Call::Sync(path) if path.extension().unwrap() == "compacting"),
        "{next:?}"
    );
    assert!(matches!(log[given + 2], Call::Rename(..)));
}
