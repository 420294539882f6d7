//! `revoke-all` and `purge`.

use std::time::Duration;

use futures_lite::future::block_on;
use service_tokens::{IssueRequest, RevokeRequest};

use crate::tool::Tool;

const DAY: Duration = Duration::from_secs(86_400);

/// How many are live.
fn live(tool: &Tool) -> usize {
    tool.run(&["list", "--json"]).done().out.lines().count()
}

fn three_and_one() -> Tool {
    let tool = Tool::new();
    for name in ["a", "b", "c"] {
        tool.issue(&["--issued-to", name]);
    }
    let globex = ["issue", "--type", "developer", "--owner", "globex", "--issued-to", "d"];
    tool.run(&globex).token();
    tool
}

#[test]
fn revoke_all_wants_the_count_to_be_typed() {
    let tool = three_and_one();
    let words = ["revoke-all", "--owner", "acme", "--reason", "leaked", "--by", "ada"];
    for no in ["", "\n", "y\n", "yes\n", "2\n", "4\n", "03\n", "3 tokens\n"] {
        let ran = tool.answer(&words, no).failed("cancelled: nothing was changed");
        assert!(ran.err.contains("3 live tokens") && ran.err.contains("Type 3"), "{ran:?}");
        assert!(ran.err.contains("cannot be recovered"), "{ran:?}");
        assert!(!ran.err.contains("every owner"), "{ran:?}");
    }
    assert_eq!(live(&tool), 4);
    let ran = tool.answer(&words, "3\n").done();
    assert!(ran.err.contains("Revoked 3 tokens."), "{ran:?}");
    let left = tool.run(&["list", "--json"]).done().out;
    assert!(left.contains("globex") && left.lines().count() == 1, "{left}");
    let revoked = tool.run(&["list", "--json", "--state", "revoked", "--limit", "1"]).done().out;
    let id = &revoked[7..29];
    let shown = tool.run(&["show", id]).done().out;
    assert!(shown.contains("Reason              leaked") && shown.contains("ada"), "{shown}");
    // Again there is nothing to do, and nothing is asked.
    let again = tool.run(&words).done();
    assert!(again.err.contains("Nothing changed"), "{again:?}");
}

#[test]
fn without_a_filter_it_says_that_it_is_everything() {
    let tool = three_and_one();
    let ran = tool.run(&["revoke-all"]).failed("cancelled");
    assert!(ran.err.contains("4 live tokens, all that there are, of every owner"), "{ran:?}");
    assert_eq!(live(&tool), 4);
    tool.answer(&["revoke-all"], "4").done();
    assert_eq!(live(&tool), 0);
}

#[test]
fn scripts_say_how_many_they_expect() {
    let tool = three_and_one();
    let dry = tool.run(&["revoke-all", "--type", "connector", "--dry-run"]).done();
    assert_eq!((&*dry.out, live(&tool)), ("3\n", 4));
    let connectors = ["revoke-all", "--type", "connector", "--yes-revoke"];
    for wrong in ["2", "4"] {
        let ran = tool.run(&[&connectors[..], &[wrong]].concat());
        ran.failed(&format!("it would be 3 live tokens, not {wrong}: nothing was changed"));
    }
    assert_eq!(live(&tool), 4);
    let ran = tool.run(&[&connectors[..], &["3"]].concat()).done();
    assert!(!ran.err.contains("Type 3"), "{ran:?}");
    assert_eq!(live(&tool), 1);
    // What only selects what is dead would be ignored, and that would revoke too much.
    tool.run(&["revoke-all", "--state", "pending", "--yes-revoke", "1"]).misused("--state");
    tool.run(&["revoke-all", "--limit", "1", "--yes-revoke", "1"]).misused("--limit");
    tool.run(&["revoke-all", "--yes"]).misused("--yes");
    assert_eq!(live(&tool), 1);
}

#[test]
fn revoke_all_goes_over_pages() {
    const TOKENS: usize = 1_200;
    let tool = Tool::new();
    let service = tool.service_of_2020();
    for _ in 0..TOKENS {
        let request = IssueRequest::new("acme", "connector", "b").expires_in(36_500 * DAY);
        let _ = block_on(service.issue(request)).unwrap();
    }
    drop(service);
    tool.run(&["revoke-all", "--yes-revoke", "1200"]).done();
    assert_eq!(live(&tool), 0);
}

#[test]
fn purge_removes_what_is_long_dead_and_asks() {
    let tool = Tool::new();
    let service = tool.service_of_2020();
    for owner in ["acme", "acme", "globex"] {
        let request = IssueRequest::new(owner, "connector", "dead").expires_in(DAY);
        let issued = block_on(service.issue(request)).unwrap();
        let id = issued.record.id();
        block_on(service.owner(owner).revoke(id, RevokeRequest::new())).unwrap();
    }
    drop(service);
    let (fresh, _) = tool.issue(&[]);
    tool.run(&["revoke", &fresh, "--yes"]).done();
    tool.issue(&[]);
    let all = || tool.run(&["list", "--json", "--state", "all"]).done().out.lines().count();
    let purge = ["purge", "--retention", "1d"];

    assert_eq!(tool.run(&[&purge[..], &["--dry-run"]].concat()).done().out, "3\n");
    let no = tool.answer(&purge, "n\n").failed("cancelled");
    assert!(no.err.contains("3 records") && no.err.contains("cannot be recovered"), "{no:?}");
    assert_eq!(all(), 5);
    let ran = tool.run(&[&purge[..], &["--owner", "globex", "--yes"]].concat()).done();
    assert!(ran.err.contains("Removed 1 records."), "{ran:?}");
    assert_eq!(all(), 4);
    tool.answer(&purge, "y\n").done();
    // What died today stays, and so does what lives.
    assert_eq!(all(), 2);
    assert!(tool.run(&purge).done().err.contains("Nothing changed"));
    tool.run(&["purge", "--retention", "1h", "--yes"]).failed("retention");
    tool.run(&["purge", "--yes"]).misused("--retention is missing");
}
