//! The public API of the token grammar: every rule with its error, both sides of every limit, and the
//! golden tokens of version 1.

use proptest::prelude::*;
use service_tokens::TokenId;
use service_tokens::steps::{ParsedToken, Prefix};
use service_tokens::token::{
    InvalidPrefix, InvalidTokenId, MAX_PREFIX_LEN, MAX_TOKEN_LEN, MalformedToken, scanner_regex,
};

const GOLDEN: &str = include_str!("../golden/tokens_v1.txt");

const ID: &str = "02p5oQZoHTv0zeY5yG21K3";
const SECRET: &str = "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJ";
const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Appends the checksum, computed from the definitions of CRC-32/ISO-HDLC and base62.
fn sealed(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let (mut rest, mut digits) = (!crc as usize, Vec::new());
    for _ in 0..6 {
        digits.push(char::from(ALPHABET.as_bytes()[rest % 62]));
        rest /= 62;
    }
    format!("{text}{}", digits.iter().rev().collect::<String>())
}

fn token() -> String {
    sealed(&format!("acme_live_1{ID}{SECRET}"))
}

fn ours() -> [Prefix; 2] {
    ["acme_live", "a"].map(|prefix| Prefix::new(prefix).unwrap())
}

fn refusal(text: impl AsRef<[u8]>) -> Option<MalformedToken> {
    ParsedToken::parse(text.as_ref(), &ours()).err()
}

/// Texts that break one rule each. A text whose change invalidates the checksum gets a new one.
fn broken() -> Vec<(Vec<u8>, MalformedToken)> {
    use MalformedToken::*;
    let good = token();
    let body = &good["acme_live_".len()..];
    let sealed_body = |prefix: &str, rest: &str| sealed(&format!("{prefix}_{rest}"));
    let texts = vec![
        (String::new(), Empty),
        // The total length is checked first.
        ("_".repeat(MAX_TOKEN_LEN + 1), TooLong),
        (format!("{good}{}", "0".repeat(MAX_TOKEN_LEN + 1 - good.len())), TooLong),
        (format!("{good}{}", "0".repeat(MAX_TOKEN_LEN - good.len())), Length),
        ("x".into(), NoPrefix),
        (body.into(), NoPrefix),
        ("acmelive".into(), NoPrefix),
        ("é".into(), NoPrefix),
        ("\0".into(), NoPrefix),
        ("_".into(), UnknownPrefix),
        (format!("_{body}"), UnknownPrefix),
        (sealed_body("acme", &format!("1{ID}{SECRET}")), UnknownPrefix),
        (sealed_body("acme_test", &format!("1{ID}{SECRET}")), UnknownPrefix),
        (sealed_body("ACME_LIVE", &format!("1{ID}{SECRET}")), UnknownPrefix),
        (sealed_body("acme_live_", &format!("1{ID}{SECRET}")), UnknownPrefix),
        (sealed_body("acme_live_x", &format!("1{ID}{SECRET}")), UnknownPrefix),
        (sealed_body("a_acme_live", &format!("1{ID}{SECRET}")), UnknownPrefix),
        (sealed_body("acm\u{e9}_live", &format!("1{ID}{SECRET}")), UnknownPrefix),
        (format!(" {good}"), UnknownPrefix),
        (format!("\n{good}"), UnknownPrefix),
        (format!("\u{feff}{good}"), UnknownPrefix),
        (format!("Bearer {good}"), UnknownPrefix),
        (format!("\"{good}"), UnknownPrefix),
        (format!("{good}_"), UnknownPrefix),
        // An underscore inside the body moves the end of the prefix.
        (sealed(&format!("acme_live_1{ID}{}_", &SECRET[1..])), UnknownPrefix),
        (sealed(&format!("acme_live_1_{}{SECRET}", &ID[1..])), UnknownPrefix),
        ("acme_live_".into(), UnknownVersion),
        ("a_".into(), UnknownVersion),
        (sealed(&format!("acme_live_0{ID}{SECRET}")), UnknownVersion),
        (sealed(&format!("acme_live_2{ID}{SECRET}")), UnknownVersion),
        (sealed(&format!("acme_live_{ID}{SECRET}0")), UnknownVersion),
        (sealed(&format!("acme_live_\u{661}{ID}{SECRET}")), UnknownVersion),
        ("acme_live_1".into(), Length),
        (good[..good.len() - 1].into(), Length),
        (format!("{good}0"), Length),
        (format!("{good} "), Length),
        (format!("{good}\n"), Length),
        (format!("{good}\0"), Length),
        (format!("{good}\""), Length),
        (sealed(&format!("acme_live_1{ID}{}", &SECRET[1..])), Length),
        (sealed(&format!("acme_live_1{ID}{SECRET}0")), Length),
        (format!("{}\n", &good[..good.len() - 1]), Character),
        (format!("{}\0", &good[..good.len() - 1]), Character),
        (sealed(&format!("acme_live_1{ID}-{}", &SECRET[1..])), Character),
        (sealed(&format!("acme_live_1{ID} {}", &SECRET[1..])), Character),
        (sealed(&format!("acme_live_1{ID}\0{}", &SECRET[1..])), Character),
        (sealed(&format!("acme_live_1+{}{SECRET}", &ID[1..])), Character),
        (sealed(&format!("acme_live_1{ID}\u{e9}{}", &SECRET[2..])), Character),
        // The neighbours of the alphabet's three ranges in ASCII.
        (sealed(&format!("acme_live_1{ID}/{}", &SECRET[1..])), Character),
        (sealed(&format!("acme_live_1{ID}:{}", &SECRET[1..])), Character),
        (sealed(&format!("acme_live_1{ID}@{}", &SECRET[1..])), Character),
        (sealed(&format!("acme_live_1{ID}[{}", &SECRET[1..])), Character),
        (sealed(&format!("acme_live_1{ID}`{}", &SECRET[1..])), Character),
        (sealed(&format!("acme_live_1{ID}{{{}", &SECRET[1..])), Character),
        (sealed(&format!("acme_live_17n42DGM5Tflk9n8mt7Fhc8{SECRET}")), IdRange),
        (sealed(&format!("acme_live_1zzzzzzzzzzzzzzzzzzzzzz{SECRET}")), IdRange),
        (format!("acme_live_17n42DGM5Tflk9n8mt7Fhc8{SECRET}000000"), Checksum),
        (format!("acme_live_1{ID}{SECRET}000000"), Checksum),
        (format!("acme_live_1{ID}{SECRET}zzzzzz"), Checksum),
        // The checksum of one token after the secret of another, and after another accepted prefix.
        (format!("acme_live_1{ID}{}{}", SECRET.replace('z', "0"), &good[76..]), Checksum),
        (format!("a_{body}"), Checksum),
    ];
    let mut broken: Vec<_> = texts.into_iter().map(|(t, e)| (t.into_bytes(), e)).collect();
    broken.push((vec![0xff], NoPrefix));
    broken.push((b"\xff_1".to_vec(), UnknownPrefix));
    broken.push(([b"acme_live_\xff".as_slice(), &good.as_bytes()[11..]].concat(), UnknownVersion));
    broken.push(([&good.as_bytes()[..40], b"\xff", &good.as_bytes()[41..]].concat(), Character));
    // Overlong UTF-8 for a zero, in place of two characters.
    broken
        .push(([&good.as_bytes()[..40], b"\xc0\xb0", &good.as_bytes()[42..]].concat(), Character));
    broken
}

