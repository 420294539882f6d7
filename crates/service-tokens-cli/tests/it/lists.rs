//! `list` and `show`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};

use futures_lite::future::block_on;
use serde_json::Value;
use service_tokens::{FileStore, IssueRequest, RevokeRequest};

use crate::planted::{self, plant};
use crate::tool::{Tool, finish};

fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the `issued_to` of the listed tokens.
fn names(tool: &Tool, filters: &[&str]) -> Vec<String> {
    let listed = tool.run(&[&["list", "--json"], filters].concat()).done();
    let name = |token: &Value| token["issued_to"].as_str().unwrap().to_owned();
    objects(&listed.out).iter().map(name).collect()
}

#[test]
fn list_with_each_filter_selects_tokens() {
    let tool = Tool::new();
    let globex = ["issue", "--owner", "globex", "--type", "developer", "--issued-to", "laptop"];
    tool.run(&globex).token();
    let (revoked, _) = tool.issue(&["--issued-to", "old backup", "--issued-by", "ada"]);
    tool.run(&["revoke", &revoked, "--yes"]).done();
    tool.issue(&["--issued-to", "backup", "--expires", "1h"]);
    tool.issue(&["--issued-to", "later", "--not-before", "1h"]);
    let is = |filters: &[&str], expected: &[&str]| {
        assert_eq!(names(&tool, filters), expected, "{filters:?}");
    };
    is(&[], &["later", "backup", "laptop"]);
    is(&["--oldest-first"], &["laptop", "backup", "later"]);
    is(&["--owner", "globex"], &["laptop"]);
    is(&["--type", "connector"], &["later", "backup"]);
    is(&["--state", "revoked"], &["old backup"]);
    is(&["--state", "ended"], &["old backup"]);
    is(&["--state", "pending", "--state", "revoked"], &["later", "old backup"]);
    is(&["--state", "all"], &["later", "backup", "old backup", "laptop"]);
    is(&["--state", "all", "--issued-to-contains", "backup"], &["backup", "old backup"]);
    is(&["--state", "all", "--issued-to", "backup"], &["backup"]);
    is(&["--state=all", "--issued-by=ada"], &["old backup"]);
    is(&["--expires-before", "2h"], &["backup"]);
    is(&["--expires-before", "2001-01-01T00:00:00Z"], &[]);
    is(&["--created-before", "1d"], &[]);
    is(&["--created-before", "2999-01-01T00:00:00Z", "--limit", "1"], &["later"]);
    is(&["--ended-before", "2999-01-01T00:00:00Z"], &["old backup"]);
    is(&["--ended-before", "1d"], &[]);
    is(&["--unused-since", "1d"], &[]);
    is(&["--unused-since", "2999-01-01T00:00:00Z"], &["later", "backup", "laptop"]);
    is(&["--issuer", &revoked], &[]);
    is(&["--limit", "2"], &["later", "backup"]);
}

#[test]
fn list_as_json_has_exact_members() {
    let tool = Tool::new();
    tool.issue(&["--metadata", "a=b"]);
    let (id, _) = tool.issue(&["--not-before", "1h"]);
    let words = |token: &Value| token.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let listed = objects(&tool.run(&["list", "--json"]).done().out);
    let always = [
        "id",
        "type",
        "issued_to",
        "owner",
        "scopes",
        "created_at",
        "state",
        "usable",
        "metadata",
        "secret_created_at",
        "imported",
        "imported_secret",
        "networks",
    ];
    let mut expected: BTreeSet<String> = always.map(String::from).into();
    expected.insert("expires_at".into());
    assert_eq!(words(&listed[1]), expected);
    expected.insert("not_before".into());
    assert_eq!(words(&listed[0]), expected);
    assert_eq!(listed[1]["metadata"], serde_json::json!({ "a": "b" }));
    assert!(listed[0]["created_at"].as_str().unwrap().ends_with('Z'));

    tool.run(&["revoke", &id, "--yes", "--by", "ada", "--reason", "stolen"]).done();
    let shown = objects(&tool.run(&["show", &id, "--json"]).done().out).remove(0);
    let details = ["end_set_at", "revoked_at", "revoked_by", "reason"];
    expected.extend(details.map(String::from));
    assert_eq!(words(&shown), expected);
    assert_eq!((&shown["revoked_by"], &shown["reason"]), (&"ada".into(), &"stolen".into()));
}

