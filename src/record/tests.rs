//! Records for the tests of their encoding and of their states over time.

mod amendments;
mod bytes;
mod history;
mod life;
mod readings;
mod secrets;
mod suspensions;

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::clock::from_micros;
use crate::digest::DIGEST_LEN;
use crate::network::Network;
use crate::record::field::{MAX_METADATA, MAX_SCOPES_LEN, MAX_TEXT_LEN};
use crate::scope::{MAX_SCOPE_LEN, MAX_SCOPES};

/// The last microsecond of the year 9999.
const LATEST: i64 = 253_402_300_799_999_999;

/// The values that [`NewRecord`] borrows.
#[derive(Clone)]
struct Draft {
    owner: String,
    token_type: String,
    issued_to: String,
    scopes: ScopeSet,
    created_at: i64,
    not_before: Option<i64>,
    expires_at: Option<i64>,
    issued_by: Option<String>,
    issuers: Vec<TokenId>,
    metadata: BTreeMap<String, String>,
    networks: Option<NetworkSet>,
}

impl Draft {
    fn new() -> Self {
        Self {
            owner: "o".into(),
            token_type: "t".into(),
            issued_to: "i".into(),
            scopes: ScopeSet::default(),
            created_at: 1_000,
            not_before: None,
            expires_at: None,
            issued_by: None,
            issuers: Vec::new(),
            metadata: BTreeMap::new(),
            networks: None,
        }
    }

    fn record(&self) -> Result<Record, InvalidField> {
        Record::new(&NewRecord {
            id: TokenId::from_bytes(*b"0123456789abcdef"),
            owner: &self.owner,
            token_type: &self.token_type,
            issued_to: &self.issued_to,
            scopes: &self.scopes,
            created_at: from_micros(self.created_at),
            not_before: self.not_before.map(from_micros),
            expires_at: self.expires_at.map(from_micros),
            digest: digest(0x11),
            issued_by: self.issued_by.as_deref(),
            issuers: &self.issuers,
            metadata: &self.metadata,
            networks: self.networks.as_ref(),
            imported_at: None,
        })
    }
}

fn digest(byte: u8) -> StoredDigest {
    let mut bytes = [byte; DIGEST_LEN];
    bytes[..5].copy_from_slice(&[1, 0, 0, 0, 0]);
    StoredDigest::from_bytes(&bytes)
}

/// Returns a record with every field set, each to a different value.
fn full() -> Record {
    let mut hmac = [0x33; DIGEST_LEN];
    hmac[..5].copy_from_slice(b"\x022026");
    let mut record = Draft {
        owner: "tenant-7 \u{e9}\0".into(),
        token_type: "connector".into(),
        issued_to: "nightly backup \u{1f4e6}".into(),
        scopes: ScopeSet::new(["files:*", "queue:push", "service-tokens:issue"]).unwrap(),
        created_at: 1_767_225_600_000_001,
        not_before: Some(1_767_225_600_000_002),
        expires_at: Some(LATEST),
        issued_by: Some("admin@example.org".into()),
        issuers: vec![TokenId::from_bytes([0xff; 16]), TokenId::from_bytes([0; 16])],
        metadata: [("", ""), ("a", ""), ("b", "\n"), ("long", &*"x".repeat(200))]
            .into_iter()
            .skip(1)
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        networks: Some(NetworkSet::parse(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]).unwrap()),
    }
    .record()
    .unwrap();
    record.newest = NewestSecret {
        digest: StoredDigest::from_bytes(&hmac),
        created_at: from_micros(1_767_225_600_000_005),
    };
    let rare = record.rare.as_mut().unwrap();
    rare.older = Some(OlderSecret {
        digest: digest(0x22),
        created_at: from_micros(1_767_225_600_000_004),
        latest_end: from_micros(1_767_312_000_000_000),
        ends_on_first_use: true,
    });
    rare.ended = Some(EndedSecret {
        digest: digest(0x11),
        created_at: from_micros(1_767_225_600_000_001),
        ended_at: from_micros(1_767_225_600_000_005),
    });
    rare.revocation = Some(Revocation {
        at: from_micros(1_767_225_600_000_006),
        by: Some("on call".into()),
        reason: Some("seen in a public log".into()),
    });
    rare.suspensions = vec![
        Suspension {
            since: from_micros(1_767_225_600_000_007),
            until: Some(from_micros(1_767_225_600_000_008)),
            by: Some("on duty".into()),
            reason: Some("odd traffic".into()),
        },
        Suspension {
            since: from_micros(1_767_225_600_000_007),
            until: None,
            by: Some("on duty".into()),
            reason: Some("unpaid".into()),
        },
    ];
    rare.secret_by = Some("a console".into());
    rare.secret_on_behalf_of = Some(TokenId::from_bytes([0x77; 16]));
    rare.end_set_at = Some(from_micros(1_767_225_600_000_009));
    rare.secret_made_with = Some(from_micros(1_767_225_600_000_010));
    record
}

