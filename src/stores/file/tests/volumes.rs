//! Full and read-only file systems, files and directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::model::{Model, Step};
use super::*;
use crate::store::{StoreError, TokenStore, Version};
use crate::stores::file::OpenError;

/// Held by each test. A program that another test starts has the open files of this process for a moment, so a file
/// system would stay full after its ballast was removed.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A separate file system in memory.
struct Tmpfs(Place, #[expect(dead_code, reason = "held until the end")] MutexGuard<'static, ()>);

impl Tmpfs {
    fn mount(size: &str) -> Self {
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place::new();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], &place);
        Self(place, guard)
    }

    fn remount(&self, how: &str) {
        run("mount", &["-o", &format!("remount,{how}")], &self.0);
    }

    /// Fills the file system.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.directory.path().join("ballast");
        let mut file = fs::File::create(&ballast).unwrap();
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
        ballast
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        run("umount", &[], &self.0);
    }
}

fn run(program: &str, arguments: &[&str], place: &Place) {
    let status = Command::new(program).args(arguments).arg(place.directory.path()).status();
    assert!(status.unwrap().success(), "{program}");
}

#[test]
#[ignore = "needs root to mount a tmpfs; .ci/run runs it"]
fn write_to_full_volume_is_refused() {
    let volume = Tmpfs::mount("512k");
    let store = volume.0.open();
    let mut model = Model::default();
    let insert = |model: &mut Model, n| {
        let record = record(n);
        let inserted = block_on(store.insert(&record)).map(drop);
        if inserted.is_ok() {
            model.apply(&Step::Insert(record));
        }
        inserted
    };
    for n in 0..100 {
        insert(&mut model, n).unwrap();
    }
    let ballast = volume.fill();
    let mut refused = 0;
    for n in 100..300 {
        if let Err(error) = insert(&mut model, n) {
            assert!(matches!(error, StoreError::Full { .. }), "{error}");
            refused += 1;
        }
        assert!(store.find_now(id(5), &mut |found| assert!(found.is_some())));
    }
    assert!(refused > 150, "{refused}");
    assert_eq!(Model::of(&store), model);
    let error = block_on(store.compact()).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert!(!volume.0.path().with_extension("journal.compacting").exists());
    fs::remove_file(&ballast).unwrap();
    for n in 300..400 {
        insert(&mut model, n).unwrap();
    }
    assert!(block_on(store.compact()).is_ok());
    drop(store);
    // The store also opens on a full file system.
    volume.fill();
    assert_eq!(Model::of(&volume.0.open()), model);
}

#[test]
#[ignore = "needs root to mount a tmpfs; .ci/run runs it"]
fn open_on_full_volume_is_refused() {
    let volume = Tmpfs::mount("64k");
    let ballast = volume.fill();
    let error = FileStore::open(volume.0.path()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(!volume.0.path().exists());
    fs::remove_file(ballast).unwrap();
    assert!(volume.0.open().open_report().created);
}

#[test]
#[ignore = "needs root to mount a tmpfs; .ci/run runs it"]
fn write_to_remounted_volume_is_refused() {
    let volume = Tmpfs::mount("512k");
    let store = volume.0.open();
    let version = block_on(store.insert(&record(1))).unwrap();
    drop(store);
    // An unfinished end stays as it is.
    let mut bytes = fs::read(volume.0.path()).unwrap();
    bytes.extend([0; 3]);
    fs::write(volume.0.path(), &bytes).unwrap();
    for lock_file in [true, false] {
        if !lock_file {
            fs::remove_file(volume.0.path().with_extension("journal.lock")).unwrap();
        }
        volume.remount("ro");
        let store = volume.0.open();
        let other = volume.0.open();
        assert!(store.is_read_only() && other.is_read_only());
        assert_eq!(store.open_report().truncated_tail.map(|cut| cut.bytes), Some(3));
        read_only_answers(&store, version);
        drop((store, other));
        assert_eq!(fs::read(volume.0.path()).unwrap(), bytes);
        volume.remount("rw");
    }
    let store = volume.0.open();
    assert!(!store.is_read_only());
    block_on(store.replace(&revoked(&record(1)), version)).unwrap();
}

#[test]
#[ignore = "needs root to mount a tmpfs; .ci/run runs it"]
fn open_in_read_only_folder_is_refused() {
    let volume = Tmpfs::mount("64k");
    volume.remount("ro");
    let error = FileStore::open(volume.0.path()).unwrap_err();
    let OpenError::Io { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::ReadOnlyFilesystem, "{error}: {source}");
}

fn read_only_answers(store: &FileStore, version: Version) {
    block_on(async {
        let found = store.find(id(1)).await.unwrap().unwrap();
        assert_eq!((found.record, found.version), (record(1), version));
        assert_eq!(store.list(&Default::default(), now()).await.unwrap().items.len(), 1);
        assert!(store.find_now(id(1), &mut |found| assert!(found.is_some())));
        let read_only = |error| matches!(error, StoreError::ReadOnly);
        assert!(read_only(store.insert(&record(2)).await.unwrap_err()));
        assert!(read_only(store.replace(&revoked(&record(1)), version).await.unwrap_err()));
        assert!(read_only(store.remove(id(1), version).await.unwrap_err()));
        assert!(read_only(store.touch(&[(id(1), now())]).await.unwrap_err()));
        assert!(read_only(store.compact().await.unwrap_err()));
        assert!(store.find(id(1)).await.unwrap().is_some());
    });
}

#[test]
fn open_of_read_only_file_is_refused() {
    let place = Place::new();
    let version = block_on(place.open().insert(&record(1))).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o400)).unwrap();
    // The superuser may write to it.
    let superuser = std::os::unix::fs::MetadataExt::uid(&fs::metadata(place.path()).unwrap()) == 0;
    let store = place.open();
    assert_eq!(store.is_read_only(), !superuser);
    if !superuser {
        read_only_answers(&store, version);
    }
}

