//! The records that the checks use.

mod large;

use std::collections::BTreeMap;
use std::fmt::Display;

use chrono::{DateTime, Utc};

use super::verdict::NotKept;
use crate::clock::from_micros;
use crate::digest::StoredDigest;
use crate::network::NetworkSet;
use crate::record::{NewRecord, NewSuspension, OlderEnds, Record, ReplacedSecret, Rotation, Times};
use crate::scope::ScopeSet;
use crate::token::TokenId;

pub(super) use large::{large_records, moved};

/// The current time of all checks: 2026-01-01 with an odd number of microseconds.
pub(super) const NOW: i64 = SECOND + 123_457;

/// The same time in whole seconds. Where times do not matter to a check, its records have whole
/// seconds, so that a store that rounds times breaks few promises.
const SECOND: i64 = 1_767_225_600_000_000;

/// The time of all revocations.
pub(super) const REVOKED_AT: i64 = SECOND;

pub(super) const DAY: i64 = 86_400_000_000;

/// The maximum length of a text in a record, in bytes.
pub(super) const LONGEST: usize = crate::record::MAX_TEXT_LEN;

pub(super) fn at(micros: i64) -> DateTime<Utc> {
    from_micros(micros)
}

pub(super) fn now() -> DateTime<Utc> {
    at(NOW)
}

pub(super) fn id(value: u128) -> TokenId {
    TokenId::from_bytes(value.to_be_bytes())
}

/// Returns the id of the nth token. As in a service, the time is in the highest bits.
pub(super) fn nth(n: u32) -> TokenId {
    let scrambled = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0x3fff_ffff_ffff_ffff;
    id(0x0198_0000_0000_7000_8000_0000_0000_0000 + (u128::from(n) << 80) + scrambled)
}

/// The input of a record, with defaults for all fields that do not matter to a check.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) id: TokenId,
    pub(super) owner: String,
    pub(super) token_type: &'static str,
    pub(super) issued_to: String,
    pub(super) scopes: Vec<String>,
    pub(super) created_at: i64,
    pub(super) not_before: Option<i64>,
    pub(super) expires_at: Option<i64>,
    pub(super) issued_by: Option<String>,
    pub(super) issuers: Vec<TokenId>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) networks: Option<NetworkSet>,
    pub(super) secret: u8,
}

impl Sample {
    pub(super) fn of(id: TokenId) -> Self {
        Self {
            id,
            owner: "acme".into(),
            token_type: "connector",
            issued_to: "nightly backup".into(),
            scopes: vec!["files:upload".into(), "queue:*".into()],
            created_at: SECOND - 30 * DAY,
            not_before: None,
            expires_at: Some(SECOND + 60 * DAY),
            issued_by: None,
            issuers: Vec::new(),
            metadata: BTreeMap::new(),
            networks: None,
            secret: 0,
        }
    }

    pub(super) fn nth(n: u32) -> Self {
        Self { created_at: SECOND - 30 * DAY + i64::from(n) * 1_000_000, ..Self::of(nth(n)) }
    }

    pub(super) fn issued_to(self, issued_to: impl Into<String>) -> Self {
        Self { issued_to: issued_to.into(), ..self }
    }

    pub(super) fn record(&self) -> Result<Record, NotKept> {
        Record::new(&NewRecord {
            id: self.id,
            owner: &self.owner,
            token_type: self.token_type,
            issued_to: &self.issued_to,
            scopes: &ScopeSet::new(&self.scopes).map_err(not_created)?,
            created_at: at(self.created_at),
            not_before: self.not_before.map(at),
            expires_at: self.expires_at.map(at),
            digest: digest(self.secret),
            issued_by: self.issued_by.as_deref(),
            issuers: &self.issuers,
            metadata: &self.metadata,
            networks: self.networks.as_ref(),
            imported_at: None,
        })
        .map_err(not_created)
    }
}

/// Creates a record that differs from the nth in its label only.
pub(super) fn labelled(n: u32, issued_to: &str) -> Result<Record, NotKept> {
    Sample::nth(n).issued_to(issued_to).record()
}

/// Creates a digest. It is plain if `n` is even and keyed otherwise.
fn digest(n: u8) -> StoredDigest {
    let mut bytes = [0; 37];
    for (byte, i) in bytes[5..].iter_mut().zip(1..) {
        *byte = n.wrapping_mul(31).wrapping_add(i).wrapping_mul(151);
    }
    bytes[0] = 1 + n % 2;
    if n % 2 == 1 {
        bytes[1..5].copy_from_slice(b"key1");
    }
    StoredDigest::from_bytes(&bytes)
}

/// Reports that the suite could not create its own record. This is no fault of the store, but the
/// promise was not seen to be kept.
fn not_created(error: impl Display) -> NotKept {
    NotKept::Broken(format!("the suite could not make its record: {error}"))
}

fn already_revoked() -> NotKept {
    not_created("it is revoked")
}

