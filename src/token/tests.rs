//! Known answers, and the golden file of version 1.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::random::{RandomError, RandomSource};
use chrono::DateTime;

const GOLDEN: &str = include_str!("../../tests/golden/tokens_v1.txt");

/// Computes CRC-32/ISO-HDLC bit by bit from its definition. It shares no code with the crate.
fn crc32_bitwise(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = register & 1;
            register >>= 1;
            if carry == 1 {
                register ^= 0xEDB8_8320;
            }
        }
    }
    !register
}

/// Encodes in base62 by repeated division, with a separate alphabet, padded with zeros.
fn base62(mut value: u128, width: usize) -> String {
    let digits: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
    let mut text = Vec::new();
    while value > 0 {
        text.push(digits[(value % 62) as usize]);
        value /= 62;
    }
    text.resize(width, '0');
    text.iter().rev().collect()
}

fn secret(characters: &[u8; SECRET_LEN]) -> Secret {
    /// A source whose bytes select the characters in turn by their lower six bits.
    struct Scripted(std::sync::Mutex<Vec<u8>>);
    impl RandomSource for Scripted {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            let mut script = self.0.lock().unwrap();
            bytes.iter_mut().for_each(|byte| *byte = script.pop().unwrap_or(63));
            Ok(())
        }
    }
    let value = |c: &u8| ALPHABET.iter().position(|a| a == c).unwrap() as u8;
    let script = characters.iter().rev().map(value).collect();
    let made = Secret::generate(&Scripted(std::sync::Mutex::new(script))).unwrap();
    assert_eq!(made.characters(), characters);
    made
}

const CHARACTERS: [u8; SECRET_LEN] = *b"zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJ";

#[test]
fn checksum_is_crc_32_iso_hdlc_in_base62() {
    // The check value of the CRC catalogue.
    assert_eq!(crc32_bitwise(b"123456789"), 0xCBF4_3926);
    assert_eq!(checksum(b"123456789"), base62(0xCBF4_3926, 6).as_bytes());
    assert_eq!(base62(0xCBF4_3926, 6), "3jZRME");
    // The largest checksum fits into six characters.
    assert_eq!(base62(u128::from(u32::MAX), 6), "4gfFC3");
}

#[test]
fn new_token_follows_the_grammar() {
    let id = TokenId::from_bytes(*b"0123456789abcdef");
    let token = Token::assemble(&Prefix::new("acme_live").unwrap(), id, &secret(&CHARACTERS));
    let mut expected = String::from("acme_live_1");
    expected += &base62(u128::from_be_bytes(*b"0123456789abcdef"), 22);
    expected += str::from_utf8(&CHARACTERS).unwrap();
    expected += &base62(u128::from(crc32_bitwise(expected.as_bytes())), 6);
    assert_eq!(token.expose_secret(), expected);
    assert_eq!(token.id(), id);
}

#[test]
fn extreme_ids_round_trip() {
    for value in [0, 1, 61, 62, u128::MAX - 1, u128::MAX, 62u128.pow(10), 62u128.pow(20), 1 << 127]
    {
        let text = base62(value, 22);
        assert_eq!(TokenId::from_value(value).to_string(), text);
        assert_eq!(text.parse(), Ok(TokenId::from_value(value)));
    }
    assert_eq!(base62(u128::MAX, 22), "7n42DGM5Tflk9n8mt7Fhc7");
    for over in ["7n42DGM5Tflk9n8mt7Fhc8", "7n42DGM5Tflk9n8mt7Fhd0", "8000000000000000000000"] {
        assert_eq!(over.parse::<TokenId>(), Err(InvalidTokenId), "{over}");
    }
    assert_eq!("zzzzzzzzzzzzzzzzzzzzzz".parse::<TokenId>(), Err(InvalidTokenId));
}

