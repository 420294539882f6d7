//! Lines of whatever is read, of which no more is kept than a token can need.

use std::io::{self, BufRead, ErrorKind};

/// More of a line is not kept: no token in a header is so long.
pub(crate) const LINE_MAX: usize = 4_096;

/// One of them, without its line break.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// Reads line by line, and the end once: a terminal goes on giving lines behind it.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    from: R,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, ended: false }
    }

    /// Waits until there is something to read, or the end.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.fill().map(drop)
    }

    /// The next line; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        let (mut line, mut length) = (Vec::new(), 0_usize);
        loop {
            let buffer = self.fill()?;
            let end = buffer.iter().position(|&b| b == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            let room = LINE_MAX.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            length = length.saturating_add(part.len());
            let taken = part.len() + usize::from(end.is_some());
            self.from.consume(taken);
            match (end.is_some(), self.ended) {
                (false, true) if length == 0 => return Ok(None),
                (false, false) => {}
                _ if length > LINE_MAX => return Ok(Some(Line::TooLong)),
                _ => return Ok(Some(Line::Whole(line))),
            }
        }
    }

    /// What there is to read; nothing at the end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        while !self.ended {
            match self.from.fill_buf() {
                Ok([]) => self.ended = true,
                Ok(_) => return self.from.fill_buf(), // The same again, without reading.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&[])
    }
}
