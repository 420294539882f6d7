//! `revoke`: the warning, the question and the answers.

use std::process::Stdio;

use futures_lite::future::block_on;
use service_tokens::{FileStore, IssueRequest};

use crate::planted::{newer, plant};
use crate::tool::{Tool, finish};

const FOR_GOOD: &str = "A revoked service token cannot be recovered.";

#[test]
fn revoke_needs_explicit_yes() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    for no in ["", "\n", "n\n", "no\n", "yes please\n", "ja\n", "yy\n", "\u{ff}\n", "n\ny\n"] {
        let ran = tool.answer(&["revoke", &id], no).failed("cancelled: nothing was changed");
        assert_eq!(ran.out, "");
        for part in ["nightly backup", "owner acme", "type connector", FOR_GOOD, "[y/N]"] {
            assert!(ran.err.contains(part), "{part:?} is not in {ran:?}");
        }
    }
    tool.answer(&["verify"], &token).done();
    for yes in ["y\n", "yes\n", "Y", " YES \r\n"] {
        let (id, token) = tool.issue(&[]);
        let ran = tool.answer(&["revoke", &id], yes).done();
        assert!(ran.err.contains(FOR_GOOD) && ran.err.contains("Revoked"), "{ran:?}");
        assert!(tool.answer(&["verify"], token).out.starts_with("refused the token was revoked"));
    }
}

#[test]
fn revoke_without_stdin_changes_nothing() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let mut command = tool.bare();
    command.env("TOKENS_FILE", tool.path()).args(["revoke", &id]).stdin(Stdio::null());
    assert_eq!(command.output().unwrap().status.code(), Some(1));
    // The same if the question could not be written.
    let mut child = tool.start(&["revoke", &id]);
    drop(child.stderr.take());
    assert_eq!(finish(child, b"y\n").status, Some(1));
    tool.answer(&["verify"], token).done();
}

#[test]
fn revoke_with_yes_twice_succeeds() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let ran = tool.run(&["revoke", &id, "--yes", "--by", "ada", "--reason", "stolen"]).done();
    assert!(!ran.err.contains("[y/N]"), "{ran:?}");
    assert!(tool.answer(&["verify"], token).out.starts_with("refused"));
    let again = tool.run(&["revoke", &id, "--by", "bob"]).done();
    assert!(again.err.contains("was already revoked"), "{again:?}");
    assert!(tool.run(&["show", &id]).done().out.contains("Revoked By          ada\n"));

    tool.run(&["revoke", "0000000000000000000000", "--yes"]).failed("there is no token");
    let (id, token) = tool.issue(&[]);
    tool.run(&["revoke", &id, "--yes", "--reason", ""])
        .failed("tokens: --reason must contain a visible character");
    tool.answer(&["verify"], token).done();
}

/// One of the ids is revoked, one is unknown, and one belongs to a record of a newer program. The other
/// tokens are still revoked.
#[test]
fn revoke_many_ids_reports_each_failure() {
    const UNKNOWN: &str = "0000000000000000000000";
    let tool = Tool::new();
    let live = || tool.run(&["list", "--json"]).done().out.lines().count();
    let (first, _) = tool.issue(&["--issued-to", "a"]);
    let (second, _) = tool.issue(&["--issued-to", "b"]);
    let no = tool.answer(&["revoke", &first, &second], "n\n").failed("cancelled");
    for part in ["issued to \"a\"", "issued to \"b\"", FOR_GOOD, "Revoke these 2 tokens? [y/N]"] {
        assert!(no.err.contains(part), "{part:?} is not in {no:?}");
    }
    assert_eq!(live(), 2);
    let yes = tool.answer(&["revoke", &first, &second], "y\n").done();
    assert!(yes.err.contains("Revoked 2 tokens.") && live() == 0, "{yes:?}");

    let ids: Vec<String> = (0..3).map(|_| tool.issue(&[]).0).collect();
    let store = FileStore::open(tool.path()).unwrap();
    let request = IssueRequest::new("connector", "newer");
    let (withstands, _) = block_on(plant(&store, request, newer));
    drop(store);
    let words = ["revoke", "-", "--reason", "a copy was restored"];
    let with_yes = [&words[..], &["--yes"]].concat();
    tool.answer(&words, &ids[0]).misused("- needs --yes");
    let wrong = format!("{}\n{}\n", ids[0], &ids[1][1..]);
    tool.answer(&with_yes, wrong).failed("line 2 is not a token id");
    tool.answer(&with_yes, "\n").failed("standard input contains no id");
    tool.answer(&[&words[..], &["--yes", "--by", ""]].concat(), ids.join("\n")).failed("--by must");
    tool.answer(&["revoke", "-", &ids[0], "--yes"], "").misused("ID is not a token id");
    assert_eq!(live(), 4);

    let all = format!("{first}\n{UNKNOWN}\n{withstands}\n\n{}\r\n", ids.join("\n"));
    let ran = tool.answer(&with_yes, &all).failed("1 tokens could not be revoked");
    let message =
        format!("there is no token with the id {UNKNOWN}\nRevoked 3 tokens.\n{withstands}: ");
    assert!(ran.err.starts_with(&message) && ran.err.contains("The file had"), "{ran:?}");
    assert_eq!(live(), 1);
    let again = format!("{UNKNOWN}\n{}\n", ids.join("\n"));
    let again = tool.answer(&with_yes, again).failed("1 of 4 ids are unknown");
    assert!(again.err.contains("Revoked 0 tokens."), "{again:?}");
    let shown = tool.run(&["show", &ids[2]]).done().out;
    assert!(shown.contains("Reason              a copy was restored"), "{shown}");
    tool.answer(&with_yes, &first).done();
}