#[test]
fn new_id_is_uuid_7_and_sorts_by_time() {
    struct Ones;
    impl RandomSource for Ones {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            bytes.fill(0xff);
            Ok(())
        }
    }
    struct Zeros;
    impl RandomSource for Zeros {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            bytes.fill(0);
            Ok(())
        }
    }
    let at = |millis| DateTime::from_timestamp_millis(millis).unwrap();
    // The example of RFC 9562, appendix A.6, with all random bits set.
    let id = TokenId::generate(at(0x017F_22E2_79B0), &Ones).unwrap();
    assert_eq!(id.to_uuid().to_string(), "017f22e2-79b0-7fff-bfff-ffffffffffff");
    assert_eq!(id.to_uuid().get_version_num(), 7);
    let next = TokenId::generate(at(0x017F_22E2_79B1), &Zeros).unwrap();
    assert!(id < next && id.to_string() < next.to_string() && id.to_bytes() < next.to_bytes());
    // A clock before 1970 does not cause an error.
    let early = TokenId::generate(at(-1), &Zeros).unwrap();
    assert_eq!(early.to_uuid().to_string(), "00000000-0000-7000-8000-000000000000");
}

#[test]
fn new_id_without_random_bytes_fails() {
    struct Broken;
    impl RandomSource for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError)
        }
    }
    assert_eq!(TokenId::generate(DateTime::UNIX_EPOCH, &Broken), Err(RandomError));
    assert!(Secret::generate(&Broken).is_err());
}

#[test]
fn debug_shows_the_id_and_no_secret() {
    let prefix = Prefix::new("acme").unwrap();
    let id = TokenId::from_bytes([1; 16]);
    let token = Token::assemble(&prefix, id, &secret(&CHARACTERS));
    let accepted = [prefix];
    let parsed = ParsedToken::parse(token.expose_secret(), &accepted).unwrap();
    let shown = format!("{token:?} {token:#?} {parsed:?} {parsed:#?} {:?}", secret(&CHARACTERS));
    assert!(shown.contains(&id.to_string()));
    let secret = str::from_utf8(&CHARACTERS).unwrap();
    for start in 0..=SECRET_LEN - 6 {
        assert!(!shown.contains(&secret[start..start + 6]), "{shown}");
    }
    assert!(!shown.contains(&token.expose_secret()[token.expose_secret().len() - 6..]));
}

fn prefixes() -> impl Strategy<Value = Prefix> {
    "[a-z][a-z0-9]{0,9}(_[a-z0-9]{1,10}){0,2}"
        .prop_filter_map("too long", |text| Prefix::new(&text).ok())
}

fn secrets() -> impl Strategy<Value = [u8; SECRET_LEN]> {
    proptest::array::uniform(0usize..62).prop_map(|values| values.map(|value| ALPHABET[value]))
}

proptest! {
    #[test]
    fn printed_id_parses(prefix in prefixes(), id: u128, characters in secrets()) {
        let token = Token::assemble(&prefix, TokenId::from_value(id), &secret(&characters));
        let accepted = [prefix.clone()];
        let parsed = ParsedToken::parse(token.expose_secret(), &accepted).unwrap();
        prop_assert_eq!(parsed.prefix(), prefix.as_str());
        prop_assert_eq!(parsed.id(), TokenId::from_value(id));
        prop_assert_eq!(parsed.secret(), &characters);
        prop_assert!(token.expose_secret().len() <= MAX_TOKEN_LEN);
    }

    /// Each token that parses prints as the same text, because its parts have only one spelling.
    #[test]
    fn token_has_one_spelling(
        prefix in prefixes(),
        body in "1[0-7][0-9A-Za-z]{64}",
        sealed in any::<bool>(),
    ) {
        let mut text = format!("{prefix}_{body}");
        let sum = if sealed { base62(u128::from(crc32_bitwise(text.as_bytes())), 6) } else { "000000".into() };
        text += &sum;
        let accepted = [prefix.clone()];
        match ParsedToken::parse(&text, &accepted) {
            Ok(parsed) => {
                let again = Token::assemble(&prefix, parsed.id(), &secret(parsed.secret()));
                prop_assert_eq!(again.expose_secret(), text);
            }
            Err(error) if sealed => prop_assert_eq!(error, MalformedToken::IdRange),
            Err(_) => {}
        }
    }

    #[test]
    fn ids_sort_like_their_texts_and_bytes(left: u128, right: u128) {
        let (left, right) = (TokenId::from_value(left), TokenId::from_value(right));
        prop_assert_eq!(left.cmp(&right), left.to_string().cmp(&right.to_string()));
        prop_assert_eq!(left.cmp(&right), left.to_bytes().cmp(&right.to_bytes()));
        prop_assert_eq!(left.to_string().parse(), Ok(left));
        prop_assert_eq!(TokenId::from_bytes(left.to_bytes()), left);
        prop_assert_eq!(TokenId::from_uuid(left.to_uuid()), left);
    }
}

