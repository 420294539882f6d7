//! The end of a file: unfinished writes, zeros and cuts.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::{Duration, Instant};

use super::*;
use crate::store::TokenStore;
use crate::stores::file::format::MAX_APPEND;
use crate::stores::file::{OpenError, OpenWarning};

/// Opens a file that ends with a part of a frame and then this many zeros.
fn open_with_zeros(part: usize, zeros: u64) -> (Result<FileStore, OpenError>, u64, Place) {
    let place = Place::in_memory();
    block_on(place.open().insert(&record(1))).unwrap();
    let end = fs::metadata(place.path()).unwrap().len();
    block_on(place.open().insert(&record(2))).unwrap();
    let file = OpenOptions::new().write(true).open(place.path()).unwrap();
    file.set_len(end + part as u64).unwrap();
    file.set_len(end + part as u64 + zeros).unwrap();
    (FileStore::open(place.path()), end, place)
}

#[test]
fn zeros_of_one_append_are_cut_off() {
    for part in [0, 7, 40] {
        let (opened, end, place) = open_with_zeros(part, MAX_APPEND - part as u64);
        let report = opened.unwrap().open_report();
        let tail = report.truncated_tail.unwrap();
        assert_eq!((tail.offset, tail.bytes), (end, MAX_APPEND));
        assert_eq!(report.records, 1);
        assert_eq!(fs::metadata(place.path()).unwrap().len(), end);
    }
}

/// The zeros are holes, so the file is small, and all of them would still have to be read.
#[test]
fn more_zeros_than_one_append_are_damage() {
    for (part, zeros) in [(0, MAX_APPEND + 1), (7, MAX_APPEND + 1), (40, 64 << 30), (0, 64 << 30)] {
        let began = Instant::now();
        let (opened, end, place) = open_with_zeros(part, zeros);
        let Err(OpenError::Damaged { offset, what, .. }) = opened else { panic!("{opened:?}") };
        assert_eq!(offset, end, "{what}");
        if part == 0 {
            assert_eq!(what, "zeros are in the place of a frame");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let length = fs::metadata(place.path()).unwrap().len();
        assert_eq!(length, end + part as u64 + zeros, "the file was changed");
    }
}

/// A cut at any place opens as an earlier state. The warning says which writes may be missing.
#[test]
fn warning_of_cut_names_missing_writes() {
    let place = Place::in_memory();
    let store = place.open();
    let version = block_on(store.insert(&record(1))).unwrap();
    let before = fs::metadata(place.path()).unwrap().len();
    block_on(store.replace(&revoked(&record(1)), version)).unwrap();
    drop(store);
    let bytes = fs::read(place.path()).unwrap();
    // The revocation was acknowledged, and the file was cut within the first of its frames.
    fs::write(place.path(), &bytes[..before as usize + 30]).unwrap();
    let store = place.open();
    assert_eq!(block_on(store.find(id(1))).unwrap().unwrap().record, record(1));
    let [warning @ OpenWarning::TruncatedTail { offset, bytes: 30, .. }] =
        &*store.open_report().warnings
    else {
        panic!("{:?}", store.open_report())
    };
    assert_eq!(*offset, before);
    for named in ["revocations", "suspensions", "rotations", "The end of the file was cut off"] {
        assert!(warning.to_string().contains(named), "{warning}");
    }
    let manual = include_str!("../../../manual/rotation_and_incidents.md");
    assert!(manual.contains("\n# The end of the file was cut off\n"));
    drop(store);
    // A cut exactly between two frames cannot be noticed.
    fs::write(place.path(), &bytes[..before as usize]).unwrap();
    let store = place.open();
    assert_eq!(store.open_report().warnings, []);
    assert_eq!(block_on(store.find(id(1))).unwrap().unwrap().record, record(1));
}

/// Cutting a compacted file to a length that it never had is damage.
#[test]
fn cut_of_compacted_part_is_refused() {
    let place = Place::in_memory();
    let store = place.open();
    for n in 0..9 {
        block_on(store.insert(&record(n))).unwrap();
    }
    block_on(store.compact()).unwrap();
    drop(store);
    let bytes = fs::read(place.path()).unwrap();
    let mut file = fs::File::create(place.path()).unwrap();
    file.write_all(&bytes[..bytes.len() - 1]).unwrap();
    let opened = FileStore::open(place.path());
    assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{opened:?}");
}