#[test]
fn readers_share_the_lock_and_writers_do_not() {
    let place = Place::new();
    let read_only = || FileStoreOptions::new().read_only(true).open(place.path());
    assert!(matches!(read_only(), Err(OpenError::Io { .. })), "there is no file");
    assert!(!place.path().exists());
    let writer = place.open();
    let version = block_on(writer.insert(&record(1))).unwrap();
    assert!(matches!(read_only(), Err(OpenError::Locked { .. })));
    drop(writer);
    let (one, two) = (read_only().unwrap(), read_only().unwrap());
    read_only_answers(&one, version);
    drop(one);
    assert!(matches!(FileStore::open(place.path()), Err(OpenError::Locked { .. })));
    block_on(two.close()).unwrap();
    let writer = place.open();
    // A closed reader would not see the changes of the writer, so it refuses reads.
    assert!(block_on(two.find(id(1))).is_err());
    drop((two, writer));
}

#[test]
fn files_are_private_and_leftovers_are_removed() {
    let place = Place::new();
    let compacting = place.path().with_extension("journal.compacting");
    fs::write(&compacting, b"half of a file").unwrap();
    let store = place.open();
    assert!(!compacting.exists());
    block_on(store.insert(&record(1))).unwrap();
    for _ in 0..2 {
        for path in [place.path(), place.path().with_extension("journal.lock")] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        block_on(store.compact()).unwrap();
    }
    assert_eq!(fs::read_dir(place.directory.path()).unwrap().count(), 2);
}

#[test]
fn failed_compaction_leaves_the_store_usable() {
    let place = Place::new();
    let store = place.open();
    let version = block_on(store.insert(&record(1))).unwrap();
    let compacting = place.path().with_extension("journal.compacting");
    fs::create_dir(&compacting).unwrap();
    assert!(matches!(block_on(store.compact()), Err(StoreError::Unavailable { .. })));
    let version = block_on(store.replace(&revoked(&record(1)), version)).unwrap();
    fs::remove_dir(&compacting).unwrap();
    assert!(block_on(store.compact()).is_ok());
    drop(store);
    let found = block_on(place.open().find(id(1))).unwrap().unwrap();
    assert_eq!((found.record, found.version), (revoked(&record(1)), version));
}

#[test]
fn one_file_by_two_paths_has_one_lock() {
    let place = Place::new();
    drop(place.open());
    let link = place.directory.path().join("link");
    std::os::unix::fs::symlink(place.path(), &link).unwrap();
    let store = FileStore::open(&link).unwrap();
    assert!(matches!(FileStore::open(place.path()), Err(OpenError::Locked { .. })));
    block_on(store.insert(&record(1))).unwrap();
    block_on(store.compact()).unwrap();
    drop(store);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(place.open().open_report().records, 1);
}
