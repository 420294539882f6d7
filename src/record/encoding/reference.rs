//! A second reading of an encoding, with which tests compare the one that stores use.
//!
//! It collects the fields in a map and builds the set of scopes. So it allocates memory for each field, but
//! its steps are those of the description of the format.

use std::collections::BTreeMap;

use super::super::tlv::FIRST_IGNORABLE_TAG;
use super::*;
use crate::scope::ScopeSet;

/// Reads an encoded record like [`Record::from_bytes`].
pub(in crate::record) fn read(bytes: &[u8]) -> Result<Record, CorruptRecord> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(CorruptRecord("the bytes are longer than any record"));
    }
    let (&format, body) =
        unseal(bytes)?.split_first().ok_or(CorruptRecord("the bytes are empty"))?;
    if format == 0 {
        return Err(CorruptRecord("the format is zero"));
    }
    let mut fields = Fields::read(body)?;
    let head = Head::take(&mut fields)?;
    if format > RECORD_FORMAT {
        return Ok(head.into_newer(format, bytes));
    }
    head.into_record(fields)
}

/// The fields by tag. Each is taken once, and the fields that remain are unknown.
struct Fields<'b>(BTreeMap<u8, &'b [u8]>);

impl<'b> Fields<'b> {
    fn read(body: &'b [u8]) -> Result<Self, CorruptRecord> {
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
    fn take<T>(
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
    fn take_from(&mut self, tag: u8) -> impl Iterator<Item = (u8, &'b [u8])> + use<'b> {
        self.0.split_off(&tag).into_iter()
    }

    fn time(&mut self, tag: u8) -> Result<Option<DateTime<Utc>>, CorruptRecord> {
        self.take(tag, Reader::time)
    }

    fn text(&mut self, tag: u8, max: usize) -> Result<Option<&'b str>, CorruptRecord> {
        let text = self.take(tag, |reader| reader.text(reader.remaining()))?;
        // Blank texts are refused when they are set. The validity of stored bytes must not depend
        // on the Unicode table of white space, which grows.
        if text.is_some_and(|text| text.is_empty() || text.len() > max) {
            return Err(CorruptRecord("a text is empty or too long"));
        }
        Ok(text)
    }

    /// Returns whether all fields were taken.
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The fields that every format has.
struct Head<'b> {
    id: TokenId,
    owner: &'b str,
    token_type: &'b str,
    issued_to: &'b str,
    created_at: DateTime<Utc>,
    scopes: ScopeSet,
    not_before: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    revocation: Option<Revocation>,
    suspensions: Vec<Suspension>,
    issued_by: Option<Box<str>>,
    issuers: Vec<TokenId>,
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
            revocation: revocation(fields)?,
            suspensions: fields.take(SUSPENSIONS, Suspension::read)?.unwrap_or_default(),
            issued_by: fields.text(ISSUED_BY, MAX_TEXT_LEN)?.map(Into::into),
            issuers: fields.take(ISSUERS, issuers)?.unwrap_or_default(),
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
        let rare = Rare { ignorable: ignorable(&mut fields)?, ..rare(&mut fields)? };
        if !fields.is_empty() {
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
        record.set_rare(Rare {
            revocation: self.revocation,
            suspensions: self.suspensions,
            issued_by: self.issued_by,
            issuers: self.issuers,
            ..rare
        });
        record
    }
}

fn scopes(fields: &mut Fields<'_>) -> Result<ScopeSet, CorruptRecord> {
    let Some(text) = fields.text(SCOPES, MAX_SCOPES_LEN)? else { return Ok(ScopeSet::default()) };
    let scopes: ScopeSet = text.parse().map_err(|_| CorruptRecord("a scope is invalid"))?;
    // Unsorted or duplicate scopes would be a second encoding of the same record.
    if scopes.as_scopes().as_str() != text {
        return Err(CorruptRecord("the scopes are not in order"));
    }
    Ok(scopes)
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
    let metadata = fields.take(METADATA, metadata)?.unwrap_or_default();
    let networks = fields.take(NETWORKS, networks)?.unwrap_or_default();
    Ok(Rare {
        older,
        ended,
        details: Details::of_encoded(networks, metadata),
        secret_by: fields.text(SECRET_BY, MAX_TEXT_LEN)?.map(Into::into),
        secret_on_behalf_of: fields
            .take(SECRET_ON_BEHALF_OF, Reader::array)?
            .map(TokenId::from_bytes),
        end_set_at: fields.time(END_SET_AT)?,
        secret_made_with: fields.time(SECRET_MADE_WITH)?,
        ..Rare::default()
    })
}

/// Takes the unknown fields that may be ignored.
fn ignorable(fields: &mut Fields<'_>) -> Result<Vec<IgnorableField>, CorruptRecord> {
    let ignorable: Vec<IgnorableField> =
        fields.take_from(FIRST_IGNORABLE_TAG).map(|(tag, content)| (tag, content.into())).collect();
    if ignorable.iter().map(|(_, content)| content.len()).sum::<usize>() > MAX_IGNORABLE_BYTES {
        return Err(CorruptRecord("the fields that may be ignored are too long"));
    }
    Ok(ignorable)
}
