//! The status of commands whose events could not be written. A refusal is never hidden behind it.
#![cfg(target_os = "linux")]

use std::fs;

use serde_json::Value;

use crate::tool::{Ran, Tool};

const ISSUE: [&str; 7] =
    ["issue", "--type", "connector", "--issued-to", "nightly backup", "--owner", "acme"];

/// Fills the events file beyond this number of KiB.
fn fill_events(tool: &Tool, kib: usize) {
    fs::write(tool.events_path(), "{\"event\":\"filler\"}\n".repeat(kib * 60)).unwrap();
}

fn events_shown(ran: &Ran) -> Vec<String> {
    let lines = ran.err.lines().filter(|line| line.starts_with('{'));
    let name = |line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["event"].as_str().unwrap().to_owned()
    };
    lines.map(name).collect()
}

#[test]
fn refused_change_on_full_disk_is_a_failure() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&["--no-events"]);
    // Each write to the token file is beyond the limit.
    while fs::metadata(tool.path()).unwrap().len() < 2_048 {
        tool.run(&[&ISSUE[..6], &["other", "--no-events"]].concat()).done();
    }
    fill_events(&tool, 2);
    let before = fs::read(tool.path()).unwrap();
    let verbs: [&[&str]; 8] = [
        &["revoke", &id, "--yes"],
        &["suspend", &id, "--yes"],
        &["revoke-all", "--owner", "acme", "--yes-revoke", "1"],
        &["suspend-all", "--owner", "acme", "--yes-suspend", "1"],
        &["rotate", &id, "--at-once"],
        &["amend", &id, "--issued-to", "x"],
        &["report-leak", "--action", "revoke"],
        &ISSUE,
    ];
    for words in verbs {
        let ran = tool.with_full_disk_answer(2, words, &token);
        assert_eq!(ran.status, Some(1), "{words:?} {ran:?}");
        assert!(!ran.err.contains("in effect"), "{words:?} {ran:?}");
        assert!(ran.err.contains("the events of this command could not be written"), "{ran:?}");
        assert!(!events_shown(&ran).is_empty(), "{words:?} {ran:?}");
        assert_eq!(fs::read(tool.path()).unwrap(), before, "{words:?}");
    }
    tool.answer(&["verify"], token).done();
}

/// The first revocation fits into the token file, and the second one does not.
#[test]
fn partial_revocation_is_a_failure() {
    let tool = Tool::new();
    let ids: Vec<String> = (0..3).map(|_| tool.issue(&["--no-events"]).0).collect();
    let length = || usize::try_from(fs::metadata(tool.path()).unwrap().len()).unwrap();
    let before = length();
    tool.run(&["revoke", &ids[2], "--yes", "--no-events"]).done();
    let revocation = length() - before;
    // A label fills the file up to the place for one and a half revocations.
    let issued = length();
    tool.issue(&["--no-events", "--issued-to", "x"]);
    let record = length() - issued;
    let wanted = 2_048 - revocation * 3 / 2;
    while length() + 2 * record + 200 < wanted {
        tool.issue(&["--no-events", "--issued-to", "x"]);
    }
    let label = wanted - length() - record;
    tool.issue(&["--no-events", "--issued-to", &"x".repeat(label)]);
    fill_events(&tool, 2);

    let ran = tool.with_full_disk(2, &["revoke", &ids[0], &ids[1], "--yes"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.contains("some changes are in effect and others failed"), "{ran:?}");
    assert!(ran.err.contains("Revoked 1 tokens."), "{ran:?}");
    assert_eq!(events_shown(&ran), ["revoked", "failed"], "{ran:?}");
}

/// The refused rows are the more important result.
#[test]
fn refused_rows_retain_their_status() {
    let tool = Tool::new();
    tool.issue(&["--no-events"]);
    fill_events(&tool, 100);
    let rows = format!("digest,issued_to\n{},x\nshort,y\n", "ab".repeat(32));
    let form = "sha256,prefix=sk_,characters=base62,lengths=32";
    let import = ["import", "-", "--owner", "a", "--type", "connector", "--import-form", form];
    let ran = tool.with_full_disk_answer(100, &[&import[..], &["--skip-refused"]].concat(), &rows);
    assert_eq!(ran.status, Some(3), "{ran:?}");
    assert!(ran.err.contains("the changes are in effect, but their events"), "{ran:?}");
    // The look-up of the id has an event too.
    assert_eq!(events_shown(&ran), ["failed", "imported"], "{ran:?}");
}
