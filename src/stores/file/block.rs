//! Consecutive frames of a file whose bodies are still to be checked.

use super::format::FrameHeader;
use super::frame_reader::{Frame, Unreadable};

/// The frames of one buffer. Their headers are valid and their bodies are complete.
#[derive(Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// The headers of the frames, and the positions of their bodies in `bytes`.
    frames: Vec<(usize, FrameHeader)>,
    /// The offset of the first frame in the file.
    offset: u64,
    /// The offset after the last frame.
    end: u64,
}

impl Block {
    pub(super) fn clear(&mut self, offset: u64) {
        self.frames.clear();
        (self.offset, self.end) = (offset, offset);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Returns the offset after the last frame.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Adds a frame whose body is at this position of the bytes.
    pub(super) fn push(&mut self, body: usize, header: FrameHeader) {
        self.frames.push((body, header));
        self.end += header.frame_len();
    }

    /// Takes the bytes of the frames and gives the block's former bytes, of this length, in return.
    pub(super) fn swap_bytes(&mut self, bytes: &mut Vec<u8>, length: usize) -> &[u8] {
        self.bytes.resize(length, 0);
        std::mem::swap(&mut self.bytes, bytes);
        &self.bytes
    }

    /// Returns the body of the last frame, which is not checked.
    pub(super) fn last_body(&self) -> Option<&[u8]> {
        let &(body, header) = self.frames.last()?;
        self.bytes.get(body..body + header.body_len)
    }

    /// Returns the frames in order. A frame whose body does not match its checksum is an error.
    pub(super) fn frames(&self) -> impl Iterator<Item = Result<Frame<'_>, Unreadable>> {
        let mut next = self.offset;
        self.frames.iter().map(move |&(body, header)| {
            let offset = next;
            next += header.frame_len();
            let body = &self.bytes[body..body + header.body_len];
            match header.check(body) {
                Ok(()) => Ok(Frame { offset, body }),
                Err(what) => Err(Unreadable::Damaged { offset, what }),
            }
        })
    }
}
