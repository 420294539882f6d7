//! The frame of an encoding. It consists of a format byte, fields of tag, length and value, and a
//! checksum. It is independent of the meaning of the fields.

use std::collections::BTreeMap;

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

    pub(super) fn take(&mut self, length: usize) -> Result<&'b [u8], CorruptRecord> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(CorruptRecord("a field ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], CorruptRecord> {
        self.take(N)?.try_into().map_err(|_| CorruptRecord("a field ends too early"))
    }

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

    /// Reads a length and a text.
    pub(super) fn counted_text(&mut self) -> Result<&'b str, CorruptRecord> {
        let length = self.length()?;
        self.text(length)
    }
}

/// The fields by tag. Each is taken once, and the fields that remain are unknown.
pub(super) struct Fields<'b>(BTreeMap<u8, &'b [u8]>);

impl<'b> Fields<'b> {
    pub(super) fn read(body: &'b [u8]) -> Result<Self, CorruptRecord> {
        let mut reader = Reader::new(body);
        let mut fields = BTreeMap::new();
        while !reader.is_empty() {
            let [tag] = reader.array()?;
            if fields.last_key_value().is_some_and(|(last, _)| *last >= tag) {
                return Err(CorruptRecord("fields are not in order"));
            }
            let length = reader.length()?;
            fields.insert(tag, reader.take(length)?);
        }
        Ok(Self(fields))
    }

    /// Takes a field, if it exists, and reads it completely.
    pub(super) fn take<T>(
        &mut self,
        tag: u8,
        read: impl FnOnce(&mut Reader<'b>) -> Result<T, CorruptRecord>,
    ) -> Result<Option<T>, CorruptRecord> {
        let Some(content) = self.0.remove(&tag) else { return Ok(None) };
        let mut reader = Reader::new(content);
        let value = read(&mut reader)?;
        if reader.is_empty() { Ok(Some(value)) } else { Err(CorruptRecord("a field is too long")) }
    }

    /// Takes all fields with this tag or a higher one, in order.
    pub(super) fn take_from(&mut self, tag: u8) -> impl Iterator<Item = (u8, &'b [u8])> + use<'b> {
        self.0.split_off(&tag).into_iter()
    }

    pub(super) fn time(&mut self, tag: u8) -> Result<Option<DateTime<Utc>>, CorruptRecord> {
        self.take(tag, Reader::time)
    }

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
        self.0.is_empty()
    }
}
