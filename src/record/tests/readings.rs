//! The reading that stores use and a plain second reading agree about every sequence of bytes.

use super::*;
use crate::record::encoding::reference;
use crate::record::tlv::{CHECKSUM_LEN, checksum};

/// Golden encodings. The store's lines have other columns before the encoding.
const RECORDS: &str = include_str!("../../../tests/golden/record_v1.hex");
const STORE: &str = include_str!("../../../tests/golden/store_v1.expected");

/// Reads the bytes in both ways and returns whether they are a record.
fn agree(bytes: &[u8]) -> bool {
    let read = Record::from_bytes(bytes);
    assert_eq!(read, reference::read(bytes), "{bytes:02x?}");
    if let Ok(record) = &read {
        assert_eq!(record.to_bytes(), bytes);
    }
    read.is_ok()
}

/// Replaces the checksum by the right one, so that the rules behind it decide.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len().saturating_sub(CHECKSUM_LEN));
    let sum = checksum(&bytes);
    bytes.extend(sum);
    bytes
}

/// Compares the readings of an encoding with each bit flipped, with and without the right checksum.
fn agree_with_each_bit_flipped(bytes: &[u8]) {
    let (mut refused, mut read) = (0, 0);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!agree(&flipped), "bit {bit}");
        if bit / 8 < bytes.len() - CHECKSUM_LEN {
            if agree(&resealed(flipped)) { read += 1 } else { refused += 1 }
        }
    }
    assert!(refused > 20 && read > 20, "{refused} {read}");
}

fn golden() -> Vec<Vec<u8>> {
    let unhex = |text: &str| -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    };
    let lines = RECORDS.lines().chain(STORE.lines()).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().last()).map(unhex).collect()
}

#[test]
fn readings_of_golden_records_agree() {
    let golden = golden();
    assert!(golden.len() > 5, "{}", golden.len());
    for bytes in golden {
        assert!(agree(&bytes));
        agree_with_each_bit_flipped(&bytes);
    }
}

#[test]
fn readings_of_flipped_records_agree() {
    for record in [minimal(), full(), full().as_if_newer().unwrap()] {
        agree_with_each_bit_flipped(&record.to_bytes());
    }
}

/// Adds one field to a record that has only required ones, with a content that is valid for some tag.
#[test]
fn readings_with_one_more_field_agree() {
    let digest_and_times = |times: usize| {
        [&digest(0x22).to_bytes()[..], &[0, 0, 0, 0, 0, 0, 0, 9].repeat(times)].concat()
    };
    let contents = [
        Vec::new(),
        b"x".to_vec(),
        9_i64.to_be_bytes().to_vec(),
        vec![7; 16],
        [digest_and_times(2), vec![1]].concat(),
        digest_and_times(2),
        b"\x01k\x01v".to_vec(),
        vec![4, 10, 0, 0, 0, 8],
        [&9_i64.to_be_bytes()[..], &[0, 0, 0]].concat(),
    ];
    let minimal = minimal().to_bytes();
    let mut read = std::collections::BTreeSet::new();
    for tag in 0..=u8::MAX {
        for content in &contents {
            let mut rest = &minimal[1..minimal.len() - CHECKSUM_LEN];
            let mut bytes = vec![RECORD_FORMAT];
            // All required fields have lengths of one byte.
            while let Some(&[next, length]) = rest.first_chunk() {
                if next >= tag {
                    break;
                }
                let (field, after) = rest.split_at(2 + usize::from(length));
                bytes.extend(field);
                rest = after;
            }
            bytes.extend([tag, content.len() as u8]);
            bytes.extend(content);
            bytes.extend(rest);
            bytes.extend([0; CHECKSUM_LEN]);
            if agree(&resealed(bytes)) {
                read.insert(tag);
            }
        }
    }
    let optional = [6, 7, 8, 10, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23];
    assert_eq!(read, optional.into_iter().chain(128..=255).collect());
}

proptest! {
    #[test]
    fn readings_of_any_record_agree(record in records()) {
        prop_assert!(agree(&record.to_bytes()));
        // The unknown field of a newer record has a tag that the record may have already.
        if let Ok(newer) = record.as_if_newer() {
            prop_assert!(agree(&newer.to_bytes()));
        }
    }

    #[test]
    fn readings_of_changed_records_agree(
        record in records(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::weighted(0.2, any::<proptest::sample::Index>()),
    ) {
        let mut bytes = record.to_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        agree(&bytes);
        agree(&resealed(bytes));
    }

    /// Fields with any tags and small contents, which meet the rules about order, presence and unknown tags.
    #[test]
    fn readings_of_any_fields_agree(
        fields in vec((prop_oneof![4 => 0..26u8, 1 => any::<u8>()], vec(any::<u8>(), 0..4)), 0..9),
        sorted in any::<bool>(),
        base in records(),
    ) {
        let mut fields = fields;
        if sorted {
            fields.sort();
        }
        let mut added = vec![RECORD_FORMAT];
        let encoded = base.to_bytes();
        let mut appended = encoded[..encoded.len() - CHECKSUM_LEN].to_vec();
        for (tag, content) in fields {
            for bytes in [&mut added, &mut appended] {
                bytes.extend([tag, content.len() as u8]);
                bytes.extend(&content);
            }
        }
        for mut bytes in [added, appended] {
            bytes.extend([0; CHECKSUM_LEN]);
            agree(&resealed(bytes));
        }
    }
}
