//! The encoding of a record, versioned and canonical.
//!
//! An encoding is a format byte, fields in ascending order of their tags, and a checksum. A field
//! is a tag (one byte), a length (LEB128, in its shortest form) and its content. The checksum is
//! CRC-32/ISO-HDLC of everything before it, in four bytes. A missing field has its default.
//! Integers are big-endian, times are microseconds since 1970 in eight bytes. Each record has
//! exactly one encoding.
//!
//! The frame (format byte, tag, length, checksum, maximum length) and the fields 1 to 8, 12 to 16 and
//! 19 have the same meaning and limits in every later format, so that an old version of this crate can
//! list and filter the records of a new one. A writer uses the oldest format that can express the record.
//!
//! A field with a tag of 128 or more does not restrict the token. A version that does not know it
//! ignores it and writes it back unchanged. An unknown field below 128 makes the bytes invalid in this format,
//! so adding such a field needs a new format.

#[cfg(test)]
pub(super) mod reference;

use chrono::{DateTime, Utc};

use super::details::Details;
use super::field::{MAX_ISSUERS, MAX_METADATA, MAX_SCOPES_LEN, MAX_TEXT_LEN};
use super::texts::Texts;
use super::tlv::{CorruptRecord, Fields, Reader, Writer, time_bytes, unseal};
use super::{
    EndedSecret, IgnorableField, NewestSecret, OlderSecret, Rare, Record, Revocation, Suspension,
};
use crate::digest::StoredDigest;
use crate::network::NetworkSet;
use crate::scope::{NotCanonical, check_canonical, valid_type_name};
use crate::token::TokenId;

/// The newest record format that this crate reads, and the one that it writes.
pub const RECORD_FORMAT: u8 = 1;

/// The maximum length of an encoded record, in bytes.
pub const MAX_RECORD_BYTES: usize = 65_536;

const MISSING: CorruptRecord = CorruptRecord("a required field is missing");

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
const NETWORKS: u8 = 18;
const SUSPENSIONS: u8 = 19;
const SECRET_BY: u8 = 20;
const SECRET_ON_BEHALF_OF: u8 = 21;
const END_SET_AT: u8 = 22;
const SECRET_MADE_WITH: u8 = 23;

/// The maximum total length of the fields that may be ignored, in bytes. With it, a record of the longest
/// fields, all suspensions and a revocation has at most [`MAX_RECORD_BYTES`].
const MAX_IGNORABLE_BYTES: usize = 16_384;

impl Record {
    /// Returns the encoding of the record, which has at most [`MAX_RECORD_BYTES`] bytes. For a record that
    /// a newer version of this crate wrote, it returns the bytes that were read.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::Record;
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let record = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?.record;
    /// assert_eq!(Record::from_bytes(&record.to_bytes())?, record);
    /// # Ok(()) }
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        if let Some(newer) = self.rare.as_ref().and_then(|rare| rare.newer.as_ref()) {
            return newer.to_vec();
        }
        let mut out = Writer::with_capacity(160 + self.texts.len());
        out.byte(RECORD_FORMAT);
        out.field(ID, &self.id.to_bytes());
        out.field(OWNER, self.owner().as_bytes());
        out.field(TYPE, self.token_type().as_bytes());
        out.field(ISSUED_TO, self.issued_to().as_bytes());
        out.field(CREATED_AT, &time_bytes(self.created_at));
        if !self.scopes().is_empty() {
            out.field(SCOPES, self.scopes().as_str().as_bytes());
        }
        out.time(NOT_BEFORE, self.not_before);
        out.time(EXPIRES_AT, self.expires_at);
        let NewestSecret { digest, created_at } = &self.newest;
        out.parts(NEWEST, &[&digest.to_bytes(), &time_bytes(*created_at)]);
        if let Some(rare) = &self.rare {
            out.rare(rare);
        }
        out.seal()
    }

    /// Reads an encoded record. The checksum detects damage, so truncated or modified bytes are
    /// never read as another record.
    ///
    /// Bytes in a newer format give a record that can only be listed and copied (see
    /// [`is_newer`](Self::is_newer)).
    ///
    /// # Errors
    ///
    /// Returns [`CorruptRecord`] if the bytes break a rule of the format, or a limit that holds for
    /// every record.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::Record;
    ///
    /// assert!(Record::from_bytes(b"damaged").is_err());
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CorruptRecord> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(CorruptRecord("the bytes are longer than any record"));
        }
        let (&format, body) =
            unseal(bytes)?.split_first().ok_or(CorruptRecord("the bytes are empty"))?;
        if format == 0 {
            return Err(CorruptRecord("the format is zero"));
        }
        // Filled in place, because moving the array costs more than reading a short field.
        let mut fields = Fields::new();
        fields.read(body)?;
        let head = Head::take(&mut fields)?;
        if format > RECORD_FORMAT {
            return Ok(head.into_newer(format, bytes));
        }
        head.into_record(&mut fields)
    }
}

