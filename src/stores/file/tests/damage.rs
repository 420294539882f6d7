//! Damaged files: each bit flipped, and the file cut to each length.

use std::fs;

use super::model::{Model, Step, Steps, perform};
use super::*;
use crate::store::{StoreError, TokenStore};
use crate::stores::file::OpenError;
use crate::stores::file::format::{Framer, Header};

/// A small store: its bytes, and after each write the length of the file and its contents.
struct Small {
    bytes: Vec<u8>,
    states: Vec<(usize, Model)>,
}

impl Small {
    fn expected(&self) -> &Model {
        &self.states.last().unwrap().1
    }
}

fn small(seed: u64, writes: usize, compacted: bool) -> Small {
    let place = Place::in_memory();
    let store = place.open_quiet();
    let length = || fs::metadata(place.path()).unwrap().len() as usize;
    let mut model = Model::default();
    let mut steps = Steps::new(seed, 1, false);
    for _ in 0..if compacted { 20 } else { 0 } {
        let step = steps.next(&model);
        model.apply(&step);
        block_on(perform(&store, &step)).unwrap();
    }
    if compacted {
        block_on(store.compact()).unwrap();
    }
    let mut states = vec![(length(), model.clone())];
    for _ in 0..writes {
        let step = steps.next(&model);
        model.apply(&step);
        block_on(perform(&store, &step)).unwrap();
        states.push((length(), model.clone()));
    }
    // The last write is the most important one, because only an unfinished end may be dropped.
    for step in [Step::Insert(record(900)), Step::Replace(revoked(&record(900)))] {
        model.apply(&step);
        block_on(perform(&store, &step)).unwrap();
        states.push((length(), model.clone()));
    }
    drop(store);
    Small { bytes: fs::read(place.path()).unwrap(), states }
}

fn read_only(place: &Place) -> Result<FileStore, OpenError> {
    FileStoreOptions::new().read_only(true).open(place.path())
}

/// The distance between the bits that are flipped by default. It flips at least one bit in each byte.
const STRIDE: usize = 7;

/// Flips bits at this distance. The store must refuse the file and leave it unchanged, or have the same
/// contents as before.
fn flip_bits(file: &[u8], expected: &Model, stride: usize) {
    let place = Place::in_memory();
    let mut accepted = 0;
    for bit in (0..file.len() * 8).step_by(stride) {
        let mut bytes = file.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(place.path(), &bytes).unwrap();
        // Opening for writing needs a sync, so only one file in 61 is opened that way.
        let writing = bit % 61 == 0;
        let opened = if writing { FileStore::open(place.path()) } else { read_only(&place) };
        match opened {
            Ok(store) => {
                assert_eq!(Model::of(&store), *expected, "bit {bit}");
                accepted += 1;
            }
            Err(error) => {
                let refused =
                    matches!(error, OpenError::Damaged { .. } | OpenError::NotAStore { .. });
                assert!(refused, "bit {bit}: {error}");
                assert_eq!(fs::read(place.path()).unwrap(), bytes, "bit {bit}");
            }
        }
    }
    // A file with a flipped bit may only be accepted if its end is unfinished.
    let finished = {
        fs::write(place.path(), file).unwrap();
        read_only(&place).unwrap().open_report()
    };
    let unfinished = finished.truncated_tail.map_or(0, |cut| cut.bytes) as usize * 8;
    assert!(accepted <= unfinished, "{accepted} of {unfinished}");
}

#[test]
fn flipped_bit_in_closed_file_is_refused() {
    flip_bits_in_closed_file(STRIDE);
}

#[test]
#[ignore = "campaign"]
fn flipped_bit_in_closed_file_campaign() {
    flip_bits_in_closed_file(1);
}

fn flip_bits_in_closed_file(stride: usize) {
    let small = small(3, 8, false);
    flip_bits(&small.bytes, small.expected(), stride);
}

#[test]
fn flipped_bit_in_compacted_file_is_refused() {
    flip_bits_in_compacted_file(STRIDE);
}