fn minimal() -> Record {
    Draft::new().record().unwrap()
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => vec(any::<char>(), 1..12).prop_map(String::from_iter),
        1 => (126..130usize).prop_map(|n| "n".repeat(n)),
        1 => Just("m".repeat(MAX_TEXT_LEN)),
    ]
    .boxed()
}

fn times() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![6 => 0..=LATEST, 1 => Just(0), 1 => Just(LATEST)].prop_map(from_micros)
}

fn digests() -> impl Strategy<Value = StoredDigest> {
    vec(any::<u8>(), DIGEST_LEN)
        .prop_map(|bytes| StoredDigest::from_bytes(bytes.as_slice().try_into().unwrap()))
        .boxed()
}

fn scope_sets() -> impl Strategy<Value = ScopeSet> {
    vec("[a-c]{1,3}(:[a-c]{1,2}){0,2}(:\\*)?", 0..5).prop_map(|s| ScopeSet::new(s).unwrap()).boxed()
}

fn network_sets() -> impl Strategy<Value = NetworkSet> {
    let network = (any::<bool>(), any::<u128>(), 0..=128u8).prop_map(|(is_ipv4, bits, len)| {
        let (address, len): (std::net::IpAddr, u8) = if is_ipv4 {
            let len = len % 33;
            let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            (std::net::Ipv4Addr::from(bits as u32 & mask).into(), len)
        } else {
            let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
            (std::net::Ipv6Addr::from(bits & mask).into(), len)
        };
        Network::new(address, len).unwrap()
    });
    vec(network, 1..33).prop_map(|networks| NetworkSet::new(networks).unwrap()).boxed()
}

/// A wrapper with a `Debug` that prints no field. [`Rare`] has no `Debug`, because the fields of a
/// newer record may contain digests.
#[derive(Clone, Default)]
struct AnyRare(Rare);

impl fmt::Debug for AnyRare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyRare(..)")
    }
}

fn in_place(mut suspensions: Vec<Suspension>) -> Vec<Suspension> {
    suspensions.sort_by(Suspension::cmp_place);
    suspensions
}