/// For tests.
#[cfg(any(test, feature = "conformance"))]
impl Record {
    /// Returns this record as a newer version of this crate might have written it, with an unknown
    /// field. It can be stored and listed, but neither matched nor modified.
    pub(crate) fn as_if_newer(&self) -> Result<Self, CorruptRecord> {
        let bytes = self.to_bytes();
        let mut out = Writer::with_capacity(bytes.len() + 8);
        out.byte(RECORD_FORMAT + 1);
        unseal(&bytes)?.iter().skip(1).for_each(|byte| out.byte(*byte));
        out.field(u8::MAX, b"new");
        Self::from_bytes(&out.seal())
    }
}

impl Writer {
    fn rare(&mut self, rare: &Rare) {
        if let Some(older) = &rare.older {
            let (created, end) = (time_bytes(older.created_at), time_bytes(older.latest_end));
            let on_first_use = [u8::from(older.ends_on_first_use)];
            self.parts(OLDER, &[&older.digest.to_bytes(), &created, &end, &on_first_use]);
        }
        if let Some(ended) = &rare.ended {
            let (created, end) = (time_bytes(ended.created_at), time_bytes(ended.ended_at));
            self.parts(ENDED, &[&ended.digest.to_bytes(), &created, &end]);
        }
        if let Some(revocation) = &rare.revocation {
            self.time(REVOKED_AT, Some(revocation.at));
            self.text(REVOKED_BY, revocation.by.as_deref());
            self.text(REASON, revocation.reason.as_deref());
        }
        self.text(ISSUED_BY, rare.issued_by.as_deref());
        if !rare.issuers.is_empty() {
            let issuers: Vec<u8> = rare.issuers.iter().flat_map(|id| id.to_bytes()).collect();
            self.field(ISSUERS, &issuers);
        }
        if let Some(details) = &rare.details {
            for (tag, content) in
                [(METADATA, details.metadata_bytes()), (NETWORKS, details.network_bytes())]
            {
                if !content.is_empty() {
                    self.field(tag, content);
                }
            }
        }
        if !rare.suspensions.is_empty() {
            self.field(SUSPENSIONS, &Suspension::to_bytes(&rare.suspensions));
        }
        self.text(SECRET_BY, rare.secret_by.as_deref());
        if let Some(token) = rare.secret_on_behalf_of {
            self.field(SECRET_ON_BEHALF_OF, &token.to_bytes());
        }
        self.time(END_SET_AT, rare.end_set_at);
        self.time(SECRET_MADE_WITH, rare.secret_made_with);
        rare.ignorable.iter().for_each(|(tag, content)| self.field(*tag, content));
    }
}

/// The fields that every format has.
struct Head<'b> {
    id: TokenId,
    owner: &'b str,
    token_type: &'b str,
    issued_to: &'b str,
    created_at: DateTime<Utc>,
    scopes: &'b str,
    not_before: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    /// `None` if all of its fields are missing. It then costs neither an allocation nor a comparison.
    rare: Option<Box<Rare>>,
}