#[test]
#[ignore = "campaign"]
fn flipped_bit_in_compacted_file_campaign() {
    flip_bits_in_compacted_file(1);
}

fn flip_bits_in_compacted_file(stride: usize) {
    let small = small(4, 4, true);
    flip_bits(&small.bytes, small.expected(), stride);
}

#[test]
fn flipped_bit_in_killed_file_is_refused() {
    flip_bits_in_killed_file(STRIDE);
}

#[test]
#[ignore = "campaign"]
fn flipped_bit_in_killed_file_campaign() {
    flip_bits_in_killed_file(1);
}

/// The file after a kill: it ends with a part of a frame, or with zeros in place of that frame.
fn flip_bits_in_killed_file(stride: usize) {
    let small = small(5, 4, false);
    let complete = small.bytes.len();
    let whole = {
        let place = Place::in_memory();
        fs::write(place.path(), &small.bytes).unwrap();
        let store = place.open();
        block_on(store.insert(&record(1_000))).unwrap();
        drop(store);
        fs::read(place.path()).unwrap()
    };
    for written in [complete + 7, complete + 100] {
        flip_bits(&whole[..written], small.expected(), stride);
        let mut zeros = whole[..written].to_vec();
        zeros.resize(written + 40, 0);
        flip_bits(&zeros, small.expected(), stride);
    }
}

#[test]
fn truncated_file_is_an_earlier_state_or_refused() {
    for compacted in [false, true] {
        let small = small(6, 14, compacted);
        let (first, _) = small.states[0];
        let place = Place::in_memory();
        let mut reached = 0;
        for length in 0..=small.bytes.len() {
            fs::write(place.path(), &small.bytes[..length]).unwrap();
            let writing = length % 23 == 0;
            let opened = if writing { FileStore::open(place.path()) } else { read_only(&place) };
            if length < first {
                let error = opened.expect_err("shorter than the file ever was");
                assert!(
                    matches!(error, OpenError::Damaged { .. } | OpenError::Empty { .. }),
                    "{length}: {error}"
                );
                continue;
            }
            let store = opened.unwrap();
            let found = Model::of(&store);
            // At least the writes that were acknowledged when the file had this length, and at most
            // one more: the first of its two frames.
            while small.states.get(reached + 1).is_some_and(|(end, _)| *end <= length) {
                reached += 1;
            }
            let next = small.states.get(reached + 1);
            assert!(
                found == small.states[reached].1 || next.is_some_and(|next| found == next.1),
                "{length}"
            );
            if writing {
                // The unfinished end was removed, so the store can continue.
                block_on(store.insert(&record(5_000))).unwrap();
                drop(store);
                let again = place.open();
                assert_eq!(again.open_report().truncated_tail, None);
                assert_eq!(Model::of(&again), found.with(&Step::Insert(record(5_000))));
            }
        }
        assert_eq!(reached + 1, small.states.len());
    }
}

#[test]
fn revocation_survives_loss_of_last_frame() {
    let small = small(7, 6, false);
    let place = Place::in_memory();
    let (before, _) = small.states[small.states.len() - 2];
    let frame = (small.bytes.len() - before) / 2;
    fs::write(place.path(), &small.bytes[..small.bytes.len() - frame]).unwrap();
    assert_eq!(Model::of(&place.open()), *small.expected());
}

#[test]
fn misplaced_frames_are_refused() {
    let (one, two) = (small(8, 3, false), small(8, 3, false));
    let place = Place::in_memory();
    let refused = |bytes: &[u8]| {
        fs::write(place.path(), bytes).unwrap();
        let opened = place_open(&place);
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
    };
    // The same writes in another store.
    refused(&[&one.bytes[..64], &two.bytes[64..]].concat());
    // The last frame again, at the end.
    let last = (one.bytes.len() - one.states[one.states.len() - 2].0) / 2;
    let repeated = &one.bytes[one.bytes.len() - last..];
    refused(&[&one.bytes, repeated].concat());
    // Only the end of a file may have an unfinished frame.
    refused(&[&one.bytes[..one.bytes.len() - 5], repeated].concat());
}

