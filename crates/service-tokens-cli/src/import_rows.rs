//! The rows of an import, from a CSV file to requests. No message repeats a value of the file.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use service_tokens::import::ImportDigest;
use service_tokens::{ImportRequest, ScopeSet, TokenId};

use crate::csv::{self, Row};
use crate::import_form::Hash;
use crate::import_values::Values;
use crate::value::{self, Expiry};

/// A row that can be imported.
pub(crate) struct Import {
    pub(crate) line: usize,
    pub(crate) id: TokenId,
    pub(crate) values: Values,
    digest: ImportDigest,
}

impl Import {
    /// Returns the request to import the row.
    pub(crate) fn request(&self) -> ImportRequest {
        self.values.request(self.digest)
    }
}

/// The rows of a file.
pub(crate) struct Rows {
    /// One row of each digest.
    pub(crate) imports: Vec<Import>,
    /// The number of rows that are equal to an earlier one.
    pub(crate) repeated: usize,
    pub(crate) refused: Refused,
}

/// The values that options set for every row.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) owner: Option<String>,
    pub(crate) token_type: Option<String>,
    pub(crate) issued_by: Option<String>,
    pub(crate) expires: Option<Expiry>,
}

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Column {
    Digest,
    Owner,
    Type,
    IssuedTo,
    IssuedBy,
    Expires,
    NotBefore,
    CreatedAt,
    Scopes,
    Networks,
    Metadata(String),
}

impl Column {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "digest" => Self::Digest,
            "owner" => Self::Owner,
            "type" => Self::Type,
            "issued_to" => Self::IssuedTo,
            "issued_by" => Self::IssuedBy,
            "expires_at" => Self::Expires,
            "not_before" => Self::NotBefore,
            "created_at" => Self::CreatedAt,
            "scopes" => Self::Scopes,
            "networks" => Self::Networks,
            _ => Self::Metadata(name.strip_prefix("metadata.")?.to_owned()),
        })
    }
}

/// The lines of refused rows, with the reasons.
pub(crate) type Refused = Vec<(usize, String)>;

/// Reads the rows of a file. Rows with one digest and different values are refused, because the file does not
/// say which of them is right.
pub(crate) fn read(text: &str, hash: Hash, defaults: &Defaults) -> Result<Rows, String> {
    let mut rows = csv::rows(text)?.into_iter();
    let header = rows.next().ok_or("the file is empty")?;
    let columns = columns(&header, defaults)?;
    let (mut same_digest, mut refused): (Vec<Vec<Import>>, Refused) = (Vec::new(), Vec::new());
    let mut places: HashMap<TokenId, usize> = HashMap::new();
    for row in rows {
        let line = row.line;
        match import(row, &columns, hash, defaults) {
            Ok(import) => {
                let place = *places.entry(import.id).or_insert(same_digest.len());
                match same_digest.get_mut(place) {
                    Some(group) => group.push(import),
                    None => same_digest.push(vec![import]),
                }
            }
            Err(error) => refused.push((line, error)),
        }
    }
    let (mut imports, mut repeated) = (Vec::new(), 0);
    for group in same_digest {
        let conflicts = conflicts(&group);
        if conflicts.is_empty() {
            repeated += group.len() - 1;
            imports.extend(group.into_iter().next());
        }
        refused.extend(conflicts);
    }
    Ok(Rows { imports, repeated, refused })
}

/// Returns the reasons to refuse the rows of one digest, if not all of them are equal.
fn conflicts(group: &[Import]) -> Refused {
    let differs = |row: &Import| {
        let other = group.iter().find(|other| other.values != row.values)?;
        let columns = row.values.differences(&other.values).join(", ");
        let line = other.line;
        Some((row.line, format!("has the same digest as line {line} and differs in {columns}")))
    };
    group.iter().filter_map(differs).collect()
}

fn columns(header: &Row, defaults: &Defaults) -> Result<Vec<Column>, String> {
    let mut columns = Vec::new();
    for (name, place) in header.fields.iter().zip(1..) {
        // If the header is missing, this name is a digest, so it is not repeated.
        let column = Column::parse(name).ok_or(format!(
            "the header has an unknown column in place {place}; the columns are digest, owner, type, \
             issued_to, issued_by, expires_at, not_before, created_at, scopes, networks and metadata.KEY"
        ))?;
        if columns.contains(&column) {
            return Err(format!("the header repeats the column in place {place}"));
        }
        columns.push(column);
    }
    for (column, name, option, has_default) in [
        (Column::Digest, "digest", "", false),
        (Column::IssuedTo, "issued_to", "", false),
        (Column::Owner, "owner", " or the option --owner", defaults.owner.is_some()),
        (Column::Type, "type", " or the option --type", defaults.token_type.is_some()),
    ] {
        if !columns.contains(&column) && !has_default {
            return Err(format!("the column {name}{option} is missing"));
        }
    }
    Ok(columns)
}

