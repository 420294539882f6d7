//! The format of the journal, version 1.
//!
//! A file is a header followed by frames, without gaps. Integers are big-endian. A checksum is
//! CRC-32/ISO-HDLC. `seed` in a checksum stands for the header's bytes 16 to 40 (store id and
//! generation). It makes a frame of another store, or of another generation of the same store,
//! invalid.
//!
//! Header, 64 bytes. Every version of the format begins with the first 16:
//!
//! ```text
//!  0   8  magic: 0x89 "SVCTOK" 0x0a
//!  8   4  format version: 1
//! 12   4  checksum of bytes 0 to 12
//! 16  16  store id: random, the same for the life of the store
//! 32   8  generation: 0 in the first file of a store, one more in each that compaction made
//! 40   8  base: the length that the file had when it took its place. A shorter one is damaged
//! 48   8  last version: versions up to this one were given before this file was made
//! 56   4  zero
//! 60   4  checksum of bytes 0 to 60
//! ```
//!
//! Frame, 20 bytes and its body:
//!
//! ```text
//!  0   4  length of the body, 26 to 66,000
//!  4   8  sequence number: 1 for the file's first frame, one more for each next
//! 12   4  checksum of seed, sequence number and body
//! 16   4  checksum of seed and bytes 0 to 16
//! 20      body; its first byte is the kind, its last is 0xff
//! ```
//!
//! Body, by kind:
//!
//! ```text
//! put     1, id (16), version (8), last use (8), the record's encoding, 0xff
//! remove  2, id (16), version (8), 0xff
//! touch   3, one or more of: id (16), last use (8); 0xff
//! ```
//!
//! A last use is a signed number of microseconds since 1970. The lowest number means never.
//!
//! # Replaying the frames
//!
//! Frames are applied in order. Versions come from one counter of the whole store and are never
//! reused, also not by a removal. A version of 2^63 or more is damage. A put or remove has no effect if
//! its version is not above that of the current record, except that a put still raises the last
//! use. A touch of an id without a record is ignored.
//!
//! A replacement and a removal are written as two frames with the same content. So cutting off a
//! damaged last frame by hand cannot undo a revocation.
//!
//! # The end of a file
//!
//! Zeros at the end count as not written, because file systems leave them after a power failure. (A
//! body never ends with a zero, nor with a byte that a single flipped bit turns into zero.) If the
//! rest then ends within a frame's header, or within the body of a frame with a valid header, the
//! write was unfinished. It was never acknowledged, and it is cut off. The frame header has its own
//! checksum, so a damaged length is never mistaken for an unfinished write. Every other invalid
//! byte is damage, and the whole file is refused. So are more zeros at the end than one append
//! can leave ([`MAX_APPEND`]).
//!
//! New kinds and new meanings need a new format version.

use crc32fast::Hasher;

use crate::random::{RandomError, RandomSource};
use crate::record::MAX_RECORD_BYTES;
use crate::token::TokenId;

/// The format version that this crate reads and writes.
const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"\x89SVCTOK\n";

/// The length of the file's header, in bytes.
pub(super) const HEADER_LEN: usize = 64;
/// The length of a frame's header, in bytes.
pub(super) const FRAME_HEADER_LEN: usize = 20;

const PUT: u8 = 1;
const REMOVE: u8 = 2;
const TOUCH: u8 = 3;
const END: u8 = 0xff;

const PUT_HEAD: usize = 1 + 16 + 8 + 8;
const REMOVE_LEN: usize = 1 + 16 + 8 + 1;
const USE_LEN: usize = 16 + 8;
const MIN_BODY_LEN: usize = REMOVE_LEN;
const MAX_BODY_LEN: usize = 66_000;
const _: () = assert!(PUT_HEAD + MAX_RECORD_BYTES < MAX_BODY_LEN);

/// The maximum number of uses in one frame.
pub(super) const MAX_USES_PER_FRAME: usize = 2_000;
const _: () = assert!(1 + MAX_USES_PER_FRAME * USE_LEN < MAX_BODY_LEN);

/// The maximum length of one append, and so of an unfinished write, in bytes.
pub(super) const MAX_APPEND: u64 = 8 << 20;

/// The maximum length of the frames of one replacement or removal, in bytes.
pub(super) const MAX_CHANGE_LEN: usize = 2 * (FRAME_HEADER_LEN + MAX_BODY_LEN);

/// Returns the length of the frames for this number of uses, in bytes.
pub(super) const fn touch_len(uses: usize) -> usize {
    uses * USE_LEN + uses.div_ceil(MAX_USES_PER_FRAME) * (FRAME_HEADER_LEN + 2)
}

const NEVER: i64 = i64::MIN;

/// The highest valid version. A file with a higher one is refused, so none is written.
pub(super) const MAX_VERSION: u64 = (1 << 63) - 1;
const SHORT: &str = "a frame's body is too short";
const VERSION: &str = "a version is out of range";

