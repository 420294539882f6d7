//! `suspend-all` and `resume-all`.

use crate::tool::{Ran, Tool};

const NAMED: [&str; 4] = ["--suspended-by", "ada", "--suspended-for", "INC-42"];

/// The name of the suspension that [`NAMED`] ends.
const NAME: [&str; 4] = ["--by", "ada", "--reason", "INC-42"];

/// Returns three tokens of acme and one of globex.
fn three_and_one() -> (Tool, Vec<String>) {
    let tool = Tool::new();
    let mut tokens: Vec<String> = (0..3).map(|_| tool.issue(&[]).1).collect();
    let globex = ["issue", "--type", "developer", "--owner", "globex", "--issued-to", "d"];
    tokens.push(tool.run(&globex).token().1);
    (tool, tokens)
}

impl Tool {
    fn with(&self, verb: &str, name: &[&str], more: &[&str], input: &str) -> Ran {
        self.answer(&[&[verb], name, more].concat(), input)
    }

    /// Returns how many tokens are suspended.
    fn suspended(&self) -> usize {
        let listed = self.run(&["list", "--state", "suspended", "--json"]).done();
        listed.out.lines().count()
    }
}

#[test]
fn suspend_all_and_resume_all_need_typed_count() {
    let (tool, tokens) = three_and_one();
    let acme = ["--owner", "acme"];
    for no in ["", "\n", "y\n", "yes\n", "2\n", "4\n", "03\n"] {
        let ran =
            tool.with("suspend-all", &NAME, &acme, no).failed("cancelled: nothing was changed");
        assert!(ran.err.contains("3 live tokens match") && ran.err.contains("Type 3 to suspend"));
    }
    assert_eq!(tool.suspended(), 0);
    let ran = tool.with("suspend-all", &NAME, &acme, "3\n").done();
    assert!(ran.err.contains("\nSuspended 3 tokens since 2"), "{ran:?}");
    assert!(ran.err.contains("The file had "), "{ran:?}");
    assert_eq!(tool.suspended(), 3);
    tool.answer(&["verify"], &tokens[0]).failed("");
    tool.answer(&["verify"], &tokens[3]).done();
    // The second run finds no token to suspend, so it does not ask.
    let again = tool.with("suspend-all", &NAME, &acme, "").done();
    assert_eq!(again.err, "No live tokens match, or each has this suspension. Nothing changed.\n");

    for no in ["", "y\n", "4\n"] {
        let ran =
            tool.with("resume-all", &NAMED, &acme, no).failed("cancelled: nothing was changed");
        assert!(
            ran.err.contains("3 tokens match and have this suspension: --owner acme\n"),
            "{ran:?}"
        );
        assert!(ran.err.contains("Type 3 to resume") && ran.err.contains("by ada: INC-42"));
    }
    assert_eq!(tool.suspended(), 3);
    let ran = tool.with("resume-all", &NAMED, &acme, "3\n").done();
    assert!(ran.err.contains("\nResumed 3 tokens.\nThe file had "), "{ran:?}");
    assert_eq!(tool.suspended(), 0);
    tool.answer(&["verify"], &tokens[0]).done();
    let again = tool.with("resume-all", &NAMED, &acme, "").done();
    assert_eq!(again.err, "No token has such a suspension. Nothing changed.\n");
}

#[test]
fn bulk_suspension_without_filter_warns() {
    let (tool, _) = three_and_one();
    let ran = tool.with("suspend-all", &NAME, &[], "").failed("cancelled");
    assert!(ran.err.starts_with("4 live tokens of all owners do not have this suspension yet.\n"));
    tool.with("suspend-all", &NAME, &[], "4\n").done();
    let ran = tool.with("resume-all", &NAMED, &[], "").failed("cancelled");
    assert!(ran.err.starts_with("4 tokens of all owners have this suspension.\n"), "{ran:?}");
    tool.with("resume-all", &NAMED, &[], "4\n").done();
    assert_eq!(tool.suspended(), 0);
}

#[test]
fn bulk_suspension_with_wrong_count_is_refused() {
    let (tool, _) = three_and_one();
    let dry_run = ["--owner", "acme", "--dry-run"];
    let with_count = |verb: &str, name: &[&str], count: &str| {
        tool.with(verb, name, &["--owner", "acme", count], "")
    };
    assert_eq!(tool.with("suspend-all", &NAME, &dry_run, "").done().out, "3\n");
    for wrong in ["2", "4"] {
        let option = format!("--yes-suspend={wrong}");
        with_count("suspend-all", &NAME, &option)
            .failed(&format!("--yes-suspend is {wrong}, but 3 live tokens match and do not have"));
    }
    assert_eq!(tool.suspended(), 0);
    with_count("suspend-all", &NAME, "--yes-suspend=3").done();
    assert_eq!(tool.with("suspend-all", &NAME, &dry_run, "").done().out, "0\n");

    assert_eq!(tool.with("resume-all", &NAMED, &dry_run, "").done().out, "3\n");
    with_count("resume-all", &NAMED, "--yes-resume=4").failed(
        "--yes-resume is 4, but 3 tokens match and have this suspension: --owner acme: nothing was changed",
    );
    assert_eq!(tool.suspended(), 3);
    with_count("resume-all", &NAMED, "--yes-resume=3").done();
    assert_eq!(tool.suspended(), 0);
    assert_eq!(tool.with("resume-all", &NAMED, &dry_run, "").done().out, "0\n");
}

