//! The public API of scopes: every rule with its error, both sides of every limit, and the laws of
//! permitting and containing.

use proptest::prelude::*;
use service_tokens::scope::{MAX_SCOPE_LEN, MAX_SCOPES, MAX_TYPE_NAME_LEN};
use service_tokens::steps::TokenTypes;
use service_tokens::{InvalidScope, Requirement, ScopeSet, TokenType};

fn set(text: &str) -> ScopeSet {
    text.parse().unwrap()
}

fn permits(granted: &str, requirement: &str) -> bool {
    set(granted).as_scopes().permits(&Requirement::scope(requirement).unwrap())
}

fn contains(outer: &str, inner: &str) -> bool {
    set(outer).as_scopes().contains(set(inner).as_scopes())
}

#[test]
fn each_scope_rule_has_its_error() {
    use InvalidScope::*;
    let longest = "a".repeat(MAX_SCOPE_LEN);
    let longest_wildcard = format!("{}:*", "a".repeat(MAX_SCOPE_LEN - 2));
    for good in [
        "a",
        "Z",
        "0",
        "_",
        ".",
        "-",
        "*",
        "a:b",
        "a:*",
        "a:b:*",
        "A-Z.a_z:0-9",
        "..",
        &longest,
        &longest_wildcard,
        "service-tokens",
        "service-tokens:*",
        "service-tokens:issue",
    ] {
        assert_eq!(ScopeSet::new([good]).unwrap().to_string(), good);
        assert_eq!(good.parse::<ScopeSet>().unwrap().to_string(), good);
    }
    assert_eq!((MAX_SCOPE_LEN, MAX_SCOPES, MAX_TYPE_NAME_LEN), (256, 64, 64));
    let over = "a".repeat(MAX_SCOPE_LEN + 1);
    let over_wildcard = format!("{}:*", "a".repeat(MAX_SCOPE_LEN - 1));
    let over_bytes = "é".repeat(MAX_SCOPE_LEN / 2 + 1);
    let cases = [
        ("", Empty),
        (":", Empty),
        ("a:", Empty),
        (":a", Empty),
        ("a::b", Empty),
        ("a::*", Empty),
        (":*", Empty),
        (&over, TooLong),
        (&over_wildcard, TooLong),
        (&over_bytes, TooLong),
        ("**", Wildcard),
        ("a*", Wildcard),
        ("*a", Wildcard),
        ("*:a", Wildcard),
        ("*:*", Wildcard),
        ("a:*:b", Wildcard),
        ("a:*b", Wildcard),
        ("a:b*", Wildcard),
        ("*:", Wildcard),
        ("é*", Wildcard),
        (" ", Character),
        ("a b", Character),
        (" a", Character),
        ("a\n", Character),
        ("a\0", Character),
        ("a/b", Character),
        ("a,b", Character),
        ("a\\b", Character),
        ("a\"b", Character),
        ("a?", Character),
        ("a@b", Character),
        ("a[b", Character),
        ("a`b", Character),
        ("a{b", Character),
        ("é", Character),
        ("a:\u{ff0a}", Character),
        ("\u{200b}", Character),
    ];
    for (text, error) in cases {
        assert_eq!(ScopeSet::new([text]), Err(error), "{text:?}");
        assert_eq!(ScopeSet::new(["fine", text]), Err(error), "{text:?}");
        assert_eq!(Requirement::scope(text), Err(error), "{text:?}");
        assert_eq!(Requirement::all_of(["fine", text]), Err(error), "{text:?}");
        assert_eq!(Requirement::any_of(["fine", text]), Err(error), "{text:?}");
        assert_eq!(TokenType::new("fine", [text]), Err(error), "{text:?}");
        let shown = format!("{error} {error:?}");
        assert!(text.len() < 3 || !shown.contains(text), "{shown}");
    }
}

#[test]
fn requirement_needs_definite_scopes() {
    for wildcard in ["*", "a:*", "service-tokens:*"] {
        assert_eq!(Requirement::scope(wildcard), Err(InvalidScope::WildcardInRequirement));
        assert_eq!(Requirement::all_of(["a", wildcard]), Err(InvalidScope::WildcardInRequirement));
        assert_eq!(Requirement::any_of([wildcard, "a"]), Err(InvalidScope::WildcardInRequirement));
    }
    let nothing: [&str; 0] = [];
    assert_eq!(Requirement::all_of(nothing), Err(InvalidScope::EmptyRequirement));
    assert_eq!(Requirement::any_of(nothing), Err(InvalidScope::EmptyRequirement));
    assert_eq!(Requirement::all_of(["a", "b:c"]).unwrap().scopes(), "a b:c");
    assert_eq!(Requirement::any_of(["a", "b:c"]).unwrap().scopes(), "a b:c");
    assert_eq!(Requirement::any_token().scopes(), "");
}

