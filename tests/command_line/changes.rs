//! `revoke`: it says that it is for good, and asks.

use std::process::Stdio;

use crate::tool::{Tool, finish};

const FOR_GOOD: &str = "A revoked service token cannot be recovered.";

#[test]
fn it_shows_which_and_only_a_yes_revokes() {
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
fn without_standard_input_nothing_is_agreed_to() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let mut command = tool.bare();
    command.env("TOKENS_FILE", tool.path()).args(["revoke", &id]).stdin(Stdio::null());
    assert_eq!(command.output().unwrap().status.code(), Some(1));
    // Nor if the question could not be shown.
    let mut child = tool.start(&["revoke", &id]);
    drop(child.stderr.take());
    assert_eq!(finish(child, b"y\n").status, Some(1));
    tool.answer(&["verify"], token).done();
}

#[test]
fn yes_asks_nothing_and_twice_is_no_failure() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let ran = tool.run(&["revoke", &id, "--yes", "--by", "ada", "--reason", "stolen"]).done();
    assert!(!ran.err.contains("[y/N]"), "{ran:?}");
    assert!(tool.answer(&["verify"], token).out.starts_with("refused"));
    let again = tool.run(&["revoke", &id, "--by", "bob"]).done();
    assert!(again.err.contains("was revoked already"), "{again:?}");
    assert!(tool.run(&["show", &id]).done().out.contains("Revoked By          ada\n"));

    tool.run(&["revoke", "0000000000000000000000", "--yes"]).failed("there is no token");
    let (id, token) = tool.issue(&[]);
    tool.run(&["revoke", &id, "--yes", "--reason", ""])
        .failed("tokens: --reason must not be empty");
    tool.answer(&["verify"], token).done();
}