impl<'b> Head<'b> {
    fn take(fields: &mut Fields<'b>) -> Result<Self, CorruptRecord> {
        let id = fields.take(ID, Reader::array)?.ok_or(MISSING)?;
        let owner = fields.text(OWNER, MAX_TEXT_LEN)?.ok_or(MISSING)?;
        let token_type = fields.text(TYPE, MAX_TEXT_LEN)?.ok_or(MISSING)?;
        if !valid_type_name(token_type) {
            return Err(CorruptRecord("the name of the type is invalid"));
        }
        Ok(Self {
            id: TokenId::from_bytes(id),
            owner,
            token_type,
            issued_to: fields.text(ISSUED_TO, MAX_TEXT_LEN)?.ok_or(MISSING)?,
            created_at: fields.time(CREATED_AT)?.ok_or(MISSING)?,
            scopes: scopes(fields)?,
            not_before: fields.time(NOT_BEFORE)?,
            expires_at: fields.time(EXPIRES_AT)?,
            rare: if fields.has_after(NEWEST) { Some(Box::new(rare_head(fields)?)) } else { None },
        })
    }

    fn into_newer(mut self, format: u8, bytes: &[u8]) -> Record {
        let newest =
            NewestSecret { digest: StoredDigest::unmatchable(), created_at: self.created_at };
        self.rare.get_or_insert_default().newer = Some(bytes.into());
        let mut record = self.with(newest);
        record.format = format;
        record
    }

    fn into_record(mut self, fields: &mut Fields<'_>) -> Result<Record, CorruptRecord> {
        let newest = fields
            .take(NEWEST, |reader| {
                Ok(NewestSecret { digest: reader.digest()?, created_at: reader.time()? })
            })?
            .ok_or(MISSING)?;
        if let Some(rare) = &mut self.rare {
            read_rare(rare, fields)?;
        }
        if !fields.is_empty() {
            return Err(CorruptRecord("a field is unknown"));
        }
        Ok(self.with(newest))
    }

    fn with(self, newest: NewestSecret) -> Record {
        Record {
            id: self.id,
            created_at: self.created_at,
            not_before: self.not_before,
            expires_at: self.expires_at,
            newest,
            texts: Texts::new(self.owner, self.token_type, self.scopes, self.issued_to),
            format: RECORD_FORMAT,
            rare: self.rare,
        }
    }
}

/// Takes the scopes, whose text is empty if the field is missing. Unsorted or duplicate scopes would be a
/// second encoding of the same record.
fn scopes<'b>(fields: &mut Fields<'b>) -> Result<&'b str, CorruptRecord> {
    let Some(text) = fields.text(SCOPES, MAX_SCOPES_LEN)? else { return Ok("") };
    check_canonical(text).map_err(|error| match error {
        NotCanonical::Invalid(_) => CorruptRecord("a scope is invalid"),
        NotCanonical::Order => CorruptRecord("the scopes are not in order"),
    })?;
    Ok(text)
}

/// Takes the fields that few tokens have and every format has.
fn rare_head(fields: &mut Fields<'_>) -> Result<Rare, CorruptRecord> {
    Ok(Rare {
        revocation: revocation(fields)?,
        suspensions: fields.take(SUSPENSIONS, Suspension::read)?.unwrap_or_default(),
        issued_by: fields.text(ISSUED_BY, MAX_TEXT_LEN)?.map(Into::into),
        issuers: fields.take(ISSUERS, issuers)?.unwrap_or_default(),
        ..Rare::default()
    })
}

fn revocation(fields: &mut Fields<'_>) -> Result<Option<Revocation>, CorruptRecord> {
    let at = fields.time(REVOKED_AT)?;
    let by = fields.text(REVOKED_BY, MAX_TEXT_LEN)?.map(Into::into);
    let reason = fields.text(REASON, MAX_TEXT_LEN)?.map(Into::into);
    match at {
        Some(at) => Ok(Some(Revocation { at, by, reason })),
        None if by.is_some() || reason.is_some() => Err(CorruptRecord("a revocation has no time")),
        None => Ok(None),
    }
}

