//! The facts about the secrets of a record: who made them, the keys they need, and their import.

use super::life::{ID, at, first_use_of, issued, rotation};
use super::*;
use crate::digest::ImportAlgorithm;
use crate::digest::{KeyId, KeyRing};
use crate::secret::SECRET_LEN;
use crate::token::Prefix;

#[test]
fn first_use_has_the_number_of_its_secret() {
    let mut numbers = std::collections::HashSet::new();
    for secret in 1..62 {
        let rule = OlderEnds::OnFirstUse { latest: from_micros(9_000) };
        let record = issued(1_000, None, None);
        let rotated = record.rotate(Times::at(from_micros(1_500)), &rotation(secret, rule, None));
        let first_use = first_use_of(&rotated.unwrap(), secret, 2_000).unwrap();
        numbers.insert(first_use.number());
    }
    assert_eq!(numbers.len(), 61);
}

#[test]
fn secret_creator_is_issuer_until_rotation() {
    let mut issued = issued(1_000, None, None);
    issued.rare.get_or_insert_default().issued_by = Some("alice".into());
    assert_eq!(issued.secret_created_by(), Some("alice"));
    let by = |by| {
        let rotation = Rotation { by, ..rotation(1, OlderEnds::Now, None) };
        issued.rotate(Times::at(from_micros(2_000)), &rotation).unwrap()
    };
    assert_eq!(by(Some("bob")).secret_created_by(), Some("bob"));
    assert_eq!(by(None).secret_created_by(), None);
    // Its creation time does not say that an imported secret comes from a rotation.
    let mut imported = issued.clone();
    imported.newest.digest = StoredDigest::imported(ImportAlgorithm::Sha256, [7; 32]);
    imported.newest.created_at = from_micros(1_001);
    assert_eq!(imported.secret_created_by(), Some("alice"));
}

#[test]
fn key_is_needed_until_its_secret_ends() {
    let keyed = |id: &[u8; 4]| {
        let ring = KeyRing::new(KeyId(*id), &[1; 32]).unwrap();
        Digests::keyed(ring).make(ID, &[b'0'; SECRET_LEN], Prefix::new("acme").unwrap().tag())
    };
    let mut record = issued(1_000, None, None);
    record.newest.digest = keyed(b"old_");
    let rotation = Rotation { digest: keyed(b"new_"), ..rotation(1, at(3_000), None) };
    let rotated = record.rotate(Times::at(from_micros(2_000)), &rotation).unwrap();
    let needed = |now| rotated.key_ids(from_micros(now)).collect::<Vec<_>>();
    assert_eq!(needed(2_999), [KeyId(*b"new_"), KeyId(*b"old_")]);
    assert_eq!(needed(3_000), [KeyId(*b"new_")]);
    assert_eq!(needed(3_001), [KeyId(*b"new_")]);
}

#[test]
fn import_by_another_digest_is_not_the_same() {
    let imported = |byte| StoredDigest::imported(ImportAlgorithm::Sha256, [byte; 32]);
    let mut record = issued(1_000, None, None);
    record.newest.digest = imported(1);
    assert!(record.was_imported_by(&imported(1)));
    assert!(!record.was_imported_by(&imported(2)));
    // The imported digest is the older one, then the one that ended last, and is then gone.
    let later = |record: &Record, secret: usize, now| {
        let replaced = Some(ReplacedSecret::Oldest);
        record.rotate(Times::at(from_micros(now)), &rotation(secret, at(9_000), replaced)).unwrap()
    };
    let (once, mut present) = (later(&record, 1, 2_000), Vec::new());
    let twice = later(&once, 2, 3_000);
    present.extend([once, twice.clone()]);
    for record in present {
        assert!(record.was_imported_by(&imported(1)));
        assert!(!record.was_imported_by(&imported(2)));
    }
    assert!(later(&twice, 3, 4_000).was_imported_by(&imported(2)));
}