fn rotated(
    record: &Record,
    micros: i64,
    secret: u8,
    older_ends: OlderEnds,
    replaces: Option<ReplacedSecret>,
) -> Result<Record, NotKept> {
    let rotation = Rotation {
        digest: digest(secret),
        older_ends,
        replaces,
        expires_at: None,
        by: Some("operator"),
        on_behalf_of: Some(nth(7)),
        made_with: None,
    };
    record.rotate(Times::at(at(micros)), &rotation).map_err(not_created)
}

pub(super) fn revoked(record: &Record, by: Option<&str>, reason: Option<&str>) -> Record {
    record.revoke(at(REVOKED_AT), by, reason).ok().flatten().unwrap_or_else(|| record.clone())
}

/// Returns the suspended record. The suspension passes at the time `until` in microseconds.
pub(super) fn suspended(record: &Record, until: Option<i64>) -> Result<Record, NotKept> {
    let (until, by, reason) = (until.map(at), Some("operator"), Some("odd traffic"));
    let new = NewSuspension { since: at(NOW - 3), until, by, reason, displaces: true };
    record
        .suspend(at(NOW - 3), new)
        .map_err(not_created)?
        .map(|(suspended, _)| suspended)
        .ok_or_else(|| not_created("it is suspended"))
}

/// Returns the record in a newer format, with an unknown field.
pub(super) fn newer(record: &Record) -> Result<Record, NotKept> {
    record.as_if_newer().map_err(not_created)
}

/// Returns records that together use every field, each with a description.
pub(super) fn varied_records() -> Result<Vec<(&'static str, Record)>, NotKept> {
    let (earliest, latest) = (1, 253_402_300_799_999_999);
    let plain = Sample::nth(100).record()?;
    let overlapping = rotated(
        &Sample::nth(110).record()?,
        NOW - DAY - 1,
        2,
        OlderEnds::OnFirstUse { latest: at(NOW + DAY + 1) },
        None,
    )?;
    let twice = rotated(
        &rotated(&Sample::nth(111).record()?, NOW - 9, 3, OlderEnds::At(at(NOW + 9)), None)?,
        NOW - 7,
        4,
        OlderEnds::At(at(NOW + 11)),
        Some(ReplacedSecret::Oldest),
    )?;
    let leaked = rotated(&Sample::nth(112).record()?, NOW - 3, 5, OlderEnds::Now, None)?;
    let full = Sample {
        not_before: Some(NOW + 1),
        issued_by: Some("ops@acme".into()),
        networks: Some(NetworkSet::parse(["192.0.2.0/24", "2001:db8::/32"]).map_err(not_created)?),
        issuers: (0..16).map(nth).collect(),
        metadata: metadata([("team", "storage"), ("ticket", "4711"), ("empty", "")]),
        scopes: (0..64).map(|n| format!("scope-{n:02}:*")).collect(),
        ..Sample::nth(120)
    };
    Ok(vec![
        ("a plain record", plain),
        ("a record that never expires", Sample { expires_at: None, ..Sample::nth(101) }.record()?),
        ("a record without scopes", Sample { scopes: Vec::new(), ..Sample::nth(102) }.record()?),
        (
            "a record with a start and odd microseconds",
            Sample {
                created_at: NOW - 999_999,
                not_before: Some(NOW + 1_000_001),
                expires_at: Some(NOW + 1_000_002),
                ..Sample::nth(103)
            }
            .record()?,
        ),
        (
            "a record with the earliest times",
            Sample { created_at: 0, expires_at: Some(earliest), ..Sample::nth(104) }.record()?,
        ),
        (
            "a record with the latest times",
            Sample {
                created_at: latest - 2,
                not_before: Some(latest - 1),
                expires_at: Some(latest),
                ..Sample::nth(105)
            }
            .record()?,
        ),
        ("a record with two live secrets", overlapping),
        ("a record with two live secrets and an ended one", twice),
        ("a record with an ended secret", leaked),
        ("a record with every field", full.record()?),
        ("a record with as much metadata as allowed", with_max_metadata(121).record()?),
        ("a suspended record", suspended(&Sample::nth(122).record()?, None)?),
        (
            "a record suspended until an odd microsecond",
            suspended(&Sample::nth(123).record()?, Some(NOW + 1_000_001))?,
        ),
        (
            "a suspended record with every field",
            suspended(&full.record_as(nth(124))?, Some(NOW + DAY))?,
        ),
        ("a revoked record", revoked(&Sample::nth(130).record()?, None, None)),
        (
            "a record revoked at an odd microsecond",
            Sample::nth(133)
                .record()?
                .revoke(now(), Some("ops"), None)
                .ok()
                .flatten()
                .ok_or_else(already_revoked)?,
        ),
        ("a record under a key", Sample { secret: 7, ..Sample::nth(134) }.record()?),
        (
            "a record revoked with an actor and a reason",
            revoked(&full.record_as(nth(131))?, Some("security"), Some("found in a log")),
        ),
        (
            "a record with the longest texts",
            Sample {
                owner: "o".repeat(LONGEST),
                issued_to: "t".repeat(LONGEST),
                issued_by: Some("b".repeat(LONGEST)),
                ..Sample::nth(132)
            }
            .record()?,
        ),
        ("the record with the smallest id", Sample::of(id(0)).record()?),
        ("the record with the largest id", Sample::of(id(u128::MAX)).record()?),
    ])
}

