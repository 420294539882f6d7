//! A record's one encoding, versioned and canonical.
//!
//! A format byte, then fields in ascending order of their tag: tag (one byte), length (LEB128, no
//! longer than needed), content. A field that is absent has its default. Integers are big-endian,
//! times are microseconds since 1970 in eight bytes. Each record has exactly one encoding.
//!
//! The frame (format byte, tag, length) and the fields 1 to 8 and 12 to 14 keep their meaning in every
//! later format, so that an old program can still list what a new one wrote. A writer uses the oldest
//! format that can express the record.

use std::collections::BTreeMap;

use super::field::{ISSUERS_MAX, METADATA_MAX, SCOPES_MAX_LEN, TEXT_MAX_LEN, valid_micros};
use super::{EndedSecret, NewestSecret, OlderSecret, Rare, Record, Revocation, Texts};
use crate::clock::from_micros;
use crate::digest::{DIGEST_LEN, StoredDigest};
use crate::scope::{ScopeSet, valid_type_name};
use crate::token::TokenId;

/// The newest record format that this crate reads and the one that it writes.
pub const RECORD_FORMAT: u8 = 1;

/// The longest encoding of a record, in bytes.
pub const RECORD_MAX_BYTES: usize = 65_536;

/// The bytes are no record. Names the rule that they break, never a byte of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record: {0}")]
pub struct CorruptRecord(pub(crate) &'static str);

const ID: u8 = 1;
const OWNER: u8 = 2;
const TYPE: u8 = 3;
const ISSUED_TO: u8 = 4;
const CREATED_AT: u8 = 5;
const SCOPES: u8 = 6;
const NOT_BEFORE: u8 = 7;
const EXPIRES_AT: u8 = 8;
const NEWEST: u8 = 9;
const OLDER: u8 = 10;
const ENDED: u8 = 11;
const REVOKED_AT: u8 = 12;
const REVOKED_BY: u8 = 13;
const REASON: u8 = 14;
const ISSUED_BY: u8 = 15;
const ISSUERS: u8 = 16;
const METADATA: u8 = 17;

impl Record {
    /// The record's encoding, at most [`RECORD_MAX_BYTES`] long. A record that a newer program wrote
    /// comes back byte for byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        if let Some(newer) = self.rare.as_ref().and_then(|rare| rare.newer.as_ref()) {
            return newer.to_vec();
        }
        let mut out = Writer(Vec::with_capacity(160 + self.texts.all.len()));
        out.0.push(RECORD_FORMAT);
        out.field(ID, &self.id.to_bytes());
        out.field(OWNER, self.owner().as_bytes());
        out.field(TYPE, self.token_type().as_bytes());
        out.field(ISSUED_TO, self.issued_to().as_bytes());
        out.field(CREATED_AT, &self.created_at.to_be_bytes());
        if !self.scopes().is_empty() {
            out.field(SCOPES, self.scopes().as_str().as_bytes());
        }
        out.time(NOT_BEFORE, self.not_before);
        out.time(EXPIRES_AT, self.expires_at);
        let NewestSecret { digest, created_at } = &self.newest;
        out.parts(NEWEST, &[&digest.to_bytes(), &created_at.to_be_bytes()]);
        if let Some(rare) = &self.rare {
            out.rare(rare);
        }
        out.0
    }

    /// Reads an encoding.
    ///
    /// Bytes in a newer format give a record that can be listed and copied and nothing else: see
    /// [`is_newer`](Self::is_newer).
    ///
    /// # Errors
    ///
    /// [`CorruptRecord`] if the bytes break a rule of the format or a limit that holds for every
    /// record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CorruptRecord> {
        if bytes.len() > RECORD_MAX_BYTES {
            return Err(CorruptRecord("longer than any record"));
        }
        let (&format, body) = bytes.split_first().ok_or(CorruptRecord("empty"))?;
        if format == 0 {
            return Err(CorruptRecord("format zero"));
        }
        let mut fields = Fields::read(body)?;
        let head = Head::take(&mut fields)?;
        if format > RECORD_FORMAT {
            return Ok(head.into_newer(format, bytes));
        }
        head.into_record(fields)
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn field(&mut self, tag: u8, content: &[u8]) {
        self.parts(tag, &[content]);
    }

    fn parts(&mut self, tag: u8, parts: &[&[u8]]) {
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

    fn time(&mut self, tag: u8, time: Option<i64>) {
        if let Some(time) = time {
            self.field(tag, &time.to_be_bytes());
        }
    }

    fn text(&mut self, tag: u8, text: Option<&str>) {
        if let Some(text) = text {
            self.field(tag, text.as_bytes());
        }
    }

    fn rare(&mut self, rare: &Rare) {
        if let Some(older) = &rare.older {
            let (created, end) = (older.created_at.to_be_bytes(), older.latest_end.to_be_bytes());
            let on_first_use = [u8::from(older.ends_on_first_use)];
            self.parts(OLDER, &[&older.digest.to_bytes(), &created, &end, &on_first_use]);
        }
        if let Some(ended) = &rare.ended {
            let (created, end) = (ended.created_at.to_be_bytes(), ended.ended_at.to_be_bytes());
            self.parts(ENDED, &[&ended.digest.to_bytes(), &created, &end]);
        }
        if let Some(revocation) = &rare.revocation {
            self.time(REVOKED_AT, Some(revocation.at.timestamp_micros()));
            self.text(REVOKED_BY, revocation.by.as_deref());
            self.text(REASON, revocation.reason.as_deref());
        }
        self.text(ISSUED_BY, rare.issued_by.as_deref());
        if !rare.issuers.is_empty() {
            let issuers: Vec<u8> = rare.issuers.iter().flat_map(|id| id.to_bytes()).collect();
            self.field(ISSUERS, &issuers);
        }
        if !rare.metadata.is_empty() {
            let mut entries = Writer(Vec::new());
            for text in rare.metadata.iter().flat_map(|(key, value)| [key, value]) {
                entries.length(text.len());
                entries.0.extend_from_slice(text.as_bytes());
            }
            self.field(METADATA, &entries.0);
        }
    }
}

