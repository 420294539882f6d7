//! The messages of errors and warnings, and the state after a failed opening.

use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::double::{Behaviour, Call, Double};
use super::*;
use crate::store::TokenStore;
use crate::stores::file::lock::Lock;
use crate::stores::file::{OpenError, OpenWarning};

/// Checks that no text of an error and its causes contains another one, and returns them.
fn texts(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        assert!(texts.iter().all(|earlier| !earlier.contains(&text)), "{texts:?} and {text:?}");
        texts.push(text);
        source = cause.source();
    }
    texts
}

fn files(place: &Place) -> usize {
    fs::read_dir(place.directory.path()).unwrap().count()
}

/// Each call to the disk fails in turn, in a write and in a compaction.
#[test]
fn disk_error_is_in_its_chain_once() {
    let kinds = [
        ErrorKind::StorageFull,
        ErrorKind::Other,
        ErrorKind::PermissionDenied,
        ErrorKind::ReadOnlyFilesystem,
    ];
    for (kind, failing) in kinds.into_iter().flat_map(|kind| (0..12).map(move |n| (kind, n))) {
        let place = Place::in_memory();
        let double = Double::new(|_, _| Behaviour::Obey);
        let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
        let store = options.open(place.path()).unwrap();
        let first = double.calls() + failing;
        double
            .set_plan(move |n, _| if n < first { Behaviour::Obey } else { Behaviour::Fail(kind) });
        let mut failed = 0;
        let written = block_on(store.insert(&record(1))).map(drop);
        let compacted = block_on(store.compact()).map(drop);
        for error in [written.err(), compacted.err()].into_iter().flatten() {
            // The failing call is named, and its cause is a text of its own.
            let causes = texts(&error);
            assert!(causes.len() == 3 || causes == ["the store is read-only"], "{causes:?}");
            failed += 1;
        }
        assert!(failed > 0 || failing > 5, "{failing}");
    }
}

#[test]
fn open_error_is_in_its_chain_once() {
    let place = Place::in_memory();
    let reader = FileStoreOptions::new().read_only(true).open(place.path()).unwrap_err();
    assert_eq!(texts(&reader).len(), 2);
    let missing = FileStore::open(place.directory.path().join("a/b")).unwrap_err();
    let causes = texts(&missing);
    assert_eq!(causes[1..], ["its directory does not exist"], "{causes:?}");
    let OpenError::Io { source, .. } = missing else { panic!("{missing:?}") };
    assert_eq!(source.kind(), ErrorKind::NotFound);
}

fn message(place: &Place, content: Option<&[u8]>) -> String {
    match content {
        Some(content) => fs::write(place.path(), content).unwrap(),
        None => fs::create_dir(place.path()).unwrap(),
    }
    let error = FileStore::open(place.path()).unwrap_err().to_string();
    assert_eq!(files(place), 1, "{error}");
    error.replace(&place.path().canonicalize().unwrap().display().to_string(), "PATH")
}

#[test]
fn message_names_the_cause() {
    let empty = "PATH is empty, and a token store never is: restore a backup, or remove the file if it \
                 never contained a token";
    assert_eq!(message(&Place::in_memory(), Some(b"")), empty);
    let zeros = "PATH is damaged at byte 0: the file begins with zeros";
    assert_eq!(message(&Place::in_memory(), Some(&[0; 99])), zeros);
    assert_eq!(message(&Place::in_memory(), Some(b"text")), "PATH is not a token store");
    assert_eq!(message(&Place::in_memory(), None), "PATH is not a regular file");
}

/// Opens a store whose directory fails to sync with this error.
fn open_unsynced(place: &Place, fails: Behaviour) -> Result<FileStore, OpenError> {
    let double = Double::new(move |_, call| match call {
        Call::SyncDirectory => fails,
        _ => Behaviour::Obey,
    });
    double.under(FileStoreOptions::new().compact_above(u64::MAX)).open(place.path())
}

#[test]
fn directory_that_cannot_sync_is_a_warning() {
    let kinds = [ErrorKind::InvalidInput, ErrorKind::Unsupported].map(Behaviour::Fail);
    // EBADF, EINVAL and ENOTSUP.
    let codes = if cfg!(target_os = "linux") { &[9, 22, 95][..] } else { &[] };
    for fails in kinds.into_iter().chain(codes.iter().map(|code| Behaviour::FailCode(*code))) {
        let place = Place::in_memory();
        for created in [true, false] {
            let store = open_unsynced(&place, fails).unwrap();
            let report = store.open_report();
            assert_eq!((report.created, store.is_read_only()), (created, false));
            let directory = place.directory.path().canonicalize().unwrap();
            assert_eq!(report.warnings, [OpenWarning::DirectoryNotSynced { directory }]);
            let n = u64::from(created);
            block_on(store.insert(&record(n))).unwrap();
            block_on(store.compact()).unwrap();
            block_on(store.insert(&record(n + 7))).unwrap();
        }
        assert_eq!(place.open().open_report().records, 4);
        assert_eq!(place.open().open_report().warnings, []);
    }
}