#[test]
fn list_table_aligns_and_truncates_cells() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&["--issued-to", "Größe über Ümläüte"]);
    tool.issue(&["--issued-to", &"é".repeat(100)]);
    tool.issue(&["--issued-to", "b"]);
    let out = tool.run(&["list", "--oldest-first"]).done().out;
    let lines: Vec<Vec<char>> = out.lines().map(|line| line.chars().collect()).collect();
    assert_eq!(lines.len(), 4);
    for head in ["Issued To", "Owner", "Created At", "Expiration", "Last Used", "State"] {
        let column = out.lines().next().unwrap().find(head).unwrap();
        for line in &lines {
            assert!(line[column] != ' ' && line[column - 1] == ' ', "{head} in\n{out}");
        }
    }
    assert!(out.lines().nth(1).unwrap().starts_with(&format!("{id}  connector  Größe")), "{out}");
    assert!(out.contains(&format!("{}…  acme", "é".repeat(39))), "{out}");
    assert!(out.lines().skip(1).all(|line| line.ends_with("never      active")), "{out}");
    // JSON is not truncated.
    assert_eq!(names(&tool, &["--limit", "2"])[1], "é".repeat(100));
}

#[test]
fn list_without_match_says_so_and_succeeds() {
    let tool = Tool::new();
    tool.issue(&[]);
    for words in [&["list", "--owner", "globex"][..], &["list", "--json", "--owner", "globex"]] {
        let ran = tool.run(words).done();
        let warned = "No tokens match.\nwarning: no record has the owner 'globex' of --owner\n";
        assert_eq!((&*ran.out, &*ran.err), ("", warned));
    }
    // The owner has a record.
    let ran = tool.run(&["list", "--owner", "acme", "--state", "revoked"]).done();
    assert_eq!((&*ran.out, &*ran.err), ("", "No tokens match.\n"));
    let missing = tool.run(&["show", "0000000000000000000000"]).failed("there is no token");
    assert_eq!(missing.out, "");
}

#[test]
fn show_prints_all_known_fields() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&["--issued-by", "ada", "--metadata", "ticket=OPS-1"]);
    tool.run(&["rotate", &id, "--overlap", "1h"]).token();
    tool.run(&["revoke", &id, "--yes", "--by", "bob", "--reason", "stolen"]).done();
    let shown = tool.run(&["show", &id]).done().out;
    for line in [
        "Type                connector",
        "Issued To           nightly backup",
        "Owner               acme",
        "Scopes              files:upload",
        "State               revoked",
        "Last Used           never",
        "Issued By           ada",
        "Metadata            ticket=OPS-1",
        "Revoked By          bob",
        "Reason              stolen",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} is not in\n{shown}");
    }
    for name in ["Created At", "Expiration", "Secret Created At", "Revoked At"] {
        assert!(shown.contains(&format!("\n{name:<18}  20")), "{name} is not in\n{shown}");
    }
}

#[test]
fn list_marks_records_of_newer_format() {
    let tool = Tool::new();
    let (plain, _) = tool.issue(&[]);
    let store = FileStore::open(tool.path()).unwrap();
    let request = IssueRequest::new("connector", "newer");
    let (newer, _) = block_on(plant(&store, request, planted::newer));
    drop(store);
    let shown = |id: &str| objects(&tool.run(&["show", id, "--json"]).done().out).remove(0);
    assert_eq!(shown(&newer.to_string())["newer_format"], true);
    assert_eq!(shown(&plain).get("newer_format"), None);
    let text = tool.run(&["show", &newer.to_string()]).done().out;
    assert!(text.contains("a newer version; some of its fields are not shown"), "{text}");
}

/// More than two pages, in order, each token once. A reader may close the pipe before the end.
#[test]
fn list_reads_all_pages_until_pipe_closes() {
    const TOKENS: usize = 2_100;
    let tool = Tool::new();
    let service = tool.service_of_2020();
    for i in 0..TOKENS {
        let request = IssueRequest::new("connector", format!("n{i}"));
        let lifetime = std::time::Duration::from_secs(300 * 365 * 86_400);
        // The program reads the clock of this machine.
        let request = request.expires_in(lifetime);
        let issued = block_on(service.owner("acme").issue(request)).unwrap();
        if i % 3 == 0 {
            let id = issued.record.id();
            block_on(service.owner("acme").revoke(id, RevokeRequest::new())).unwrap();
        }
    }
    drop(service);
    let listed = names(&tool, &["--state", "all", "--oldest-first"]);
    assert_eq!(listed.len(), TOKENS);
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), TOKENS);
    assert_eq!(names(&tool, &[]).len(), TOKENS * 2 / 3);
    let mut newest_first = names(&tool, &["--state", "all"]);
    newest_first.reverse();
    assert_eq!(newest_first, listed);
    assert_eq!(names(&tool, &["--limit", "1001", "--state", "all"]).len(), 1_001);
    let table = tool.run(&["list", "--state", "all"]).done().out;
    assert_eq!(table.lines().count(), TOKENS + 1);
    assert_eq!(table.matches("Issued To").count(), 1);

    for words in [&["list", "--state", "all"][..], &["list", "--json", "--state", "all"]] {
        let mut child = tool.start(words);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        // Without a message, because a reader such as `head` has all that it wants.
        let ran = finish(child, b"").failed("");
        assert_eq!(ran.err, "");
    }
}
