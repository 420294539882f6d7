//! Import forms without a store: what a service cannot be built with, the decision whether two forms overlap
//! against an enumeration of texts, and golden ids.

use proptest::prelude::*;
use service_tokens::digest::KeyId;
use service_tokens::import::{Characters, ImportDigest, ImportForm, InvalidForm, MAX_IMPORTED_LEN};
use service_tokens::{BuildError, MemoryStore, TokenService};
use sha2::{Digest as _, Sha256};

const KEY: KeyId = KeyId(*b"old1");

/// Builds a service with these forms and returns the name and the error of the form that is refused.
fn build<const N: usize>(forms: [ImportForm; N]) -> Result<(), (String, InvalidForm)> {
    let builder = TokenService::builder(MemoryStore::new(), "acme").accept_prefix("acme_live");
    let built = forms.into_iter().fold(builder, |builder, form| builder.import_form(form)).build();
    match built {
        Ok(_) => Ok(()),
        Err(BuildError::ImportForm { name, source }) => Err((name, source)),
        Err(other) => panic!("{other:?}"),
    }
}

fn refused(form: ImportForm) -> InvalidForm {
    build([form]).unwrap_err().1
}

fn sha256() -> ImportForm {
    ImportForm::sha256("form").characters(Characters::BASE62).lengths([32])
}

#[test]
fn impossible_form_is_refused() {
    let too_long = InvalidForm::TooLong { max: MAX_IMPORTED_LEN };
    let native = |prefix: &str| InvalidForm::NativePrefix { prefix: prefix.to_owned() };
    for (form, error) in [
        (ImportForm::sha256("").characters(Characters::BASE62).lengths([32]), InvalidForm::Name),
        (ImportForm::sha256(" \t").characters(Characters::BASE62).lengths([32]), InvalidForm::Name),
        (
            ImportForm::sha256("x".repeat(65)).characters(Characters::BASE62).lengths([32]),
            InvalidForm::Name,
        ),
        (ImportForm::sha256("form").lengths([32]), InvalidForm::NoCharacters),
        (ImportForm::sha256("form").characters(Characters::BASE62), InvalidForm::NoLength),
        (sha256().lengths([]), InvalidForm::NoLength),
        (sha256().lengths([0]), InvalidForm::EmptyPart),
        (sha256().lengths([32, 0]).hash_rest(), InvalidForm::EmptyPart),
        (sha256().lengths([513]), too_long.clone()),
        (sha256().lengths(32..), too_long.clone()),
        (sha256().prefix("x").lengths([512]), too_long.clone()),
        (sha256().prefix("old key "), InvalidForm::Character),
        (sha256().prefix("clé_"), InvalidForm::Character),
        (sha256().hash_after_last(' ', [32]).lengths([40]), InvalidForm::Character),
        (sha256().hash_after_last('é', [32]).lengths([40]), InvalidForm::Character),
        (sha256().hash_after_last('|', []).lengths([40]), InvalidForm::NoLength),
        (sha256().hash_after_last('|', [32]).lengths([32]), InvalidForm::NoLength),
        (sha256().hash_after_last('|', [0, 32]).lengths([40]), InvalidForm::EmptyPart),
        (sha256().prefix("acme_"), native("acme")),
        (sha256().prefix("acme_live_"), native("acme")),
        (
            ImportForm::hmac_sha256("form", KEY, b"").characters(Characters::BASE62).lengths([32]),
            InvalidForm::EmptyKey,
        ),
    ] {
        assert_eq!(refused(form.clone()), error, "{form:?}");
    }
    assert_eq!(Characters::of("a\n"), Err(InvalidForm::Character));
    // On the other side of each limit.
    for form in [
        ImportForm::sha256("x".repeat(64)).characters(Characters::BASE62).lengths([32]),
        sha256().lengths([512]),
        sha256().prefix("x").lengths([511]),
        sha256().hash_after_last('|', [32]).lengths([33]),
        sha256().prefix("acme"),
        sha256().prefix("acme-live_"),
    ] {
        assert_eq!(build([form.clone()]), Ok(()), "{form:?}");
    }
}