#[test]
fn directory_whose_sync_fails_is_an_error() {
    let other = ErrorKind::Other;
    // The code is EIO.
    for fails in [Behaviour::Fail(other), Behaviour::FailAfter(other), Behaviour::FailCode(5)] {
        let place = Place::in_memory();
        let error = open_unsynced(&place, fails).unwrap_err();
        assert!(matches!(error, OpenError::Io { .. }), "{error}");
        assert_eq!(files(&place), 0, "{fails:?}");
        // An existing journal stays.
        drop(place.open());
        fs::remove_file(place.path().with_extension("journal.lock")).unwrap();
        open_unsynced(&place, fails).unwrap_err();
        assert_eq!(files(&place), 1, "{fails:?}");
        drop(place.open());
    }
}

/// Each call to the disk fails in turn, before or after it took effect.
#[test]
fn failed_creation_leaves_no_file() {
    for failing in 0..20 {
        for behaviour in [Behaviour::Fail(ErrorKind::Other), Behaviour::FailAfter(ErrorKind::Other)]
        {
            let place = Place::in_memory();
            let plan = move |n, _: &Call| if n == failing { behaviour } else { Behaviour::Obey };
            let double = Double::new(plan);
            match double.under(FileStoreOptions::new()).open(place.path()) {
                Ok(_) => assert!(failing >= 6, "call {failing}"),
                Err(error) => assert_eq!(files(&place), 0, "call {failing}: {error}"),
            }
            drop(place.open());
        }
    }
}

#[test]
fn failed_open_of_damaged_file_leaves_no_lock() {
    let place = Place::in_memory();
    block_on(place.open().insert(&record(1))).unwrap();
    fs::remove_file(place.path().with_extension("journal.lock")).unwrap();
    let mut bytes = fs::read(place.path()).unwrap();
    bytes[100] ^= 1;
    fs::write(place.path(), bytes).unwrap();
    let opened = FileStore::open(place.path());
    assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
    assert_eq!(files(&place), 1);
}

#[test]
fn leftover_that_stays_is_a_warning() {
    let place = Place::in_memory();
    drop(place.open());
    let leftover = place.path().with_extension("journal.compacting");
    fs::create_dir(&leftover).unwrap();
    let store = place.open();
    let [OpenWarning::LeftoverNotRemoved { path, .. }] = &*store.open_report().warnings else {
        panic!("{:?}", store.open_report())
    };
    assert_eq!(path.file_name(), leftover.file_name());
    block_on(store.insert(&record(1))).unwrap();
    block_on(store.compact()).unwrap_err();
    fs::remove_dir(&leftover).unwrap();
    block_on(store.compact()).unwrap();
}

/// A process that fails to open the store removes the lock file that it created. Another process may
/// have opened that file already.
#[test]
fn lock_on_removed_file_does_not_count() {
    let place = Place::in_memory();
    let holders = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let Ok((lock, _)) = Lock::exclusive(&place.path(), None) else { continue };
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two processes hold it");
                    std::thread::yield_now();
                    holders.fetch_sub(1, Ordering::SeqCst);
                    let _ = fs::remove_file(place.path());
                    drop(lock);
                }
            });
        }
    });
}

/// The compacted file cannot have the owner, group and mode of the journal.
#[test]
fn compaction_without_the_access_is_refused() {
    for call in 0..2 {
        let place = Place::in_memory();
        let double = Double::new(|_, _| Behaviour::Obey);
        let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
        let store = options.open(place.path()).unwrap();
        block_on(store.insert(&record(1))).unwrap();
        let mut given = 0;
        double.set_plan(move |_, made| {
            given += usize::from(matches!(made, Call::Give(_)));
            match made {
                Call::Give(_) if given == call + 1 => Behaviour::Fail(ErrorKind::PermissionDenied),
                _ => Behaviour::Obey,
            }
        });
        let before = fs::read(place.path()).unwrap();
        let error = block_on(store.compact()).unwrap_err();
        let causes = texts(&error);
        assert_eq!(causes[0], "the store is unavailable");
        assert!(causes[1].starts_with("the compacted journal cannot have the owner"), "{causes:?}");
        assert_eq!(fs::read(place.path()).unwrap(), before);
        assert!(!Path::exists(&place.path().with_extension("journal.compacting")));
        block_on(store.insert(&record(2))).unwrap();
    }
}
