//! The floor of opening a journal. It is the least work with which a program could find every record in the
//! file again.
//!
//! It is straight-line code on one thread. It reads the file in large blocks, checks the header of the file
//! and both checksums and the sequence number of each frame, and puts the offset and the version of the latest
//! frame of each id into a hash map. It decodes no record, so it could answer no call about a token.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crc32fast::Hasher;
use hashbrown::HashMap;

const BLOCK: usize = 1 << 20;
const FILE_HEADER: usize = 64;
const FRAME_HEADER: usize = 20;

/// The number of bytes for which one entry of the map is reserved, as the file store does it.
const BYTES_PER_RECORD: usize = 200;
const MAX_RESERVED: usize = 1_000_000;

const PUT: u8 = 1;
const REMOVE: u8 = 2;

/// The offset and the version of the latest frame of an id.
type Latest = HashMap<[u8; 16], (u64, u64)>;

/// Reads a journal and returns the number of ids that have a record.
pub fn raw_replay(journal: &Path) -> usize {
    let mut file = File::open(journal).expect("a journal");
    let length = file.metadata().expect("its length").len() as usize;
    let mut header = [0; FILE_HEADER];
    file.read_exact(&mut header).expect("a header");
    assert_eq!(crc32fast::hash(&header[..60]), number(&header[60..]), "the checksum of the header");
    let seed = crc32fast::hash(&header[16..40]);

    let mut latest = Latest::with_capacity((length / BYTES_PER_RECORD).min(MAX_RESERVED));
    let mut buffer = vec![0; BLOCK];
    let (mut start, mut filled, mut offset, mut sequence) = (0, 0, FILE_HEADER as u64, 1_u64);
    loop {
        while let Some(frame) = frame(&buffer[start..filled], seed, sequence) {
            apply(&mut latest, &frame[FRAME_HEADER..], offset);
            start += frame.len();
            offset += frame.len() as u64;
            sequence += 1;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        start = 0;
        match file.read(&mut buffer[filled..]) {
            Ok(0) => return latest.len(),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("the journal cannot be read: {error}"),
        }
    }
}

/// Returns the first frame in the bytes, or `None` if it is not complete.
fn frame(bytes: &[u8], seed: u32, sequence: u64) -> Option<&[u8]> {
    let header = bytes.get(..FRAME_HEADER)?;
    assert_eq!(checksum(seed, &[&header[..16]]), number(&header[16..]), "the checksum of a frame");
    assert_eq!(header[4..12], sequence.to_be_bytes(), "the sequence of a frame");
    let frame = bytes.get(..FRAME_HEADER + number(&header[..4]) as usize)?;
    let covered = checksum(seed, &[&header[4..12], &frame[FRAME_HEADER..]]);
    assert_eq!(covered, number(&header[12..16]), "the checksum of a body");
    Some(frame)
}

fn apply(latest: &mut Latest, body: &[u8], offset: u64) {
    if body[0] != PUT && body[0] != REMOVE {
        return;
    }
    let id: [u8; 16] = body[1..17].try_into().expect("an id");
    let version = u64::from_be_bytes(body[17..25].try_into().expect("a version"));
    if body[0] == PUT {
        let entry = latest.entry(id).or_insert((offset, version));
        if entry.1 < version {
            *entry = (offset, version);
        }
    } else if latest.get(&id).is_some_and(|(_, current)| *current < version) {
        latest.remove(&id);
    }
}

fn checksum(seed: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new_with_initial(seed);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}
