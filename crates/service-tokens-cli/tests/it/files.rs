//! Files that are missing, locked, damaged or of another format.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, PermissionsExt};
#[cfg(unix)]
use std::process::{Child, Command, Stdio};

use service_tokens::FileStore;
use service_tokens::file::FileStoreOptions;

use crate::tool::{Ran, Tool, finish};

const ID: &str = "0000000000000000000000";

const READING: [&[&str]; 5] = [
    &["list"],
    &["show", ID],
    &["verify"],
    &["revoke-all", "--dry-run"],
    &["purge", "--retention", "1d", "--dry-run"],
];

const CHANGING: [&[&str]; 4] = [
    &["rotate", ID, "--at-once"],
    &["revoke", ID, "--yes"],
    &["revoke-all", "--yes-revoke", "1"],
    &["purge", "--retention", "1d", "--yes"],
];

const ISSUE: [&str; 7] =
    ["issue", "--type", "connector", "--owner", "acme", "--issued-to", "nightly backup"];

/// Runs every verb that opens the file.
fn every(tool: &Tool, mut look: impl FnMut(&[&str], Ran)) {
    for words in READING.iter().chain(&CHANGING).copied().chain([&ISSUE[..]]) {
        look(words, tool.answer(words, "x\n"));
    }
}

#[test]
fn run_without_file_creates_it_only_for_issue() {
    let tool = Tool::new();
    for words in READING.iter().chain(&CHANGING) {
        let ran = tool.run(words).failed("there is no file");
        assert!(ran.err.contains("tokens.journal") && ran.out.is_empty(), "{words:?} {ran:?}");
        assert_eq!(tool.files(), [""; 0], "{words:?}");
    }
    // The same for a folder.
    let nowhere = ["--file", "nowhere/tokens.journal"];
    tool.run(&[&nowhere[..], &ISSUE].concat()).failed("nowhere");
    assert_eq!(tool.files(), [""; 0]);
    tool.issue(&[]);
    assert!(tool.files().contains(&"tokens.journal".to_owned()));
}

/// Also the verbs that only read, which would wait for the other end of the pipe.
#[cfg(unix)]
#[test]
fn lock_that_is_no_file_is_named_at_once() {
    let lock = |tool: &Tool| tool.folder.path().join("tokens.journal.lock");
    let pipe = |tool: &Tool| {
        assert!(Command::new("mkfifo").arg(lock(tool)).status().unwrap().success());
    };
    let link = |tool: &Tool| std::os::unix::fs::symlink("missing", lock(tool)).unwrap();
    let cases = [
        (&pipe as &dyn Fn(&Tool), "tokens.journal.lock is not a regular file"),
        (&link, "tokens.journal.lock is a symbolic link to a missing file: remove the link"),
    ];
    for (create, cause) in cases {
        let tool = Tool::new();
        tool.issue(&[]);
        fs::remove_file(lock(&tool)).unwrap();
        create(&tool);
        every(&tool, |words, ran| {
            let ran = ran.failed(cause);
            assert!(!ran.err.contains("open elsewhere"), "{words:?} {ran:?}");
        });
    }
}

#[test]
fn open_locked_file_names_remedy() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let before = fs::read(tool.path()).unwrap();
    let service = FileStore::open(tool.path()).unwrap();
    every(&tool, |words, ran| {
        let ran = ran.failed("is locked");
        assert!(ran.err.contains("stop it, or use the service's own API"), "{words:?} {ran:?}");
        assert_eq!(ran.out, "", "{words:?}");
    });
    drop(service);
    assert_eq!(fs::read(tool.path()).unwrap(), before);

    // Several readers share the file.
    let reader = FileStoreOptions::new().read_only(true).open(tool.path()).unwrap();
    tool.run(&["list"]).done();
    tool.run(&["show", &id]).done();
    tool.answer(&["verify"], &token).done();
    tool.run(&["revoke", &id, "--yes"]).failed("is locked");
    tool.run(&ISSUE).failed("is locked");
    drop(reader);
    tool.run(&["revoke", &id, "--yes"]).done();
}

#[test]
fn open_damaged_file_names_place_unchanged() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    for _ in 0..4 {
        tool.issue(&[]);
    }
    tool.run(&["revoke", &id, "--yes"]).done();
    let mut bytes = fs::read(tool.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(tool.path(), &bytes).unwrap();
    every(&tool, |words, ran| {
        let ran = ran.failed("is damaged at byte ");
        let (_, behind) = ran.err.split_once("at byte ").unwrap();
        let offset: usize = behind.split(':').next().unwrap().parse().unwrap();
        assert!((1..=middle).contains(&offset), "{words:?} {ran:?}");
        assert!(ran.err.contains("restore a copy") && ran.out.is_empty(), "{words:?} {ran:?}");
        assert_eq!(fs::read(tool.path()).unwrap(), bytes, "{words:?}");
    });
}

