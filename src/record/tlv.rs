//! The frame of an encoding. It consists of a format byte, fields of tag, length and value, and a
//! checksum. It is independent of the meaning of the fields.

use chrono::{DateTime, Utc};

use super::field::valid_micros;
use crate::clock::from_micros;
use crate::digest::{DIGEST_LEN, StoredDigest};

/// The length of the checksum at the end, in bytes.
pub(super) const CHECKSUM_LEN: usize = 4;

/// The error returned for bytes that are not a valid record. It names the broken rule and contains
/// none of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid record: {0}")]
pub struct CorruptRecord(pub(crate) &'static str);

/// The bytes that were written so far.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Writes a length and the content.
    pub(super) fn counted(&mut self, content: &[u8]) {
        self.length(content.len());
        self.0.extend_from_slice(content);
    }

    /// Returns the written bytes as the content of a field.
    pub(super) fn into_content(self) -> Vec<u8> {
        self.0
    }

    /// Appends the checksum and returns the bytes.
    pub(super) fn seal(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&checksum(&self.0));
        self.0
    }

    pub(super) fn field(&mut self, tag: u8, content: &[u8]) {
        self.parts(tag, &[content]);
    }

    pub(super) fn parts(&mut self, tag: u8, parts: &[&[u8]]) {
        self.0.push(tag);
        self.length(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
    }

    fn length(&mut self, mut length: usize) {
        while length >= 0x80 {
            self.0.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.0.push(length as u8);
    }

    pub(super) fn time(&mut self, tag: u8, time: Option<DateTime<Utc>>) {
        if let Some(time) = time {
            self.field(tag, &time_bytes(time));
        }
    }

    pub(super) fn text(&mut self, tag: u8, text: Option<&str>) {
        if let Some(text) = text {
            self.field(tag, text.as_bytes());
        }
    }
}

/// Checks the checksum and returns the bytes before it. Most optional fields restrict a token (a
/// revocation, for example), so truncated or modified bytes must not be read as another record.
pub(super) fn unseal(bytes: &[u8]) -> Result<&[u8], CorruptRecord> {
    match bytes.split_last_chunk::<CHECKSUM_LEN>() {
        Some((covered, given)) if checksum(covered) == *given => Ok(covered),
        _ => Err(CorruptRecord("the checksum does not match")),
    }
}

/// Computes the CRC-32/ISO-HDLC checksum.
pub(super) fn checksum(covered: &[u8]) -> [u8; CHECKSUM_LEN] {
    crc32fast::hash(covered).to_be_bytes()
}

/// Encodes a time.
pub(super) fn time_bytes(time: DateTime<Utc>) -> [u8; 8] {
    time.timestamp_micros().to_be_bytes()
}

/// The bytes that remain to be read.
pub(super) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn remaining(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'b [u8], CorruptRecord> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(CorruptRecord("a field ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CorruptRecord> {
        self.take(N)?.try_into().map_err(|_| CorruptRecord("a field ends too early"))
    }

    #[inline]
    pub(super) fn length(&mut self) -> Result<usize, CorruptRecord> {
        let mut length = 0;
        for shift in [0, 7, 14] {
            let [byte] = self.array()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(CorruptRecord("a length is longer than needed"));
                }
                return Ok(length);
            }
        }
        Err(CorruptRecord("a length is out of range"))
    }

    #[inline]
    pub(super) fn time(&mut self) -> Result<DateTime<Utc>, CorruptRecord> {
        let micros = i64::from_be_bytes(self.array()?);
        if valid_micros(micros) {
            Ok(from_micros(micros))
        } else {
            Err(CorruptRecord("a time is out of range"))
        }
    }

    pub(super) fn digest(&mut self) -> Result<StoredDigest, CorruptRecord> {
        Ok(StoredDigest::from_bytes(&self.array::<DIGEST_LEN>()?))
    }

    pub(super) fn flag(&mut self) -> Result<bool, CorruptRecord> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(CorruptRecord("a flag is neither 0 nor 1")),
        }
    }

    pub(super) fn text(&mut self, length: usize) -> Result<&'b str, CorruptRecord> {
        str::from_utf8(self.take(length)?).map_err(|_| CorruptRecord("a text is not UTF-8"))
    }

    /// Reads a tag, a length and the content of a field.
    fn field(&mut self) -> Result<(u8, &'b [u8]), CorruptRecord> {
        let [tag] = self.array()?;
        let length = self.length()?;
        Ok((tag, self.take(length)?))
    }

    /// Reads a length and a text.
    pub(super) fn counted_text(&mut self) -> Result<&'b str, CorruptRecord> {
        let length = self.length()?;
        self.text(length)
    }
}

