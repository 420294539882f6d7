//! Other programs change the file or its directory while a store is open.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake};

use super::double::{Behaviour, Call, Double};
use super::*;
use crate::store::{StoreError, TokenStore};
use crate::stores::file::OpenError;

fn refused(opened: Result<FileStore, OpenError>) {
    assert!(matches!(opened, Err(OpenError::Locked { .. })), "{opened:?}");
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
}

fn insert(store: &FileStore, n: u64) -> Result<(), StoreError> {
    block_on(store.insert(&record(n))).map(drop)
}

fn read_only(path: &Path) -> Result<FileStore, OpenError> {
    FileStoreOptions::new().read_only(true).open(path)
}

#[test]
fn removed_lock_file_admits_no_second_writer() {
    let place = Place::in_memory();
    let lock = place.path().with_extension("journal.lock");
    let store = place.open_quiet();
    fs::remove_file(&lock).unwrap();
    for _ in 0..2 {
        refused(FileStore::open(place.path()));
        assert!(!lock.exists(), "a refused writer leaves no lock file");
        refused(read_only(&place.path()));
        // The compacted file is locked as well.
        block_on(store.compact()).unwrap();
    }
    insert(&store, 1).unwrap();
    drop(store);
    assert_eq!(place.open().open_report().records, 1);
    // A reader blocks a writer in the same way.
    let reader = read_only(&place.path()).unwrap();
    fs::remove_file(&lock).unwrap();
    refused(FileStore::open(place.path()));
    drop(reader);
    drop(place.open());
}

#[test]
fn open_of_hard_linked_file_is_refused() {
    let place = Place::in_memory();
    let other = place.directory.path().join("other");
    let store = place.open_quiet();
    insert(&store, 1).unwrap();
    fs::hard_link(place.path(), &other).unwrap();
    refused(FileStore::open(&other));
    drop(store);
    for path in [&other, &place.path()] {
        let opened = FileStore::open(path);
        assert!(matches!(opened, Err(OpenError::SeveralNames { names: 2, .. })), "{opened:?}");
        assert_eq!(read_only(path).unwrap().open_report().records, 1);
    }
    fs::remove_file(other).unwrap();
    drop(place.open());
}

#[test]
fn write_to_unlinked_file_is_refused() {
    let place = Place::in_memory();
    let moved = place.directory.path().join("moved");
    let store = place.open_quiet();
    insert(&store, 1).unwrap();
    let bytes = fs::read(place.path()).unwrap();
    fs::rename(place.path(), &moved).unwrap();
    unavailable(insert(&store, 2));
    unavailable(block_on(store.compact()));
    fs::write(place.path(), &bytes).unwrap();
    unavailable(insert(&store, 2));
    unavailable(block_on(store.compact()));
    // Reads still work, and neither file was changed.
    assert!(block_on(store.find(id(1))).unwrap().is_some());
    assert_eq!(fs::read(place.path()).unwrap(), bytes);
    assert_eq!(fs::read(&moved).unwrap(), bytes);
    fs::rename(&moved, place.path()).unwrap();
    insert(&store, 2).unwrap();
    drop(store);
    assert_eq!(place.open().open_report().records, 2);
}

#[test]
fn write_to_resized_file_is_refused() {
    let place = Place::in_memory();
    let double = Double::new(|_, _| Behaviour::Obey);
    let options = double.under(FileStoreOptions::new());
    let store = options.open(place.path()).unwrap();
    insert(&store, 1).unwrap();
    let file = fs::OpenOptions::new().append(true).open(place.path()).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length - 1).unwrap();
    unavailable(insert(&store, 2));
    file.set_len(length).unwrap();
    (&file).write_all(b"more").unwrap();
    unavailable(insert(&store, 2));
    file.set_len(length).unwrap();
    // The removal of a failed write must not extend a file that another program truncated.
    let cut = file.try_clone().unwrap();
    double.set_plan(move |_, call| {
        if matches!(call, Call::Sync(_)) {
            cut.set_len(length - 7).unwrap();
            return Behaviour::Fail(ErrorKind::Other);
        }
        Behaviour::Obey
    });
    let answer = insert(&store, 2);
    assert!(matches!(answer, Err(StoreError::Indeterminate { .. })), "{answer:?}");
    assert_eq!(file.metadata().unwrap().len(), length - 7);
    double.set_plan(|_, _| Behaviour::Obey);
    unavailable(insert(&store, 2));
    assert_eq!(file.metadata().unwrap().len(), length - 7);
}

