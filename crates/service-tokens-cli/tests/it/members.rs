//! The members of JSON objects, which the help lists exactly.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::Duration;

use futures_lite::future::block_on;
use serde_json::Value;
use service_tokens::{
    FileStore, IssueRequest, Requirement, RotateRequest, TokenService, TokenType,
};

use crate::planted::{self, plant};
use crate::tool::Tool;

type Object = serde_json::Map<String, Value>;

/// Returns the members that a help lists after this heading, and whether each is in every object.
fn listed(tool: &Tool, verb: &str, heading: &str) -> BTreeMap<String, bool> {
    let help = tool.run(&[verb, "--help"]).done().out;
    let (_, list) = help.split_once(heading).unwrap();
    let list = list.split_once("\n\n").unwrap().0;
    let names = list.split(',').map(str::trim);
    names.map(|name| (name.trim_end_matches('?').to_owned(), !name.ends_with('?'))).collect()
}

/// Returns the members that the objects have, and whether each is in every object.
fn printed(objects: &[Object]) -> BTreeMap<String, bool> {
    let names: BTreeSet<&String> = objects.iter().flat_map(Object::keys).collect();
    let everywhere = |name: &str| objects.iter().all(|object| object.contains_key(name));
    names.into_iter().map(|name| (name.clone(), everywhere(name))).collect()
}

