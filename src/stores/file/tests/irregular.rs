//! A pipe, a directory or a dangling link in the place of a file that the store opens.

use std::error::Error;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::store::TokenStore;
use crate::stores::file::OpenError;

/// Runs a call on a thread of its own, because opening a pipe without another end never returns.
fn in_time<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(Duration::from_secs(30)).expect("the call hangs")
}

fn open(path: &Path, read_only: bool) -> Result<FileStore, OpenError> {
    let path = path.to_owned();
    in_time(move || FileStoreOptions::new().read_only(read_only).open(path))
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn lock_of(place: &Place) -> PathBuf {
    place.path().with_extension("journal.lock")
}

/// Creates an object at a path.
type Create = fn(&Path);

#[test]
fn lock_that_is_no_file_is_refused() {
    let irregular: [(Create, &str); 4] = [
        (pipe, " is not a regular file"),
        (|path| fs::create_dir(path).unwrap(), " is not a regular file"),
        (|path| symlink("/dev/null", path).unwrap(), " is not a regular file"),
        (
            |path| symlink("missing", path).unwrap(),
            " is a symbolic link to a missing file: remove the link",
        ),
    ];
    for (create, cause) in irregular {
        let place = Place::in_memory();
        let lock = lock_of(&place);
        create(&lock);
        // First without a journal, which is then not created.
        let error = open(&place.path(), false).unwrap_err();
        assert!(error.to_string().ends_with(&format!("tokens.journal.lock{cause}")), "{error}");
        assert!(!place.path().exists());
        let other = Place::in_memory();
        drop(other.open());
        fs::copy(other.path(), place.path()).unwrap();
        for read_only in [false, true] {
            let error = open(&place.path(), read_only).unwrap_err();
            assert!(error.to_string().ends_with(&format!("tokens.journal.lock{cause}")), "{error}");
        }
    }
}

#[test]
fn lock_behind_a_link_is_taken() {
    let place = Place::in_memory();
    let target = place.directory.path().join("target");
    fs::write(&target, b"").unwrap();
    symlink(&target, lock_of(&place)).unwrap();
    let store = place.open();
    assert!(matches!(open(&place.path(), false), Err(OpenError::Locked { .. })));
    drop(store);
    drop(open(&place.path(), true).unwrap());
}

#[test]
fn journal_that_is_a_pipe_is_refused() {
    let place = Place::in_memory();
    pipe(&place.path());
    let link = place.directory.path().join("link");
    symlink(place.path(), &link).unwrap();
    for (path, read_only) in [place.path(), link].iter().flat_map(|p| [(p, false), (p, true)]) {
        let error = open(path, read_only).unwrap_err();
        assert!(matches!(error, OpenError::NotAFile { .. }), "{error}");
    }
}

/// Another program replaces the open journal by a pipe. A compaction reads the journal by its path.
#[test]
fn compaction_of_a_pipe_is_refused() {
    let place = Place::in_memory();
    let store = place.open_quiet();
    block_on(store.insert(&record(1))).unwrap();
    fs::remove_file(place.path()).unwrap();
    pipe(&place.path());
    let error = in_time(move || block_on(store.compact()).unwrap_err());
    let cause = error.source().and_then(Error::source).unwrap();
    assert_eq!(cause.to_string(), "it is not a regular file");
}

#[test]
fn pipe_in_the_place_of_leftover_is_removed() {
    let place = Place::in_memory();
    drop(place.open());
    let leftover = place.path().with_extension("journal.compacting");
    pipe(&leftover);
    let path = place.path();
    let store = in_time(move || FileStore::open(path).unwrap());
    assert_eq!(store.open_report().warnings, []);
    assert!(!leftover.exists());
    pipe(&leftover);
    block_on(store.compact()).unwrap();
    assert!(!leftover.exists());
}