/// A rename reported an error although it took effect.
#[test]
fn compacted_file_with_the_name_is_used() {
    let place = Place::in_memory();
    let double = Double::new(|_, call| match call {
        Call::Rename(..) => Behaviour::FailAfter(ErrorKind::Other),
        _ => Behaviour::Obey,
    });
    drop(place.open());
    let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
    let store = options.open(place.path()).unwrap();
    insert(&store, 1).unwrap();
    block_on(store.compact()).unwrap();
    insert(&store, 2).unwrap();
    drop(store);
    assert_eq!(place.open().open_report().records, 2);
}

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}

#[test]
fn panicking_waker_stops_no_writer() {
    let place = Place::in_memory();
    let double = Double::new(|_, call| {
        if matches!(call, Call::Sync(_)) {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Behaviour::Obey
    });
    let options = double.under(FileStoreOptions::new());
    let store = options.open(place.path()).unwrap();
    for n in 1..4 {
        let record = record(n);
        let mut waits = store.insert(&record);
        let polled = waits.as_mut().poll(&mut Context::from_waker(&Arc::new(Panicking).into()));
        assert!(polled.is_pending());
        insert(&store, 10 + n).unwrap();
        block_on(waits).unwrap();
    }
    refused(FileStore::open(place.path()));
    drop(store);
    assert_eq!(place.open().open_report().records, 6);
}

/// The writer panics. Reads stay correct, because the store retains its lock and no other process
/// can write.
#[test]
fn panicked_writer_keeps_its_lock() {
    let place = Place::in_memory();
    let double = Double::new(|_, _| Behaviour::Obey);
    let options = double.under(FileStoreOptions::new());
    let store = options.open(place.path()).unwrap();
    insert(&store, 1).unwrap();
    double.set_plan(|_, _| panic!("a planned panic"));
    let answer = insert(&store, 2);
    assert!(matches!(answer, Err(StoreError::Indeterminate { .. })), "{answer:?}");
    // The thread is still unwinding. Writes in the meantime get the same error.
    while let Err(StoreError::Indeterminate { .. }) = insert(&store, 3) {}
    unavailable(insert(&store, 3));
    assert!(store.find_now(id(1), &mut |found| assert!(found.is_some())));
    refused(FileStore::open(place.path()));
    fs::remove_file(place.path().with_extension("journal.lock")).unwrap();
    refused(FileStore::open(place.path()));
    block_on(store.close()).unwrap();
    unavailable(block_on(store.find(id(1))));
    drop(place.open());
}

#[test]
fn open_of_dangling_link_leaves_it() {
    let place = Place::in_memory();
    let link = place.directory.path().join("link");
    let volume = place.directory.path().join("volume");
    std::os::unix::fs::symlink("volume/tokens", &link).unwrap();
    let opened = FileStore::open(&link);
    assert!(matches!(opened, Err(OpenError::Io { .. })), "{opened:?}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    fs::create_dir(&volume).unwrap();
    let opened = FileStoreOptions::new().must_exist(true).open(&link);
    assert!(
        matches!(&opened, Err(OpenError::Io { source, .. }) if source.kind() == ErrorKind::NotFound),
        "{opened:?}"
    );
    assert_eq!(fs::read_dir(&volume).unwrap().count(), 0);
    let store = FileStore::open(&link).unwrap();
    assert!(store.open_report().created);
    assert_eq!(store.path(), volume.canonicalize().unwrap().join("tokens"));
    drop(store);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(FileStoreOptions::new().must_exist(true).open(&link).is_ok());
    // A link to itself cannot be resolved.
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("link", &link).unwrap();
    assert!(matches!(FileStore::open(&link), Err(OpenError::Io { .. })));
}

/// Another name of the file would keep the state from before a compaction.
#[test]
fn write_to_file_with_two_names_is_refused() {
    let place = Place::in_memory();
    let other = place.directory.path().join("other");
    let store = place.open_quiet();
    insert(&store, 1).unwrap();
    let bytes = fs::read(place.path()).unwrap();
    fs::hard_link(place.path(), &other).unwrap();
    unavailable(insert(&store, 2));
    unavailable(block_on(store.compact()));
    assert_eq!(fs::read(&other).unwrap(), bytes);
    assert!(block_on(store.find(id(1))).unwrap().is_some());
    fs::remove_file(&other).unwrap();
    insert(&store, 2).unwrap();
    block_on(store.compact()).unwrap();
}

/// The journal gets another name, or is replaced, after the compaction has checked it for the first time.
#[test]
fn compaction_of_file_with_late_name_is_refused() {
    for replaced in [false, true] {
        let place = Place::in_memory();
        let (journal, other) = (place.path(), place.directory.path().join("other"));
        let double = Double::new(|_, _| Behaviour::Obey);
        let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
        let store = options.open(place.path()).unwrap();
        insert(&store, 1).unwrap();
        let (from, to) = (journal.clone(), other.clone());
        double.set_plan(move |_, call| {
            // The header is the last write to the new file.
            if matches!(call, Call::Write(path, 0, bytes) if path != &from && bytes.len() == 64) {
                if replaced { fs::rename(&from, &to) } else { fs::hard_link(&from, &to) }.unwrap();
                if replaced {
                    fs::copy(&to, &from).unwrap();
                }
            }
            Behaviour::Obey
        });
        unavailable(block_on(store.compact()));
        assert!(other.exists(), "the plan did not run");
        double.set_plan(|_, _| Behaviour::Obey);
        unavailable(insert(&store, 2));
        if replaced { fs::rename(&other, &journal) } else { fs::remove_file(&other) }.unwrap();
        insert(&store, 2).unwrap();
        block_on(store.compact()).unwrap();
        drop(store);
        assert_eq!(place.open().open_report().records, 2);
    }
}

/// Another program replaced the new file before it was put in place.
#[test]
fn replaced_compacted_file_is_not_used() {
    let place = Place::in_memory();
    let new_path = place.path().with_extension("journal.compacting");
    let double = Double::new(|_, _| Behaviour::Obey);
    let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
    let store = options.open(place.path()).unwrap();
    insert(&store, 1).unwrap();
    let bytes = fs::read(place.path()).unwrap();
    let planted = new_path.clone();
    double.set_plan(move |_, call| {
        if matches!(call, Call::Write(path, 0, bytes) if path == &planted && bytes.len() == 64) {
            fs::remove_file(&planted).unwrap();
            fs::write(&planted, b"planted").unwrap();
        }
        Behaviour::Obey
    });
    unavailable(block_on(store.compact()));
    assert_eq!(fs::read(place.path()).unwrap(), bytes);
    insert(&store, 2).unwrap();
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Before it is put in place, only its owner can read the new file. Then it has the mode of the journal
/// at that time.
#[test]
fn compacted_file_is_private_until_the_end() {
    for last in [0o600, 0o640, 0o644] {
        let place = Place::in_memory();
        let (journal, new_path) = (place.path(), place.path().with_extension("journal.compacting"));
        let double = Double::new(|_, _| Behaviour::Obey);
        let options = double.under(FileStoreOptions::new().compact_above(u64::MAX));
        let store = options.open(&journal).unwrap();
        insert(&store, 1).unwrap();
        set_mode(&journal, 0o660);
        let (path, seen) = (journal.clone(), Arc::new(Mutex::new(Vec::new())));
        let modes = seen.clone();
        double.set_plan(move |_, call| {
            if new_path.exists() {
                modes.lock().unwrap().push((mode(&new_path), call.clone()));
            }
            // An operator changes the mode while the compaction runs.
            if matches!(call, Call::Write(_, 0, _)) {
                set_mode(&path, last);
            }
            Behaviour::Obey
        });
        block_on(store.compact()).unwrap();
        assert_eq!(mode(&journal), last);
        // It gets its mode last, and only a sync and the rename follow.
        let mut seen = std::mem::take(&mut *seen.lock().unwrap());
        let [.., (synced, Call::Sync(_)), (renamed, Call::Rename(..))] = &*seen else {
            panic!("{seen:?}")
        };
        assert_eq!((*synced, *renamed), (last, last));
        seen.truncate(seen.len() - 2);
        assert!(seen.len() > 3 && seen.iter().all(|(mode, _)| *mode == 0o600), "{seen:?}");
    }
}