#[test]
fn each_token_rule_has_its_error() {
    let good = token();
    assert_eq!(ParsedToken::parse(&good, &ours()).unwrap().id().to_string(), ID);
    for (text, error) in broken() {
        assert_eq!(refusal(&text), Some(error), "{}", text.escape_ascii());
    }
}

#[test]
fn parse_without_prefixes_is_refused() {
    assert_eq!(ParsedToken::parse(&token(), &[]).unwrap_err(), MalformedToken::UnknownPrefix);
}

#[test]
fn parse_accepts_each_of_several_prefixes() {
    for prefix in ["acme_live", "a"] {
        let token = sealed(&format!("{prefix}_1{ID}{SECRET}"));
        assert_eq!(ParsedToken::parse(&token, &ours()).unwrap().prefix(), prefix);
    }
}

/// A prefix may look like a body; only the last underscore counts.
#[test]
fn parse_accepts_prefix_like_a_version() {
    let accepted = ["a", "a_1", "a_1_1"].map(|prefix| Prefix::new(prefix).unwrap());
    for prefix in &accepted {
        let token = sealed(&format!("{prefix}_1{ID}{SECRET}"));
        assert_eq!(ParsedToken::parse(&token, &accepted).unwrap().prefix(), prefix.as_str());
    }
}

#[test]
fn longest_token_has_longest_prefix() {
    let prefix = "p".repeat(MAX_PREFIX_LEN);
    let token = sealed(&format!("{prefix}_1{ID}{SECRET}"));
    assert_eq!(token.len(), MAX_TOKEN_LEN);
    assert_eq!(MAX_TOKEN_LEN, 105);
    let accepted = [Prefix::new(&prefix).unwrap()];
    assert!(ParsedToken::parse(&token, &accepted).is_ok());
    let longer = ParsedToken::parse(&format!("{token}0"), &accepted).err();
    assert_eq!(longer, Some(MalformedToken::TooLong));
}