/// Takes the other fields that few tokens have.
fn read_rare(rare: &mut Rare, fields: &mut Fields<'_>) -> Result<(), CorruptRecord> {
    rare.ignorable = ignorable(fields)?;
    rare.older = fields.take(OLDER, |reader| {
        Ok(OlderSecret {
            digest: reader.digest()?,
            created_at: reader.time()?,
            latest_end: reader.time()?,
            ends_on_first_use: reader.flag()?,
        })
    })?;
    rare.ended = fields.take(ENDED, |reader| {
        Ok(EndedSecret {
            digest: reader.digest()?,
            created_at: reader.time()?,
            ended_at: reader.time()?,
        })
    })?;
    let metadata = fields.take(METADATA, metadata)?.unwrap_or_default();
    let networks = fields.take(NETWORKS, networks)?.unwrap_or_default();
    rare.details = Details::of_encoded(networks, metadata);
    rare.secret_by = fields.text(SECRET_BY, MAX_TEXT_LEN)?.map(Into::into);
    rare.secret_on_behalf_of =
        fields.take(SECRET_ON_BEHALF_OF, Reader::array)?.map(TokenId::from_bytes);
    rare.end_set_at = fields.time(END_SET_AT)?;
    rare.secret_made_with = fields.time(SECRET_MADE_WITH)?;
    Ok(())
}

/// Takes the unknown fields that may be ignored.
fn ignorable(fields: &mut Fields<'_>) -> Result<Vec<IgnorableField>, CorruptRecord> {
    let ignorable: Vec<IgnorableField> =
        fields.take_ignorable().map(|(tag, content)| (tag, content.into())).collect();
    if ignorable.iter().map(|(_, content)| content.len()).sum::<usize>() > MAX_IGNORABLE_BYTES {
        return Err(CorruptRecord("the fields that may be ignored are too long"));
    }
    Ok(ignorable)
}

fn issuers(reader: &mut Reader<'_>) -> Result<Vec<TokenId>, CorruptRecord> {
    if reader.is_empty() || reader.remaining() > MAX_ISSUERS * 16 {
        return Err(CorruptRecord("the number of issuers is zero or too large"));
    }
    let mut issuers = Vec::new();
    while !reader.is_empty() {
        issuers.push(TokenId::from_bytes(reader.array()?));
    }
    Ok(issuers)
}

/// Checks the networks and returns their bytes. An empty list is not "no restriction", because the field
/// would then be missing.
fn networks<'b>(reader: &mut Reader<'b>) -> Result<&'b [u8], CorruptRecord> {
    let bytes = reader.take(reader.remaining())?;
    NetworkSet::from_bytes(bytes).map(|_| bytes).map_err(CorruptRecord)
}

/// Checks the metadata and returns its bytes.
fn metadata<'b>(reader: &mut Reader<'b>) -> Result<&'b [u8], CorruptRecord> {
    let (max_entries, max_bytes) = MAX_METADATA;
    let content = reader.take(reader.remaining())?;
    let mut entries = Reader::new(content);
    let (mut last, mut count, mut bytes) = (None, 0, 0);
    while !entries.is_empty() {
        let (key, value) = (entries.counted_text()?, entries.counted_text()?);
        if key.is_empty() {
            return Err(CorruptRecord("a metadata key is empty"));
        }
        if last.is_some_and(|last| last >= key) {
            return Err(CorruptRecord("metadata is not in order"));
        }
        last = Some(key);
        count += 1;
        bytes += key.len() + value.len();
    }
    if count == 0 || count > max_entries || bytes > max_bytes {
        return Err(CorruptRecord("the metadata is empty or too long"));
    }
    Ok(content)
}