/// The generator of the present version must produce the golden tokens from their parts.
#[test]
fn golden_tokens_equal_generated_tokens() {
    for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        let [token, prefix, id, _] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let accepted = [Prefix::new(prefix).unwrap()];
        let parsed = ParsedToken::parse(token, &accepted).unwrap();
        let id: TokenId = id.parse().unwrap();
        let again = Token::assemble(&accepted[0], id, &secret(parsed.secret()));
        assert_eq!(again.expose_secret(), token);
    }
}

/// Wrote `tests/golden/tokens_v1.txt`, which must never change. A later version of the grammar gets
/// its own file.
#[test]
#[ignore = "rewrites tests/golden/tokens_v1.txt"]
fn write_golden_tokens() {
    let mut lines = BTreeSet::new();
    let mut add = |prefix: &str, id: u128, characters: &[u8; SECRET_LEN]| {
        let token = Token::assemble(
            &Prefix::new(prefix).unwrap(),
            TokenId::from_value(id),
            &secret(characters),
        );
        let id = TokenId::from_value(id);
        lines.insert(format!("{} {prefix} {id} {}", token.expose_secret(), id.to_uuid()));
    };
    let longest = "a1_b2_c3_d4_e5_f6_g7_h8_i9_j0_k1";
    assert_eq!(longest.len(), MAX_PREFIX_LEN);
    let v7 = 0x017F_22E2_79B0_7CC3_98C4_DC0C_0C07_398F;
    for prefix in ["a", "acme", "acme_live", "sk_1", "a_1_1", "z9", longest] {
        for id in [0, 1, u128::MAX, u128::MAX - 1, v7, 1 << 127, 62u128.pow(20)] {
            add(prefix, id, &CHARACTERS);
        }
    }
    for character in [b'0', b'9', b'A', b'Z', b'a', b'z'] {
        add("acme_live", v7, &[character; SECRET_LEN]);
    }
    for crc in [0, 1, 61, 62, u32::MAX - 1, u32::MAX] {
        add("acme_live", v7, &secret_with_checksum("acme_live", v7, crc));
    }
    let lines: Vec<String> = lines.into_iter().collect();
    let head =
        "# Tokens of version 1, which must parse for ever: token, prefix, id, id as a UUID.\n";
    std::fs::write("tests/golden/tokens_v1.txt", format!("{head}{}\n", lines.join("\n"))).unwrap();
}

/// Returns a secret of zeros and ones for which the checksum has this value. CRC is linear over
/// single bits and `0` and `1` differ in one bit, so this is a system of 32 equations with 43
/// unknowns.
fn secret_with_checksum(prefix: &str, id: u128, crc: u32) -> [u8; SECRET_LEN] {
    let with = |secret: &[u8; SECRET_LEN]| {
        let head = format!("{prefix}_1{}", TokenId::from_value(id));
        crc32_bitwise(&[head.as_bytes(), secret].concat())
    };
    let zeros = [b'0'; SECRET_LEN];
    let mut basis: Vec<(u32, u64)> = Vec::new();
    for position in 0..SECRET_LEN {
        let mut one = zeros;
        one[position] = b'1';
        let (effect, positions) = reduce(&basis, with(&one) ^ with(&zeros), 1 << position);
        if effect != 0 {
            basis.push((effect, positions));
        }
    }
    let (rest, positions) = reduce(&basis, crc ^ with(&zeros), 0);
    assert_eq!(rest, 0, "no such secret");
    let secret = std::array::from_fn(|i| if positions >> i & 1 == 1 { b'1' } else { b'0' });
    assert_eq!(with(&secret), crc);
    secret
}

fn reduce(basis: &[(u32, u64)], mut effect: u32, mut positions: u64) -> (u32, u64) {
    for (known, of) in basis {
        if effect & (1 << known.ilog2()) != 0 {
            effect ^= known;
            positions ^= of;
        }
    }
    (effect, positions)
}