prop_compose! {
    fn rares()(
        older in proptest::option::of((digests(), times(), times(), any::<bool>())),
        ended in proptest::option::of((digests(), times(), times())),
        revocation in proptest::option::of((
            times(), proptest::option::of(texts()), proptest::option::of(texts()),
        )),
        suspensions in btree_map(
            (proptest::option::of(texts()), proptest::option::of(texts())),
            (times(), proptest::option::of(times())),
            0..=8,
        ),
        networks in proptest::option::of(network_sets()),
        (secret_by, token, made_with, end_set_at) in (
            proptest::option::of(texts()),
            proptest::option::of(any::<[u8; 16]>()),
            proptest::option::of(times()),
            proptest::option::of(times()),
        ),
        issued_by in proptest::option::of(texts()),
        issuers in vec(any::<[u8; 16]>(), 0..=16),
        metadata in btree_map(texts().prop_map(|t| t.chars().take(9).collect()), "\\PC{0,9}", 0..5),
        remarks in btree_map(128..=255u8, vec(any::<u8>(), 0..9), 0..3),
    ) -> AnyRare {
        AnyRare(Rare {
            older: older.map(|(digest, created_at, latest_end, ends_on_first_use)| {
                OlderSecret { digest, created_at, latest_end, ends_on_first_use }
            }),
            ended: ended.map(|(digest, created_at, ended_at)| {
                EndedSecret { digest, created_at, ended_at }
            }),
            revocation: revocation.map(|(at, by, reason)| Revocation {
                at,
                by: by.map(Into::into),
                reason: reason.map(Into::into),
            }),
            issued_by: issued_by.map(Into::into),
            issuers: issuers.into_iter().map(TokenId::from_bytes).collect(),
            suspensions: in_place(
                suspensions
                    .into_iter()
                    .map(|((by, reason), (since, until))| Suspension {
                        since,
                        until,
                        by: by.map(Into::into),
                        reason: reason.map(Into::into),
                    })
                    .collect(),
            ),
            details: Details::new(networks.as_ref(), &metadata),
            secret_by: secret_by.map(Into::into),
            secret_on_behalf_of: token.map(TokenId::from_bytes),
            secret_made_with: made_with,
            end_set_at,
            ignorable: remarks.into_iter().map(|(tag, content)| (tag, content.into())).collect(),
            newer: None,
        })
    }
}

prop_compose! {
    /// Any record that can be encoded, including records that no operation creates.
    fn records()(
        id: u128,
        owner in texts(),
        token_type in "[A-Za-z0-9_.-]{1,64}",
        issued_to in texts(),
        scopes in scope_sets(),
        created_at in times(),
        not_before in proptest::option::of(times()),
        expires_at in proptest::option::of(times()),
        (digest, secret_created_at) in (digests(), times()),
        rare in proptest::option::weighted(0.8, rares().boxed()),
    ) -> Record {
        let mut record = Record {
            id: TokenId::from_bytes(id.to_be_bytes()),
            created_at,
            not_before,
            expires_at,
            newest: NewestSecret { digest, created_at: secret_created_at },
            texts: Texts::new(&owner, &token_type, scopes.as_scopes().as_str(), &issued_to),
            format: RECORD_FORMAT,
            rare: None,
        };
        record.set_rare(rare.unwrap_or_default().0);
        record
    }
}