fn objects(out: &str) -> Vec<Object> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Issues tokens that have every member together, and one that has the fewest. Returns their ids.
fn tokens_with_every_member(tool: &Tool) -> Vec<String> {
    let service = TokenService::builder(FileStore::open(tool.path()).unwrap(), "acme_live")
        .token_type(TokenType::new("connector", ["files:upload"]).unwrap())
        .token_type(TokenType::new("manager", ["*", "service-tokens:*"]).unwrap())
        .token_type(TokenType::new("removed", ["files:upload"]).unwrap())
        .build()
        .unwrap();
    let acme = service.owner("acme");
    let issue = |token_type: &str| {
        block_on(acme.issue(IssueRequest::new(token_type, "x").issued_by("ada"))).unwrap()
    };
    let (manager, _) = (issue("manager"), issue("removed"));
    let any = Requirement::any_token();
    let manager = block_on(service.verify(manager.token.expose_secret(), &any)).unwrap();
    let on_behalf = service.on_behalf_of(&manager);
    let below = block_on(on_behalf.issue(IssueRequest::new("connector", "below"))).unwrap();
    let rotation = RotateRequest::with_overlap(Duration::from_secs(3_600));
    block_on(on_behalf.rotate(below.record.id(), rotation)).map(drop).unwrap();
    block_on(service.verify(below.token.expose_secret(), &any)).map(drop).unwrap();
    block_on(service.flush_last_used()).unwrap();
    let rotated = block_on(acme.issue(IssueRequest::new("connector", "rotated"))).unwrap().record;
    let rotation = RotateRequest::with_overlap(Duration::from_secs(3_600)).by("ada");
    block_on(acme.rotate(rotated.id(), rotation)).map(drop).unwrap();
    block_on(plant(service.store(), IssueRequest::new("connector", "newer"), planted::newer));
    drop(service);

    let (pending, _) = tool.issue(&["--not-before", "1h"]);
    tool.run(&["suspend", &pending, "--yes", "--by", "ada", "--reason", "INC-42"]).done();
    let (revoked, _) = tool.issue(&[]);
    tool.run(&["revoke", &revoked, "--yes", "--by", "ada", "--reason", "stolen"]).done();
    tool.run(&[
        "--allow-never",
        "issue",
        "--type",
        "connector",
        "--owner",
        "acme",
        "--issued-to",
        "n",
        "--expires",
        "never",
    ])
    .token();
    let all = tool.run(&["list", "--state", "all", "--json"]).done().out;
    objects(&all).iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn help_lists_exactly_the_json_members() {
    let tool = Tool::new();
    let ids = tokens_with_every_member(&tool);
    let heading = "only if the token has such a value:\n";

    let list = objects(&tool.run(&["list", "--state", "all", "--json"]).done().out);
    let of_list = listed(&tool, "list", heading);
    assert_eq!(printed(&list), of_list);

    let show = |id: &String| objects(&tool.run(&["show", id, "--json"]).done().out).remove(0);
    let shown: Vec<Object> = ids.iter().map(show).collect();
    let mut of_show = listed(&tool, "show", heading);
    assert!(of_show.keys().all(|name| !of_list.contains_key(name)), "{of_show:?}");
    of_show.extend(of_list);
    assert_eq!(printed(&shown), of_show);

    let suspensions = list.iter().filter_map(|token| token.get("suspensions"));
    let members: BTreeSet<&String> = suspensions
        .flat_map(|all| all.as_array().unwrap())
        .flat_map(|one| one.as_object().unwrap().keys())
        .collect();
    assert_eq!(members.into_iter().collect::<Vec<_>>(), ["by", "reason", "since", "until"]);
    let help = tool.run(&["list", "--help"]).done().out.replace('\n', " ");
    assert!(help.contains("objects with since, until, by and reason,"), "{help}");
}

#[test]
fn show_prints_who_made_the_secret() {
    let tool = Tool::new();
    let ids = tokens_with_every_member(&tool);
    let mut seen = BTreeSet::new();
    for id in &ids {
        let json = objects(&tool.run(&["show", id, "--json"]).done().out).remove(0);
        let text = tool.run(&["show", id]).done().out;
        if let Some(token) = json.get("secret_created_on_behalf_of") {
            let token = token.as_str().unwrap();
            assert!(ids.iter().any(|id| id == token), "{json:?}");
            assert!(text.contains(&format!("\nSecret By Token     {token}\n")), "{text}");
            seen.insert("token");
        }
        if json["issued_to"] == "rotated" {
            assert_eq!((&json["secret_created_by"], json.get("issued_by")), (&"ada".into(), None));
            assert!(text.contains("\nSecret Created By   ada\n"), "{text}");
            seen.insert("person");
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["person", "token"]);
}

#[test]
fn show_prints_networks_and_time_of_new_end() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    let object = || objects(&tool.run(&["show", &id, "--json"]).done().out).remove(0);
    let before = object();
    assert_eq!(before["end_set_at"], before["created_at"]);
    assert_eq!(before["networks"], serde_json::json!([]));
    assert_eq!((&before["imported"], &before["imported_secret"]), (&false.into(), &false.into()));
    let text = tool.run(&["show", &id]).done().out;
    for name in ["Network", "End Set At", "Imported", "Secret Created"] {
        assert!(!text.contains(name), "{text}");
    }
    let networks = ["--network", "192.0.2.7", "--network", "10.0.0.0/8", "--expires", "1h"];
    tool.run(&[&["amend", &id], &networks[..]].concat()).done();
    let after = object();
    assert_eq!(after["networks"], serde_json::json!(["10.0.0.0/8", "192.0.2.7/32"]));
    assert!(after["end_set_at"].as_str() > before["end_set_at"].as_str(), "{after:?}");
    let text = tool.run(&["show", &id]).done().out;
    assert!(text.contains("\nNetwork             10.0.0.0/8\nNetwork             192"), "{text}");
    assert!(text.contains("\nEnd Set At          20"), "{text}");
}

#[test]
fn json_says_if_imported_secret_is_accepted() {
    let form = "sha256,prefix=sk_live_,characters=lower-hex,lengths=32";
    let tool = Tool::new();
    let rows = format!("digest,owner,type,issued_to\n{:064x},acme,connector,job\n", 7);
    tool.answer(&["import", "-", "--import-form", form], rows).done();
    let imported = || objects(&tool.run(&["list", "--json"]).done().out).remove(0);
    assert_eq!(imported()["imported"], true);
    let id = imported()["id"].as_str().unwrap().to_owned();
    let is_accepted = |accepted: bool| {
        let shown = objects(&tool.run(&["show", &id, "--json"]).done().out).remove(0);
        for object in [shown, imported()] {
            assert_eq!(
                (&object["imported"], &object["imported_secret"]),
                (&true.into(), &accepted.into())
            );
        }
        let text = tool.run(&["show", &id]).done().out;
        let words = if accepted { "is still a secret" } else { "has ended" };
        assert!(text.contains(&format!("the text of the older system {words}\n")), "{text}");
    };
    is_accepted(true);
    tool.run(&["rotate", &id, "--overlap", "1h"]).token();
    is_accepted(true);
    tool.run(&["end-older", &id]).done();
    is_accepted(false);
}

#[test]
fn show_marks_suspension_that_has_passed() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    tool.run(&["suspend", &id, "--yes", "--until", "1s", "--reason", "short"]).done();
    sleep(Duration::from_millis(1_200));
    tool.answer(&["verify"], &token).done();
    let text = tool.run(&["show", &id]).done().out;
    assert!(
        text.contains("State               active\n") && text.contains("Z (passed)\n"),
        "{text}"
    );
    let ran = tool.run(&["resume-all", "--suspended-for", "short", "--dry-run"]).done();
    assert_eq!(ran.out, "0\n");
    let ran = tool.run(&["resume", &id, "--suspended-for", "short"]).done();
    assert!(ran.err.starts_with("Removed the suspensions of "), "{ran:?}");
    assert!(!tool.run(&["show", &id]).done().out.contains("Suspended"));
    let ran = tool.run(&["resume", &id, "--suspended-for", "short"]).done();
    assert_eq!(ran.err, "No token has such a suspension. Nothing changed.\n");
    let ran = tool.run(&["suspend", &id, "--yes"]).done();
    assert!(ran.err.ends_with("until it is resumed.\n"), "{ran:?}");
}
