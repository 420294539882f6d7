//! The expression for secret scanners: tokens in every surrounding, in Unicode and in ASCII mode.

use regex::bytes::{Regex, RegexBuilder};
use service_tokens::steps::{ParsedToken, Prefix};
use service_tokens::token::scanner_regex;

const GOLDEN: &str = include_str!("../golden/tokens_v1.txt");

/// Texts directly before and after a token.
const AROUND: [(&str, &str); 42] = [
    ("", ""),
    ("", "\n"),
    ("key=", "\n"),
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("<", ">"),
    ("Bearer ", ", next"),
    ("?k=", "&x"),
    ("?k=", "#x"),
    ("/", "/"),
    ("%20", "%20"),
    ("\\n", "\\n"),
    ("\\u0022", "\\u0022"),
    ("\t", "\t"),
    ("\r\n", "\r\n"),
    ("\0", "\0"),
    ("-", "-"),
    (".", "."),
    (":", ":"),
    (";", ";"),
    ("=", "=="),
    ("@", "@host"),
    ("$", "$"),
    ("x", "x"),
    ("Z", "Z"),
    ("7", "7"),
    ("_", "_"),
    ("_x_", "_x"),
    ("token", "token"),
    ("é", "é"),
    ("ß", "ß"),
    ("д", "д"),
    ("文", "文"),
    ("ا", "ا"),
    ("ａ", "ａ"),
    ("\u{301}", "\u{301}"),
    ("\u{200b}", "\u{200b}"),
    ("🔑", "🔑"),
];

fn prefix(text: &str) -> Prefix {
    Prefix::new(text).unwrap()
}

/// Returns the golden tokens with their prefixes.
fn golden() -> impl Iterator<Item = (&'static str, Prefix)> {
    GOLDEN.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut parts = line.split(' ');
        (parts.next().unwrap(), prefix(parts.next().unwrap()))
    })
}

fn finder(prefixes: &[Prefix], unicode: bool) -> Regex {
    RegexBuilder::new(&scanner_regex(prefixes)).unicode(unicode).build().unwrap()
}

/// Returns the matches of the expression that the parser accepts.
fn found(finder: &Regex, text: &str, prefixes: &[Prefix]) -> Vec<String> {
    finder
        .find_iter(text.as_bytes())
        .filter(|found| ParsedToken::parse(found.as_bytes(), prefixes).is_ok())
        .map(|found| String::from_utf8(found.as_bytes().to_vec()).unwrap())
        .collect()
}

#[test]
fn scanner_finds_token_in_any_surrounding() {
    for (token, prefix) in golden() {
        let prefixes = [prefix];
        for unicode in [true, false] {
            let finder = finder(&prefixes, unicode);
            for (before, _) in AROUND {
                for (_, after) in AROUND {
                    let text = format!("{before}{token}{after}");
                    let found = found(&finder, &text, &prefixes);
                    assert_eq!(found, [token], "unicode {unicode}: {text}");
                }
            }
        }
    }
}

#[test]
fn scanner_finds_tokens_in_a_row() {
    for (token, prefix) in golden() {
        let prefixes = [prefix];
        for unicode in [true, false] {
            let finder = finder(&prefixes, unicode);
            for between in ["", "x", "_", "é", " "] {
                let text = [token; 3].join(between);
                let found = found(&finder, &text, &prefixes);
                assert_eq!(found, [token; 3], "unicode {unicode}: {text}");
            }
        }
    }
}

/// The parser refuses a match that is a part of a longer run of letters and digits.
#[test]
fn scanner_match_in_longer_run_is_refused() {
    let prefixes = [prefix("acme_live")];
    for unicode in [true, false] {
        let run = format!("acme_live_1{}", "a".repeat(90));
        let finder = finder(&prefixes, unicode);
        assert_eq!(finder.find(run.as_bytes()).unwrap().as_bytes(), &run.as_bytes()[..82]);
        assert_eq!(found(&finder, &run, &prefixes), [""; 0]);
    }
}

#[test]
fn scanner_regex_never_changes() {
    let prefixes = ["acme_live", "acme_test"].map(prefix);
    assert_eq!(scanner_regex(&prefixes), "(?:acme_live|acme_test)_1[0-9A-Za-z]{71}");
}
