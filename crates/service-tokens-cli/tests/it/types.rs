//! Tokens whose type the tool does not know, and lists of scopes.

use serde_json::Value;

use crate::tool::Tool;

const OTHER: [&str; 2] = ["--type-def", "developer=*"];
const HINT: &str = "--type-def NAME=SCOPE,SCOPE defines them";

#[test]
fn list_marks_token_of_unknown_type() {
    let tool = Tool::new();
    let (id, _) = tool.issue(&[]);
    let known = tool.run(&["list"]).done();
    assert!(known.out.contains(" active") && !known.out.contains("unusable"), "{}", known.out);
    assert!(!known.err.contains("hint"), "{}", known.err);

    let unknown = tool.run(&[&OTHER[..], &["list"]].concat()).done();
    assert!(unknown.out.contains("unusable (unknown type)"), "{}", unknown.out);
    assert!(unknown.err.contains(HINT), "{}", unknown.err);
    let shown = tool.run(&[&OTHER[..], &["show", &id]].concat()).done();
    assert!(shown.out.contains("unusable (unknown type)"), "{}", shown.out);
    assert!(shown.err.contains(HINT), "{}", shown.err);

    let object = |words: &[&str]| -> Value {
        serde_json::from_str(&tool.run(words).done().out).expect("one object")
    };
    let known = object(&["show", &id, "--json"]);
    assert_eq!((&known["usable"], known.get("unusable_reason")), (&true.into(), None));
    for unknown in [
        object(&[&OTHER[..], &["list", "--json"]].concat()),
        object(&[&OTHER[..], &["show", &id, "--json"]].concat()),
    ] {
        assert_eq!(unknown["state"], "active");
        let reason = Some(&Value::from("unknown_type"));
        assert_eq!((&unknown["usable"], unknown.get("unusable_reason")), (&false.into(), reason));
    }

    // The state of a revoked token is the reason.
    tool.run(&["revoke", &id, "--yes"]).done();
    let revoked = object(&[&OTHER[..], &["show", &id, "--json"]].concat());
    assert_eq!((&revoked["usable"], revoked.get("unusable_reason")), (&false.into(), None));
}

#[test]
fn rotate_of_unknown_type_names_the_remedy() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let refused = tool.run(&[&OTHER[..], &["rotate", &id, "--at-once"]].concat());
    assert!(refused.err.contains(HINT), "{}", refused.err);
    refused.failed("the token's type is not one of the types of this tool");
    tool.answer(&["verify"], &token).done();
    tool.run(&["rotate", &id, "--at-once"]).token();
}

#[test]
fn invalid_scope_is_counted() {
    let tool = Tool::new();
    let issue = ["issue", "--type", "developer", "--owner", "acme", "--issued-to", "x"];
    let scopes = ["--scope", "a", "--scope", "b", "--scope", "c d"];
    tool.run(&[&issue[..], &scopes].concat()).misused("--scope number 3: a scope must have");
    tool.run(&["--type-def", "t=a,b c", "list"]).misused("SCOPE number 2: a scope must have");
    tool.run(&["--type-def", "a t=a", "list"]).misused("a type name must have");
}
