//! `revoke-all` and `purge`.

use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use futures_lite::future::block_on;
use service_tokens::{IssueRequest, Requirement, RevokeRequest, Token};

use crate::tool::{Tool, finish, of_2020};

const DAY: Duration = Duration::from_secs(86_400);

/// Returns how many tokens are live.
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
fn revoke_all_needs_typed_count() {
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
    // The second run finds no token to revoke, so it does not ask.
    let again = tool.run(&words).done();
    assert!(again.err.contains("Nothing changed"), "{again:?}");
}

#[test]
fn revoke_all_without_filter_warns() {
    let tool = three_and_one();
    let ran = tool.run(&["revoke-all"]).failed("cancelled");
    assert!(
        ran.err.contains("4 live tokens match, which are all tokens of every owner"),
        "{ran:?}"
    );
    assert_eq!(live(&tool), 4);
    tool.answer(&["revoke-all"], "4").done();
    assert_eq!(live(&tool), 0);
}

#[test]
fn revoke_all_with_wrong_count_is_refused() {
    let tool = three_and_one();
    let dry = tool.run(&["revoke-all", "--type", "connector", "--dry-run"]).done();
    assert_eq!((&*dry.out, live(&tool)), ("3\n", 4));
    let connectors = ["revoke-all", "--type", "connector", "--yes-revoke"];
    for wrong in ["2", "4"] {
        let ran = tool.run(&[&connectors[..], &[wrong]].concat());
        ran.failed(&format!(
            "--yes-revoke is {wrong}, but 3 live tokens match: --type connector: nothing was changed"
        ));
    }
    assert_eq!(live(&tool), 4);
    let ran = tool.run(&[&connectors[..], &["3"]].concat()).done();
    assert!(!ran.err.contains("Type 3"), "{ran:?}");
    assert_eq!(live(&tool), 1);
    // Options that `revoke-all` would ignore are refused, because it would revoke too much.
    tool.run(&["revoke-all", "--state", "pending", "--yes-revoke", "1"]).misused("--state");
    tool.run(&["revoke-all", "--limit", "1", "--yes-revoke", "1"]).misused("--limit");
    tool.run(&["revoke-all", "--yes"]).misused("--yes");
    assert_eq!(live(&tool), 1);
}

#[test]
fn revoke_all_covers_every_page() {
    const TOKENS: usize = 1_200;
    let tool = Tool::new();
    of_2020(&tool, TOKENS, 36_500 * DAY);
    tool.run(&["revoke-all", "--yes-revoke", "1200"]).done();
    assert_eq!(live(&tool), 0);
}

/// Tokens issued on behalf of another token have no `issued_by`; only `issuers` refers to their ancestors.
#[test]
fn revoke_all_with_descendants_revokes_all_below() {
    let tool = Tool::new();
    let service = tool.service();
    let request = |token_type: &str| IssueRequest::new(token_type, "x");
    let below = |token: &Token, token_type: &str| {
        let any = Requirement::any_token();
        let verified = block_on(service.verify(token.expose_secret(), &any)).unwrap();
        let issuer = service.on_behalf_of(&verified);
        let issued = block_on(issuer.issue(request(token_type))).unwrap();
        (issued.record.id(), issued.token)
    };
    let mut by_account = Vec::new();
    for _ in 0..2 {
        let manager = request("manager").issued_by("deployment");
        let manager = block_on(service.owner("acme").issue(manager)).unwrap();
        let (child, token) = below(&manager.token, "manager");
        let _ = below(&token, "connector");
        by_account.push((manager.record.id(), child));
    }
    // One manager is revoked already, and so is the token in the middle of the other chain.
    for ended in [by_account[0].0, by_account[1].1] {
        block_on(service.owner("acme").revoke(ended, RevokeRequest::new())).unwrap();
    }
    block_on(service.owner("acme").issue(request("connector").issued_by("ada"))).map(drop).unwrap();
    drop(service);
    assert_eq!(live(&tool), 5);

    let account = ["revoke-all", "--issued-by", "deployment"];
    let all = [&account[..], &["--with-descendants"]].concat();
    let count = |words: &[&str]| tool.run(&[words, &["--dry-run"]].concat()).done().out;
    assert_eq!((&*count(&account), &*count(&all)), ("1\n", "4\n"));
    tool.answer(&all, "1\n").failed("cancelled: nothing was changed");
    let ran = tool.answer(&all, "4\n").done();
    assert!(ran.err.contains("4 live tokens") && ran.err.contains("Revoked 4 tokens."), "{ran:?}");
    // Tokens of other accounts stay live.
    let left = tool.run(&["list"]).done().out;
    assert_eq!((left.lines().count(), live(&tool)), (2, 1), "{left}");
    assert!(tool.answer(&all, "").done().err.contains("Nothing changed"));
}

#[test]
fn revoke_all_and_purge_compact_the_file() {
    let purge = ["purge", "--retention", "1d", "--yes", "--clock-is-right"];
    let revoke = ["revoke-all", "--yes-revoke", "300"];
    // Purged records are removed, and revoked ones occur once.
    for (words, lifetime, at_most) in [(&purge[..], DAY, 0.02), (&revoke, 36_500 * DAY, 1.3)] {
        let tool = Tool::new();
        of_2020(&tool, 300, lifetime);
        let size = || fs::metadata(tool.path()).unwrap().len();
        let before = size();
        let ran = tool.run(words).done();
        let ratio = size() as f64 / before as f64;
        assert!(ratio < at_most, "{words:?}: {ratio} of {before} bytes");
        let message = ran.err.lines().find(|line| line.starts_with("The file had ")).unwrap();
        assert!(message.ends_with(&format!(" bytes and has {} now.", size())), "{ran:?}");
    }
}

/// The purge itself succeeded.
#[test]
fn purge_without_compaction_still_succeeds() {
    let tool = Tool::new();
    of_2020(&tool, 3, DAY);
    let mut purge = tool.start(&["purge", "--retention", "1d", "--clock-is-right"]);
    // The program asks after it has opened the file, so it does not remove this folder any more.
    let mut asked = [0; 8];
    purge.stderr.as_mut().unwrap().read_exact(&mut asked).unwrap();
    fs::create_dir(tool.path().with_extension("journal.compacting")).unwrap();
    purge.stdin.as_mut().unwrap().write_all(b"y\n").unwrap();
    let ran = finish(purge, b"").done();
    assert!(ran.err.contains("Removed 3 records.\nThe file could not be compacted"), "{ran:?}");
    fs::remove_dir(tool.path().with_extension("journal.compacting")).unwrap();
    assert_eq!(tool.run(&["list", "--state", "all"]).done().err, "No tokens match.\n");
}

#[test]
fn purge_removes_old_ended_records_after_yes() {
    let tool = Tool::new();
    let service = tool.service_of_2020();
    for owner in ["acme", "acme", "globex"] {
        let request = IssueRequest::new("connector", "ended").expires_in(DAY);
        let issued = block_on(service.owner(owner).issue(request)).unwrap();
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
    // Tokens that ended today are retained, and so are live ones.
    assert_eq!(all(), 2);
    assert!(tool.run(&purge).done().err.contains("Nothing changed"));
    tool.run(&["purge", "--retention", "1h", "--yes"])
        .failed("tokens: --retention must be at least 1d\n");
    tool.run(&["purge", "--yes"]).misused("--retention is missing");
}
