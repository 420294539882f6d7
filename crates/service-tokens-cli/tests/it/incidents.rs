//! Several suspensions of one token, and ending one of them.

use serde_json::Value;

use crate::tool::{HOSTILE, Tool};

const ALICE: [&str; 4] = ["--by", "alice", "--reason", "INC-42"];
const BILLING: [&str; 4] = ["--by", "billing", "--reason", "unpaid"];
const OF_ALICE: [&str; 4] = ["--suspended-by", "alice", "--suspended-for", "INC-42"];

impl Tool {
    /// Issues a token that alice and billing have suspended.
    fn twice_suspended(&self) -> (String, String) {
        let (id, token) = self.issue(&[]);
        for incident in [ALICE, BILLING] {
            self.run(&[&["suspend", &id, "--yes"], &incident[..]].concat()).done();
        }
        (id, token)
    }

    /// Returns the suspensions of a token.
    fn suspensions(&self, id: &str) -> Vec<Value> {
        let shown = self.run(&["show", id, "--json"]).done().out;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown.get("suspensions").map_or(Vec::new(), |all| all.as_array().unwrap().clone())
    }

    fn reasons(&self, id: &str) -> Vec<String> {
        let reason = |one: &Value| one["reason"].as_str().unwrap_or("none").to_owned();
        self.suspensions(id).iter().map(reason).collect()
    }
}

#[test]
fn resume_named_ends_only_that_suspension() {
    let tool = Tool::new();
    let (id, token) = tool.twice_suspended();
    let resume = [&["resume", &id], &OF_ALICE[..]].concat();
    let no = tool.answer(&resume, "n\n").failed("cancelled: nothing was changed");
    for part in ["  suspended since 2", " by alice: INC-42\n  1 other suspension remains\n"] {
        assert!(no.err.contains(part), "{part:?} is not in {no:?}");
    }
    assert!(no.err.contains("End this suspension?") && !no.err.contains("unpaid"), "{no:?}");
    assert_eq!(tool.reasons(&id), ["INC-42", "unpaid"]);

    let yes = tool.answer(&resume, "y\n").done();
    let still = "is still suspended by 1 other suspension (by billing: unpaid).";
    assert!(yes.err.contains(still) && !yes.err.contains("Resumed"), "{yes:?}");
    assert_eq!(tool.reasons(&id), ["unpaid"]);
    tool.answer(&["verify"], &token).failed("");

    // The same again has no effect.
    let again = tool.run(&resume).done();
    let no_such = "No token has such a suspension. Nothing changed.\n";
    assert!(again.err.starts_with(no_such) && again.err.contains(still), "{again:?}");
    let last = ["resume", &id, "--yes", "--suspended-by", "billing", "--suspended-for", "unpaid"];
    let last = tool.run(&last).done();
    assert!(last.err.starts_with("Resumed ") && !last.err.contains("still"), "{last:?}");
    tool.answer(&["verify"], &token).done();
    assert_eq!(tool.run(&resume).done().err, no_such);
}

#[test]
fn resume_unnamed_ends_all_suspensions() {
    let tool = Tool::new();
    let (id, token) = tool.twice_suspended();
    let ran = tool.answer(&["resume", &id], "y\n").done();
    for part in ["by alice: INC-42", "by billing: unpaid", "Resume this token?", "\nResumed "] {
        assert!(ran.err.contains(part), "{part:?} is not in {ran:?}");
    }
    assert!(!ran.err.contains("remain") && !ran.err.contains("still"), "{ran:?}");
    tool.answer(&["verify"], &token).done();
}

#[test]
fn resume_with_typing_error_changes_nothing() {
    let tool = Tool::new();
    let (id, _) = tool.twice_suspended();
    let (other, _) = tool.twice_suspended();
    let typing_errors: [&[&str]; 7] = [
        &["--suspended-by", "alice", "--suspended-for", "INC-41"],
        &["--suspended-by", "alice", "--suspended-for", "INC-42 "],
        &["--suspended-by", "Alice", "--suspended-for", "INC-42"],
        // A missing option selects suspensions without that text.
        &["--suspended-by", "alice"],
        &["--suspended-for", "INC-42"],
        &["--suspended-by", ""],
        &["--suspended-since", "2026-01-01T00:00:00Z"],
    ];
    for named in typing_errors {
        for ids in [&[&*id][..], &[&id, &other], &[&id, "--with-descendants"]] {
            let ran = tool.run(&[&["resume"], ids, named].concat()).done();
            assert!(
                ran.err.contains("No token has such a suspension. Nothing changed."),
                "{ran:?}"
            );
            assert!(!ran.err.contains("[y/N]"), "{ran:?}");
        }
        let ran = tool.run(&[&["resume-all"], named].concat()).done();
        let hint =
            "hint: these tokens have other suspensions: by alice: INC-42; by billing: unpaid\n";
        assert_eq!(ran.err, format!("{hint}No token has such a suspension. Nothing changed.\n"));
    }
    for id in [id, other] {
        assert_eq!(tool.reasons(&id), ["INC-42", "unpaid"]);
    }
}

