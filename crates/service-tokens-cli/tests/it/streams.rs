//! Standard streams that are closed, full or not for writing. No command succeeds if its result is lost, and no
//! token is made for a stream that cannot take it.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Stdio;

use crate::tool::{Ran, Tool, finish};

const ISSUE: [&str; 7] =
    ["issue", "--type", "connector", "--owner", "acme", "--issued-to", "nightly backup"];

impl Tool {
    /// Runs the program with these redirections of the shell.
    fn redirected(&self, redirections: &str, words: &[&str], input: &str) -> Ran {
        let mut command = std::process::Command::new("bash");
        let script = format!("exec '{}' \"$@\" {redirections}", self.program().display());
        command.args(["-c", &script, "bash"]).args(words).env("TOKENS_FILE", self.path());
        command.current_dir(self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().unwrap(), input.as_bytes())
    }
}

#[test]
fn closed_stdout_makes_no_token() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let before = fs::read(tool.path()).unwrap();
    for stdout in [">&-", ">/dev/null", ">/dev/full", "1</dev/zero", "1<>/dev/null"] {
        for words in [&ISSUE[..], &["rotate", &id, "--at-once"]] {
            let ran = tool.redirected(stdout, words, "");
            let ran = ran.failed("nothing was changed\nhint: --out FILE writes it to a file\n");
            assert!(!ran.err.contains("Issued") && !ran.err.contains("Rotated"), "{ran:?}");
        }
    }
    assert_eq!(fs::read(tool.path()).unwrap(), before);
    tool.answer(&["verify"], &token).done();
    // The file of --out needs no standard output.
    tool.redirected(">&-", &["rotate", &id, "--at-once", "--out", "token"], "").done();
    let fresh = Tool::new();
    fresh.redirected(">&-", &ISSUE, "").failed("standard output is closed");
    assert_eq!(fresh.files(), [""; 0]);
}

#[test]
fn lost_result_is_no_success() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let revoked = tool.events_path();
    let events = revoked.to_str().unwrap();
    let verbs: [&[&str]; 13] = [
        &["list"],
        &["list", "--json"],
        &["show", &id],
        &["show", &id, "--json"],
        &["verify"],
        &["report-leak", "--action", "revoke"],
        &["revoke-all", "--dry-run"],
        &["suspend-all", "--dry-run"],
        &["purge", "--retention", "1d", "--dry-run"],
        &["replay-revocations", events, "--dry-run"],
        &["scanner-regex"],
        &["--help"],
        &["--version"],
    ];
    for words in verbs {
        for stdout in [">&-", ">/dev/full", "1</dev/zero", "1<>/dev/null"] {
            let ran = tool.redirected(stdout, words, &token).failed("standard output");
            assert!(!ran.err.contains("panicked"), "{words:?} {stdout} {ran:?}");
        }
        // Discarding it on purpose.
        let ran = tool.redirected(">/dev/null", &words[..words.len().min(3)], "");
        assert!(!ran.err.contains("standard output is closed"), "{words:?} {ran:?}");
    }
    tool.redirected(">/dev/null", &["verify"], &token).done();
    tool.answer(&["verify"], token).done();
}

#[test]
fn broken_pipe_is_no_success() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    for words in [
        &["list"][..],
        &["show", &id],
        &["verify"],
        &["report-leak"],
        &["revoke-all", "--dry-run"],
        &["scanner-regex"],
        &["--help"],
    ] {
        let (reader, stdout) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = tool.bare();
        command.env("TOKENS_FILE", tool.path()).args(words).stdout(stdout);
        let ran = finish(command.spawn().unwrap(), token.as_bytes()).failed("");
        assert_eq!(ran.err, "", "{words:?}");
    }
}

#[test]
fn question_on_lost_stderr_changes_nothing() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    for stderr in ["2>&-", "2>/dev/null", "2>/dev/full", "2</dev/zero"] {
        for (words, answer) in [
            (&["revoke", &id][..], "y\n"),
            (&["suspend", &id], "y\n"),
            (&["revoke-all"], "1\n"),
            (&["suspend-all"], "1\n"),
        ] {
            tool.redirected(stderr, words, answer).failed("");
            tool.answer(&["verify"], &token).done();
        }
    }
}

#[test]
fn lost_report_on_stderr_is_no_success() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    for stderr in ["2>/dev/full", "2</dev/zero"] {
        for words in [&["revoke", &id, "--yes"][..], &ISSUE, &["revoke-all", "--yes-revoke", "1"]] {
            assert_eq!(tool.redirected(stderr, words, "").failed("").out, "", "{words:?}");
        }
    }
    tool.answer(&["verify"], &token).done();
    let rows = format!("digest,issued_to\n{},x\n", "ab".repeat(32));
    let form = "sha256,prefix=sk_,characters=base62,lengths=32";
    let import = ["import", "-", "--owner", "a", "--type", "connector", "--import-form", form];
    tool.redirected("2>&-", &import, &rows).failed("");
    tool.redirected("2>/dev/full", &import, &rows).failed("");
    assert_eq!(tool.run(&["list", "--json"]).done().out.lines().count(), 1);

    // The reader of standard error has gone. The revocation is done, and the status is not that of a success.
    let mut child = tool.start(&["revoke", &id, "--yes"]);
    drop(child.stderr.take());
    assert_eq!(finish(child, b"").status, Some(1));
    tool.answer(&["verify"], &token).failed("");
}

#[test]
fn script_without_streams_can_revoke() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    tool.redirected(">&- 2>&-", &["revoke", &id, "--yes"], "").done();
    tool.answer(&["verify"], token).failed("");
}
