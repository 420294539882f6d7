//! `end-older`, `amend` and `report-leak`.

use std::time::Duration;

use futures_lite::future::block_on;
use service_tokens::{IssueRequest, Requirement, RotateRequest};

use crate::tool::Tool;

#[test]
fn end_older_keeps_newest_secret() {
    let tool = Tool::new();
    let (id, first) = tool.issue(&[]);
    let verdict = |token: &str| tool.answer(&["verify"], token).out;
    tool.run(&["end-older", &id]).failed("has only one secret: nothing was changed");

    let second = tool.run(&["rotate", &id, "--overlap", "24h"]).token().1;
    let shown = tool.run(&["show", &id, "--json"]).done().out;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let older = shown["older_secret_created_at"].as_str().unwrap();
    assert_eq!(older, shown["created_at"]);

    let stale = ["end-older", &id, "--older-created-at", "2020-01-01T00:00:00Z"];
    tool.run(&stale).failed("the token was rotated again");
    assert!(verdict(&first).starts_with("accepted"));
    tool.run(&["end-older", &id, "--by", ""]).failed("--by must contain a visible character");
    let ended = tool.run(&["end-older", &id, "--by", "ada", "--reason", "INC-42"]).done();
    assert!(ended.err.contains("Ended the older secret of"), "{ended:?}");
    assert_eq!(verdict(&first), "refused the token's secret was replaced and has ended\n");
    assert!(verdict(&second).starts_with("accepted"));

    let again = tool.run(&["end-older", &id, "--older-created-at", older]).done();
    assert!(again.err.contains("Nothing changed"), "{again:?}");
    tool.run(&["end-older", &id, "--older-created-at", "soon"]).misused("must be a time such as");
    tool.run(&["end-older", "0000000000000000000000"]).failed("there is no token");
}

#[test]
fn amend_says_which_fields_changed() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&["--metadata", "a=1"]);
    let words =
        ["amend", &id, "--issued-to", "restore", "--metadata", "b=2", "--remove-metadata", "a"];
    let amended = tool.run(&[&words[..], &["--expires", "2h", "--by", "ada"]].concat()).done();
    assert!(amended.err.contains("issued_to, metadata, expires_at"), "{amended:?}");
    let shown = tool.run(&["show", &id]).done().out;
    assert!(
        shown.contains("restore") && shown.contains("b=2") && !shown.contains("a=1"),
        "{shown}"
    );
    let again = tool.run(&["amend", &id, "--issued-to", "restore"]).done();
    assert!(again.err.contains("Nothing changed"), "{again:?}");
    tool.answer(&["verify"], &token).done();

    tool.run(&["amend", &id, "--scope", "files:read"]).failed("--scope may only be narrowed");
    tool.run(&["amend", &id, "--expires", "400d"]).failed("hint: --max-lifetime sets this limit");
    tool.run(&["amend", &id, "--expires", "never"]).failed("--allow-never");
    tool.run(&["amend", &id, "--network", "10.0.0.1/8"]).misused("must be a network such as");
    tool.run(&["amend", &id, "--metadata", "a=1", "--remove-metadata", "a"]).misused("a key twice");
    tool.run(&["amend", &id, "--network", "10.0.0.0/8"]).done();
    tool.run(&["amend", &id, "--network", "11.0.0.0/8"]).failed("--network may only be narrowed");
    tool.run(&["revoke", &id, "--yes"]).done();
    tool.run(&["amend", &id, "--issued-to", "x"]).failed("is revoked");
}

#[test]
fn report_leak_acts_on_right_secret_only() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let (other, other_token) = tool.issue(&[]);
    tool.answer(&["report-leak"], "").failed("standard input contains no line");
    let told = tool.answer(&["report-leak"], &token).done().out;
    assert_eq!(told, format!("live {id} acme connector active\n"));
    tool.answer(&["verify"], &token).done();

    // The right id with the secret of another token, and the right checksum.
    let at = token.len() - 49;
    let mut wrong = format!("{}{}", &token[..at], &other_token[at..at + 43]);
    wrong.push_str(&checksum(&wrong));
    let told = tool.answer(&["report-leak", "--action", "revoke"], &wrong).done().out;
    assert_eq!(told, format!("wrong_secret {id}\n"));
    tool.answer(&["verify"], &token).done();

    let revoke = ["report-leak", "--action", "revoke", "--by", "scanner", "--reason", "in a chat"];
    let texts = format!("Authorization: Bearer {token}\nacme_live_x\n");
    let told = tool.answer(&revoke, texts).done().out;
    assert_eq!(told, format!("live {id} acme connector active: revoked\nnot_ours\n"));
    let told = tool.answer(&revoke, &token).done().out;
    assert_eq!(told, format!("ended_token {id} acme connector revoked\n"));
    assert!(tool.run(&["show", &id]).done().out.contains("in a chat"));

    let told = tool.answer(&["report-leak", "--action", "suspend"], &other_token).done().out;
    assert_eq!(told, format!("live {other} acme connector active: suspended\n"));
    assert!(tool.answer(&["verify"], &other_token).out.contains("suspended"));
    tool.answer(&["report-leak", "--action", "delete"], "").misused("--action must be report");
    tool.answer(&["report-leak", "--by", ""], &token)
        .failed("--by must contain a visible character");
}

#[test]
fn report_leak_names_live_tokens_below() {
    let tool = Tool::new();
    let service = tool.service();
    let acme = service.owner("acme");
    let manager = block_on(acme.issue(IssueRequest::new("manager", "x"))).unwrap();
    let (id, older) = (manager.record.id(), manager.token.expose_secret());
    let verified = block_on(service.verify(older, &Requirement::any_token())).unwrap();
    let child = IssueRequest::new("connector", "x");
    let child = block_on(service.on_behalf_of(&verified).issue(child)).unwrap().token;
    let overlap = RotateRequest::with_overlap(Duration::from_secs(86_400));
    let newest = block_on(acme.rotate(id, overlap)).unwrap().token;
    drop(service);

    let report = |action: &str, text: &str| {
        tool.answer(&["report-leak", "--action", action], text).done().out
    };
    let live = format!("live {id} acme manager active");
    let told = report("report", newest.expose_secret());
    assert_eq!(told, format!("{live}; live tokens below it: 1\n"));
    let told = report("revoke", &format!("`{older}`"));
    assert_eq!(
        told,
        format!("{live} older secret: ended the older secret; live tokens below it: 1\n")
    );
    let told = report("suspend", newest.expose_secret());
    assert_eq!(told, format!("{live}: suspended with 1 tokens below it\n"));
    assert!(tool.answer(&["verify"], child.expose_secret()).out.contains("suspended"));
}

/// Returns the checksum of a token, which anyone can compute.
fn checksum(text: &str) -> String {
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let crc = crc32fast::hash(text.as_bytes()) as usize;
    (0..6).rev().map(|place| char::from(digits[crc / 62_usize.pow(place) % 62])).collect()
}