/// Bytes yet to be read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], CorruptRecord> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(CorruptRecord("a field ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CorruptRecord> {
        self.take(N)?.try_into().map_err(|_| CorruptRecord("a field ends too early"))
    }

    fn length(&mut self) -> Result<usize, CorruptRecord> {
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

    fn time(&mut self) -> Result<i64, CorruptRecord> {
        let micros = i64::from_be_bytes(self.array()?);
        if valid_micros(micros) { Ok(micros) } else { Err(CorruptRecord("a time is out of range")) }
    }

    fn digest(&mut self) -> Result<StoredDigest, CorruptRecord> {
        Ok(StoredDigest::from_bytes(&self.array::<DIGEST_LEN>()?))
    }

    fn flag(&mut self) -> Result<bool, CorruptRecord> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(CorruptRecord("a flag is neither 0 nor 1")),
        }
    }

    fn text(&mut self, length: usize) -> Result<&'b str, CorruptRecord> {
        str::from_utf8(self.take(length)?).map_err(|_| CorruptRecord("a text is not UTF-8"))
    }
}

/// The fields by tag; each is taken once, what is left at the end is unknown.
struct Fields<'b>(BTreeMap<u8, &'b [u8]>);

const MISSING: CorruptRecord = CorruptRecord("a required field is missing");

impl<'b> Fields<'b> {
    fn read(body: &'b [u8]) -> Result<Self, CorruptRecord> {
        let mut reader = Reader(body);
        let mut fields = BTreeMap::new();
        while !reader.0.is_empty() {
            let [tag] = reader.array()?;
            if fields.last_key_value().is_some_and(|(last, _)| *last >= tag) {
                return Err(CorruptRecord("fields are not in order"));
            }
            let length = reader.length()?;
            fields.insert(tag, reader.take(length)?);
        }
        Ok(Self(fields))
    }

    /// Reads a field, if it is there, to its last byte.
    fn take<T>(
        &mut self,
        tag: u8,
        read: impl FnOnce(&mut Reader<'b>) -> Result<T, CorruptRecord>,
    ) -> Result<Option<T>, CorruptRecord> {
        let Some(content) = self.0.remove(&tag) else { return Ok(None) };
        let mut reader = Reader(content);
        let value = read(&mut reader)?;
        if reader.0.is_empty() {
            Ok(Some(value))
        } else {
            Err(CorruptRecord("a field is too long"))
        }
    }

    fn time(&mut self, tag: u8) -> Result<Option<i64>, CorruptRecord> {
        self.take(tag, Reader::time)
    }

    fn text(&mut self, tag: u8, longest: usize) -> Result<Option<&'b str>, CorruptRecord> {
        let text = self.take(tag, |reader| reader.text(reader.0.len()))?;
        if text.is_some_and(|text| text.trim().is_empty() || text.len() > longest) {
            return Err(CorruptRecord("a text is empty or too long"));
        }
        Ok(text)
    }
}

/// What every format has.
struct Head<'b> {
    id: TokenId,
    owner: &'b str,
    token_type: &'b str,
    issued_to: &'b str,
    created_at: i64,
    scopes: ScopeSet,
    not_before: Option<i64>,
    expires_at: Option<i64>,
    revocation: Option<Revocation>,
}

impl<'b> Head<'b> {
    fn take(fields: &mut Fields<'b>) -> Result<Self, CorruptRecord> {
        let id = fields.take(ID, Reader::array)?.ok_or(MISSING)?;
        let owner = fields.text(OWNER, TEXT_MAX_LEN)?.ok_or(MISSING)?;
        let token_type = fields.text(TYPE, TEXT_MAX_LEN)?.ok_or(MISSING)?;
        if !valid_type_name(token_type) {
            return Err(CorruptRecord("the type's name is not allowed"));
        }
        Ok(Self {
            id: TokenId::from_bytes(id),
            owner,
            token_type,
            issued_to: fields.text(ISSUED_TO, TEXT_MAX_LEN)?.ok_or(MISSING)?,
            created_at: fields.time(CREATED_AT)?.ok_or(MISSING)?,
            scopes: scopes(fields)?,
            not_before: fields.time(NOT_BEFORE)?,
            expires_at: fields.time(EXPIRES_AT)?,
            revocation: revocation(fields)?,
        })
    }