#[test]
fn requirement_is_shown_with_its_combination() {
    assert_eq!(Requirement::any_token().to_string(), "any active token");
    assert_eq!(Requirement::scope("a:b").unwrap().to_string(), "a:b");
    assert_eq!(Requirement::all_of(["a", "b:c"]).unwrap().to_string(), "a and b:c");
    assert_eq!(Requirement::any_of(["a", "b:c"]).unwrap().to_string(), "a or b:c");
    assert_eq!(service_tokens::requirement!("a", "b:c").to_string(), "a and b:c");
}

#[test]
fn scope_set_is_sorted_unique_and_bounded() {
    assert_eq!(ScopeSet::new(["b", "a:b", "b", "a", "B"]).unwrap().to_string(), "B a a:b b");
    assert_eq!(set("b a"), set("a b b"));
    assert_eq!(set(""), ScopeSet::default());
    assert!(set("").as_scopes().is_empty());
    assert_eq!(set("").as_scopes().iter().count(), 0);
    assert_eq!(set("a b").as_scopes().iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(set("a b").as_scopes().to_set(), set("b a"));
    assert_eq!(set("b a").as_scopes().to_string(), "a b");
    for text in [" ", "a ", " a", "a  b"] {
        assert_eq!(text.parse::<ScopeSet>(), Err(InvalidScope::Empty), "{text:?}");
    }
    for text in ["a\tb", "a\nb", "a,b", "a\u{a0}b"] {
        assert_eq!(text.parse::<ScopeSet>(), Err(InvalidScope::Character), "{text:?}");
    }
    let many = |n: usize| (0..n).map(|i| format!("s{i}"));
    assert!(ScopeSet::new(many(MAX_SCOPES)).is_ok());
    assert!(ScopeSet::new(many(MAX_SCOPES).chain(many(MAX_SCOPES))).is_ok(), "doubles");
    assert_eq!(ScopeSet::new(many(MAX_SCOPES + 1)), Err(InvalidScope::TooMany));
}

#[test]
fn grants_permit_matching_scopes() {
    let cases = [
        ("a", "a", true),
        ("a", "b", false),
        ("a", "A", false),
        ("a", "a:b", false),
        ("a:b", "a", false),
        ("a:b", "a:b", true),
        ("a:b", "a:bc", false),
        ("a:bc", "a:b", false),
        ("a:*", "a", false),
        ("a:*", "a:b", true),
        ("a:*", "a:b:c", true),
        ("a:*", "ab:c", false),
        ("a:*", "b:a:c", false),
        ("a:b:*", "a:b", false),
        ("a:b:*", "a:c:d", false),
        ("a:b:*", "a:bc:d", false),
        ("a:b:*", "a:b:c:d", true),
        ("*", "a", true),
        ("*", "a:b:c", true),
        // Only a grant that names the reserved resource reaches it.
        ("*", "service-tokens", false),
        ("*", "service-tokens:issue", false),
        ("*", "service-tokens:issue:x", false),
        ("*", "service-tokensx", true),
        ("*", "service-token", true),
        ("*", "service-tokens.x:issue", true),
        ("*", "Service-Tokens:issue", true),
        ("*", "a:service-tokens", true),
        ("*", "a:service-tokens:issue", true),
        ("service-tokens:*", "service-tokens:issue", true),
        ("service-tokens:*", "service-tokens", false),
        ("service-tokens", "service-tokens", true),
        ("service-tokens:issue", "service-tokens:issue", true),
        ("service-tokens:issue", "service-tokens:revoke", false),
        ("* service-tokens:issue", "service-tokens:issue", true),
        ("* a:*", "service-tokens:issue", false),
        ("", "a", false),
    ];
    for (granted, requirement, expected) in cases {
        assert_eq!(permits(granted, requirement), expected, "{granted:?} permits {requirement:?}");
        // For a scope without a wildcard, containing is the same as permitting.
        assert_eq!(
            contains(granted, requirement),
            expected,
            "{granted:?} contains {requirement:?}"
        );
    }
}

#[test]
fn wildcards_contain_narrower_grants() {
    let cases = [
        ("*", "*", true),
        ("*", "a:*", true),
        ("*", "service-tokens:*", false),
        ("* service-tokens:*", "service-tokens:* *", true),
        ("service-tokens:*", "*", false),
        ("a:*", "*", false),
        ("a:*", "a:*", true),
        ("a:*", "a:b:*", true),
        ("a:b:*", "a:*", false),
        ("a:*", "ab:*", false),
        ("a", "a:*", false),
        ("a:*", "", true),
        ("", "", true),
        ("", "a", false),
    ];
    for (outer, inner, expected) in cases {
        assert_eq!(contains(outer, inner), expected, "{outer:?} contains {inner:?}");
    }
}

#[test]
fn intersections_match_table() {
    let cases = [
        ("*", "*", "*"),
        ("*", "a:* service-tokens:issue", "a:*"),
        ("*", "service-tokens:*", ""),
        ("* service-tokens:*", "service-tokens:issue b", "b service-tokens:issue"),
        ("a:*", "a:b:* a", "a:b:*"),
        ("a:b:*", "a:*", "a:b:*"),
        ("a:x b:*", "a:* b:y", "a:x b:y"),
        ("a", "b", ""),
        ("a", "", ""),
    ];
    for (left, right, expected) in cases {
        let (left, right) = (set(left), set(right));
        assert_eq!(left.as_scopes().intersection(right.as_scopes()).to_string(), expected);
        assert_eq!(right.as_scopes().intersection(left.as_scopes()).to_string(), expected);
    }
}

/// An intersection can be larger than any set that may be granted. It must not be truncated.
#[test]
fn large_intersection_keeps_every_scope() {
    let left: Vec<String> = (1..64).map(|i| format!("a:{i}")).chain(["b:*".into()]).collect();
    let right: Vec<String> = (1..64).map(|i| format!("b:{i}")).chain(["a:*".into()]).collect();
    let (left, right) = (ScopeSet::new(left).unwrap(), ScopeSet::new(right).unwrap());
    let both = left.as_scopes().intersection(right.as_scopes());
    assert_eq!(both.as_scopes().iter().count(), 126);
    assert!(left.as_scopes().contains(both.as_scopes()));
    assert!(right.as_scopes().contains(both.as_scopes()));
}

#[test]
fn token_types_are_found_by_name() {
    let longest = "t".repeat(MAX_TYPE_NAME_LEN);
    for good in ["connector", "T", "a.b-c_d", "..", &longest] {
        assert_eq!(TokenType::new(good, ["a"]).unwrap().name(), good);
    }
    let over = "t".repeat(MAX_TYPE_NAME_LEN + 1);
    for bad in ["", &over, "a b", "a:b", "*", "é", " a", "a\n", "a\0"] {
        assert_eq!(TokenType::new(bad, ["a"]), Err(InvalidScope::TypeName), "{bad:?}");
    }
    let nothing: [&str; 0] = [];
    assert!(TokenType::new("none", nothing).unwrap().scopes().is_empty());

    let developer = TokenType::new("developer", ["*"]).unwrap().with_description("Every API");
    assert_eq!(developer.description(), "Every API");
    let narrowed = TokenType::new("developer", ["files:*"]).unwrap();
    let token_types_are_found_by_name =
        TokenTypes::new([developer, TokenType::new("b", ["b"]).unwrap(), narrowed.clone()]);
    assert_eq!(token_types_are_found_by_name.get("developer"), Some(&narrowed));
    assert_eq!(token_types_are_found_by_name.get("Developer"), None);
    assert_eq!(token_types_are_found_by_name.get(""), None);
    assert_eq!(token_types_are_found_by_name.iter().count(), 2);
}

#[test]
fn literals_and_texts_make_equal_requirements() {
    use std::hash::BuildHasher;
    let hash = |requirement: &Requirement| {
        std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one(requirement)
    };
    let literal = service_tokens::requirement!("a:b", "c");
    let owned = Requirement::all_of(["a:b", "c"]).unwrap();
    assert_eq!(literal, owned);
    assert_eq!(hash(&literal), hash(&owned));
    assert_eq!("a:b c".parse(), Ok(owned.clone()));
    assert_eq!(Requirement::try_from("a:b c"), Ok(owned));
    assert_ne!(literal, Requirement::any_of(["a:b", "c"]).unwrap());
    assert_ne!(literal, service_tokens::requirement!("a:b"));
    assert_eq!("".parse::<Requirement>(), Err(InvalidScope::EmptyRequirement));
    assert_eq!("a  b".parse::<Requirement>(), Err(InvalidScope::Empty));
    assert_eq!("a:*".parse::<Requirement>(), Err(InvalidScope::WildcardInRequirement));
}

#[cfg(feature = "serde")]
#[test]
fn serde_writes_scopes_as_text() {
    assert_eq!(serde_json::to_string(&set("b a:*")).unwrap(), "\"a:* b\"");
    assert_eq!(serde_json::from_str::<ScopeSet>("\"b a:*\"").unwrap(), set("a:* b"));
    assert!(serde_json::from_str::<ScopeSet>("\"a*\"").is_err());
    assert!(serde_json::from_str::<ScopeSet>("\"a  b\"").is_err());
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("a".to_owned()),
        4 => Just("ab".to_owned()),
        2 => Just("service-tokens".to_owned()),
        1 => "[A-Za-z0-9_.-]{1,5}",
    ]
}