#[test]
fn resume_by_one_text_ends_one_without_other() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    for name in [&["--by", "alice"][..], &["--reason", "INC-42"], &ALICE, &[]] {
        tool.run(&[&["suspend", &id, "--yes"], name].concat()).done();
    }
    let names = || {
        let text = |text: &Value| text.as_str().unwrap_or("-").to_owned();
        let name = |one: &Value| format!("{} {}", text(&one["by"]), text(&one["reason"]));
        tool.suspensions(&id).iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["alice -", "- INC-42", "alice INC-42", "- -"]);
    let ran = tool.run(&["resume", &id, "--yes", "--suspended-by", "alice"]).done();
    let still = "by 3 other suspensions (without an author: INC-42; by alice: INC-42; \
                 without an author and a reason).";
    assert!(ran.err.contains(still), "{ran:?}");
    assert_eq!(names(), ["- INC-42", "alice INC-42", "- -"]);
    tool.run(&["resume", &id, "--yes", "--suspended-for", "INC-42"]).done();
    assert_eq!(names(), ["alice INC-42", "- -"]);
    // One without both texts is named by its time, which `show` prints exactly.
    let since = tool.suspensions(&id)[1]["since"].as_str().unwrap().to_owned();
    let shown = tool.run(&["show", &id]).done().out;
    assert!(shown.contains(&format!("\nSuspended Since     {since}\n")), "{shown}");
    tool.run(&["resume", &id, "--yes", "--suspended-since", &since]).done();
    assert_eq!(names(), ["alice INC-42"]);
}

#[test]
fn resume_many_counts_those_still_suspended() {
    let tool = Tool::new();
    let (both, _) = tool.twice_suspended();
    let (one, token) = tool.issue(&[]);
    tool.run(&[&["suspend", &one, "--yes"], &ALICE[..]].concat()).done();
    let (none, _) = tool.issue(&[]);
    let resume = [&["resume", &both, &one, &none], &OF_ALICE[..]].concat();
    let no = tool.answer(&resume, "n\n").failed("cancelled");
    for part in [
        "1 other suspension remains",
        "1 of these 2 tokens have other suspensions, so they stay suspended.",
        "Resume these 2 tokens?",
    ] {
        assert!(no.err.contains(part), "{part:?} is not in {no:?}");
    }
    assert!(!no.err.contains(&none), "{no:?}");
    let yes = tool.answer(&resume, "y\n").done();
    let report = "\nResumed 1 tokens. 1 token is still suspended by other suspensions.\n";
    assert!(yes.err.contains(report), "{yes:?}");
    tool.answer(&["verify"], &token).done();
    assert_eq!(tool.reasons(&both), ["unpaid"]);
}

#[test]
fn resume_with_descendants_ends_one_incident() {
    let tool = Tool::new();
    let (id, below) = tool.issuer_and_below();
    let suspend = ["suspend", &id, "--with-descendants", "--yes"];
    tool.run(&[&suspend[..], &ALICE[..]].concat()).done();
    tool.run(&[&["suspend", &id, "--yes"], &BILLING[..]].concat()).done();
    let (other, _) = tool.twice_suspended();

    let resume = [&["resume", &id, "--with-descendants", "--by", "alice"], &OF_ALICE[..]].concat();
    let no = tool.answer(&resume, "n\n").failed("cancelled: nothing was changed");
    for part in ["\"CI\"", "\"below\"", "1 of these 2 tokens", "Resume these 2 tokens?"] {
        assert!(no.err.contains(part), "{part:?} is not in {no:?}");
    }
    assert!(!no.err.contains(&other), "{no:?}");
    tool.answer(&["verify"], &below).failed("");
    let yes = tool.answer(&resume, "y\n").done();
    let report = "\nResumed 1 tokens. 1 token is still suspended by other suspensions.\n";
    assert!(yes.err.contains(report), "{yes:?}");
    tool.answer(&["verify"], &below).done();
    assert_eq!((tool.reasons(&id).len(), tool.reasons(&other).len()), (1, 2));

    // An id without a record may still have descendants, but the status says that it is unknown.
    let unknown = [&["resume", "0000000000000000000000", "--with-descendants"], &OF_ALICE[..]];
    tool.run(&unknown.concat()).failed("1 of 1 ids are unknown");
}

#[test]
fn suspend_names_its_own_end_and_the_others() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&["--expires", "90d"]);
    let suspend = |more: &[&str]| tool.run(&[&["suspend", &id, "--yes"], more].concat()).done().err;
    let first = suspend(&["--reason", "unpaid"]);
    assert!(first.ends_with("until it is resumed.\n") && !first.contains("other"), "{first}");
    // The other suspension has no end, and this one has.
    let second = suspend(&["--by", "alice", "--until", "2999-01-01T00:00:00Z"]);
    let end = " until 2999-01-01T00:00:00Z. It has 1 other suspension.\n";
    assert!(second.starts_with("Suspended ") && second.ends_with(end), "{second}");
    let shorter = suspend(&["--by", "alice", "--until", "1d"]);
    let end = "already suspended until 2999-01-01T00:00:00Z. Nothing changed. It has 1 other suspension.\n";
    assert!(shorter.ends_with(end), "{shorter}");
    let third = suspend(&["--by", "bob"]);
    assert!(third.ends_with("until it is resumed. It has 2 other suspensions.\n"), "{third}");
}

#[test]
fn resume_escapes_texts_of_suspensions() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    let hostile = ["--by", HOSTILE, "--reason", HOSTILE];
    tool.run(&[&["suspend", &id, "--yes"], &hostile[..]].concat()).done();
    tool.run(&[&["suspend", &id, "--yes"], &ALICE[..]].concat()).done();
    // Each run checks that its output has no control characters.
    let no = tool.answer(&["resume", &id], "n\n").failed("cancelled");
    assert!(no.err.contains("txt.exe"), "{no:?}");
    let ran = tool.run(&[&["resume", &id, "--yes"], &OF_ALICE[..]].concat()).done();
    assert!(ran.err.contains("txt.exe"), "{ran:?}");
    tool.run(&["resume", &id, "--yes", "--suspended-by", HOSTILE, "--suspended-for", HOSTILE])
        .done();
    assert_eq!(tool.suspensions(&id).len(), 0);
}
