//! `replay-revocations`, after an old copy of the token file was put into use.

use std::fs;

use serde_json::Value;

use crate::tool::Tool;

const REPLAY: [&str; 2] = ["replay-revocations", "tokens.journal.events.jsonl"];

/// Returns a tool whose file is a copy from before two revocations, and the ids of the two tokens.
fn restored() -> (Tool, [String; 2]) {
    let tool = Tool::new();
    let ids = [tool.issue(&[]).0, tool.issue(&[]).0];
    tool.issue(&[]);
    let copy = fs::read(tool.path()).unwrap();
    let (later, _) = tool.issue(&[]);
    let words = ["revoke", &ids[0], "--yes", "--by", "ada", "--reason", "stolen"];
    tool.run(&words).done();
    tool.run(&["suspend", &ids[1], "--yes"]).done();
    tool.run(&["revoke", &ids[1], &later, "--yes"]).done();
    fs::write(tool.path(), copy).unwrap();
    (tool, ids)
}

fn state(tool: &Tool, id: &str) -> Value {
    serde_json::from_str(&tool.run(&["show", id, "--json"]).done().out).unwrap()
}

#[test]
fn replay_revokes_what_copy_lacks() {
    let (tool, ids) = restored();
    let dry = tool.run(&[&REPLAY[..], &["--dry-run"]].concat()).done();
    assert_eq!(dry.out, "2\n");
    let counts = "3 revoked tokens: 2 are not revoked, 0 are revoked already, 1 have no record.";
    assert!(dry.err.contains(counts) && dry.err.contains(" has no record\n"), "{dry:?}");
    for no in ["", "y\n", "3\n"] {
        tool.answer(&REPLAY, no).failed("cancelled: nothing was changed");
    }
    tool.run(&[&REPLAY[..], &["--yes-revoke", "3"]].concat())
        .failed("--yes-revoke is 3, but 2 tokens are not revoked: nothing was changed");
    assert_eq!(state(&tool, &ids[0])["state"], "active");

    let ran = tool.answer(&REPLAY, "2\n").done();
    assert!(ran.err.contains("Type 2 to revoke them:"), "{ran:?}");
    assert!(ran.err.contains("Revoked 2 tokens."), "{ran:?}");
    let first = state(&tool, &ids[0]);
    let texts = (&first["state"], &first["revoked_by"], &first["reason"]);
    assert_eq!(texts, (&"revoked".into(), &"ada".into(), &"stolen".into()));
    assert_eq!(state(&tool, &ids[1])["state"], "revoked");
    // The third token was not revoked, and the second run changes nothing.
    assert_eq!(tool.run(&["list", "--json"]).done().out.lines().count(), 1);
    let again = tool.run(&REPLAY).done();
    assert!(again.err.contains("0 are not revoked, 2 are revoked already"), "{again:?}");
    assert!(again.err.contains("Nothing changed."), "{again:?}");
}

#[test]
fn replay_with_reason_replaces_that_of_event() {
    let (tool, ids) = restored();
    let more = ["--by", "bob", "--reason", "a copy was restored", "--yes-revoke", "2"];
    tool.run(&[&REPLAY[..], &more].concat()).done();
    let first = state(&tool, &ids[0]);
    let texts = (&first["revoked_by"], &first["reason"]);
    assert_eq!(texts, (&"bob".into(), &"a copy was restored".into()));
}

#[test]
fn replay_reports_lines_that_are_no_events() {
    let (tool, ids) = restored();
    let log = fs::read_to_string(tool.events_path()).unwrap();
    let revoked = log.lines().find(|line| line.contains("\"revoked\"")).unwrap();
    let cut = &revoked[..revoked.len() - 1];
    let lines = format!("{revoked}\n\n{cut}\n[]\n{{\"event\":\"revoked\"}}\n{{\"event\":\"x\"}}\n");
    tool.answer(&["replay-revocations", "-"], &lines).misused("- needs --yes-revoke");
    let words = ["replay-revocations", "-", "--yes-revoke", "1"];
    let ran = tool.answer(&words, &lines).failed("3 lines are not events");
    for line in 3..=5 {
        let reported = format!("-: line {line} is not an event, and may be a revocation");
        assert!(ran.err.contains(&reported), "{ran:?}");
    }
    assert!(ran.err.contains("Revoked 1 tokens."), "{ran:?}");
    assert_eq!(state(&tool, &ids[0])["state"], "revoked");
    assert_eq!(state(&tool, &ids[1])["state"], "active");
}

#[test]
fn replay_of_other_service_is_noticed() {
    let (tool, _) = restored();
    let (other, _) = restored();
    let path = other.events_path();
    let ran = tool.run(&["replay-revocations", path.to_str().unwrap()]);
    assert_eq!(ran.status, Some(5), "{ran:?}");
    assert!(ran.err.contains("none of the ids has a record"), "{ran:?}");
    tool.run(&["replay-revocations", "missing"]).failed("reading missing: ");
    tool.run(&["replay-revocations"]).misused("FILE is missing");
    fs::write(tool.folder.path().join("empty"), "").unwrap();
    let empty = tool.run(&["replay-revocations", "empty"]).done();
    assert!(empty.err.contains("0 events name 0 revoked tokens"), "{empty:?}");
}

/// A command that was killed after the revocation has no event, and its repetition writes one.
#[test]
fn repeated_revocation_can_be_replayed() {
    let tool = Tool::new();
    let ids = [tool.issue(&[]).0, tool.issue(&[]).0, tool.issue(&[]).0];
    let copy = fs::read(tool.path()).unwrap();
    for id in &ids {
        tool.run(&["revoke", id, "--yes", "--no-events"]).done();
    }
    tool.run(&["revoke", &ids[0]]).done();
    tool.run(&["revoke", &ids[1], &ids[2], "--by", "ada"]).done();
    fs::write(tool.path(), copy).unwrap();
    let ran = tool.answer(&REPLAY, "3\n").done();
    assert!(ran.err.contains("Revoked 3 tokens."), "{ran:?}");
}

/// The log of a service has other members, such as those of the example `events`.
#[test]
fn replay_reads_log_of_service() {
    let (tool, ids) = restored();
    let line = format!("{{\"id\":\"{}\",\"event\":\"revoked\",\"level\":\"INFO\"}}\r\n", ids[0]);
    let words = ["replay-revocations", "-", "--yes-revoke", "1"];
    tool.answer(&words, line.repeat(2)).done();
    assert_eq!(state(&tool, &ids[0])["state"], "revoked");
}