fn need_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(segment(), 1..5).prop_map(|segments| segments.join(":"))
}

fn scope_text() -> impl Strategy<Value = String> {
    (need_text(), 0..6u8).prop_map(|(text, kind)| match kind {
        0 | 1 => format!("{text}:*"),
        2 => "*".to_owned(),
        _ => text,
    })
}

fn sets() -> impl Strategy<Value = ScopeSet> {
    proptest::collection::vec(scope_text(), 0..6).prop_map(|scopes| ScopeSet::new(scopes).unwrap())
}

/// Requirements near the scopes of a set, which random requirements would miss.
fn nearby(set: &ScopeSet, more: &str) -> Vec<Requirement> {
    let definite = |scope: &str| Requirement::scope(&scope.replace('*', more)).unwrap();
    set.as_scopes().iter().map(definite).collect()
}

proptest! {
    #[test]
    fn contained_scopes_are_permitted(outer in sets(), inner in sets(), more in need_text()) {
        let contained = outer.as_scopes().contains(inner.as_scopes());
        let mut requirements = nearby(&inner, &more);
        requirements.push(Requirement::scope(&more).unwrap());
        let all = requirements.iter().all(|requirement| {
            !inner.as_scopes().permits(requirement) || outer.as_scopes().permits(requirement)
        });
        prop_assert!(!contained || all, "{outer} contains {inner}");
        // Segments that no scope has show whether a wildcard reaches as far as another one.
        let requirements = nearby(&inner, "q.q:q.q");
        let all = requirements.iter().all(|requirement| {
            !inner.as_scopes().permits(requirement) || outer.as_scopes().permits(requirement)
        });
        prop_assert_eq!(contained, all, "{} contains {}", outer, inner);
    }

    #[test]
    fn intersection_permits_what_both_permit(left in sets(), right in sets(), more in need_text()) {
        let both = left.as_scopes().intersection(right.as_scopes());
        prop_assert!(left.as_scopes().contains(both.as_scopes()));
        prop_assert!(right.as_scopes().contains(both.as_scopes()));
        for requirement in nearby(&left, &more).iter().chain(&nearby(&right, &more)) {
            prop_assert_eq!(
                both.as_scopes().permits(requirement),
                left.as_scopes().permits(requirement) && right.as_scopes().permits(requirement)
            );
        }
        prop_assert_eq!(&both, &right.as_scopes().intersection(left.as_scopes()));
        prop_assert_eq!(left.as_scopes().intersection(left.as_scopes()), left);
    }

    #[test]
    fn containment_is_a_preorder(a in sets(), b in sets(), c in sets()) {
        let (a, b, c) = (a.as_scopes(), b.as_scopes(), c.as_scopes());
        prop_assert!(a.contains(a));
        prop_assert!(!(a.contains(b) && b.contains(c)) || a.contains(c));
    }

    #[test]
    fn empty_set_permits_no_scope(requirement in need_text()) {
        prop_assert!(!permits("", &requirement));
    }

    #[test]
    fn wildcard_excludes_reserved_resource(requirement in need_text()) {
        prop_assert_eq!(permits("*", &requirement), requirement.split(':').next() != Some("service-tokens"));
    }

    #[test]
    fn scope_set_parses_its_own_text(granted in sets()) {
        prop_assert_eq!(granted.to_string().parse::<ScopeSet>(), Ok(granted));
    }

    #[test]
    fn scopes_match_the_documented_regex(text in "[ab:*. é]{0,8}") {
        let expected = regex::Regex::new(r"^(?:\*|[A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+)*(?::\*)?)$");
        prop_assert_eq!(ScopeSet::new([&text]).is_ok(), expected.unwrap().is_match(&text));
    }
}