/// 28 hexadecimal digits have 112 bits, and 19 characters of base62 have 113.
#[test]
fn unkeyed_form_needs_112_bits() {
    let of = |set, lengths: &[usize]| {
        ImportForm::sha256("form").characters(set).lengths(lengths.iter().copied())
    };
    let few = |bits| InvalidForm::Guessable { bits, min: 112 };
    let (hex, base62) = (Characters::LOWER_HEX, Characters::BASE62);
    assert_eq!(build([of(hex, &[28])]), Ok(()));
    assert_eq!(refused(of(hex, &[27])), few(108));
    assert_eq!(refused(of(hex, &[64, 27, 28])), few(108), "the shortest text counts");
    assert_eq!(build([of(base62, &[19])]), Ok(()));
    assert_eq!(refused(of(base62, &[18])), few(107));
    assert_eq!(refused(of(Characters::of("a").unwrap(), &[500])), few(0));
    // The prefix is known, and so is everything that is not hashed.
    assert_eq!(refused(of(hex, &[27]).prefix("0123456789abcdef")), few(108));
    assert_eq!(refused(of(hex, &[100]).hash_after_last('|', [27])), few(108));
    assert_eq!(build([of(hex, &[100]).hash_after_last('|', [28])]), Ok(()));
    let with_separator = Characters::LOWER_HEX.and(Characters::of("|").unwrap());
    assert_eq!(refused(of(with_separator, &[100]).hash_after_last('|', [27])), few(108));
    let sha512 = ImportForm::sha512("form").characters(hex).lengths([27]);
    assert_eq!(refused(sha512), few(108));
    // A keyed hash cannot be tested without the key.
    let keyed = ImportForm::hmac_sha256("form", KEY, b"k").characters(hex).lengths([8]);
    assert_eq!(build([keyed]), Ok(()));
    assert_eq!(build([of(hex, &[8]).allow_guessing_from_ids()]), Ok(()));
}

#[test]
fn conflicting_forms_are_refused() {
    let of = |name: &str, id, key: &[u8], prefix: &str| {
        ImportForm::hmac_sha256(name, id, key)
            .prefix(prefix)
            .characters(Characters::BASE62)
            .lengths([32])
    };
    let second = |error| Err(("b".to_owned(), error));
    let a = || of("a", KEY, b"one", "a_");
    assert_eq!(build([a(), of("b", KEY, b"two", "b_")]), second(InvalidForm::ConflictingKey(KEY)));
    assert_eq!(build([a(), of("b", KEY, b"one", "b_")]), Ok(()));
    assert_eq!(build([a(), of("b", KeyId(*b"old2"), b"two", "b_")]), Ok(()));
    assert_eq!(
        build([a(), of("b", KEY, b"one", "a_")]),
        second(InvalidForm::Overlap { other: "a".to_owned() })
    );
    let double = build([a(), of("a", KEY, b"one", "b_")]);
    assert_eq!(double, Err(("a".to_owned(), InvalidForm::DuplicateName)));
    let error = build([a(), of("b", KEY, b"two", "b_")]).unwrap_err().1.to_string();
    assert_eq!(error, "another form has another key with the id old1");
}

/// A form over a small alphabet, described independently of the library.
#[derive(Debug, Clone)]
struct Sketch {
    prefix: String,
    characters: String,
    lengths: Vec<usize>,
    after_last: Option<(char, Vec<usize>)>,
}

impl Sketch {
    fn form(&self, name: &str) -> ImportForm {
        let form = ImportForm::sha256(name)
            .prefix(&*self.prefix)
            .characters(Characters::of(&self.characters).unwrap())
            .lengths(self.lengths.iter().copied())
            .allow_guessing_from_ids();
        match &self.after_last {
            Some((separator, lengths)) => form.hash_after_last(*separator, lengths.iter().copied()),
            None => form,
        }
    }

    fn matches(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(&self.prefix) else { return false };
        let separator = self.after_last.as_ref().map(|(separator, _)| *separator);
        let all_allowed = rest.chars().all(|c| self.characters.contains(c) || separator == Some(c));
        let part_fits = match &self.after_last {
            None => true,
            Some((separator, lengths)) => {
                rest.rsplit_once(*separator).is_some_and(|(_, part)| lengths.contains(&part.len()))
            }
        };
        all_allowed && part_fits && self.lengths.contains(&rest.len())
    }
}

const ALPHABET: [char; 4] = ['a', 'b', '|', '-'];
const LONGEST: usize = 6;

/// Every text over the alphabet of at most [`LONGEST`] characters.
fn texts() -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..LONGEST {
        let to = all.len();
        for at in from..to {
            for c in ALPHABET {
                let longer = format!("{}{c}", all[at]);
                all.push(longer);
            }
        }
        from = to;
    }
    all
}

