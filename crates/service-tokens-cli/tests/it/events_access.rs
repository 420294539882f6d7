//! The owner, the group and the mode of the files that the tool creates.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::tool::{Tool, finish};

fn access(path: &Path) -> (u32, u32, u32) {
    let file = fs::metadata(path).unwrap();
    (file.uid(), file.gid(), file.mode() & 0o777)
}

/// Gives a file to another user. Returns `false`, with a note, if this user may not do that.
fn give_away(path: &Path) -> bool {
    match chown(path, Some(12_345), Some(23_456)) {
        Ok(()) => true,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI runs these tests as root: {error}");
            // Written directly, because the output of macros appears for failed tests only.
            let written = writeln!(io::stderr(), "NOT RUN: files of other users: {error}");
            written.unwrap();
            false
        }
    }
}

#[test]
fn new_events_file_belongs_to_service() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&["--no-events"]);
    if !give_away(&tool.path()) {
        return;
    }
    for mode in [0o600, 0o640, 0o660] {
        let _ = fs::remove_file(tool.events_path());
        fs::set_permissions(tool.path(), Permissions::from_mode(mode)).unwrap();
        tool.run(&["amend", &id, "--issued-to", &mode.to_string()]).done();
        assert_eq!(access(&tool.events_path()), (12_345, 23_456, mode));
    }
    // An existing file stays as it is.
    fs::set_permissions(tool.events_path(), Permissions::from_mode(0o644)).unwrap();
    chown(tool.events_path(), Some(1), Some(2)).unwrap();
    tool.run(&["revoke", &id, "--yes"]).done();
    assert_eq!(access(&tool.events_path()), (1, 2, 0o644));
}

/// A user who may write the token file of another user cannot give files away.
#[test]
fn events_file_that_cannot_be_given_is_private() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&["--no-events"]);
    let given = tool.folder.path().join("given");
    fs::write(&given, "").unwrap();
    if !give_away(&given) {
        return;
    }
    fs::set_permissions(tool.folder.path(), Permissions::from_mode(0o777)).unwrap();
    for file in tool.files() {
        let file = tool.folder.path().join(file);
        fs::set_permissions(file, Permissions::from_mode(0o666)).unwrap();
    }
    let mut command = tool.bare();
    command.env("TOKENS_FILE", tool.path()).args(["revoke", &id, "--yes"]).uid(12_345).gid(23_456);
    let ran = finish(command.spawn().unwrap(), b"").done();
    assert!(ran.err.contains("could not be given the owner, group and mode"), "{ran:?}");
    assert_eq!(access(&tool.events_path()), (12_345, 23_456, 0o600));

    // With --out the file of another user is not replaced.
    let (id, token) = tool.issue(&["--no-events"]);
    let out = tool.folder.path().join("token");
    fs::write(&out, &token).unwrap();
    let mut command = tool.bare();
    command.env("TOKENS_FILE", tool.path()).args(["rotate", &id, "--at-once", "--out", "token"]);
    let ran = finish(command.uid(12_345).gid(23_456).spawn().unwrap(), b"");
    let ran = ran.failed("its owner, group and mode cannot be given to a new file");
    assert!(ran.err.contains("nothing was changed"), "{ran:?}");
    assert_eq!(fs::read_to_string(&out).unwrap(), token);
    tool.answer(&["verify"], &token).done();
}

#[test]
fn events_file_of_new_journal_has_its_mode() {
    let tool = Tool::new();
    tool.issue(&[]);
    assert_eq!(access(&tool.events_path()), access(&tool.path()));
    assert_eq!(access(&tool.events_path()).2 & 0o077, 0);
}

#[test]
fn replaced_out_file_retains_its_access() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    let out = tool.folder.path().join("token");
    fs::write(&out, "earlier\n").unwrap();
    fs::set_permissions(&out, Permissions::from_mode(0o640)).unwrap();
    if !give_away(&out) {
        return;
    }
    let rotate = ["rotate", &id, "--at-once", "--out", "token"];
    let ran = tool.run(&rotate).done();
    assert!(!ran.err.contains("readable by every user"), "{ran:?}");
    assert_eq!(access(&out), (12_345, 23_456, 0o640));
    tool.answer(&["verify"], fs::read(&out).unwrap()).done();
    fs::set_permissions(&out, Permissions::from_mode(0o644)).unwrap();
    let ran = tool.run(&rotate).done();
    assert!(ran.err.contains("token was readable by every user of this machine"), "{ran:?}");
    assert_eq!(access(&out), (12_345, 23_456, 0o644));
}
