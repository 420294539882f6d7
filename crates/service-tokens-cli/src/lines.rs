//! Reads lines of limited length, so that input without line breaks needs no unlimited memory.

use std::io::{self, BufRead, ErrorKind};

/// The maximum length of a line in bytes. A header with a token is shorter.
pub(crate) const MAX_LINE_LEN: usize = 4_096;

/// A line without its line break.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// A reader of lines. It never reads after the end, because a terminal would wait for new input there.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, ended: false }
    }

    /// Waits for input or its end.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.fill().map(drop)
    }

    /// Returns the next line, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        let (mut line, mut length) = (Vec::new(), 0_usize);
        loop {
            let buffer = self.fill()?;
            let end = buffer.iter().position(|&b| b == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            let room = MAX_LINE_LEN.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            length = length.saturating_add(part.len());
            let taken = part.len() + usize::from(end.is_some());
            self.input.consume(taken);
            match (end.is_some(), self.ended) {
                (false, true) if length == 0 => return Ok(None),
                (false, false) => {}
                _ if length > MAX_LINE_LEN => return Ok(Some(Line::TooLong)),
                _ => return Ok(Some(Line::Whole(line))),
            }
        }
    }

    /// Returns the buffered input. It is empty only at the end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        while !self.ended {
            match self.input.fill_buf() {
                Ok([]) => self.ended = true,
                Ok(_) => return self.input.fill_buf(), // Returns the buffer again and reads nothing.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&[])
    }
}