/// Returns the length of a put frame for an encoding of this length, in bytes.
pub(super) fn put_len(record: usize) -> u64 {
    (FRAME_HEADER_LEN + PUT_HEAD + record + 1) as u64
}

/// The header of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    store: [u8; 16],
    generation: u64,
    pub(super) base_len: u64,
    pub(super) last_version: u64,
}

/// The reason why a header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// The file was written by another program.
    Foreign,
    /// The file has a newer format version.
    Newer(u32),
    /// The header is damaged at this offset.
    Damaged(u64, &'static str),
}

impl Header {
    /// Creates the header of a new store.
    pub(super) fn new(random: &dyn RandomSource) -> Result<Self, RandomError> {
        let mut store = [0; 16];
        random.fill(&mut store)?;
        Ok(Self { store, generation: 0, base_len: HEADER_LEN as u64, last_version: 0 })
    }

    /// Returns the header of the file that replaces this one in a compaction.
    pub(super) fn next_generation(self, last_version: u64) -> Self {
        let generation = self.generation.wrapping_add(1);
        Self { generation, base_len: HEADER_LEN as u64, last_version, ..self }
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_be_bytes());
        let checksum = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&checksum.to_be_bytes());
        bytes[16..32].copy_from_slice(&self.store);
        bytes[32..40].copy_from_slice(&self.generation.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.base_len.to_be_bytes());
        bytes[48..56].copy_from_slice(&self.last_version.to_be_bytes());
        let checksum = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// Reads the header at the beginning of a file. `file` is shorter than a header if the file is.
    pub(super) fn read(file: &[u8]) -> Result<Self, NoHeader> {
        let mut rest = Fields(file);
        // Some file systems leave zeros where the content of a file was lost.
        if !file.is_empty() && file.iter().all(|&byte| byte == 0) {
            return Err(NoHeader::Damaged(0, "the file begins with zeros"));
        }
        if !MAGIC.starts_with(&file[..file.len().min(8)]) {
            return Err(NoHeader::Foreign);
        }
        let short = NoHeader::Damaged(file.len() as u64, "the file ends within its header");
        let _magic: [u8; 8] = rest.take().ok_or(short)?;
        let format = u32::from_be_bytes(rest.take().ok_or(short)?);
        if crc32fast::hash(&file[..12]) != u32::from_be_bytes(rest.take().ok_or(short)?) {
            return Err(NoHeader::Damaged(8, "the format version does not match its checksum"));
        }
        if format > FORMAT {
            return Err(NoHeader::Newer(format));
        }
        let header = Self {
            store: rest.take().ok_or(short)?,
            generation: u64::from_be_bytes(rest.take().ok_or(short)?),
            base_len: u64::from_be_bytes(rest.take().ok_or(short)?),
            last_version: u64::from_be_bytes(rest.take().ok_or(short)?),
        };
        let zero: [u8; 4] = rest.take().ok_or(short)?;
        if crc32fast::hash(&file[..60]) != u32::from_be_bytes(rest.take().ok_or(short)?) {
            return Err(NoHeader::Damaged(16, "the file's header does not match its checksum"));
        }
        if format != FORMAT
            || zero != [0; 4]
            || header.base_len < HEADER_LEN as u64
            || header.last_version > MAX_VERSION
        {
            return Err(NoHeader::Damaged(8, "the file's header has an invalid value"));
        }
        Ok(header)
    }

    pub(super) fn seed(&self) -> Seed {
        let mut hasher = Hasher::new();
        hasher.update(&self.store);
        hasher.update(&self.generation.to_be_bytes());
        Seed(hasher.finalize())
    }
}

/// The initial value of the checksums in a file, derived from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl Seed {
    fn checksum(self, parts: [&[u8]; 2]) -> [u8; 4] {
        let mut hasher = Hasher::new_with_initial(self.0);
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize().to_be_bytes()
    }
}

/// A writer of consecutive frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framer {
    seed: Seed,
    next: u64,
}

impl Framer {
    /// Creates a framer whose next frame has the sequence number `next`.
    pub(super) fn new(seed: Seed, next: u64) -> Self {
        Self { seed, next }
    }

    pub(super) fn put(
        &mut self,
        out: &mut Vec<u8>,
        id: TokenId,
        version: u64,
        last_used: Option<i64>,
        record: &[u8],
    ) {
        let last_used = last_used.unwrap_or(NEVER).to_be_bytes();
        let (id, version) = (id.to_bytes(), version.to_be_bytes());
        self.frame(out, &[&[PUT], &id, &version, &last_used, record, &[END]]);
    }

    pub(super) fn remove(&mut self, out: &mut Vec<u8>, id: TokenId, version: u64) {
        self.frame(out, &[&[REMOVE], &id.to_bytes(), &version.to_be_bytes(), &[END]]);
    }