impl Sample {
    fn record_as(&self, id: TokenId) -> Result<Record, NotKept> {
        Self { id, ..self.clone() }.record()
    }
}

/// Creates a sample with the maximum number of metadata entries and bytes.
fn with_max_metadata(n: u32) -> Sample {
    let entries = (0..64).map(|n| (format!("key-{n:02}"), "v".repeat(8_192 / 64 - 6)));
    Sample { metadata: entries.collect(), ..Sample::nth(n) }
}

pub(super) fn metadata<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Texts that storage systems are known to modify or to confuse with each other. All are different.
#[rustfmt::skip]
pub(super) const TEXTS: &[&str] = &[
    // Case, and letters whose number or kind changes with it.
    "plain", "Plain", "PLAIN", "stra\u{df}e", "strasse", "STRASSE", "i", "I", "\u{130}", "\u{131}",
    "\u{3c3}", "\u{3c2}", "\u{fb01}n", "fin",
    // Spaces that are often trimmed or folded.
    "plain ", " plain", "plain\t", "\tplain", "plain\n", "plain\r\n", "plain\u{a0}", "plain  text",
    "plain text", "plain\u{3000}text", "plain\u{2028}", "\u{feff}plain", "plain\u{200b}",
    "pl\u{ad}ain",
    // The ends of C strings, and characters after them.
    "\0", "pl", "pl\0", "pl\0ain", "\0plain", "plain\0", "\u{1}", "\u{1b}[31m", "\u{7f}",
    // Composed and decomposed characters, lone and reordered marks, look-alikes.
    "caf\u{e9}", "cafe\u{301}", "\u{301}", "e\u{301}\u{327}", "e\u{327}\u{301}", "\u{c5}",
    "\u{212b}", "A\u{30a}", "\u{ac00}", "\u{1100}\u{1161}", "p\u{430}in", "pain",
    // Characters beyond the basic plane, joined, right to left, at the limits.
    "\u{1f600}", "a\u{1f600}b", "a", "\u{1f469}\u{200d}\u{1f4bb}", "\u{1f469}\u{1f4bb}",
    "\u{1f44d}\u{1f3fd}", "\u{202e}niap", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "\u{645}\u{631}\u{62d}\u{628}\u{627}", "\u{fffd}", "\u{ffff}", "\u{10ffff}", "\u{e000}",
    // Characters with a meaning in query languages, formats, shells, pages and paths.
    "'", "''", "\"", "`", "\\", "\\\\", "\\'", "\\0", "\\u0000", "%", "%%", "_", "p_ain", "pl%",
    "p*", "p?ain", "[p]lain", "^plain$", ".*", "'; DROP TABLE tokens; --", "x' OR '1'='1",
    "/* plain */", "--", "#", "$1", "$$", ":id", "?", "@id", "{}", "{0}", "${plain}", "%s%n", "%00",
    "&amp;", "<b>", "a,b", "a;b", "a|b", "a:b", "a=b", "../../etc/passwd", "/", ".", "..",
    "a+b", "a b", "a%2Bb", "a%20b", "a&b", "a!b", "a(b)", "a~b", "a\u{b7}b", "C:\\nul", "NULL", "null", "nil", "true", "0", "00", "-1", "1e3", "1000",
];

/// Returns texts of the maximum length: plain, two that are nearly equal, and with characters of
/// two and four bytes.
pub(super) fn long_texts() -> [String; 4] {
    [
        "x".repeat(LONGEST),
        "x".repeat(LONGEST - 1) + "y",
        "\u{e9}".repeat(LONGEST / 2),
        "\u{1f600}".repeat(LONGEST / 4),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn sample_records_have_distinct_ids() {
        let varied_records = varied_records().ok().unwrap();
        let ids: BTreeSet<_> = varied_records.iter().map(|(_, record)| record.id()).collect();
        assert_eq!(ids.len(), varied_records.len());
        assert!(
            varied_records.iter().all(|(_, r)| Record::from_bytes(&r.to_bytes()).as_ref() == Ok(r))
        );
    }

    #[test]
    fn sample_texts_differ_and_can_be_owners() {
        assert_eq!(TEXTS.iter().collect::<BTreeSet<_>>().len(), TEXTS.len());
        for text in TEXTS {
            assert!(
                Sample { owner: (*text).into(), ..Sample::nth(0) }.record().is_ok(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn sample_newer_record_is_newer() {
        assert!(newer(&Sample::nth(0).record().ok().unwrap()).ok().unwrap().is_newer());
    }
}