#[test]
fn new_record_beyond_a_limit_is_refused() {
    use Rule::*;
    type Change = fn(&mut Draft);
    let longest = MAX_TEXT_LEN;
    let fine: [Change; 12] = [
        |d| d.owner = "x".repeat(MAX_TEXT_LEN),
        |d| d.issued_to = "x".repeat(MAX_TEXT_LEN),
        |d| d.issued_by = Some("x".repeat(MAX_TEXT_LEN)),
        |d| d.token_type = "x".repeat(64),
        |d| d.created_at = 0,
        |d| (d.created_at, d.not_before) = (LATEST, Some(LATEST)),
        |d| d.expires_at = Some(1_001),
        |d| (d.not_before, d.expires_at) = (Some(5_000), Some(5_001)),
        |d| d.issuers = vec![TokenId::from_bytes([1; 16]); 16],
        |d| d.metadata = (0..64).map(|i| (format!("{i:02}"), "v".repeat(126))).collect(),
        |d| d.metadata = [("k".into(), "v".repeat(8_191))].into(),
        |d| d.scopes = largest_scopes(),
    ];
    for (index, change) in fine.into_iter().enumerate() {
        let mut draft = Draft::new();
        change(&mut draft);
        let record = draft.record().unwrap_or_else(|error| panic!("{index}: {error}"));
        assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record), "{index}");
    }
    let broken: [(Change, Field, Rule); 23] = [
        (|d| d.owner = String::new(), Field::Owner, Empty),
        (|d| d.owner = " \u{3000}\n".into(), Field::Owner, Empty),
        (|d| d.owner = "x".repeat(MAX_TEXT_LEN + 1), Field::Owner, TooLong { max: longest }),
        (|d| d.owner = "é".repeat(MAX_TEXT_LEN / 2) + "x", Field::Owner, TooLong { max: longest }),
        (|d| d.issued_to = String::new(), Field::IssuedTo, Empty),
        (|d| d.issued_to = "x".repeat(MAX_TEXT_LEN + 1), Field::IssuedTo, TooLong { max: longest }),
        (|d| d.issued_by = Some("\t".into()), Field::IssuedBy, Empty),
        (
            |d| d.issued_by = Some("x".repeat(MAX_TEXT_LEN + 1)),
            Field::IssuedBy,
            TooLong { max: longest },
        ),
        (|d| d.token_type = String::new(), Field::Type, Name),
        (|d| d.token_type = "x".repeat(65), Field::Type, Name),
        (|d| d.token_type = "a:b".into(), Field::Type, Name),
        (|d| d.created_at = -1, Field::CreatedAt, OutOfRange),
        (|d| d.created_at = LATEST + 1, Field::CreatedAt, OutOfRange),
        (|d| d.not_before = Some(-1), Field::NotBefore, OutOfRange),
        (|d| d.not_before = Some(LATEST + 1), Field::NotBefore, OutOfRange),
        (|d| d.expires_at = Some(LATEST + 1), Field::ExpiresAt, OutOfRange),
        (|d| d.expires_at = Some(1_000), Field::ExpiresAt, NotAfterNow),
        (|d| d.expires_at = Some(999), Field::ExpiresAt, NotAfterNow),
        (
            |d| (d.not_before, d.expires_at) = (Some(5_000), Some(5_000)),
            Field::ExpiresAt,
            NotAfterNotBefore,
        ),
        (
            |d| d.issuers = vec![TokenId::from_bytes([1; 16]); 17],
            Field::Issuers,
            TooMany { max: 16 },
        ),
        (
            |d| d.metadata = (0..65).map(|i| (i.to_string(), String::new())).collect(),
            Field::Metadata,
            TooMany { max: 64 },
        ),
        (|d| d.metadata = [(String::new(), "v".into())].into(), Field::Metadata, Empty),
        (
            |d| d.metadata = [("k".into(), "v".repeat(8_192))].into(),
            Field::Metadata,
            TooLong { max: MAX_METADATA.1 },
        ),
    ];
    for (index, (change, field, rule)) in broken.into_iter().enumerate() {
        let mut draft = Draft::new();
        change(&mut draft);
        assert_eq!(draft.record(), Err(InvalidField { field, rule }), "{index}");
    }
}

/// Returns as many scopes as a set may have, each of the maximum length.
fn largest_scopes() -> ScopeSet {
    let scopes = (0..MAX_SCOPES).map(|i| format!("{i:02}{}", "s".repeat(MAX_SCOPE_LEN - 2)));
    let scopes = ScopeSet::new(scopes).unwrap();
    assert_eq!(scopes.as_scopes().as_str().len(), MAX_SCOPES_LEN);
    scopes
}

#[test]
fn oversized_intersection_is_refused() {
    let left = (1..64).map(|i| format!("a:{i}")).chain(["b:*".into()]);
    let right = (1..64).map(|i| format!("b:{i}")).chain(["a:*".into()]);
    let (left, right) = (ScopeSet::new(left).unwrap(), ScopeSet::new(right).unwrap());
    let mut draft = Draft::new();
    draft.scopes = left.as_scopes().intersection(right.as_scopes());
    let error = Field::Scopes.breaks(Rule::TooMany { max: MAX_SCOPES });
    assert_eq!(draft.record(), Err(error));
}

#[test]
fn debug_and_errors_show_no_digest() {
    let record = full();
    let shown = format!("{record:?} {record:#?}");
    for byte in [0x11u8, 0x22, 0x33] {
        for pattern in [format!("{byte}, {byte}"), format!("{byte:02x}{byte:02x}")] {
            assert!(!shown.contains(&pattern), "{pattern} in {shown}");
        }
    }
    assert!(shown.contains("nightly backup") && shown.contains("seen in a public log"));
}
