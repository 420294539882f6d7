//! Faults that change a record before it is stored.

use std::ops::Range;

use super::harness::{Answer, Backend, Fault};
use async_trait::async_trait;
use service_tokens::store::Version;
use service_tokens::{Record, TokenStore};

const TEXTS: [u8; 5] = [2, 4, 13, 14, 15];
const TIMES: [u8; 4] = [5, 7, 8, 12];

/// Edits each field of a record. `edit` gets the tag and the content, and returns `None` to leave the field
/// out. If the result is not a valid record, the record stays unchanged.
pub(crate) fn edited(record: &Record, edit: impl Fn(u8, &[u8]) -> Option<Vec<u8>>) -> Record {
    let mut bytes = record.to_bytes();
    bytes.truncate(bytes.len() - 4);
    let mut out = vec![bytes[0]];
    let mut at = 1;
    while at < bytes.len() {
        let tag = bytes[at];
        let (content, end) = field(&bytes, at + 1);
        if let Some(content) = edit(tag, &bytes[content]) {
            out.push(tag);
            out.extend(length(content.len()));
            out.extend(content);
        }
        at = end;
    }
    out.extend(crc32fast::hash(&out).to_be_bytes());
    Record::from_bytes(&out).unwrap_or_else(|_| record.clone())
}

/// Returns the range of a field's content and the start of the next field. `at` is the position of the
/// length.
fn field(bytes: &[u8], mut at: usize) -> (Range<usize>, usize) {
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = bytes[at];
        at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return (at..at + length, at + length);
        }
    }
}

fn length(mut length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out
}

fn with_texts(record: &Record, edit: impl Fn(&str) -> String) -> Record {
    edited(record, |tag, content| {
        let text = TEXTS.contains(&tag).then(|| str::from_utf8(content).unwrap());
        Some(text.map_or(content.to_vec(), |text| edit(text).into_bytes()))
    })
}

fn without(record: &Record, fields: &[u8]) -> Record {
    edited(record, |tag, content| (!fields.contains(&tag)).then(|| content.to_vec()))
}

/// A store that stores an edited copy of each record.
pub(crate) struct StoresEdited(fn(&Record) -> Record);

#[async_trait]
impl Fault for StoresEdited {
    async fn insert(&self, to: &Backend, record: &Record) -> Answer<Version> {
        to.insert(&(self.0)(record)).await
    }

    async fn replace(&self, to: &Backend, record: &Record, expected: Version) -> Answer<Version> {
        to.replace(&(self.0)(record), expected).await
    }
}

pub(crate) fn milliseconds() -> StoresEdited {
    StoresEdited(|record| {
        edited(record, |tag, content| {
            let Ok(time) = <[u8; 8]>::try_from(content) else { return Some(content.to_vec()) };
            let micros = i64::from_be_bytes(time);
            let rounded = micros - micros % 1_000;
            Some(if TIMES.contains(&tag) { rounded } else { micros }.to_be_bytes().to_vec())
        })
    })
}

pub(crate) fn no_metadata() -> StoresEdited {
    StoresEdited(|record| without(record, &[17]))
}

pub(crate) fn no_older_secret() -> StoresEdited {
    StoresEdited(|record| without(record, &[10]))
}

pub(crate) fn no_ended_secret() -> StoresEdited {
    StoresEdited(|record| without(record, &[11]))
}

pub(crate) fn no_key_ids() -> StoresEdited {
    StoresEdited(|record| {
        edited(record, |tag, content| {
            let mut content = content.to_vec();
            if (9..=11).contains(&tag) {
                content[1..5].fill(0);
            }
            Some(content)
        })
    })
}

pub(crate) fn no_reason() -> StoresEdited {
    StoresEdited(|record| without(record, &[14]))
}

pub(crate) fn no_start() -> StoresEdited {
    StoresEdited(|record| without(record, &[7]))
}

pub(crate) fn nearest_issuer_only() -> StoresEdited {
    StoresEdited(|record| {
        edited(record, |tag, content| {
            Some(if tag == 16 { content[..16].to_vec() } else { content.to_vec() })
        })
    })
}

pub(crate) fn no_unknown_fields() -> StoresEdited {
    StoresEdited(|record| without(record, &[u8::MAX]))
}

pub(crate) fn lower_case() -> StoresEdited {
    StoresEdited(|record| with_texts(record, str::to_lowercase))
}

pub(crate) fn trimmed() -> StoresEdited {
    StoresEdited(|record| with_texts(record, |text| text.trim().to_owned()))
}

pub(crate) fn composed() -> StoresEdited {
    StoresEdited(|record| with_texts(record, |text| text.replace("e\u{301}", "\u{e9}")))
}

pub(crate) fn up_to_nul() -> StoresEdited {
    StoresEdited(|record| with_texts(record, |text| text.split('\0').next().unwrap().to_owned()))
}

pub(crate) fn up_to_emoji() -> StoresEdited {
    StoresEdited(|record| {
        with_texts(record, |text| text.chars().take_while(|c| c.len_utf8() < 4).collect())
    })
}

pub(crate) fn cut() -> StoresEdited {
    StoresEdited(|record| with_texts(record, |text| text.chars().take(1_000).collect()))
}

pub(crate) fn unquoted() -> StoresEdited {
    StoresEdited(|record| with_texts(record, |text| text.replace("''", "'")))
}

pub(crate) fn windows_lines() -> StoresEdited {
    StoresEdited(|record| with_texts(record, |text| text.replace("\r\n", "\n")))
}