/// A huge input is refused by its length alone. A scan of 64 MiB would make the test visibly slow.
#[test]
fn parse_huge_input_is_too_long() {
    assert_eq!(refusal(vec![b'_'; 64 << 20]), Some(MalformedToken::TooLong));
}

#[test]
fn parse_errors_do_not_repeat_input() {
    for (text, error) in broken() {
        let shown = format!("{error} {error:?}");
        for part in text.split(|b| !b.is_ascii_alphanumeric()).filter(|part| part.len() > 4) {
            let part = String::from_utf8_lossy(part);
            assert!(!shown.contains(&*part), "{shown} repeats {part}");
        }
    }
    // A character that no message and no name of an error contains.
    let marker = "\u{1d11e}";
    let places = [
        marker.to_owned(),
        format!("{marker}_1"),
        format!("acme_live_{marker}"),
        format!("acme_live_1{marker}"),
        format!("acme_live_1{ID}{marker}{}", &token()[37..]),
        format!("acme_live_1{marker}{}", "0".repeat(67)),
        marker.repeat(40),
    ];
    for text in places {
        let error = refusal(&text).unwrap();
        assert!(!format!("{error} {error:?}").contains(marker));
        let error = Prefix::new(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(marker));
        let error = text.parse::<TokenId>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(marker));
    }
}

#[test]
fn parse_single_mistake_is_refused() {
    let good = token().into_bytes();
    for position in 0..good.len() {
        for byte in (0..=255).filter(|byte| *byte != good[position]) {
            let mut slip = good.clone();
            slip[position] = byte;
            assert!(refusal(&slip).is_some(), "{byte:#x} at {position}");
            let mut slip = good.clone();
            slip.insert(position, byte);
            assert!(refusal(&slip).is_some(), "{byte:#x} inserted at {position}");
        }
        let mut slip = good.clone();
        slip.remove(position);
        assert!(refusal(&slip).is_some(), "without {position}");
        for other in (0..position).filter(|other| good[*other] != good[position]) {
            let mut slip = good.clone();
            slip.swap(position, other);
            assert!(refusal(&slip).is_some(), "{other} and {position} swapped");
        }
        assert!(refusal(&good[..position]).is_some(), "cut at {position}");
        assert!(position == 0 || refusal(&good[position..]).is_some(), "from {position}");
    }
}

/// The check looks at several characters at once, so two mistakes could hide each other.
#[test]
fn parse_two_bad_characters_is_refused() {
    let good = token();
    let body = good.len() - 6 - ID.len() - SECRET.len();
    for first in body..good.len() - 6 {
        for second in first + 1..good.len() - 6 {
            let mut text = good[..good.len() - 6].to_owned();
            text.replace_range(first..=first, "!");
            text.replace_range(second..=second, "-");
            let refused = refusal(sealed(&text));
            assert_eq!(refused, Some(MalformedToken::Character), "{first} and {second}");
        }
    }
}

#[test]
fn golden_tokens_of_version_1_parse() {
    let mut seen = 0;
    for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        let [token, prefix, id, uuid] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(sealed(&token[..token.len() - 6]), token);
        let accepted = [Prefix::new("other").unwrap(), Prefix::new(prefix).unwrap()];
        let parsed = ParsedToken::parse(token, &accepted).unwrap();
        assert_eq!(parsed.prefix(), prefix);
        assert_eq!(parsed.id(), id.parse().unwrap());
        assert_eq!(parsed.id().to_string(), id);
        assert_eq!(parsed.id().to_uuid().to_string(), uuid);
        seen += 1;
    }
    assert_eq!(seen, 61, "the golden file has lost lines");
}

