//! The command line: help, mistakes, and tokens as arguments.

use std::ffi::{OsStr, OsString};

use regex::Regex;

use crate::tool::Tool;

const VERBS: [&str; 18] = [
    "issue",
    "verify",
    "list",
    "show",
    "rotate",
    "suspend",
    "suspend-all",
    "resume",
    "resume-all",
    "amend",
    "end-older",
    "replay-revocations",
    "report-leak",
    "revoke",
    "revoke-all",
    "import",
    "purge",
    "scanner-regex",
];

#[test]
fn print_help_names_every_verb_on_stdout() {
    let tool = Tool::new();
    let help = tool.run(&["--help"]).done();
    assert_eq!(help.err, "");
    for part in VERBS.iter().chain(&["--file", "TOKENS_FILE", "Exit status", "--type-def"]) {
        assert!(help.out.contains(part), "{part}");
    }
    assert_eq!(tool.run(&["-h"]).done().out, help.out);
    assert_eq!(tool.run(&["help"]).done().out, help.out);
    let version = concat!("service-tokens ", env!("CARGO_PKG_VERSION"), "\n");
    for words in [&["--version"][..], &["-V"], &["list", "--version"]] {
        assert_eq!(tool.run(words).done().out, version);
    }
    for verb in VERBS {
        let of_verb = tool.run(&[verb, "--help"]).done();
        assert!(of_verb.out.contains(&format!("\n  service-tokens {verb}")), "{of_verb:?}");
        assert_eq!(tool.run(&["help", verb]).done().out, of_verb.out);
        // Also after a mistake or an operation.
        assert_eq!(tool.run(&[verb, "x", "y", "-h"]).done().out, of_verb.out);
        assert!(of_verb.out.lines().chain(help.out.lines()).all(|line| line.chars().count() <= 80));
    }
    assert_eq!(tool.files(), [""; 0]);
}

#[test]
fn misuse_names_mistake_and_opens_no_file() {
    let tool = Tool::new();
    let id = "0000000000000000000000";
    let issue = ["issue", "--owner", "a", "--issued-to", "b", "--type", "connector"];
    let mistakes: &[(&[&str], &str)] = &[
        (&[], "the verb is missing"),
        (&["isue"], "the verb must be one of issue, verify"),
        (&["help", "isue"], "the verb must be one of"),
        (&["--jason", "list"], "--jason is not an option"),
        (&["list", "--jason"], "list: --jason is not an option"),
        (&["list", "-j"], "two dashes"),
        (&["list", "--owner"], "--owner needs a value"),
        (&["list", "--owner", "--json"], "--owner needs a value"),
        (&["list", "--owner", "a", "--owner", "b"], "--owner is given twice"),
        (&["list", "--json=yes"], "--json takes no value"),
        (&["list", "--limit", "0"], "--limit must be a number above zero"),
        (&["list", "--limit", "many"], "--limit must be a number"),
        (&["list", "--state", "alive"], "--state must be pending, active"),
        (&["list", "--issuer", "x"], "--issuer is not a token id"),
        (&["list", "--expires-before", "tomorrow"], "--expires-before must be a time"),
        (
            &["list", "--created-before", "soon"],
            "--created-before must be a time such as 2027-01-01T00:00:00Z, or a duration before now such as 90d",
        ),
        (&["list", "acme"], "only options are allowed here"),
        (&["show"], "ID is missing"),
        (&["show", "x"], "ID is not a token id"),
        (&["show", id, id], "no operand is allowed after ID"),
        (&["rotate", id], "--at-once, --overlap or --until-first-use is missing"),
        (&["rotate", id, "--at-once", "--overlap", "1h"], "exclude each other"),
        (&["rotate", id, "--overlap", "1h", "--until-first-use", "1h"], "exclude each other"),
        (&["rotate", id, "--overlap", "0h"], "--overlap must be a number above zero"),
        (&["rotate", id, "--overlap", "1.5h"], "--overlap must be a number"),
        (&["rotate", id, "--overlap", "99999999999999999999d"], "--overlap must be a number"),
        (&["rotate", id, "--overlap", "-1d"], "--overlap must be a number"),
        (&["rotate", id, "--overlap", "1é"], "--overlap must be a number"),
        (&["rotate", id, "--at-once", "--replacing", "both"], "newest or oldest"),
        (&["revoke"], "ID is missing"),
        (
            &["resume", id, "--with-descendants"],
            "because a bulk resumption names the suspension that it ends",
        ),
        (&["resume", id, "--suspended-since", "1h"], "--suspended-since must be a time such as"),
        (
            &["resume", id, "--suspended-since", "2027-01-01T00:00:00Z", "--suspended-by", "a"],
            "--suspended-since excludes --suspended-by and --suspended-for",
        ),
        (&["resume-all"], "because a bulk resumption names the suspension that it ends"),
        (&["resume-all", "--owner", "a", "--by", "b"], "needs --suspended-by, --suspended-for or"),
        (&["resume-all", "--suspended-by", "a", "--yes"], "--yes is not an option"),
        (&["resume-all", "--suspended-by", "a", "--yes-suspend", "1"], "--yes-suspend is not an"),
        (&["suspend-all", "--state", "active"], "--state is not an option"),
        (&["suspend-all", "--limit", "1"], "--limit is not an option"),
        (&["suspend-all", "--yes-revoke", "1"], "--yes-revoke is not an option"),
        (&["suspend-all", "x"], "only options are allowed here"),
        (&["purge", "--retention", "forever"], "--retention must be a number"),
        (&["issue"], "--type is missing"),
        (&["issue", "--type", "connector"], "--owner is missing"),
        (&["issue", "--type", "connector", "--owner", "a"], "--issued-to is missing"),
        (&[&issue[..], &["--metadata", "x"]].concat(), "KEY=VALUE"),
        (
            &[&issue[..], &["--metadata", "k=v", "--metadata", "k=w"]].concat(),
            "--metadata is given twice with the same key",
        ),
        (
            &["issue", "--owner", "a", "--issued-to", "b", "--type", "conector"],
            "--type must be one of connector, developer, manager; --type-def",
        ),
        (&[&issue[..], &["--expires", "soon"]].concat(), "--expires must be a duration"),
        (&[&issue[..], &["--scope", "a b"]].concat(), "--scope"),
        (&[&issue[..], &["--prefix", "Acme"]].concat(), "--prefix is not a valid prefix"),
        (&[&issue[..], &["--type-def", "x"]].concat(), "NAME=SCOPE,SCOPE"),
        (&[&issue[..], &["--type-def", "x=a", "--type-def", "x=b"]].concat(), "given twice"),
        (&["--file", "a", "--file", "b", "list"], "--file is given twice"),
    ];
    for (words, mistake) in mistakes {
        let ran = tool.run(words).misused(mistake);
        assert!(ran.err.contains("--help") || ran.err.contains("given twice"), "{ran:?}");
        assert_eq!(tool.files(), [""; 0], "{words:?}");
    }
}

