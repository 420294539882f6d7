//! The owner, the group and the mode of the files that the tool creates.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::tool::{Ran, Tool, finish};

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

/// Runs the program as another user, who is in one group.
fn run_as(tool: &Tool, (user, group): (u32, u32), words: &[&str]) -> Ran {
    let mut command = tool.bare();
    command.env("TOKENS_FILE", tool.path()).args(words).uid(user).gid(group);
    finish(command.spawn().unwrap(), b"")
}

/// Gives the folder and its files to a service, whose group may write them. Returns `false`, with a note, if this
/// user may not do that.
fn share_with_group(tool: &Tool) -> bool {
    for file in tool.files() {
        let file = tool.folder.path().join(file);
        fs::set_permissions(&file, Permissions::from_mode(0o660)).unwrap();
        if !give_away(&file) {
            return false;
        }
    }
    fs::set_permissions(tool.folder.path(), Permissions::from_mode(0o770)).unwrap();
    give_away(tool.folder.path())
}

const SERVICE: (u32, u32) = (12_345, 23_456);

/// A user of the same group, who cannot give files away.
const OPERATOR: (u32, u32) = (12_346, 23_456);

#[test]
fn events_file_of_operator_admits_group() {
    let tool = Tool::new();
    let ids: Vec<String> = (0..2).map(|_| tool.issue(&["--no-events"]).0).collect();
    if !share_with_group(&tool) {
        return;
    }
    let ran = run_as(&tool, OPERATOR, &["amend", &ids[0], "--issued-to", "x"]).done();
    assert!(ran.err.contains("could not be given its owner"), "{ran:?}");
    assert_eq!(access(&tool.events_path()), (OPERATOR.0, OPERATOR.1, 0o660));
    let ran = run_as(&tool, SERVICE, &["revoke", &ids[1], "--yes"]).done();
    assert!(!ran.err.contains("warning"), "{ran:?}");
    assert_eq!(tool.events().len(), 2);
}

/// The events file is private, as that of an operator with another program could be.
#[test]
fn private_events_file_does_not_stop_revoking() {
    let tool = Tool::new();
    let tokens: Vec<(String, String)> = (0..9).map(|_| tool.issue(&["--no-events"])).collect();
    if !share_with_group(&tool) {
        return;
    }
    fs::write(tool.events_path(), "").unwrap();
    fs::set_permissions(tool.events_path(), Permissions::from_mode(0o600)).unwrap();
    let id = |at: usize| &*tokens[at].0;
    fs::write(
        tool.folder.path().join("revoked"),
        format!("{{\"event\":\"revoked\",\"id\":\"{}\"}}\n", id(4)),
    )
    .unwrap();
    fs::set_permissions(tool.folder.path().join("revoked"), Permissions::from_mode(0o644)).unwrap();
    run_as(&tool, SERVICE, &["rotate", id(8), "--overlap", "1h", "--no-events"]).done();
    let verbs: [&[&str]; 7] = [
        &["revoke", id(0), "--yes"],
        &["revoke", id(1), id(2), "--yes"],
        &["suspend", id(3), "--yes"],
        &["replay-revocations", "revoked", "--yes-revoke", "1"],
        &["end-older", id(8)],
        &["suspend-all", "--yes-suspend", "4"],
        &["revoke-all", "--yes-revoke", "5"],
    ];
    for words in verbs {
        let ran = run_as(&tool, SERVICE, words);
        assert_eq!(ran.status, Some(4), "{words:?} {ran:?}");
        let warning = "cannot be opened: Permission denied (os error 13): this command continues";
        assert!(ran.err.contains(warning), "{words:?} {ran:?}");
        assert!(ran.err.contains("the changes are in effect, but their events"), "{ran:?}");
        assert!(ran.err.lines().any(|line| line.starts_with('{')), "{words:?} {ran:?}");
    }
    for (_, token) in &tokens {
        tool.answer(&["verify"], token).failed("");
    }
    assert_eq!(fs::read(tool.events_path()).unwrap(), b"");

    // A command that can wait is refused, and so is a file that the command line names.
    let before = fs::read(tool.path()).unwrap();
    let issue = ["issue", "--type", "connector", "--owner", "a", "--issued-to", "b"];
    let events = tool.events_path();
    let named = ["revoke", id(0), "--yes", "--events", events.to_str().unwrap()];
    for words in [&issue[..], &["resume", id(3), "--yes"], &named] {
        let ran = run_as(&tool, SERVICE, words).failed("nothing was changed\nhint: --events FILE");
        assert!(ran.err.contains("needs the owner, group and mode of the token file"), "{ran:?}");
    }
    assert_eq!(fs::read(tool.path()).unwrap(), before);
}

/// The superuser in a container that may not give files away. A private file would lock the service out.
#[test]
#[cfg(target_os = "linux")]
fn events_file_without_access_is_not_placed() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&["--no-events"]);
    let mut files = tool.files();
    if !files.iter().all(|file| give_away(&tool.folder.path().join(file))) {
        return;
    }
    let without_chown = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-chown", "--"]).arg(tool.program()).args(words);
        command.env("TOKENS_FILE", tool.path()).current_dir(tool.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().unwrap(), b"")
    };
    let before = fs::read(tool.path()).unwrap();
    let ran = without_chown(&["amend", &id, "--issued-to", "x"]);
    ran.failed("it cannot have the owner, group and mode of the token file");
    assert_eq!(fs::read(tool.path()).unwrap(), before);
    let ran = without_chown(&["revoke", &id, "--yes"]);
    assert_eq!(ran.status, Some(4), "{ran:?}");
    assert!(ran.err.lines().any(|line| line.contains("\"event\":\"revoked\"")), "{ran:?}");
    let mut files_after = tool.files();
    files.sort();
    files_after.sort();
    assert_eq!(files_after, files);
    tool.answer(&["verify"], token).failed("");
}

#[test]
fn superuser_learns_of_each_file_to_give() {
    let tool = Tool::new();
    if !give_away(tool.folder.path()) {
        return;
    }
    let issue = ["issue", "--type", "connector", "--owner", "a", "--issued-to", "b"];
    let ran = tool.run(&issue).done();
    assert!(ran.err.contains("run the same chown on the events file"), "{ran:?}");
    for file in tool.files() {
        chown(tool.folder.path().join(file), Some(12_345), Some(23_456)).unwrap();
    }
    run_as(&tool, SERVICE, &issue).done();
}

/// A user who may write the token file of another user cannot give files away.
#[test]
fn events_file_that_cannot_be_given_is_shared() {
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
        fs::set_permissions(file, Permissions::from_mode(0o646)).unwrap();
    }
    let ran = run_as(&tool, SERVICE, &["revoke", &id, "--yes"]).done();
    assert!(ran.err.contains("could not be given its owner"), "{ran:?}");
    assert_eq!(access(&tool.events_path()), (12_345, 23_456, 0o666));

    // With --out the file of another user is not replaced.
    let (id, token) = tool.issue(&["--no-events"]);
    let out = tool.folder.path().join("token");
    fs::write(&out, &token).unwrap();
    let ran = run_as(&tool, SERVICE, &["rotate", &id, "--at-once", "--out", "token"]);
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