#[test]
fn prefix_rules_match_table() {
    use InvalidPrefix::*;
    let longest = "a".repeat(MAX_PREFIX_LEN);
    for good in ["a", "z", "a0", "acme", "acme_live", "a_0", "a_b_c_d", "x9_9x", &longest] {
        let prefix = Prefix::new(good).unwrap();
        assert_eq!((prefix.as_str(), prefix.to_string()), (good, good.to_owned()));
    }
    assert_eq!(MAX_PREFIX_LEN, 32);
    let (over, over_bytes) = ("a".repeat(33), "é".repeat(17));
    let cases = [
        ("", Empty),
        (&over, TooLong),
        (&over_bytes, TooLong),
        ("0", Form),
        ("0a", Form),
        ("_", Form),
        ("_a", Form),
        ("a_", Form),
        ("a__b", Form),
        ("A", Form),
        ("aB", Form),
        ("acme-live", Form),
        ("acme.live", Form),
        ("acme:live", Form),
        ("a b", Form),
        (" a", Form),
        ("a\n", Form),
        ("a\0", Form),
        ("é", Form),
        ("aé", Form),
        ("a\u{661}", Form),
        ("a`", Form),
        ("a{", Form),
        ("a/", Form),
    ];
    for (text, error) in cases {
        assert_eq!(Prefix::new(text), Err(error), "{text:?}");
    }
}

#[test]
fn token_id_rules_match_table() {
    for good in ["0000000000000000000000", "7n42DGM5Tflk9n8mt7Fhc7", ID] {
        let id: TokenId = good.parse().unwrap();
        assert_eq!(id.to_string(), good);
        assert_eq!(format!("{id:?}"), format!("TokenId({good})"));
        assert_eq!(format!("{id:>24}"), format!("  {good}"));
    }
    assert_eq!("7n42DGM5Tflk9n8mt7Fhc7".parse(), Ok(TokenId::from_bytes([0xff; 16])));
    for bad in [
        "",
        "0",
        "000000000000000000000",
        "00000000000000000000000",
        "7n42DGM5Tflk9n8mt7Fhc8",
        "8000000000000000000000",
        "zzzzzzzzzzzzzzzzzzzzzz",
        " 000000000000000000000",
        "000000000000000000000\n",
        "00000000000_0000000000",
        "0000000000-00000000000",
        "+000000000000000000000",
        "00000000000000000000é",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    ] {
        assert_eq!(bad.parse::<TokenId>(), Err(InvalidTokenId), "{bad:?}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn serde_writes_ids_as_text() {
    let id: TokenId = ID.parse().unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{ID}\""));
    assert_eq!(serde_json::from_str::<TokenId>(&format!("\"{ID}\"")).unwrap(), id);
    let error = serde_json::from_str::<TokenId>("\"7n42DGM5Tflk9n8mt7Fhc8\"").unwrap_err();
    assert!(!error.to_string().contains("7n42"), "{error}");
}

#[test]
fn scanner_finds_each_golden_token() {
    for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.split(' ');
        let (token, prefix) = (parts.next().unwrap(), parts.next().unwrap());
        // A prefix that begins another one must not hide it.
        let prefix_rules_match_table =
            ["a", "acme", prefix].map(|prefix| Prefix::new(prefix).unwrap());
        let finder = regex::Regex::new(&scanner_regex(&prefix_rules_match_table)).unwrap();
        for text in [
            token.to_owned(),
            format!("key={token}\n"),
            format!("\"{token}\""),
            format!("Authorization: Bearer {token}, next"),
            format!("https://example.org/?k={token}&x"),
        ] {
            let found: Vec<&str> = finder.find_iter(&text).map(|m| m.as_str()).collect();
            assert_eq!(found, [token], "{text}");
        }
        for end in 0..token.len() {
            assert!(!finder.is_match(&token[..end]), "cut at {end}");
        }
        assert!(!finder.is_match(&token.replacen("_1", "_2", 1)) || prefix.contains("_1"));
    }
}

proptest! {
    #[test]
    fn parse_of_any_input_returns(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let refused = refusal(&bytes);
        prop_assert!(refused.is_some());
    }

    /// Near misses: pieces of real tokens, combined at random.
    #[test]
    fn parse_near_the_grammar_returns(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("acme_live".to_owned()), Just("a".to_owned()), Just("_".to_owned()),
                Just("1".to_owned()), Just(ID.to_owned()), Just(SECRET.to_owned()),
                "[0-9A-Za-z]{6}", "\\PC{0,3}",
            ],
            0..8,
        ),
        seal in any::<bool>(),
    ) {
        let text = pieces.concat();
        let text = if seal { sealed(&text) } else { text };
        if ParsedToken::parse(&text, &ours()).is_ok() {
            prop_assert_eq!(sealed(&text[..text.len() - 6]), text);
        }
    }

    #[test]
    fn prefixes_match_the_documented_regex(text in "[a-c0-2_A]{0,34}") {
        let expected = regex::Regex::new("^[a-z][a-z0-9]*(_[a-z0-9]+)*$").unwrap().is_match(&text);
        prop_assert_eq!(Prefix::new(&text).is_ok(), expected && text.len() <= 32);
    }
}