    fn into_newer(self, format: u8, bytes: &[u8]) -> Record {
        let newest =
            NewestSecret { digest: StoredDigest::unmatchable(), created_at: self.created_at };
        let mut record = self.with(newest, Rare { newer: Some(bytes.into()), ..Rare::default() });
        record.format = format;
        record
    }

    fn into_record(self, mut fields: Fields<'_>) -> Result<Record, CorruptRecord> {
        let newest = fields
            .take(NEWEST, |reader| {
                Ok(NewestSecret { digest: reader.digest()?, created_at: reader.time()? })
            })?
            .ok_or(MISSING)?;
        let rare = rare(&mut fields)?;
        if !fields.0.is_empty() {
            return Err(CorruptRecord("a field is unknown"));
        }
        Ok(self.with(newest, rare))
    }

    fn with(self, newest: NewestSecret, rare: Rare) -> Record {
        let scopes = self.scopes.as_scopes().as_str();
        let mut record = Record {
            id: self.id,
            created_at: self.created_at,
            not_before: self.not_before,
            expires_at: self.expires_at,
            newest,
            texts: Texts::new(self.owner, self.token_type, scopes, self.issued_to),
            format: RECORD_FORMAT,
            rare: None,
        };
        record.set_rare(Rare { revocation: self.revocation, ..rare });
        record
    }
}

fn scopes(fields: &mut Fields<'_>) -> Result<ScopeSet, CorruptRecord> {
    let Some(text) = fields.text(SCOPES, SCOPES_MAX_LEN)? else { return Ok(ScopeSet::default()) };
    let scopes: ScopeSet = text.parse().map_err(|_| CorruptRecord("a scope is not allowed"))?;
    // Unsorted or doubled scopes would be a second spelling.
    if scopes.as_scopes().as_str() != text {
        return Err(CorruptRecord("the scopes are not in order"));
    }
    Ok(scopes)
}

fn revocation(fields: &mut Fields<'_>) -> Result<Option<Revocation>, CorruptRecord> {
    let at = fields.time(REVOKED_AT)?;
    let by = fields.text(REVOKED_BY, TEXT_MAX_LEN)?.map(Into::into);
    let reason = fields.text(REASON, TEXT_MAX_LEN)?.map(Into::into);
    match at {
        Some(at) => Ok(Some(Revocation { at: from_micros(at), by, reason })),
        None if by.is_some() || reason.is_some() => Err(CorruptRecord("a revocation has no time")),
        None => Ok(None),
    }
}

fn rare(fields: &mut Fields<'_>) -> Result<Rare, CorruptRecord> {
    let older = fields.take(OLDER, |reader| {
        Ok(OlderSecret {
            digest: reader.digest()?,
            created_at: reader.time()?,
            latest_end: reader.time()?,
            ends_on_first_use: reader.flag()?,
        })
    })?;
    let ended = fields.take(ENDED, |reader| {
        Ok(EndedSecret {
            digest: reader.digest()?,
            created_at: reader.time()?,
            ended_at: reader.time()?,
        })
    })?;
    Ok(Rare {
        older,
        ended,
        issued_by: fields.text(ISSUED_BY, TEXT_MAX_LEN)?.map(Into::into),
        issuers: fields.take(ISSUERS, issuers)?.unwrap_or_default(),
        metadata: fields.take(METADATA, metadata)?.unwrap_or_default(),
        ..Rare::default()
    })
}

fn issuers(reader: &mut Reader<'_>) -> Result<Vec<TokenId>, CorruptRecord> {
    if reader.0.is_empty() || reader.0.len() > ISSUERS_MAX * 16 {
        return Err(CorruptRecord("there are no or too many issuers"));
    }
    let mut issuers = Vec::new();
    while !reader.0.is_empty() {
        issuers.push(TokenId::from_bytes(reader.array()?));
    }
    Ok(issuers)
}

fn metadata(reader: &mut Reader<'_>) -> Result<BTreeMap<String, String>, CorruptRecord> {
    let (most, longest) = METADATA_MAX;
    let mut metadata = BTreeMap::<String, String>::new();
    let mut bytes = 0;
    while !reader.0.is_empty() {
        let length = reader.length()?;
        let key = reader.text(length)?;
        let length = reader.length()?;
        let value = reader.text(length)?;
        if key.is_empty() {
            return Err(CorruptRecord("a metadata key is empty"));
        }
        if metadata.last_key_value().is_some_and(|(last, _)| last.as_str() >= key) {
            return Err(CorruptRecord("metadata is not in order"));
        }
        bytes += key.len() + value.len();
        metadata.insert(key.to_owned(), value.to_owned());
    }
    if metadata.is_empty() || metadata.len() > most || bytes > longest {
        return Err(CorruptRecord("there is no or too much metadata"));
    }
    Ok(metadata)
}