    /// Writes a touch frame. `uses` has at least one and at most [`MAX_USES_PER_FRAME`] entries.
    pub(super) fn touch(&mut self, out: &mut Vec<u8>, uses: &[(TokenId, i64)]) {
        let uses: Vec<u8> = uses
            .iter()
            .flat_map(|(id, used)| [&id.to_bytes()[..], &used.to_be_bytes()].concat())
            .collect();
        self.frame(out, &[&[TOUCH], &uses, &[END]]);
    }

    /// Writes a frame with the body of a frame of another file.
    pub(super) fn copy(&mut self, out: &mut Vec<u8>, body: &[u8]) {
        self.frame(out, &[body]);
    }

    fn frame(&mut self, out: &mut Vec<u8>, body: &[&[u8]]) {
        let start = out.len();
        out.extend_from_slice(&[0; FRAME_HEADER_LEN]);
        body.iter().for_each(|part| out.extend_from_slice(part));
        let (header, body) = out[start..].split_at_mut(FRAME_HEADER_LEN);
        let sequence = self.next.to_be_bytes();
        header[..4].copy_from_slice(&(body.len() as u32).to_be_bytes());
        header[4..12].copy_from_slice(&sequence);
        header[12..16].copy_from_slice(&self.seed.checksum([&sequence, body]));
        let checksum = self.seed.checksum([&header[..16], &[]]);
        header[16..].copy_from_slice(&checksum);
        self.next += 1;
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameHeader {
    pub(super) body_len: usize,
    sequence: [u8; 8],
    body: [u8; 4],
    seed: Seed,
}

impl FrameHeader {
    /// Reads a frame's header and checks it.
    pub(super) fn read(
        bytes: [u8; FRAME_HEADER_LEN],
        seed: Seed,
        sequence: u64,
    ) -> Result<Self, &'static str> {
        let (checked, checksum) = bytes.split_at(16);
        if bytes == [0; FRAME_HEADER_LEN] {
            return Err("zeros are in the place of a frame");
        }
        if seed.checksum([checked, &[]]) != checksum {
            return Err("a frame's header does not match its checksum");
        }
        let mut fields = Fields(checked);
        let (Some(length), Some(found), Some(body)) = (fields.take(), fields.take(), fields.take())
        else {
            return Err("a frame's header is too short");
        };
        if u64::from_be_bytes(found) != sequence {
            return Err("a frame is not the next in sequence");
        }
        let body_len = u32::from_be_bytes(length) as usize;
        if !(MIN_BODY_LEN..=MAX_BODY_LEN).contains(&body_len) {
            return Err("a frame's length is out of range");
        }
        Ok(Self { body_len, sequence: found, body, seed })
    }

    /// Returns the length of the frame, in bytes.
    pub(super) fn frame_len(&self) -> u64 {
        (FRAME_HEADER_LEN + self.body_len) as u64
    }

    /// Checks the body against the checksum in the header.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), &'static str> {
        if self.seed.checksum([&self.sequence, body]) == self.body {
            Ok(())
        } else {
            Err("a frame's body does not match its checksum")
        }
    }
}

/// The content of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'b> {
    Put { id: TokenId, version: u64, last_used: Option<i64>, record: &'b [u8] },
    Remove { id: TokenId, version: u64 },
    Touch(Uses<'b>),
}

impl<'b> Body<'b> {
    /// Reads a body whose checksum was valid.
    pub(super) fn read(body: &'b [u8]) -> Result<Self, &'static str> {
        let (&end, body) = body.split_last().ok_or(SHORT)?;
        if end != END {
            return Err("a frame's body has no end mark");
        }
        let (&kind, body) = body.split_first().ok_or(SHORT)?;
        let mut rest = Fields(body);
        match kind {
            PUT => {
                let (id, version) = rest.id_and_version()?;
                let last_used = i64::from_be_bytes(rest.take().ok_or(SHORT)?);
                let last_used = (last_used != NEVER).then_some(last_used);
                Ok(Self::Put { id, version, last_used, record: rest.0 })
            }
            REMOVE if body.len() == REMOVE_LEN - 2 => {
                let (id, version) = rest.id_and_version()?;
                Ok(Self::Remove { id, version })
            }
            TOUCH if body.len().is_multiple_of(USE_LEN) => Ok(Self::Touch(Uses(rest))),
            REMOVE | TOUCH => Err("a frame's body has the wrong length for its kind"),
            _ => Err("a frame has an unknown kind"),
        }
    }
}

/// The uses in a touch frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uses<'b>(Fields<'b>);

impl Iterator for Uses<'_> {
    type Item = (TokenId, i64);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, used) = self.0.id_and_number()?;
        Some((id, used as i64))
    }
}

#[derive(Debug, Clone, Copy)]
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn id_and_version(&mut self) -> Result<(TokenId, u64), &'static str> {
        let (id, version) = self.id_and_number().ok_or(SHORT)?;
        if version > MAX_VERSION { Err(VERSION) } else { Ok((id, version)) }
    }

    fn id_and_number(&mut self) -> Option<(TokenId, u64)> {
        Some((TokenId::from_bytes(self.take()?), u64::from_be_bytes(self.take()?)))
    }
}
