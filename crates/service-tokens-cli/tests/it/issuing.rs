//! `issue` and `rotate`: the token is printed once, and alone on standard output.

use std::fs;

use serde_json::Value;

use crate::tool::{HOSTILE, Tool, finish};

fn shown(tool: &Tool, id: &str) -> Value {
    let shown = tool.run(&["show", id, "--json"]).done();
    serde_json::from_str(&shown.out).unwrap()
}

#[test]
fn issue_prints_token_alone_on_stdout() {
    let tool = Tool::new();
    let words = ["issue", "--type", "connector", "--owner", "acme", "--issued-to", "backup"];
    let first = tool.run(&words);
    let (id, token) = first.token();
    assert!(first.err.contains("Created") && first.err.contains("tokens.journal"), "{first:?}");
    assert!(first.err.contains("issued to \"backup\" (owner acme, type connector)"), "{first:?}");
    let second = tool.run(&words);
    assert_ne!(second.token().1, token);
    assert!(!second.err.contains("Created"), "{second:?}");

    // No later output contains the secret, nor does the file.
    let secret = &token[token.len() - 49..token.len() - 6];
    for words in [&["show", &id][..], &["show", &id, "--json"], &["list", "--json"], &["list"]] {
        let ran = tool.run(words).done();
        assert!(ran.out.contains(&id) && !ran.out.contains(secret), "{ran:?}");
    }
    let file = fs::read(tool.path()).unwrap();
    assert!(!file.windows(secret.len()).any(|window| window == secret.as_bytes()));
}

#[test]
fn issue_with_options_stores_them() {
    let tool = Tool::new();
    let words = ["--type-def", "files=files:read,files:upload", "--allow-never", "issue"];
    let more = ["--type", "files", "--owner", "acme", "--issued-to", "b", "--expires", "never"];
    let last = ["--scope", "files:read", "--issued-by", "ada", "--metadata", "ticket=OPS-1=2"];
    let id = tool.run(&[&words[..], &more, &last].concat()).token().0;
    let token = shown(&tool, &id);
    assert_eq!(token["type"], "files");
    assert_eq!(token["scopes"], serde_json::json!(["files:read"]));
    assert_eq!(token["issued_by"], "ada");
    assert_eq!(token["metadata"], serde_json::json!({ "ticket": "OPS-1=2" }));
    assert_eq!((token.get("expires_at"), token.get("not_before")), (None, None));
    assert_eq!(token["state"], "active");

    let (id, _) = tool.issue(&["--expires", "2w", "--not-before", "12h"]);
    let token = shown(&tool, &id);
    let at = |field: &str| {
        let time = token[field].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(time).unwrap().timestamp()
    };
    assert_eq!(token["state"], "pending");
    assert_eq!(at("expires_at") - at("created_at"), 14 * 86_400);
    assert!((at("not_before") - at("created_at") - 43_200).abs() < 60, "{token}");

    let (id, _) =
        tool.issue(&["--max-lifetime", "36500d", "--expires", "2100-01-01T01:00:00+01:00"]);
    assert_eq!(shown(&tool, &id)["expires_at"], "2100-01-01T00:00:00Z");
    // The default lifetime is limited by the maximum.
    let (id, _) = tool.issue(&["--max-lifetime", "1h"]);
    let token = shown(&tool, &id);
    assert_ne!(token["expires_at"], token["created_at"]);
}

#[test]
fn issue_against_policy_names_remedy() {
    let tool = Tool::new();
    let issue = |more: &[&str]| {
        let words = ["issue", "--owner", "acme", "--issued-to", "b"];
        tool.run(&[&words, more].concat())
    };
    for (more, reason) in [
        (
            &["--expires", "never"][..],
            "--expires is required because the policy does not allow tokens without an end",
        ),
        (&["--expires", "never"], "\nhint: --allow-never"),
        (&["--expires", "367d"], "--expires must not be after 20"),
        (&["--expires", "367d"], "\nhint: --max-lifetime sets this limit; the default is 366d\n"),
        (&["--expires", "2001-01-01T00:00:00Z"], "--expires must be in the future"),
        (&["--expires", "1h", "--not-before", "2h"], "--expires must be after --not-before"),
        (&["--scope", "files:read"], "--scope has a scope that the type does not contain"),
        (&["--issued-by", " "], "--issued-by must contain a visible character"),
        (&["--issued-by", &"x".repeat(256)], "--issued-by has more than 255 bytes"),
        (
            &["--metadata", &format!("a={}", "x".repeat(3_000))],
            "--metadata has more than 2048 bytes",
        ),
    ] {
        assert_eq!(issue(&[&["--type", "connector"], more].concat()).failed(reason).out, "");
        // No empty file was created either.
        assert_eq!(tool.files(), [""; 0], "{more:?}");
    }
    issue(&["--type", "connector", "--owner", ""]).misused("--owner is given twice");
}