fn sketches() -> impl Strategy<Value = Sketch> {
    let lengths = || proptest::collection::vec(1..=4usize, 1..=2);
    let after_last = proptest::option::of((prop_oneof![Just('|'), Just('-')], lengths()));
    ("[ab|]{0,2}", "[ab|-]{1,3}", lengths(), after_last).prop_map(
        |(prefix, characters, lengths, after_last)| Sketch {
            prefix,
            characters,
            lengths,
            after_last,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, max_global_rejects: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The longest text of a sketch has as many characters as the enumeration.
    #[test]
    fn overlap_equals_enumeration(left in sketches(), right in sketches()) {
        let possible = |sketch: &Sketch| build([sketch.form("left")]).is_ok();
        prop_assume!(possible(&left) && possible(&right));
        thread_local!(static TEXTS: Vec<String> = texts());
        let common = TEXTS.with(|texts| {
            texts.iter().find(|text| left.matches(text) && right.matches(text)).cloned()
        });
        let built = build([left.form("left"), right.form("right")]);
        match common {
            None => prop_assert_eq!(built, Ok(())),
            Some(_) => {
                let overlap = InvalidForm::Overlap { other: "left".to_owned() };
                prop_assert_eq!(built, Err(("right".to_owned(), overlap)));
            }
        }
    }
}

#[test]
fn disjoint_forms_of_real_systems_coexist() {
    let sanctum = || {
        ImportForm::sha256("sanctum")
            .characters(Characters::BASE62)
            .lengths(42..=69)
            .hash_after_last('|', [40, 48])
    };
    let of = |name: &str| ImportForm::sha256(name).characters(Characters::BASE62);
    let forms = [
        sanctum(),
        of("live").prefix("sk_live_").lengths([24, 32]),
        of("test").prefix("sk_test_").lengths([24, 32]),
        of("longer").prefix("sk_live_").lengths(33..=64),
        of("bare").lengths(30..=80),
    ];
    assert_eq!(build(forms), Ok(()));
    let url = of("url").characters(Characters::BASE64URL);
    let overlap = |other: &str| InvalidForm::Overlap { other: other.to_owned() };
    let live = of("live").prefix("sk_live_").lengths([24, 32]);
    let built = build([live, url.clone().lengths([40])]);
    assert_eq!(built, Err(("url".to_owned(), overlap("live"))));
    assert_eq!(build([sanctum(), url.lengths(42..=69)]), Ok(()), "only one has a bar");
}

/// The ids were computed by another program from the definition: SHA-256 of the domain, the scheme, the key
/// id and the digest, with the bits of a UUID of version 8.
#[test]
fn imported_ids_are_golden() {
    let text = b"sk_live_e5e9fa1ba31ecd1ae84f75caaa474f3a";
    let sha256: [u8; 32] = Sha256::digest(text).into();
    let sha512: [u8; 64] = sha2::Sha512::digest(text).into();
    let mac = {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<Sha256>::new_from_slice(b"pepper").unwrap();
        mac.update(text);
        <[u8; 32]>::from(mac.finalize().into_bytes())
    };
    for (digest, golden) in [
        (ImportDigest::sha256(sha256), "000019aa-6130-85e2-a9b4-3fcd05bd9d58"),
        (ImportDigest::sha512(&sha512), "0000e053-5d30-8db2-9299-05959d770a0c"),
        (ImportDigest::hmac_sha256(KEY, mac), "000015b6-73ca-8478-9e08-cb8aed65eaf9"),
    ] {
        assert_eq!(digest.token_id().to_uuid().to_string(), golden);
    }
    // The definition again, for a digest of scheme 3.
    for seed in 0..200u8 {
        let digest = [seed; 32];
        let mut hash = Sha256::new();
        hash.update(b"service-tokens id\0\x03\0\0\0\0");
        hash.update(digest);
        let mut expected = [0u8; 16];
        expected.copy_from_slice(&hash.finalize()[..16]);
        let number = u128::from_be_bytes(expected) & ((1 << 112) - 1);
        let number = number & !(0xf << 76) | 8 << 76;
        let number = number & !(3 << 62) | 2 << 62;
        let id = ImportDigest::sha256(digest).token_id();
        assert_eq!(id.to_uuid().as_u128(), number);
        assert!(id.is_imported());
    }
}