#[test]
fn pass_token_as_argument_is_refused() {
    let tool = Tool::new();
    let (id, token) = tool.issue(&[]);
    let before = tool.run(&["list", "--json"]).done().out;
    let [of_option, in_text, header] =
        ["--owner=", "it is ", "Authorization: Bearer "].map(|before| format!("{before}{token}"));
    let other_prefix = token.replace("acme_live", "x");
    let issue = ["issue", "--type", "connector", "--issued-to", "b", "--owner"];
    for words in [
        &["verify", &token][..],
        &["verify", &header],
        &["show", &token],
        &["rotate", "--at-once", &token],
        &["revoke", &token, "--yes"],
        &["revoke", &other_prefix, "--yes"],
        &["revoke", &id, "--yes", "--reason", &in_text],
        &["list", &of_option],
        &["list", &format!("--{token}")],
        &["list", "--file", &token],
        &["--prefix", &token, "scanner-regex"],
        &[&token],
        &["help", &token],
        &[&issue[..], &[&token]].concat(),
    ] {
        let ran = tool.answer(words, "y\n").misused("contains a token");
        assert!(ran.err.contains("standard input") && ran.err.contains("leaked"), "{ran:?}");
        assert!(!ran.err.contains(&token[10..40]), "{ran:?}");
    }
    // A part of a token is another mistake, and is not repeated either.
    for part in [&token[..70], &token[20..]] {
        for words in [
            &["verify", part][..],
            &["show", part],
            &["revoke", part],
            &[part],
            &["list", &format!("--{part}")],
            &["list", "--state", part],
            &["list", "--limit", part],
            &["list", &format!("--json={part}")],
            &["--prefix", part, "list"],
            &["--type-def", part, "list"],
        ] {
            let ran = tool.answer(words, "y\n").misused("");
            assert!(!ran.err.contains(&part[25..50]), "{ran:?}");
        }
    }
    assert_eq!(tool.run(&["list", "--json"]).done().out, before);
}

#[test]
#[cfg(unix)]
fn pass_non_utf8_argument_works_only_as_path() {
    use std::os::unix::ffi::OsStrExt;
    let tool = Tool::new();
    let bytes = OsStr::from_bytes(b"\xff\xfe");
    for words in [&["list", "--owner"][..], &["show"], &[]] {
        let words: Vec<OsString> = words.iter().map(OsString::from).chain([bytes.into()]).collect();
        tool.run(&words).misused("not valid UTF-8");
    }
    let words = ["issue", "--type", "connector", "--owner", "a", "--issued-to", "b", "--file"];
    let words: Vec<OsString> = words.iter().map(OsString::from).chain([bytes.into()]).collect();
    tool.run(&words).token();
}

#[test]
fn print_scanner_regex_matches_issued_tokens() {
    let tool = Tool::new();
    let printed = tool.run(&["scanner-regex", "--accept-prefix", "acme_test"]).done();
    assert_eq!((&*printed.err, tool.files().len()), ("", 0));
    let found = Regex::new(printed.out.trim_end()).unwrap();
    let (_, token) = tool.issue(&[]);
    let text = format!("curl -H 'Authorization: Bearer {token}'; old={token}");
    assert_eq!(found.find_iter(&text).filter(|hit| hit.as_str() == token).count(), 2);
    assert!(found.is_match(&token.replace("live", "test")));
    assert!(!found.is_match(&token[..token.len() - 1]));
}
