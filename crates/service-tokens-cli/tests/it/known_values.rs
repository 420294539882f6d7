//! Filters with a value that no record has, and the filters in questions.

use crate::tool::{HOSTILE, Ran, Tool};

impl Ran {
    /// Checks that a filter has a value that no record has.
    #[track_caller]
    fn unknown(self, value: &str) -> Self {
        assert_eq!(self.status, Some(5), "{self:?}");
        assert!(self.err.contains(value) && self.err.contains("nothing was changed"), "{self:?}");
        self
    }
}

#[test]
fn bulk_verb_with_unknown_value_has_status_5() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&["--by", "ada"]);
    tool.run(&["revoke", &id, "--yes"]).done();
    let verbs: [&[&str]; 4] = [
        &["revoke-all"],
        &["revoke-all", "--with-descendants"],
        &["suspend-all"],
        &["resume-all", "--suspended-by", "ada"],
    ];
    let zeros = "0000000000000000000000";
    let mistakes = [
        ("--type", "conector", "no record has the type 'conector' of --type"),
        ("--owner", "acmee", "no record has the owner 'acmee' of --owner"),
        ("--issued-by", "adda", "no record has the issuer 'adda' of --issued-by"),
        ("--issued-to", "nightly", "no record has the label 'nightly' of --issued-to"),
        ("--issued-to-contains", "nigthly", "no record has the part of a label 'nigthly'"),
        ("--issuer", zeros, "no record has the issuing token '0000000000000000000000'"),
        ("--owner", HOSTILE, "no record has the owner '\\u{1b}[2J"),
    ];
    for verb in verbs {
        for (option, value, message) in mistakes {
            let words = [verb, &[option, value]].concat();
            let ran = tool.run(&words).unknown(message);
            assert!(!ran.err.contains("No live tokens match"), "{ran:?}");
            let dry = tool.run(&[&words[..], &["--dry-run"]].concat()).unknown(message);
            assert_eq!(dry.out, "0\n", "{words:?}");
        }
        // Values of records, of a type of the tool, or without any filter.
        let known: [&[&str]; 6] = [
            &[],
            &["--owner", "acme", "--type", "connector", "--issued-by", "ada"],
            &["--type", "developer"],
            &["--issuer", &id],
            &["--issued-to", "nightly backup", "--issued-to-contains", "night"],
            &["--expires-before", "1d"],
        ];
        for filters in known {
            let ran = tool.run(&[verb, filters].concat()).done();
            assert!(ran.err.ends_with("Nothing changed.\n"), "{ran:?}");
        }
    }
    tool.run(&["revoke-all", "--owner", "x", "--yes-revoke", "1"]).unknown("owner 'x'");
    tool.run(&["revoke-all", "--owner", "x", "--type", "y"]).unknown("'x' of --owner\nno record");
    let purge = ["purge", "--retention", "1d", "--owner"];
    tool.run(&[&purge[..], &["acmee"]].concat()).unknown("owner 'acmee'");
    tool.run(&[&purge[..], &["acmee", "--yes"]].concat()).unknown("owner 'acmee'");
    let dry = tool.run(&[&purge[..], &["acmee", "--dry-run"]].concat()).unknown("owner 'acmee'");
    assert_eq!(dry.out, "0\n");
    tool.run(&[&purge[..], &["acme"]].concat()).done();
}

#[test]
fn list_with_unknown_value_warns() {
    let tool = Tool::new();
    tool.issue(&[]);
    let ran = tool.run(&["list", "--owner", "acmee", "--type", "conector"]).done();
    for part in ["warning: no record has the owner 'acmee'", "warning: no record has the type"] {
        assert!(ran.err.contains(part), "{part:?} is not in {ran:?}");
    }
    let known = tool.run(&["list", "--owner", "acme", "--type", "developer"]).done();
    assert_eq!(known.err, "No tokens match.\n");
}

#[test]
fn question_repeats_filters() {
    let tool = Tool::new();
    tool.issue(&["--issued-to", HOSTILE]);
    let filters = ["--owner", "acme", "--issued-to", HOSTILE, "--created-before"];
    let filters = [&filters[..], &["2999-01-01T00:00:00Z", "--expires-before", "365d"]].concat();
    for verb in ["revoke-all", "suspend-all"] {
        let ran = tool.answer(&[&[verb], &filters[..]].concat(), "").failed("cancelled");
        let line = ran.err.lines().next().unwrap();
        assert!(line.starts_with("1 live tokens match"), "{ran:?}");
        assert!(line.contains(": --owner acme --issued-to '\\u{1b}[2J"), "{ran:?}");
        assert!(line.contains(" --created-before 2999-01-01T00:00:00Z --expires-before 20"));
        // A duration is shown with the time that it means.
        assert!(line.ends_with("Z (365d)"), "{ran:?}");
    }
    let wrong = [&["revoke-all", "--yes-revoke", "2"], &filters[..2]].concat();
    tool.run(&wrong).failed("but 1 live tokens match: --owner acme: nothing was changed");
    tool.run(&["suspend-all", "--by", "a", "--yes-suspend", "1"]).done();
    let resume = ["resume-all", "--suspended-by", "a", "--type", "connector"];
    let ran = tool.answer(&resume, "").failed("cancelled");
    assert!(ran.err.starts_with("1 tokens match and have this suspension: --type connector\n"));
}
