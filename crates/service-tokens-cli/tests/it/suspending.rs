//! `suspend` and `resume`: the question, the end, the descendants and the answers.

use futures_lite::future::block_on;
use service_tokens::{FileStore, IssueRequest, Requirement, TokenService, TokenType};

use crate::text;
use crate::tool::Tool;

#[test]
fn suspend_and_resume_need_explicit_yes() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let suspend = ["suspend", &id, "--by", "ada", "--reason", "INC-42"];
    let no = tool.answer(&suspend, "n\n").failed("cancelled: nothing was changed");
    for part in ["nightly backup", "owner acme", "[y/N]"] {
        assert!(no.err.contains(part), "{part:?} is not in {no:?}");
    }
    tool.answer(&["verify"], &token).done();
    let yes = tool.answer(&suspend, "y\n").done();
    assert!(yes.err.contains("until it is resumed"), "{yes:?}");
    let refused = tool.answer(&["verify"], &token).failed("");
    assert!(refused.out.starts_with("refused the token is suspended"), "{refused:?}");
    let again = tool.answer(&suspend, "y\n").done();
    assert!(again.err.contains("already suspended"), "{again:?}");
    let shown = tool.run(&["show", &id]).done().out;
    for line in ["State               suspended\n", "Suspended By        ada\n"] {
        assert!(shown.contains(line), "{shown}");
    }
    let json = tool.run(&["show", &id, "--json"]).done().out;
    assert!(json.contains("\"reason\":\"INC-42\""), "{json}");
    assert_eq!(tool.run(&["list", "--state", "suspended", "--json"]).done().out.lines().count(), 1);

    let no = tool.answer(&["resume", &id], "n\n").failed("cancelled: nothing was changed");
    assert!(no.err.contains("ada") && no.err.contains("INC-42"), "{no:?}");
    tool.answer(&["resume", &id], "y\n").done();
    tool.answer(&["verify"], &token).done();
    let twice = tool.run(&["resume", &id]).done();
    assert!(twice.err.contains("was not suspended"), "{twice:?}");
}

#[test]
fn suspend_until_a_time_shows_its_end() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&["--expires", "90d"]);
    let until = ["suspend", &id, "--yes", "--until"];
    let past = [&until[..], &["2020-01-01T00:00:00Z"]].concat();
    tool.run(&past).failed("--until must be in the future");
    let ran = tool.run(&[&until[..], &["30d"]].concat()).done();
    assert!(ran.err.contains("Suspended ") && ran.err.contains(" until 2"), "{ran:?}");
    let shorter = tool.run(&[&until[..], &["1d"]].concat()).done();
    assert!(shorter.err.contains("already suspended until 2"), "{shorter:?}");
    tool.run(&["suspend", &id, "--yes", "--by", ""])
        .failed("--by must contain a visible character");
    tool.run(&["resume", &id, "--yes", "--by", ""]).failed("--by must contain a visible character");
    tool.run(&["revoke", &id, "--yes"]).done();
    tool.run(&["suspend", &id, "--yes"]).failed("revoked");
    tool.run(&["resume", &id, "--yes"]).failed("revoked");
}

#[test]
fn suspend_many_ids_reports_unknown_ones() {
    let tool = Tool::new();
    let tokens = [tool.issue(&[]), tool.issue(&[])];
    let unknown = "0000000000000000000000";
    let ids = [&*tokens[0].0, unknown, &tokens[1].0];
    tool.answer(&["suspend", "-"], ids.join("\n")).misused("- needs --yes");
    let ran = tool.answer(&["suspend", "-", "--yes"], ids.join("\n"));
    let ran = ran.failed("1 of 3 ids are unknown");
    assert!(ran.err.contains("Suspended 2 tokens."), "{ran:?}");
    let ran = tool.run(&["resume", ids[0], ids[1], ids[2], "--yes"]);
    let ran = ran.failed("1 of 3 ids are unknown");
    assert!(ran.err.contains("Resumed 2 tokens."), "{ran:?}");
    for (_, token) in &tokens {
        tool.answer(&["verify"], token).done();
    }
}

#[test]
fn suspend_with_descendants_suspends_all_below() {
    let tool = Tool::new();
    let (id, below) = tool.issuer_and_below();
    let (_, other) = tool.issue(&[]);
    let suspend = ["suspend", &id, "--with-descendants"];
    let no = tool.answer(&suspend, "n\n").failed("cancelled");
    assert!(no.err.contains("at most 2"), "{no:?}");
    let yes = tool.answer(&suspend, "y\n").done();
    assert!(yes.err.contains("Suspended 2 tokens."), "{yes:?}");
    assert!(tool.answer(&["verify"], below).out.contains("suspended"));
    tool.answer(&["verify"], other).done();
    let again = tool.answer(&suspend, "y\n").done();
    assert!(again.err.contains("Suspended 0 tokens."), "{again:?}");
}

impl Tool {
    /// Issues a manager token, and a connector token on its behalf. Returns the id of the first and the text
    /// of the second.
    pub(crate) fn issuer_and_below(&self) -> (String, String) {
        let service = TokenService::builder(FileStore::open(self.path()).unwrap(), "acme_live")
            .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
            .token_type(TokenType::new("manager", ["*", "service-tokens:*"]).unwrap())
            .build()
            .unwrap();
        let manager = IssueRequest::new("manager", "CI");
        let manager = block_on(service.owner("acme").issue(manager)).unwrap();
        let secret = manager.token.expose_secret();
        let verified = block_on(service.verify(secret, &Requirement::any_token())).unwrap();
        let below = IssueRequest::new("connector", "below");
        let below = block_on(service.on_behalf_of(&verified).issue(below)).unwrap();
        (manager.record.id().to_string(), text(&below))
    }
}
