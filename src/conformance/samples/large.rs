//! Records that are made from the encoding of others, with the maximum length or with another identity.

use super::{LONGEST, NOW, Sample, at, not_created, nth, revoked, with_max_metadata};
use crate::conformance::verdict::NotKept;
use crate::record::{MAX_RECORD_BYTES, NewSuspension, Record};

const ID: u8 = 1;
const OWNER: u8 = 2;
const CREATED_AT: u8 = 5;

/// A tag that this version of the crate ignores and writes back.
const IGNORED: u8 = 200;

/// The format byte before the fields, and the checksum after them.
const CHECKSUM_LEN: usize = 4;

/// Returns the fields of an encoding, each with its tag and content.
fn fields(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut fields = Vec::new();
    let body = &bytes[..bytes.len().saturating_sub(CHECKSUM_LEN)];
    let mut rest = body.get(1..).unwrap_or_default();
    while let Some((&tag, after)) = rest.split_first() {
        let (mut length, mut shift, mut read) = (0_usize, 0, 0);
        for byte in after {
            read += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let content = after.get(read..read + length).unwrap_or_default();
        fields.push((tag, content.to_vec()));
        rest = after.get(read + length..).unwrap_or_default();
    }
    fields
}

fn encode(format: u8, fields: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![format];
    for (tag, content) in fields {
        out.push(*tag);
        let mut length = content.len();
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend(content);
    }
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

/// Returns the content of a record under the id, owner and creation time of another one, or `None` if
/// its other times do not allow this.
pub(in crate::conformance) fn moved(content: &Record, identity: &Record) -> Option<Record> {
    let own = fields(&identity.to_bytes());
    let mut all = fields(&content.to_bytes());
    for (tag, content) in &mut all {
        if [ID, OWNER, CREATED_AT].contains(tag) {
            let (_, other) = own.iter().find(|(own, _)| own == tag)?;
            content.clone_from(other);
        }
    }
    Record::from_bytes(&encode(content.format(), &all)).ok()
}

/// Returns records of one owner that are nearly as large as a record can be, or exactly as large. Each
/// has a description.
pub(in crate::conformance) fn large_records(
    owner: &str,
    count: u32,
) -> Result<Vec<(&'static str, Record)>, NotKept> {
    let mut records = Vec::new();
    for n in 0..count {
        let sample = Sample {
            owner: owner.into(),
            issued_by: Some("b".repeat(LONGEST)),
            issuers: (0..16).map(nth).collect(),
            scopes: (0..64).map(|n| format!("s{n:02}-{}", "c".repeat(252))).collect(),
            ..with_max_metadata(20_000 + n).issued_to("t".repeat(LONGEST))
        };
        let mut record = sample.record()?;
        for place in 0..8 {
            // Author and reason name a suspension, so each has others.
            let letter = char::from(b'c' + place as u8).to_string();
            let (by, reason) = (letter.repeat(LONGEST), "r".repeat(LONGEST));
            let new = NewSuspension {
                since: at(NOW - 20 + place),
                until: Some(at(NOW + 20 + place)),
                by: Some(&by),
                reason: Some(&reason),
                displaces: true,
            };
            let suspended = record.suspend(at(NOW - 20 + place), new).map_err(not_created)?;
            if let Some((suspended, _)) = suspended {
                record = suspended;
            }
        }
        let (by, reason) = ("w".repeat(LONGEST), "y".repeat(LONGEST));
        let record = revoked(&record, Some(&by), Some(&reason));
        let format = record.format();
        let mut all = fields(&record.to_bytes());
        let length = encode(format, &all).len();
        // Of three records, the first has the fields of this format, the second has in addition one that
        // a later version may add, and the third is in a newer format and has the maximum length.
        let (what, format, ignored) = match n % 3 {
            0 => ("a large record", format, 0),
            1 => ("a record with a large field that is ignored", format, 16_000),
            _ => {
                let rest = MAX_RECORD_BYTES.saturating_sub(length + 4);
                ("a record of the maximum length", format + 1, rest)
            }
        };
        if ignored > 0 {
            all.push((IGNORED, (0..ignored).map(|place| (place % 251) as u8).collect()));
        }
        let record = Record::from_bytes(&encode(format, &all)).map_err(not_created)?;
        records.push((what, record));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_records_are_large() {
        let records = large_records("acme", 3).ok().unwrap();
        let lengths: Vec<usize> = records.iter().map(|(_, r)| r.to_bytes().len()).collect();
        assert!(lengths[0] > 40_000 && lengths[1] > 60_000, "{lengths:?}");
        assert_eq!(lengths[2], MAX_RECORD_BYTES);
    }

    #[test]
    fn moved_record_has_other_identity() {
        let [content, identity] = [1, 2].map(|n| Sample::nth(n).record().ok().unwrap());
        let moved = moved(&content, &identity).unwrap();
        assert_eq!(moved.id(), identity.id());
        assert_eq!(moved.created_at(), identity.created_at());
    }
}