fn import(row: Row, columns: &[Column], hash: Hash, defaults: &Defaults) -> Result<Import, String> {
    let Row { line, fields } = row;
    let field = |wanted: &Column| {
        let fields = columns.iter().zip(&fields);
        fields.filter(|(column, _)| *column == wanted).map(|(_, text)| &**text).next()
    };
    let filled = |wanted: &Column| field(wanted).filter(|text| !text.is_empty());
    let or = |wanted: &Column, default: &Option<String>| {
        filled(wanted).map(str::to_owned).or_else(|| default.clone()).unwrap_or_default()
    };
    let owner = or(&Column::Owner, &defaults.owner);
    let token_type = or(&Column::Type, &defaults.token_type);
    let issued_to = field(&Column::IssuedTo).unwrap_or_default();
    let digest = decode(field(&Column::Digest).unwrap_or_default(), hash.len())
        .and_then(|bytes| hash.digest(&bytes))
        .ok_or(format!("digest must be {} bytes in hexadecimal or base64", hash.len()))?;
    let expires = match filled(&Column::Expires) {
        Some(text) => Some(expiry(text)?),
        None => defaults.expires,
    };
    let time = |column: &Column, name: &str| {
        filled(column).map(|text| time(text).ok_or(format!("{name} {NO_TIME}"))).transpose()
    };
    let scopes = filled(&Column::Scopes).map(|scopes| ScopeSet::new(scopes.split_whitespace()));
    let networks = filled(&Column::Networks).unwrap_or_default().split_whitespace();
    let mut metadata = BTreeMap::new();
    for (column, value) in columns.iter().zip(&fields) {
        if let (Column::Metadata(key), false) = (column, value.is_empty()) {
            metadata.insert(key.clone(), value.clone());
        }
    }
    let values = Values {
        owner,
        token_type,
        issued_to: issued_to.to_owned(),
        issued_by: or(&Column::IssuedBy, &defaults.issued_by),
        expires,
        not_before: time(&Column::NotBefore, "not_before")?,
        created_at: time(&Column::CreatedAt, "created_at")?,
        scopes: scopes.transpose().map_err(|error| format!("scopes: {error}"))?,
        networks: networks
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("networks: {error}"))?,
        metadata,
    };
    Ok(Import { line, id: digest.token_id(), values, digest })
}

const NO_TIME: &str = "must be a time such as 2027-01-01T00:00:00Z or 2027-01-01 00:00:00";

fn expiry(text: &str) -> Result<Expiry, String> {
    if let Some(end) = time(text) {
        return Ok(Expiry::At(end));
    }
    Expiry::parse(text)
        .map_err(|_| format!("expires_at {NO_TIME}, a duration such as 90d, or never"))
}

/// Parses a time as databases print it. Without a zone it is in UTC.
fn time(text: &str) -> Option<DateTime<Utc>> {
    value::time(text).or_else(|| value::database_time(text))
}

/// Decodes hexadecimal or base64, with either alphabet and with or without padding. Digests of 32 and 64
/// bytes have different lengths in these encodings, so the length decides.
fn decode(text: &str, len: usize) -> Option<Vec<u8>> {
    if text.len() == 2 * len {
        let digits: Option<Vec<u8>> =
            text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
        return Some(digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect());
    }
    let unpadded = text.trim_end_matches('=');
    let padding = text.len() - unpadded.len();
    let is_padded = padding > 0;
    if unpadded.len() != (8 * len).div_ceil(6)
        || is_padded && !text.len().is_multiple_of(4)
        || padding > 2
    {
        return None;
    }
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0u32);
    for byte in unpadded.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    // The bits after the last byte are zero in the only valid spelling.
    (bits & ((1 << held) - 1) == 0 && bytes.len() == len).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_accepts_both_encodings() {
        let bytes: Vec<u8> = (0..32).map(|n| n * 7 + 3).collect();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = "AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dw";
        for text in [&*hex, &hex.to_uppercase(), base64, &format!("{base64}=")] {
            assert_eq!(decode(text, 32).as_ref(), Some(&bytes), "{text}");
        }
        let wrong = [&hex[..62], &hex[1..], &base64[1..], &base64.replace('w', "x"), "", "="];
        for text in wrong.into_iter().chain([&*format!("{base64}=="), &format!("{hex}00")]) {
            assert_eq!(decode(text, 32), None, "{text}");
        }
        assert_eq!(decode(&hex, 64), None);
    }
}