/// The number of tags whose fields have a place of their own in [`Fields`], which are those below it.
const PLACES: usize = 24;

/// The first tag of the fields that may be ignored.
pub(super) const FIRST_IGNORABLE_TAG: u8 = 128;

/// The fields of an encoding. Each is taken once, and the fields that remain are unknown.
///
/// Design. A store reads a record at every look-up, and the file store reads all of them when it opens. So
/// the fields are not collected in a map, which allocates memory. The tags that this crate knows are small
/// numbers, so a field with a known tag has its place in an array.
pub(super) struct Fields<'b> {
    /// The contents by tag.
    places: [&'b [u8]; PLACES],
    /// The places that are filled, with one bit for each.
    filled: u32,
    /// Whether there is a field without a place that must not be ignored.
    unknown: bool,
    /// The encoded fields that may be ignored.
    ignorable: &'b [u8],
}

impl<'b> Fields<'b> {
    pub(super) fn new() -> Self {
        Self { places: [&[]; PLACES], filled: 0, unknown: false, ignorable: &[] }
    }

    /// Finds the fields in the body of an encoding.
    pub(super) fn read(&mut self, body: &'b [u8]) -> Result<(), CorruptRecord> {
        let mut reader = Reader::new(body);
        let mut next_tag = 0;
        while let Some(&tag) = reader.0.first() {
            if u16::from(tag) < next_tag {
                return Err(CorruptRecord("fields are not in order"));
            }
            next_tag = u16::from(tag) + 1;
            // Fields are in the order of their tags, so all that may be ignored follow the first of them.
            if tag >= FIRST_IGNORABLE_TAG && self.ignorable.is_empty() {
                self.ignorable = reader.0;
            }
            let (_, content) = reader.field()?;
            if let Some(place) = self.places.get_mut(usize::from(tag)) {
                *place = content;
                self.filled |= 1 << tag;
            } else if tag < FIRST_IGNORABLE_TAG {
                self.unknown = true;
            }
        }
        Ok(())
    }

    /// Returns whether there is a field with a higher tag than this one.
    #[inline]
    pub(super) fn has_after(&self, tag: u8) -> bool {
        self.filled >> tag > 1 || self.unknown || !self.ignorable.is_empty()
    }

    /// Takes a field, if it exists, and reads it completely.
    pub(super) fn take<T>(
        &mut self,
        tag: u8,
        read: impl FnOnce(&mut Reader<'b>) -> Result<T, CorruptRecord>,
    ) -> Result<Option<T>, CorruptRecord> {
        const { assert!(PLACES <= u32::BITS as usize) };
        let bit = 1 << tag;
        let Some(content) = self.places.get(usize::from(tag)).filter(|_| self.filled & bit != 0)
        else {
            return Ok(None);
        };
        self.filled &= !bit;
        let mut reader = Reader::new(content);
        let value = read(&mut reader)?;
        if reader.is_empty() { Ok(Some(value)) } else { Err(CorruptRecord("a field is too long")) }
    }

    /// Takes all fields that may be ignored, in order.
    pub(super) fn take_ignorable(&mut self) -> impl Iterator<Item = (u8, &'b [u8])> + use<'b> {
        let mut reader = Reader::new(std::mem::take(&mut self.ignorable));
        std::iter::from_fn(move || reader.field().ok())
    }

    #[inline]
    pub(super) fn time(&mut self, tag: u8) -> Result<Option<DateTime<Utc>>, CorruptRecord> {
        self.take(tag, Reader::time)
    }

    #[inline]
    pub(super) fn text(&mut self, tag: u8, max: usize) -> Result<Option<&'b str>, CorruptRecord> {
        let text = self.take(tag, |reader| reader.text(reader.remaining()))?;
        // Blank texts are refused when they are set. The validity of stored bytes must not depend
        // on the Unicode table of white space, which grows.
        if text.is_some_and(|text| text.is_empty() || text.len() > max) {
            return Err(CorruptRecord("a text is empty or too long"));
        }
        Ok(text)
    }

    /// Returns whether all fields were taken.
    pub(super) fn is_empty(&self) -> bool {
        self.filled == 0 && !self.unknown && self.ignorable.is_empty()
    }
}