#[test]
fn rotate_explains_end_of_older_secret() {
    let tool = Tool::new();
    let (id, first) = tool.issue(&[]);
    let verdict = |token: &str| tool.answer(&["verify"], token).out;

    let overlap = tool.run(&["rotate", &id, "--overlap", "24h"]);
    let (same, second) = overlap.token();
    assert!(same == id && overlap.err.contains("The older secret ends at 20"), "{overlap:?}");
    assert!(verdict(&first).starts_with("accepted") && verdict(&second).starts_with("accepted"));
    assert!(shown(&tool, &id)["older_secret_ends_at"].is_string());
    assert_eq!(shown(&tool, &id)["older_secret_ends_on_first_use"], false);

    // During an overlap `--replacing` is required.
    let unsaid = tool.run(&["rotate", &id, "--overlap", "24h"]).failed("--replacing newest");
    assert_eq!(unsaid.out, "");
    assert!(
        unsaid.err.contains("leaked, --at-once --replacing newest ends both secrets"),
        "{unsaid:?}"
    );
    for too_long in ["31d", "99999999d"] {
        for option in ["--overlap", "--until-first-use"] {
            let ran = tool.run(&["rotate", &id, option, too_long, "--replacing", "newest"]);
            ran.failed("tokens: --overlap and --until-first-use are at most 30d\n");
        }
    }
    let third = tool.run(&["rotate", &id, "--overlap", "1h", "--replacing", "newest"]).token().1;
    assert_eq!(verdict(&second), "refused the token's secret was replaced and has ended\n");
    assert!(verdict(&first).starts_with("accepted") && verdict(&third).starts_with("accepted"));

    let oldest = ["rotate", &id, "--overlap", "1h", "--replacing", "oldest", "--expires", "2h"];
    let fourth = tool.run(&oldest).token().1;
    assert!(verdict(&first).starts_with("refused") && verdict(&third).starts_with("accepted"));

    let leak = tool.run(&["rotate", &id, "--at-once", "--replacing", "newest"]);
    let fifth = leak.token().1;
    assert!(leak.err.contains("The older secret has ended."), "{leak:?}");
    assert!(verdict(&third).starts_with("refused") && verdict(&fourth).starts_with("refused"));
    assert!(verdict(&fifth).starts_with("accepted"));

    let first_use = tool.run(&["rotate", &id, "--until-first-use", "24h"]);
    let sixth = first_use.token().1;
    assert!(first_use.err.contains("when the new one is first used"), "{first_use:?}");
    // A verification by this tool is not a use, so it does not end the overlap.
    assert!(verdict(&sixth).starts_with("accepted") && verdict(&fifth).starts_with("accepted"));
    assert_eq!(shown(&tool, &id)["older_secret_ends_on_first_use"], true);
    let text = tool.run(&["show", &id]).done().out;
    assert!(text.contains("when the new one is first used"), "{text}");

    let unknown = "0000000000000000000000";
    tool.run(&["rotate", unknown, "--at-once"]).failed("there is no token");
    tool.run(&["revoke", &id, "--yes"]).done();
    assert_eq!(tool.run(&["rotate", &id, "--at-once"]).failed("revoked").out, "");
}

/// The token could not be written, so it is lost and the command fails.
#[test]
fn issue_with_unwritable_stdout_names_remedy() {
    let tool = Tool::new();
    let id = tool.issue(&[]).0;
    let issue = ["issue", "--type", "connector", "--owner", "acme", "--issued-to", "backup"];
    for words in [&issue[..], &["rotate", &id, "--at-once"]] {
        let (reader, stdout) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = tool.bare();
        let child = command.env("TOKENS_FILE", tool.path()).args(words).stdout(stdout).spawn();
        let ran = finish(child.unwrap(), b"").failed("cannot be shown again");
        assert!(ran.err.contains("--at-once"), "{ran:?}");
    }
}

#[test]
fn issue_with_control_characters_escapes_output() {
    let tool = Tool::new();
    // `finish` checks the output of every run.
    let texts = ["--issued-to", HOSTILE, "--issued-by", HOSTILE, "--metadata"];
    let (id, token) = tool.issue(&[&texts[..], &[&format!("{HOSTILE}={HOSTILE}")]].concat());
    for words in [&["list"][..], &["show", &id]] {
        let ran = tool.run(words).done();
        assert!(ran.out.contains(r"\u{1b}[2J"), "{ran:?}");
    }
    assert_eq!(tool.run(&["list"]).done().out.lines().count(), 2);
    for words in [&["list", "--json"][..], &["show", &id, "--json"]] {
        let ran = tool.run(words).done();
        let token: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(token["issued_to"], HOSTILE);
        assert_eq!(token["metadata"][HOSTILE], HOSTILE);
    }
    tool.run(&["rotate", &id, "--at-once"]).token();
    tool.answer(&["revoke", &id, "--reason", HOSTILE, "--by", HOSTILE], "y").done();
    assert!(tool.run(&["show", &id]).done().out.contains(r"Reason"));
    assert!(tool.answer(&["verify"], token).out.starts_with("refused"));
    let owner = ["issue", "--type", "connector", "--issued-to", "b", "--owner", HOSTILE];
    let token = tool.run(&owner).token().1;
    assert!(tool.answer(&["verify"], token).done().out.contains(r"\r\nacme\t"));
}