#[test]
fn bulk_suspension_over_another_ends_alone() {
    let (tool, tokens) = three_and_one();
    let unpaid = ["--by", "billing", "--reason", "unpaid"];
    tool.with("suspend-all", &unpaid, &["--owner", "acme", "--yes-suspend", "3"], "").done();
    // It covers the tokens that the other one covers, and one more.
    tool.with("suspend-all", &NAME, &["--yes-suspend", "4"], "").done();
    let ran = tool.with("resume-all", &NAMED, &[], "4\n").done();
    for part in [
        "  1 other suspension remains\n",
        "3 of these 4 tokens have other suspensions, so they stay suspended.\n",
        "\nResumed 1 tokens. 3 tokens are still suspended by other suspensions.\n",
    ] {
        assert!(ran.err.contains(part), "{part:?} is not in {ran:?}");
    }
    assert_eq!(tool.suspended(), 3);
    tool.answer(&["verify"], &tokens[3]).done();
    let unpaid = ["--suspended-by", "billing", "--suspended-for", "unpaid"];
    tool.with("resume-all", &unpaid, &["--yes-resume", "3"], "").done();
    assert_eq!(tool.suspended(), 0);
}

#[test]
fn resume_all_by_time_ends_one_bulk_suspension() {
    let (tool, _) = three_and_one();
    // Without an author and a reason only the time names a suspension.
    let ran = tool.run(&["suspend-all", "--owner", "acme", "--yes-suspend", "3"]).done();
    let since = ran.err.split_once(" tokens since ").unwrap().1.split_once(".\n").unwrap().0;
    tool.with("suspend-all", &NAME, &["--yes-suspend", "4"], "").done();
    let by_time = ["resume-all", "--suspended-since", since, "--yes-resume", "3"];
    let ran = tool.run(&by_time).done();
    assert!(ran.err.contains("Resumed 0 tokens. 3 tokens are still suspended"), "{ran:?}");
    // The file is compacted although no token was resumed, because records were written.
    assert!(ran.err.contains("The file had "), "{ran:?}");
    let listed = tool.run(&["list", "--json"]).done().out;
    assert_eq!(listed.matches("\"since\"").count(), 4, "{listed}");
    assert_eq!(listed.matches("INC-42").count(), 4, "{listed}");
}

#[test]
fn resume_all_lists_some_of_many_tokens() {
    const TOKENS: usize = 25;
    let tool = Tool::new();
    (0..TOKENS).for_each(|_| drop(tool.issue(&[])));
    tool.with("suspend-all", &NAME, &["--yes-suspend", "25"], "").done();
    let no = tool.with("resume-all", &NAMED, &[], "").failed("cancelled");
    assert_eq!(no.err.matches("  suspended since ").count(), 20, "{no:?}");
    assert!(no.err.contains("\n… and 5 more tokens\n"), "{no:?}");
}

#[test]
fn suspend_all_until_a_time_checks_its_options() {
    let (tool, tokens) = three_and_one();
    let until = |end| tool.run(&["suspend-all", "--yes-suspend", "4", "--until", end]);
    until("2020-01-01T00:00:00Z").failed("--until must be in the future");
    until("soon").misused("--until must be a time");
    for option in ["--by", "--reason"] {
        let ran = tool.run(&["suspend-all", "--yes-suspend", "4", option, ""]);
        ran.failed(&format!("{option} must contain a visible character"));
    }
    assert_eq!(tool.suspended(), 0);
    until("2999-01-01T00:00:00Z").done();
    tool.answer(&["verify"], &tokens[0]).failed("");
    // The same end again needs no work, and a later one does.
    let again = until("2999-01-01T00:00:00Z").done();
    assert!(again.err.contains("Nothing changed"), "{again:?}");
    until("2999-01-02T00:00:00Z").done();
    let listed = tool.run(&["list", "--json"]).done().out;
    assert_eq!(listed.matches("\"until\":\"2999-01-02T00:00:00Z\"").count(), 4, "{listed}");
    tool.run(&[&["resume-all", "--by", "", "--yes-resume", "4"], &NAMED[..]].concat())
        .failed("--by must contain a visible character");
}
