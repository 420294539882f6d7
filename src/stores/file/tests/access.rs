//! Real users and groups: a program that runs as another user does not lock the service out.
//!
//! The tests run as root. The actors are this test program, which `setpriv` runs as other users.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::kill::{child_arguments, print_line};
use super::*;
use crate::store::TokenStore;
use crate::stores::file::access::FileAccess;

const ACTION: &str = "SERVICE_TOKENS_ACTION";
const UMASKS: [u32; 4] = [0o022, 0o077, 0o027, 0];
const MODES: [u32; 3] = [0o600, 0o640, 0o660];

/// The user and the group of the service, another user, and a group for backups.
const SERVICE: u32 = 5_001;
const OTHER: u32 = 5_002;
const BACKUP: u32 = 5_003;

#[derive(Clone, Copy)]
struct Actor {
    user: u32,
    /// A group in addition to the one with the number of the user.
    group: Option<u32>,
    umask: u32,
}

const fn actor(user: u32) -> Actor {
    Actor { user, group: None, umask: 0o022 }
}

impl Actor {
    const fn also_in(self, group: u32) -> Self {
        Self { group: Some(group), ..self }
    }

    /// Runs an action of [`child`] and returns its output.
    fn run(self, action: &str, path: &Path) -> String {
        let groups = match (self.group, self.user) {
            (Some(group), user) => format!("--groups {user},{group}"),
            (None, _) => "--clear-groups".to_owned(),
        };
        let Self { user, umask, .. } = self;
        let become_user = format!(
            "umask {umask:o} && exec setpriv --reuid {user} --regid {user} {groups} \"$@\""
        );
        let arguments = ["--exact", "stores::file::tests::access::child", "--include-ignored"];
        // By its file descriptor, because the user may have no right to the folder of the program.
        let output = Command::new("sh")
            .args(["-c", &become_user, "sh", "/proc/self/fd/0"])
            .args(arguments)
            .args(["--nocapture", "--test-threads", "1"])
            .stdin(File::open(std::env::current_exe().unwrap()).unwrap())
            .env("SERVICE_TOKENS_KILL_PATH", path)
            .env("SERVICE_TOKENS_KILL_ROUND", "0")
            .env(ACTION, action)
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{action}: {out}{err}");
        let (_, answer) = out.split_once("answer: ").unwrap_or_else(|| panic!("{out}{err}"));
        answer.split_once("end of answer").unwrap().0.to_owned()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
#[ignore = "the child of the tests below"]
fn child() {
    let (Some((path, _)), Ok(action)) = (child_arguments(), std::env::var(ACTION)) else { return };
    let options = FileStoreOptions::new().compact_above(u64::MAX).read_only(action == "read");
    let answer = match options.open(&path) {
        Err(error) => chain(&error),
        Ok(store) => {
            let mut answer = format!("opened read_only={}", store.is_read_only());
            for warning in store.open_report().warnings {
                answer = format!("{answer}, warning: {warning}");
            }
            if action == "second" {
                let second = FileStore::open(&path).unwrap_err();
                answer = format!("{answer}, second: {second}");
            }
            if action == "compact" {
                block_on(store.insert(&record(1))).unwrap();
                match block_on(store.compact()) {
                    Ok(_) => answer.push_str(", compacted"),
                    Err(error) => answer = format!("{answer}, not compacted: {}", chain(&error)),
                }
            }
            answer
        }
    };
    print_line(&format!("answer: {answer}end of answer\n"));
}

/// Returns whether the test can act as other users. In CI it must be able to.
#[allow(clippy::print_stdout, reason = "a test that cannot run says so")]
fn is_root(place: &Place) -> bool {
    let root = fs::metadata(place.directory.path()).unwrap().uid() == 0
        && Command::new("setpriv").arg("--version").output().is_ok();
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(root || !ci, "in CI this test needs root and setpriv");
    if !root {
        println!("not run: acting as other users needs root and setpriv");
    }
    root
}

fn set(path: &Path, access: FileAccess) {
    chown(path, Some(access.user), Some(access.group)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode)).unwrap();
}

fn of_service(group: u32, mode: u32) -> FileAccess {
    FileAccess { user: SERVICE, group, mode }
}

/// A directory of the service with a journal of this access and no lock file. `None` without root.
fn service_place(journal: FileAccess) -> Option<Place> {
    let place = Place::in_memory();
    if !is_root(&place) {
        return None;
    }
    set(place.directory.path(), of_service(BACKUP, 0o777));
    drop(place.open());
    fs::remove_file(lock_of(&place)).unwrap();
    set(&place.path(), journal);
    Some(place)
}

fn lock_of(place: &Place) -> PathBuf {
    place.path().with_extension("journal.lock")
}

fn files(place: &Place) -> usize {
    fs::read_dir(place.directory.path()).unwrap().count()
}

#[test]
fn compaction_by_root_keeps_the_owner() {
    for (umask, mode) in UMASKS.iter().flat_map(|umask| MODES.map(|mode| (*umask, mode))) {
        for group in [SERVICE, BACKUP] {
            let access = of_service(group, mode);
            let Some(place) = service_place(access) else { return };
            let before = fs::metadata(place.path()).unwrap().ino();
            let answer = Actor { umask, ..actor(0) }.run("compact", &place.path());
            assert_eq!(answer, "opened read_only=false, compacted");
            assert_ne!(fs::metadata(place.path()).unwrap().ino(), before, "no new file");
            assert_eq!(FileAccess::at(&place.path()), Some(access), "{umask:o}");
            assert_eq!(FileAccess::at(&lock_of(&place)), Some(access), "{umask:o}");
            assert_eq!(files(&place), 2);
            let service = actor(SERVICE).also_in(group).run("open", &place.path());
            assert_eq!(service, "opened read_only=false");
        }
    }
}

#[test]
fn reading_creates_no_file() {
    for mode in MODES {
        let access = of_service(SERVICE, mode);
        let Some(place) = service_place(access) else { return };
        assert_eq!(actor(0).run("read", &place.path()), "opened read_only=true");
        assert_eq!(files(&place), 1);
        assert_eq!(actor(SERVICE).run("open", &place.path()), "opened read_only=false");
        assert_eq!(FileAccess::at(&lock_of(&place)), Some(access));
    }
}

#[test]
fn compaction_by_group_member_keeps_the_group() {
    for (umask, mode) in UMASKS.iter().flat_map(|umask| MODES.map(|mode| (*umask, mode))) {
        let access = of_service(BACKUP, mode);
        let Some(place) = service_place(access) else { return };
        let answer =
            Actor { umask, ..actor(SERVICE).also_in(BACKUP) }.run("compact", &place.path());
        assert_eq!(answer, "opened read_only=false, compacted");
        assert_eq!(FileAccess::at(&place.path()), Some(access), "{umask:o}");
        assert_eq!(FileAccess::at(&lock_of(&place)), Some(access), "{umask:o}");
    }
}

#[test]
fn compaction_without_the_right_keeps_the_file() {
    let access = of_service(BACKUP, 0o660);
    // Neither the other user, nor the service without the group, may give the new file its access.
    for unable in [actor(OTHER).also_in(BACKUP), actor(SERVICE)] {
        let Some(place) = service_place(access) else { return };
        let before = fs::metadata(place.path()).unwrap().ino();
        let answer = unable.run("compact", &place.path());
        let expected = "not compacted: the store is unavailable: the compacted journal cannot have \
                        the owner, group and mode of the journal (user 5001, group 5003, mode 0660): \
                        compact it as that user, who must be in that group: Operation not permitted";
        assert!(answer.contains(expected), "{answer}");
        assert!(answer.contains(".lock was not created because this process cannot"), "{answer}");
        assert_eq!(fs::metadata(place.path()).unwrap().ino(), before);
        assert_eq!(FileAccess::at(&place.path()), Some(access));
        assert_eq!(files(&place), 1);
        // The record is in the old file, and the service can use it.
        let service = actor(SERVICE).also_in(BACKUP);
        assert_eq!(service.run("open", &place.path()), "opened read_only=false");
        assert_eq!(place.open().open_report().records, 1);
    }
}

#[test]
fn lock_file_of_root_keeps_no_service_out() {
    let Some(place) = service_place(of_service(SERVICE, 0o600)) else { return };
    File::create(lock_of(&place)).unwrap();
    set(&lock_of(&place), FileAccess { user: 0, group: 0, mode: 0o600 });
    let answer = actor(SERVICE).run("second", &place.path());
    assert!(answer.starts_with("opened read_only=false, warning: the lock file "), "{answer}");
    assert!(answer.contains("(user 0, group 0, mode 0600) cannot be opened"), "{answer}");
    assert!(answer.contains("second: the store is open elsewhere: "), "{answer}");
    assert_eq!(actor(SERVICE).run("read", &place.path()), "opened read_only=true");
    // Without a journal there is no other lock.
    fs::remove_file(place.path()).unwrap();
    let answer = actor(SERVICE).run("open", &place.path());
    assert!(answer.starts_with("opening the lock file "), "{answer}");
    assert!(answer.contains("(user 0, group 0, mode 0600): Permission denied"), "{answer}");
    assert_eq!(files(&place), 1);
}

#[test]
fn new_file_is_private_under_every_umask() {
    for umask in UMASKS {
        let Some(place) = service_place(of_service(SERVICE, 0o600)) else { return };
        fs::remove_file(place.path()).unwrap();
        let answer = Actor { umask, ..actor(SERVICE) }.run("open", &place.path());
        assert_eq!(answer, "opened read_only=false");
        for path in [place.path(), lock_of(&place)] {
            assert_eq!(FileAccess::at(&path), Some(of_service(SERVICE, 0o600)), "{umask:o}");
        }
    }
}

#[test]
fn new_file_of_root_for_a_service_is_reported() {
    let Some(place) = service_place(of_service(SERVICE, 0o600)) else { return };
    fs::remove_file(place.path()).unwrap();
    let answer = actor(0).run("open", &place.path());
    assert!(answer.contains("was created by the superuser in a directory of another user"));
    assert!(answer.contains("run chown 5001:5003 on it"), "{answer}");
    let answer = actor(SERVICE).run("open", &place.path());
    assert!(answer.starts_with("opening "), "{answer}");
    assert!(answer.contains("(user 0, group 0, mode 0600): Permission denied"), "{answer}");
}

#[test]
fn missing_right_is_named() {
    let Some(place) = service_place(of_service(BACKUP, 0o640)) else { return };
    let member = actor(OTHER).also_in(BACKUP);
    let answer = member.run("open", &place.path());
    assert!(answer.starts_with("opened read_only=true, warning: "), "{answer}");
    assert!(
        answer.contains("tokens.journal (user 5001, group 5003, mode 0640) cannot be"),
        "{answer}"
    );
    // A directory without the right to write, first with a journal and then without.
    let root = FileAccess { user: 0, group: 0, mode: 0o755 };
    set(place.directory.path(), root);
    let answer = actor(SERVICE).run("open", &place.path());
    assert!(answer.starts_with("opened read_only=true, warning: the directory "), "{answer}");
    assert!(answer.contains("(user 0, group 0, mode 0755) cannot be written to"), "{answer}");
    fs::remove_file(place.path()).unwrap();
    let answer = actor(SERVICE).run("open", &place.path());
    assert!(answer.starts_with("creating a lock file in "), "{answer}");
    assert!(answer.contains(" (user 0, group 0, mode 0755): Permission denied"), "{answer}");
    assert_eq!(files(&place), 0);
}

/// The mode does not say whether a process may write. The superuser may, and the owner may not.
#[test]
fn mode_0400_is_written_by_root_alone() {
    for mode in [0o400, 0o440, 0] {
        let access = of_service(SERVICE, mode);
        let Some(place) = service_place(access) else { return };
        let answer = actor(0).run("compact", &place.path());
        assert_eq!(answer, "opened read_only=false, compacted", "{mode:o}");
        assert_eq!(FileAccess::at(&place.path()), Some(access));
        if mode != 0 {
            let answer = actor(SERVICE).run("open", &place.path());
            assert!(answer.starts_with("opened read_only=true, warning: "), "{answer}");
        }
    }
}

/// The journal and its lock file belong to the service, and their directory does not.
#[test]
fn directory_of_root_is_a_warning_at_opening() {
    for mode in [0o555, 0o1755] {
        let Some(place) = service_place(of_service(SERVICE, 0o600)) else { return };
        assert_eq!(actor(SERVICE).run("open", &place.path()), "opened read_only=false");
        set(place.directory.path(), FileAccess { user: 0, group: 0, mode });
        let answer = actor(SERVICE).run("compact", &place.path());
        let directory = place.directory.path().canonicalize().unwrap();
        let named =
            format!("in the directory {} (user 0, group 0, mode {mode:04o})", directory.display());
        let remedy = ": let the user of this process create, rename and remove files there";
        let expected = format!(
            "opened read_only=false, warning: no file can be created {named}, so the journal cannot be \
             compacted and only grows{remedy}, not compacted: the store is unavailable: the compacted \
             journal could not be created {named}{remedy}: Permission denied"
        );
        assert!(answer.starts_with(&expected), "{answer}");
        assert_eq!(files(&place), 2);
        // A reader does not compact, and another user may be able to.
        assert_eq!(actor(SERVICE).run("read", &place.path()), "opened read_only=true");
        assert_eq!(actor(0).run("open", &place.path()), "opened read_only=false");
        assert_eq!(files(&place), 2);
    }
}
