//! A reader of the frames of a file, in order.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::block::Block;
use super::format::{FRAME_HEADER_LEN, FrameHeader, HEADER_LEN, MAX_APPEND, Seed};

/// The size of the buffer, and so of a [`Block`]. It is larger than the longest frame.
const BUFFER: usize = 256 << 10;

/// A reader of the frames up to a given end. It never reads beyond the end, because another thread
/// may be appending there.
pub(super) struct FrameReader {
    file: File,
    seed: Seed,
    sequence: u64,
    /// The offset of the next frame.
    offset: u64,
    end: u64,
    buffer: Vec<u8>,
    /// The bytes `start..filled` of the buffer were read from the file and not yet consumed.
    start: usize,
    filled: usize,
}

/// A frame with valid checksums.
pub(super) struct Frame<'b> {
    /// The offset of the frame in the file.
    pub(super) offset: u64,
    pub(super) body: &'b [u8],
}

/// The reason why the next frame cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    Io(io::Error),
    Damaged { offset: u64, what: &'static str },
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl FrameReader {
    /// Creates a reader that starts after the header of the file.
    pub(super) fn new(mut file: File, seed: Seed, end: u64) -> io::Result<Self> {
        let offset = HEADER_LEN as u64;
        file.seek(SeekFrom::Start(offset))?;
        let buffer = vec![0; BUFFER];
        Ok(Self { file, seed, sequence: 1, offset, end, buffer, start: 0, filled: 0 })
    }

    /// Returns the offset of the next frame, or the offset where it would be.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the sequence number of the next frame.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Moves the end to a later offset.
    pub(super) fn extend_to(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// Returns the file. Its position is undefined.
    pub(super) fn into_file(self) -> File {
        self.file
    }

    /// Reads the next frame. Returns `None` at the end, and before an unfinished frame.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, Unreadable> {
        let offset = self.offset;
        let damaged = |what| Unreadable::Damaged { offset, what };
        if !self.fill(FRAME_HEADER_LEN)? {
            return Ok(None);
        }
        let mut header = [0; FRAME_HEADER_LEN];
        header.copy_from_slice(&self.buffer[self.start..self.start + FRAME_HEADER_LEN]);
        let header = FrameHeader::read(header, self.seed, self.sequence).map_err(damaged)?;
        let length = FRAME_HEADER_LEN + header.body_len;
        if !self.fill(length)? {
            return Ok(None);
        }
        let body = self.start + FRAME_HEADER_LEN..self.start + length;
        header.check(&self.buffer[body.clone()]).map_err(damaged)?;
        self.start = body.end;
        self.offset += length as u64;
        self.sequence += 1;
        Ok(Some(Frame { offset, body: &self.buffer[body] }))
    }

    /// Reads the next frames that fit into the buffer into `block`. Their headers are valid, and their bodies
    /// are not yet checked. Returns `false` at the end, and before an unfinished frame.
    pub(super) fn next_block(&mut self, block: &mut Block) -> Result<bool, Unreadable> {
        block.clear(self.offset);
        let mut position = self.start;
        loop {
            let header = self.header_at(position);
            let header = match header {
                Ok(Some(header)) => header,
                // The next call finds the damage again, when the frames before it were returned.
                Err(_) if !block.is_empty() => break,
                Err(what) => return Err(Unreadable::Damaged { offset: self.offset, what }),
                Ok(None) if !block.is_empty() => break,
                Ok(None) if self.fill(FRAME_HEADER_LEN)? => {
                    position = self.start;
                    continue;
                }
                Ok(None) => return Ok(false),
            };
            let length = FRAME_HEADER_LEN + header.body_len;
            if self.filled - position < length {
                if !block.is_empty() {
                    break;
                }
                if !self.fill(length)? {
                    return Ok(false);
                }
                position = self.start;
            }
            block.push(position + FRAME_HEADER_LEN, header);
            position += length;
            self.offset += length as u64;
            self.sequence += 1;
        }
        // The block takes the buffer, and the rest moves into the block's last buffer.
        let taken = block.swap_bytes(&mut self.buffer, BUFFER);
        self.buffer[..self.filled - position].copy_from_slice(&taken[position..self.filled]);
        self.filled -= position;
        self.start = 0;
        Ok(true)
    }

    /// Returns the header at this position of the buffer, or `None` if it is not completely there.
    fn header_at(&self, position: usize) -> Result<Option<FrameHeader>, &'static str> {
        let bytes = &self.buffer[position..self.filled];
        match bytes.first_chunk() {
            Some(&header) => FrameHeader::read(header, self.seed, self.sequence).map(Some),
            None => Ok(None),
        }
    }

    /// Reads until the buffer has `wanted` unconsumed bytes. Returns `false` if fewer are left
    /// before the end.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        if self.end - self.offset < wanted as u64 {
            return Ok(false);
        }
        if self.filled - self.start >= wanted {
            return Ok(true);
        }
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        while self.filled < wanted {
            let unread = self.end - self.offset - self.filled as u64;
            let room = self.buffer.len() - self.filled;
            let room = usize::try_from(unread).map_or(room, |unread| unread.min(room));
            match self.file.read(&mut self.buffer[self.filled..self.filled + room]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Returns the length of a file without the zeros at its end.
///
/// Returns the whole length if more zeros are at the end than one append can leave. They are not an
/// unfinished write, so the first of them is found as damage.
pub(super) fn written_end(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut buffer = vec![0; BUFFER];
    while end > 0 {
        let block = end.min(buffer.len() as u64);
        let bytes = &mut buffer[..block as usize];
        file.seek(SeekFrom::Start(end - block))?;
        file.read_exact(bytes)?;
        if let Some(last) = bytes.iter().rposition(|&byte| byte != 0) {
            end = end - block + last as u64 + 1;
            break;
        }
        end -= block;
        if length - end > MAX_APPEND {
            break;
        }
    }
    Ok(if length - end > MAX_APPEND { length } else { end })
}
