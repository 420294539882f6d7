//! Files that `--events` and `--out` must not name, and the default events file of a link.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;

use futures_lite::future::block_on;
use service_tokens::IssueRequest;

use crate::tool::Tool;

const ISSUE: [&str; 7] =
    ["issue", "--type", "connector", "--owner", "acme", "--issued-to", "nightly backup"];

#[test]
fn events_to_file_of_journal_are_refused() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&["--no-events"]);
    let path = |name: &str| tool.folder.path().join(name);
    symlink(".", path("linked")).unwrap();
    fs::hard_link(path("tokens.journal.lock"), path("hard")).unwrap();
    fs::copy(tool.path(), path("other")).unwrap();
    fs::write(path("leftover.compacting"), fs::read(tool.path()).unwrap()).unwrap();
    let (before, mut files) = (fs::read(tool.path()).unwrap(), tool.files());
    files.sort();
    for file in [
        "tokens.journal",
        "linked/tokens.journal",
        "tokens.journal.lock",
        "linked/tokens.journal.lock",
        "hard",
        "tokens.journal.compacting",
        "linked/tokens.journal.compacting",
        // Files of another journal.
        "other",
        "linked/other",
        "other.lock",
        "other.compacting",
        "leftover.compacting",
    ] {
        for words in [&ISSUE[..], &["revoke", &id, "--yes"]] {
            let ran = tool.run(&[words, &["--events", file]].concat());
            let ran = ran.failed("it is a token file or belongs to one: nothing was changed");
            assert_eq!(ran.out, "", "{file}");
        }
    }
    let mut files_after = tool.files();
    files_after.sort();
    assert_eq!((fs::read(tool.path()).unwrap(), files_after), (before.clone(), files));
    assert_eq!(fs::read(path("other")).unwrap(), before);
    tool.answer(&["verify"], token).done();

    // A token file that does not exist yet.
    let fresh = Tool::new();
    for file in ["tokens.journal", "tokens.journal.lock", "tokens.journal.compacting"] {
        fresh.run(&[&ISSUE[..], &["--events", file]].concat()).failed("token file");
        assert_eq!(fresh.files(), [""; 0]);
    }
}

/// Each line of events would make the writes of that service fail.
#[test]
fn journal_of_running_service_is_untouched() {
    let (tool, live) = (Tool::new(), Tool::new());
    tool.issue(&["--no-events"]);
    live.issue(&["--no-events"]);
    let service = live.service();
    let file = live.path().into_os_string().into_string().unwrap();
    tool.run(&[&ISSUE[..], &["--events", &file]].concat()).failed("token file");
    tool.run(&[&ISSUE[..], &["--out", &file]].concat()).failed("belongs to the tool");
    for file in [format!("{file}.lock"), format!("{file}.compacting")] {
        tool.run(&[&ISSUE[..], &["--out", &file]].concat()).failed("belongs to the tool");
    }
    let file = live.events_path().into_os_string().into_string().unwrap();
    tool.run(&[&ISSUE[..], &["--out", &file]].concat()).failed("belongs to the tool");
    let issue = IssueRequest::new("connector", "x");
    let _ = block_on(service.owner("acme").issue(issue)).unwrap();
}

#[test]
fn events_to_input_or_output_are_refused() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&["--no-events"]);
    let path = |name: &str| tool.folder.path().join(name);
    let rows = format!("digest,issued_to\n{},x\n", "ab".repeat(32));
    fs::write(path("rows.csv"), &rows).unwrap();
    fs::hard_link(path("rows.csv"), path("hard.csv")).unwrap();
    fs::write(path("key"), [7; 32]).unwrap();
    let form = "hmac-sha256,key-id=key1,key-file=key,prefix=sk_,characters=base62,lengths=32";
    for (file, reason) in [
        ("rows.csv", "it is the input of this command"),
        ("hard.csv", "it is the input of this command"),
        ("key", "it is a key file"),
    ] {
        let words = ["import", "rows.csv", "--owner", "a", "--type", "connector"];
        tool.run(&[&words[..], &["--import-form", form, "--events", file]].concat()).failed(reason);
    }
    assert_eq!(fs::read_to_string(path("rows.csv")).unwrap(), rows);
    let issue = [&ISSUE[..], &["--import-form", form, "--out", "key"]].concat();
    tool.run(&issue).failed("belongs to the tool");
    assert_eq!(fs::read(path("key")).unwrap(), [7; 32]);

    let redirected = |words: &[&str], name: &str, reason: &str| {
        let mut command = tool.bare();
        command.env("TOKENS_FILE", tool.path()).args(words).args(["--events", name]);
        let file = fs::OpenOptions::new().read(true).append(true).open(path(name)).unwrap();
        command.stdout(file.try_clone().unwrap());
        command.stdin(file);
        let ran = command.spawn().unwrap().wait_with_output().unwrap();
        let err = String::from_utf8(ran.stderr).unwrap();
        assert!(ran.status.code() == Some(1) && err.contains(reason), "{err}");
    };
    fs::write(path("ids"), &id).unwrap();
    redirected(&["revoke", "-", "--yes"], "ids", "it is the input of this command");
    assert_eq!(fs::read_to_string(path("ids")).unwrap(), id);
    let mut command = tool.bare();
    fs::write(path("out"), "").unwrap();
    command.env("TOKENS_FILE", tool.path()).args(ISSUE).args(["--events", "out"]);
    command.stdout(fs::OpenOptions::new().append(true).open(path("out")).unwrap());
    let ran = command.spawn().unwrap().wait_with_output().unwrap();
    assert!(String::from_utf8(ran.stderr).unwrap().contains("it is standard output"));
    assert_eq!(fs::read_to_string(path("out")).unwrap(), "");
    tool.answer(&["verify"], token).done();
}

/// The events file can be the input here, because it is read before it is opened for writing.
#[test]
fn replayed_events_can_be_input() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    fs::copy(tool.path(), tool.folder.path().join("copy")).unwrap();
    tool.run(&["revoke", &id, "--yes"]).done();
    fs::copy(tool.folder.path().join("copy"), tool.path()).unwrap();
    let mut command = tool.bare();
    command.env("TOKENS_FILE", tool.path()).args(["replay-revocations", "-", "--yes-revoke", "1"]);
    command.stdin(fs::File::open(tool.events_path()).unwrap());
    assert_eq!(command.status().unwrap().code(), Some(0));
}

#[test]
fn events_of_new_linked_file_are_next_to_target() {
    let tool = Tool::new();
    let data = tool.folder.path().join("data");
    fs::create_dir(&data).unwrap();
    symlink("second", tool.path()).unwrap();
    symlink("data/tokens", tool.folder.path().join("second")).unwrap();
    for out in ["data/tokens", "data/tokens.lock", "data/tokens.events.jsonl"] {
        let issue = [&ISSUE[..], &["--out", out]].concat();
        tool.run(&issue).failed("belongs to the tool");
    }
    tool.issue(&[]);
    tool.issue(&[]);
    assert!(!tool.events_path().exists());
    let events = fs::read_to_string(data.join("tokens.events.jsonl")).unwrap();
    assert_eq!(events.lines().count(), 2);
    tool.run(&[&ISSUE[..], &["--no-events", "--out", "data/tokens.events.jsonl"]].concat())
        .failed("belongs to the tool");
}