#[test]
fn open_foreign_file_is_refused_unchanged() {
    let tool = Tool::new();
    let letter = b"Dear Ada, this is no token store but a letter. ".repeat(20);
    fs::write(tool.path(), &letter).unwrap();
    every(&tool, |words, ran| {
        let ran = ran.failed("is not a token store");
        assert_eq!(ran.out, "", "{words:?}");
        assert_eq!(tool.files(), ["tokens.journal"], "{words:?}");
    });
    assert_eq!(fs::read(tool.path()).unwrap(), letter);
    let folder = Tool::new();
    fs::create_dir(folder.path()).unwrap();
    every(&folder, |words, ran| {
        ran.failed("tokens.journal");
        assert_eq!(folder.files(), ["tokens.journal"], "{words:?}");
    });
}

/// Starts the program as a user other than root, who may write to a file of any mode.
#[cfg(unix)]
fn as_other_user(tool: &Tool, words: &[&str]) -> Child {
    if fs::metadata(tool.path()).unwrap().uid() != 0 {
        return tool.start(words);
    }
    // By its file descriptor, because the user may have no right to the folder of the program.
    let script = "program=$1; shift; exec 9<\"$program\" && \
                  exec setpriv --reuid 5002 --regid 5002 --clear-groups /proc/self/fd/9 \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(tool.program()).args(words);
    command.env("TOKENS_FILE", tool.path()).current_dir(tool.folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[cfg(unix)]
#[test]
fn open_read_only_file_still_reads() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let mode = fs::Permissions::from_mode;
    fs::set_permissions(tool.path(), mode(0o444)).unwrap();
    fs::set_permissions(tool.folder.path(), mode(0o755)).unwrap();
    let before = fs::read(tool.path()).unwrap();
    for words in CHANGING.into_iter().chain([&ISSUE[..]]) {
        let ran = finish(as_other_user(&tool, words), b"")
            .failed("tokens.journal cannot be written: nothing was changed");
        assert_eq!(ran.out, "", "{words:?}");
    }
    assert_eq!(fs::read(tool.path()).unwrap(), before);
    tool.answer(&["verify"], token).done();
    assert!(tool.run(&["list"]).done().out.contains(&id));
}

#[test]
#[cfg(target_os = "linux")]
fn write_to_full_stdout_fails() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let run = |words: &[&str]| {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = tool.bare();
        command.env("TOKENS_FILE", tool.path()).args(words).stdout(full);
        finish(command.spawn().unwrap(), token.as_bytes())
    };
    for words in [
        &["list"][..],
        &["list", "--json"],
        &["show", &id],
        &["verify"],
        &["revoke-all", "--dry-run"],
        &["scanner-regex"],
        &["--help"],
    ] {
        run(words).failed("writing to standard output: ");
    }
    for words in [&ISSUE[..], &["rotate", &id, "--at-once"]] {
        run(words).failed("nothing was changed\nhint: --out FILE writes it to a file\n");
    }
    tool.answer(&["verify"], &token).done();
    assert_eq!(tool.run(&["list", "--json"]).done().out.lines().count(), 1);
}

#[test]
fn open_truncated_file_warns_and_succeeds() {
    let tool = Tool::new();
    tool.issue(&[]);
    let whole = fs::read(tool.path()).unwrap();
    tool.issue(&[]);
    let bytes = fs::read(tool.path()).unwrap();
    fs::write(tool.path(), &bytes[..whole.len() + 9]).unwrap();
    let ran = tool.run(&["list", "--json"]).done();
    assert!(ran.err.contains("unfinished write of 9 bytes"), "{ran:?}");
    assert_eq!(ran.out.lines().count(), 1);
}

#[test]
fn set_file_option_overrides_variable() {
    let tool = Tool::new();
    tool.run(&[&["--file", "other.journal"][..], &ISSUE].concat()).token();
    assert!(tool.files().contains(&"other.journal".to_owned()));
    assert!(!tool.files().contains(&"tokens.journal".to_owned()));
    let without = finish(tool.bare().arg("list").spawn().unwrap(), b"");
    without.misused("TOKENS_FILE");
}