fn place_open(place: &Place) -> Result<FileStore, OpenError> {
    FileStore::open(place.path())
}

#[test]
fn open_of_other_file_is_refused() {
    let place = Place::in_memory();
    let open = |bytes: &[u8]| {
        fs::write(place.path(), bytes).unwrap();
        let error = read_only(&place).unwrap_err();
        assert_eq!(error.to_string(), place_open(&place).unwrap_err().to_string());
        // After a mistyped path there must be no new file next to that one.
        assert_eq!(fs::read_dir(place.directory.path()).unwrap().count(), 1, "{error}");
        error
    };
    assert!(matches!(open(b"SQLite format 3\0"), OpenError::NotAStore { .. }));
    assert!(matches!(open(b""), OpenError::Empty { .. }));
    assert!(matches!(open(&[0; 200]), OpenError::Damaged { offset: 0, .. }));
    assert!(matches!(open(&[0; 7]), OpenError::Damaged { offset: 0, .. }));
    let mut newer = small(9, 5, false).bytes;
    newer[11] = 2;
    assert!(matches!(open(&newer), OpenError::Damaged { .. }));
    let checksum = crc32fast::hash(&newer[..12]).to_be_bytes();
    newer[12..16].copy_from_slice(&checksum);
    assert!(matches!(open(&newer), OpenError::NewerFormat { format: 2, .. }));
    fs::remove_file(place.path()).unwrap();
    fs::create_dir(place.path()).unwrap();
    assert!(matches!(place_open(&place).unwrap_err(), OpenError::NotAFile { .. }));
    assert!(matches!(read_only(&place).unwrap_err(), OpenError::NotAFile { .. }));
    assert_eq!(fs::read_dir(place.directory.path()).unwrap().count(), 1);
}

#[test]
fn compaction_of_damaged_file_leaves_it() {
    let place = Place::in_memory();
    let store = place.open();
    block_on(store.insert(&record(1))).unwrap();
    block_on(store.insert(&record(2))).unwrap();
    let mut bytes = fs::read(place.path()).unwrap();
    bytes[100] ^= 1;
    fs::write(place.path(), &bytes).unwrap();
    let refused = block_on(store.compact());
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    assert_eq!(fs::read(place.path()).unwrap(), bytes);
    assert!(!place.path().with_extension("journal.compacting").exists());
    assert!(block_on(store.find(id(2))).unwrap().is_some());
}

/// Frames with a valid checksum and contradictory contents, which no flipped bit produces.
#[test]
fn versions_without_successor_are_refused() {
    let place = Place::in_memory();
    drop(place.open());
    let empty = fs::read(place.path()).unwrap();
    let header = Header::read(&empty).unwrap();
    for (version, refused) in [((1 << 63) - 2, false), (1 << 63, true), (u64::MAX, true)] {
        let mut put = empty.clone();
        Framer::new(header.seed(), 1).put(&mut put, id(1), version, None, &record(1).to_bytes());
        let mut remove = empty.clone();
        Framer::new(header.seed(), 1).remove(&mut remove, id(1), version);
        let base = header.next_generation(version).to_bytes().to_vec();
        for bytes in [put, remove, base] {
            fs::write(place.path(), bytes).unwrap();
            match place_open(&place) {
                Err(error) => {
                    assert!(refused && matches!(error, OpenError::Damaged { .. }), "{error}");
                }
                Ok(store) => {
                    assert!(!refused);
                    block_on(store.insert(&record(2))).unwrap();
                }
            }
        }
    }
}

/// A file length of terabytes without contents must not cause an allocation of that size.
#[test]
fn long_empty_file_is_refused() {
    let place = Place::in_memory();
    drop(place.open());
    let file = fs::OpenOptions::new().write(true).open(place.path()).unwrap();
    file.set_len(4 << 40).unwrap();
    std::io::Seek::seek(&mut &file, std::io::SeekFrom::End(0)).unwrap();
    std::io::Write::write_all(&mut &file, &[1]).unwrap();
    let opened = place_open(&place);
    assert!(matches!(opened, Err(OpenError::Damaged { offset: 64, .. })), "{opened:?}");
}
