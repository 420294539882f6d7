use super::*;
use crate::secret::Secret;
use crate::token::{Prefix, Token};

const SECRET: [u8; SECRET_LEN] = *b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg";
const ID: TokenId = TokenId::from_bytes([7; 16]);

fn prefixes() -> [Prefix; 2] {
    [Prefix::new("acme_live").unwrap(), Prefix::new("acme_test").unwrap()]
}

/// Returns the result of verifying the secret within a token of this id and prefix.
fn verified_with(
    digests: &Digests,
    stored: &StoredDigest,
    id: TokenId,
    prefix: &Prefix,
) -> Result<bool, Unverifiable> {
    let token = Token::assemble(prefix, id, &Secret::from_characters(SECRET));
    let accepted = [prefix.clone()];
    let parsed = ParsedToken::parse(token.expose_secret(), &accepted).unwrap();
    digests.verify(stored, &digests.hash(&parsed))
}

fn verified(digests: &Digests, stored: &StoredDigest, id: TokenId) -> Result<bool, Unverifiable> {
    verified_with(digests, stored, id, &prefixes()[0])
}

/// The digests were computed by another implementation of the description in the file.
#[test]
fn golden_digests_match_their_tokens() {
    let golden = include_str!("../../tests/golden/digests_v1.txt");
    let unhex = |text: &str| -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    };
    let mut count = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let [token, key, digest] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let prefix = Prefix::new(token.rsplit_once('_').unwrap().0).unwrap();
        let accepted = [prefix.clone()];
        let parsed = ParsedToken::parse(token, &accepted).unwrap();
        let digests = match key {
            "-" => Digests::plain(),
            key => Digests::keyed(KeyRing::new(KeyId(*b"2026"), &unhex(key)).unwrap()),
        };
        let stored = StoredDigest::from_bytes(unhex(digest).as_slice().try_into().unwrap());
        assert_eq!(digests.verify(&stored, &digests.hash(&parsed)), Ok(true), "{token}");
        assert_eq!(digests.make(parsed.id(), parsed.secret(), prefix.tag()), stored, "{token}");
        count += 1;
    }
    assert!(count > 10, "{count}");
}

fn made(digests: &Digests) -> StoredDigest {
    digests.make(ID, &SECRET, prefixes()[0].tag())
}

#[test]
fn digest_differing_in_any_bit_is_unequal() {
    let base = [0x5a; 32];
    assert!(constant_time_eq(&base, &base));
    for bit in 0..256 {
        let mut other = base;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!constant_time_eq(&base, &other), "bit {bit}");
    }
}

#[test]
fn scheme_1_is_sha_256_of_secret_and_tag() {
    let digest = made(&Digests::plain());
    assert_eq!(digest.scheme(), 1);
    let hash = Sha256::new().chain_update(SECRET).chain_update(prefixes()[0].tag().bytes());
    assert_eq!(digest.hash, <[u8; 32]>::from(hash.finalize()));
}

#[test]
fn digest_of_another_prefix_does_not_match() {
    let keyed = Digests::keyed(KeyRing::new(KeyId(*b"key_"), &[1; 32]).unwrap());
    for digests in [Digests::plain(), keyed] {
        let stored = made(&digests);
        let [live, test] = prefixes();
        assert_eq!(verified_with(&digests, &stored, ID, &live), Ok(true));
        assert_eq!(verified_with(&digests, &stored, ID, &test), Ok(false));
    }
}

#[test]
fn imported_and_native_secrets_never_match() {
    let keyed = Digests::keyed(KeyRing::new(KeyId([0; 4]), &[1; 32]).unwrap());
    let algorithms = [
        ImportAlgorithm::Sha256,
        ImportAlgorithm::Sha512,
        ImportAlgorithm::HmacSha256(KeyId([0; 4])),
    ];
    for digests in [Digests::plain(), keyed] {
        let native = made(&digests);
        for algorithm in algorithms {
            let imported = StoredDigest::imported(algorithm, native.hash);
            assert_eq!(verified(&digests, &imported, ID), Ok(false));
            for other in algorithms {
                let presented = StoredDigest::imported(other, native.hash);
                let hashed = HashedSecret::imported(ID, presented);
                assert_eq!(digests.verify(&native, &hashed), Ok(false));
                assert_eq!(digests.verify(&imported, &hashed), Ok(other == algorithm));
            }
        }
    }
}

#[test]
fn retired_key_verifies_until_removed() {
    let (old, new) = ([1; 32], [2; 32]);
    let before = Digests::keyed(KeyRing::new(KeyId(*b"old_"), &old).unwrap());
    let stored = made(&before);
    assert_eq!((stored.scheme(), stored.key_id()), (2, Some(KeyId(*b"old_"))));
    assert_eq!(verified(&before, &stored, ID), Ok(true));
    assert_eq!(verified(&before, &stored, TokenId::from_bytes([8; 16])), Ok(false));

    let ring = KeyRing::new(KeyId(*b"new_"), &new).unwrap();
    let after = Digests::keyed(ring.clone().retired(KeyId(*b"old_"), &old).unwrap());
    assert_eq!(verified(&after, &stored, ID), Ok(true));
    assert_eq!(made(&after).key_id(), Some(KeyId(*b"new_")));

    let without = Digests::keyed(ring);
    let missing = Err(Unverifiable::Key(KeyId(*b"old_")));
    assert_eq!(verified(&without, &stored, ID), missing);
    assert_eq!(verified(&Digests::plain(), &stored, ID), missing);
}

#[test]
fn digest_of_unknown_scheme_is_refused() {
    let stored = StoredDigest { scheme: 6, key: KeyId([0; 4]), hash: [0; 32] };
    let refused = Err(Unverifiable::Scheme(6));
    assert_eq!(verified(&Digests::plain(), &stored, ID), refused);
    let imported =
        HashedSecret::imported(ID, StoredDigest::imported(ImportAlgorithm::Sha256, [0; 32]));
    assert_eq!(Digests::plain().verify(&stored, &imported), refused);
}

#[test]
fn key_id_is_shown_as_text_or_hex() {
    for (id, shown) in [
        (b"2026", "2026"),
        (b"!~_a", "!~_a"),
        (b"20 6", "32302036"),
        (b"20\n6", "32300a36"),
        (b"\0\0\0\x01", "00000001"),
        (b"\xff\xfe\0\0", "fffe0000"),
    ] {
        assert_eq!(KeyId(*id).to_string(), shown);
    }
}

#[test]
fn weak_or_duplicate_key_is_refused() {
    assert_eq!(KeyRing::new(KeyId([0; 4]), &[0; 31]).err(), Some(InvalidKey::TooShort));
    let ring = KeyRing::new(KeyId([0; 4]), &[0; 32]).unwrap();
    let doubled = ring.retired(KeyId([0; 4]), &[1; 32]).err();
    assert_eq!(doubled, Some(InvalidKey::DuplicateId(KeyId([0; 4]))));
}
