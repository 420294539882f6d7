//! `end-older`: the older secret ends alone.

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
    tool.run(&["end-older", &id, "--by", ""]).failed("--by must not be empty");
    let ended = tool.run(&["end-older", &id, "--by", "ada"]).done();
    assert!(ended.err.contains("Ended the older secret of"), "{ended:?}");
    assert_eq!(verdict(&first), "refused the token's secret was replaced and has ended\n");
    assert!(verdict(&second).starts_with("accepted"));

    let again = tool.run(&["end-older", &id, "--older-created-at", older]).done();
    assert!(again.err.contains("Nothing changed"), "{again:?}");
    tool.run(&["end-older", &id, "--older-created-at", "soon"]).misused("must be a time such as");
    tool.run(&["end-older", "0000000000000000000000"]).failed("there is no token");
}
