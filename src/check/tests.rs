//! Each refusal in its order, and the facts that a verified token carries.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::clock::from_micros;
use crate::digest::{Digests, KeyId, KeyRing};
use crate::network::NetworkSet;
use crate::random::OsRandom;
use crate::record::{NewRecord, NewSuspension, OlderEnds, Record, Rotation};
use crate::scope::{ScopeSet, TokenType, TokenTypes};
use crate::secret::Secret;
use crate::token::{ParsedToken, Prefix, Token, TokenId};

const ID: TokenId = TokenId::from_bytes([7; 16]);

struct Issued {
    record: Record,
    token: Token,
}

fn prefix() -> Prefix {
    Prefix::new("acme").unwrap()
}

fn fresh() -> (Token, crate::digest::StoredDigest) {
    let secret = Secret::generate(&OsRandom).unwrap();
    let digest = Digests::plain().make(ID, secret.characters(), prefix().tag());
    (Token::assemble(&prefix(), ID, &secret), digest)
}

/// Issues a token at 1,000 that is valid from 2,000 to 3,000 microseconds.
fn issue(token_type: &str, scopes: &[&str]) -> Issued {
    let (token, digest) = fresh();
    let record = Record::new(&NewRecord {
        id: ID,
        owner: "owner",
        token_type,
        issued_to: "label",
        scopes: &ScopeSet::new(scopes).unwrap(),
        created_at: from_micros(1_000),
        not_before: Some(from_micros(2_000)),
        expires_at: Some(from_micros(3_000)),
        digest,
        issued_by: None,
        issuers: &[],
        metadata: &BTreeMap::new(),
        networks: None,
        imported_at: None,
    });
    Issued { record: record.unwrap(), token }
}

impl Issued {
    fn check(
        &self,
        now: i64,
        requirement: &Requirement,
        rules: &AccessRules,
    ) -> Result<VerifiedToken, Refusal> {
        let accepted = [prefix()];
        let parsed = ParsedToken::parse(self.token.expose_secret(), &accepted).unwrap();
        let digests = Digests::plain();
        let matched = self.record.matches(&parsed, &digests).unwrap();
        matched.authorize(from_micros(now), requirement, &RequestContext::new(), rules)
    }

    /// The secret is replaced at 2,500 and ends then.
    fn with_secret_ended(mut self) -> Self {
        let rotation = Rotation {
            digest: fresh().1,
            older_ends: OlderEnds::Now,
            replaces: None,
            expires_at: None,
            by: None,
            on_behalf_of: None,
            made_with: None,
        };
        self.record = self.record.rotate(Times::at(from_micros(2_500)), &rotation).unwrap();
        self
    }

    fn revoked(mut self) -> Self {
        self.record = self.record.revoke(from_micros(2_600), None, None).unwrap().unwrap();
        self
    }
}

fn types(name: &str, scopes: &[&str]) -> AccessRules {
    AccessRules::new(TokenTypes::new([TokenType::new(name, scopes).unwrap()]))
}

fn requirement(scope: &str) -> Requirement {
    Requirement::scope(scope).unwrap()
}

const EXPIRED: i64 = 3_000;
const PENDING: i64 = 1_999;
const ACTIVE: i64 = 2_500;

#[test]
fn first_applicable_refusal_is_given() {
    let unknown = AccessRules::default();
    let narrow = types("t", &["other"]);
    let (wide, lacking) = (types("t", &["*"]), requirement("b"));
    let token = || issue("t", &["a"]);
    let cases: [(Issued, i64, &AccessRules, Option<Refusal>); 13] = [
        (token().with_secret_ended().revoked(), EXPIRED, &unknown, Some(Refusal::Revoked)),
        (token().with_secret_ended().revoked(), PENDING, &unknown, Some(Refusal::Revoked)),
        (token().revoked(), ACTIVE, &wide, Some(Refusal::Revoked)),
        (token().with_secret_ended(), EXPIRED, &unknown, Some(Refusal::SecretEnded)),
        (token().with_secret_ended(), PENDING, &unknown, Some(Refusal::SecretEnded)),
        (token().with_secret_ended(), ACTIVE, &wide, Some(Refusal::SecretEnded)),
        (token(), EXPIRED, &unknown, Some(Refusal::Expired)),
        (token(), EXPIRED, &wide, Some(Refusal::Expired)),
        (token(), PENDING, &unknown, Some(Refusal::NotYetActive)),
        (token(), PENDING, &wide, Some(Refusal::NotYetActive)),
        (token(), ACTIVE, &unknown, Some(Refusal::UnknownType)),
        (token(), ACTIVE, &narrow, Some(Refusal::MissingScope)),
        (token(), ACTIVE, &wide, Some(Refusal::MissingScope)),
    ];
    for (index, (token, now, types, expected)) in cases.into_iter().enumerate() {
        assert_eq!(token.check(now, &lacking, types).err(), expected, "{index}");
        // A requirement without a scope meets the last check, and no earlier one.
        let without = expected.filter(|denied| *denied != Refusal::MissingScope);
        assert_eq!(token.check(now, &Requirement::any_token(), types).err(), without, "{index}");
    }
    assert!(token().check(ACTIVE, &requirement("a"), &wide).is_ok());
}

/// Faults that a token, a service or a request can have, in the order in which they are reported.
const ORDER: [Refusal; 10] = [
    Refusal::Revoked,
    Refusal::SecretEnded,
    Refusal::KeyEnded(KeyId(*b"old_")),
    Refusal::Expired,
    Refusal::NotYetActive,
    Refusal::Suspended,
    Refusal::OwnerClosed,
    Refusal::UnknownType,
    Refusal::MissingScope,
    Refusal::OutsideNetworks,
];

/// Returns the refusal of a token with these faults.
fn refusal_with(faults: &[Refusal]) -> Option<Refusal> {
    let has = |fault: Refusal| faults.contains(&fault);
    let secret = Secret::generate(&OsRandom).unwrap();
    let ring = KeyRing::new(KeyId(*b"new_"), &[1; 32]).unwrap();
    let before = Digests::keyed(KeyRing::new(KeyId(*b"old_"), &[2; 32]).unwrap());
    let end =
        from_micros(if has(Refusal::KeyEnded(KeyId(*b"old_"))) { ACTIVE } else { ACTIVE + 1 });
    let digests = Digests::keyed(ring.retired_until(KeyId(*b"old_"), &[2; 32], end).unwrap());
    let networks = NetworkSet::parse(["192.0.2.0/24"]).unwrap();
    let mut record = Record::new(&NewRecord {
        id: ID,
        owner: "owner",
        token_type: "t",
        issued_to: "label",
        scopes: &ScopeSet::new(["a"]).unwrap(),
        created_at: from_micros(1_000),
        not_before: None,
        expires_at: Some(from_micros(3_000)),
        digest: before.make(ID, secret.characters(), prefix().tag()),
        issued_by: None,
        issuers: &[],
        metadata: &BTreeMap::new(),
        networks: Some(&networks),
        imported_at: None,
    })
    .unwrap();
    if has(Refusal::SecretEnded) {
        let rotation = Rotation {
            digest: fresh().1,
            older_ends: OlderEnds::Now,
            replaces: None,
            expires_at: None,
            by: None,
            on_behalf_of: None,
            made_with: None,
        };
        record = record.rotate(Times::at(from_micros(ACTIVE)), &rotation).unwrap();
    }
    if has(Refusal::Suspended) {
        let since = from_micros(2_000);
        let (until, by, reason) = (None, None, None);
        let suspension = NewSuspension { since, until, by, reason, displaces: true };
        record = record.suspend(since, suspension).unwrap().unwrap().0;
    }
    if has(Refusal::Revoked) {
        record = record.revoke(from_micros(2_000), None, None).unwrap().unwrap();
    }
    // A record cannot be pending and expired at once through requests, but its bytes can say so.
    let start = has(Refusal::NotYetActive).then_some(from_micros(ACTIVE + 1));
    let expires_at = from_micros(if has(Refusal::Expired) { ACTIVE } else { 3_000 });
    let record = record.with_period(start, expires_at);
    let known = if has(Refusal::UnknownType) { "other" } else { "t" };
    let rules = types(known, &["a"]).owner_gate(if has(Refusal::OwnerClosed) {
        |_: &str| OwnerStatus::Closed
    } else {
        |_: &str| OwnerStatus::Open
    });
    let asked = requirement(if has(Refusal::MissingScope) { "b" } else { "a" });
    let address = if has(Refusal::OutsideNetworks) { [192, 0, 3, 1] } else { [192, 0, 2, 1] };
    let context = RequestContext::new().client_address(std::net::IpAddr::from(address));
    let token = Token::assemble(&prefix(), ID, &secret);
    let accepted = [prefix()];
    let parsed = ParsedToken::parse(token.expose_secret(), &accepted).unwrap();
    let matched = record.matches(&parsed, &digests).unwrap();
    matched.authorize(from_micros(ACTIVE), &asked, &context, &rules).err()
}

#[test]
fn earlier_of_two_refusals_is_given() {
    assert_eq!(refusal_with(&[]), None);
    for (place, earlier) in ORDER.iter().enumerate() {
        assert_eq!(refusal_with(&[*earlier]), Some(*earlier));
        for later in &ORDER[place + 1..] {
            assert_eq!(refusal_with(&[*later, *earlier]), Some(*earlier), "{later:?}");
        }
        assert_eq!(refusal_with(&ORDER[place..]), Some(*earlier));
    }
}

#[test]
fn unknown_owner_takes_place_of_closed_owner() {
    let token = issue("t", &["a"]);
    let unknown = types("t", &["a"]).owner_gate(|_: &str| OwnerStatus::Unknown);
    let asked = requirement("b");
    assert_eq!(token.check(ACTIVE, &asked, &unknown).err(), Some(Refusal::OwnerUnknown));
    let unknown = types("x", &["a"]).owner_gate(|_: &str| OwnerStatus::Unknown);
    assert_eq!(token.check(ACTIVE, &asked, &unknown).err(), Some(Refusal::OwnerUnknown));
    assert_eq!(token.check(EXPIRED, &asked, &unknown).err(), Some(Refusal::Expired));
}

#[test]
fn owner_gate_is_asked_for_live_tokens_only() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let rules = types("t", &["a"]).owner_gate({
        let asked = asked.clone();
        move |owner: &str| {
            asked.lock().unwrap().push(owner.to_owned());
            OwnerStatus::Open
        }
    });
    for now in [EXPIRED, PENDING] {
        assert!(issue("t", &["a"]).check(now, &requirement("a"), &rules).is_err());
    }
    assert!(issue("t", &["a"]).revoked().check(ACTIVE, &requirement("a"), &rules).is_err());
    assert!(asked.lock().unwrap().is_empty());
    assert!(issue("t", &["a"]).check(ACTIVE, &requirement("a"), &rules).is_ok());
    assert_eq!(*asked.lock().unwrap(), ["owner"]);
}

#[test]
fn narrowed_type_narrows_its_tokens() {
    let cases: [(&[&str], &[&str], &str, bool); 12] = [
        (&["files:*"], &["files:*"], "files:read", true),
        (&["files:*"], &["files:*"], "queue:push", false),
        (&["files:*"], &["files:read"], "files:read", true),
        (&["files:*"], &["files:read"], "files:write", false),
        (&["files:read"], &["files:*"], "files:write", false),
        (&["files:read"], &["*"], "files:write", false),
        (&["*"], &["files:*"], "queue:push", false),
        (&["files:*"], &[], "files:read", false),
        (&[], &["*"], "files:read", false),
        (&[], &[], "files:read", false),
        // Both must name the reserved resource.
        (&["*", "service-tokens:issue"], &["*"], "service-tokens:issue", false),
        (&["*"], &["*", "service-tokens:issue"], "service-tokens:issue", false),
    ];
    for (issued, present, asked, expected) in cases {
        let verified = issue("t", issued).check(ACTIVE, &requirement(asked), &types("t", present));
        let denied = (!expected).then_some(Refusal::MissingScope);
        assert_eq!(verified.err(), denied, "{issued:?} now {present:?}, asked {asked}");
    }
}

#[test]
fn any_of_scope_must_be_permitted_by_both() {
    let token = issue("t", &["a", "c"]);
    let any = Requirement::any_of(["a", "b"]).unwrap();
    // The token has only `a` and its type only `b`. Each alone would permit one of the two.
    assert_eq!(token.check(ACTIVE, &any, &types("t", &["b"])).err(), Some(Refusal::MissingScope));
    assert!(token.check(ACTIVE, &any, &types("t", &["a", "b"])).is_ok());
    let all = Requirement::all_of(["a", "c"]).unwrap();
    assert_eq!(token.check(ACTIVE, &all, &types("t", &["a"])).err(), Some(Refusal::MissingScope));
    assert!(token.check(ACTIVE, &all, &types("t", &["*"])).is_ok());
}

#[test]
fn networks_bind_tokens_of_a_narrowed_type() {
    let (token, digest) = fresh();
    let networks = NetworkSet::parse(["192.0.2.0/24"]).unwrap();
    let record = Record::new(&NewRecord {
        id: ID,
        owner: "owner",
        token_type: "t",
        issued_to: "label",
        scopes: &ScopeSet::new(["files:*"]).unwrap(),
        created_at: from_micros(1_000),
        not_before: None,
        expires_at: None,
        digest,
        issued_by: None,
        issuers: &[],
        metadata: &BTreeMap::new(),
        networks: Some(&networks),
        imported_at: None,
    })
    .unwrap();
    let accepted = [prefix()];
    let parsed = ParsedToken::parse(token.expose_secret(), &accepted).unwrap();
    let digests = Digests::plain();
    for present in ["files:*", "files:read"] {
        let refusal = |context: RequestContext| {
            let matched = record.matches(&parsed, &digests).unwrap();
            let rules = types("t", &[present]);
            matched
                .authorize(from_micros(ACTIVE), &requirement("files:read"), &context, &rules)
                .err()
        };
        let from = |address: [u8; 4]| {
            refusal(RequestContext::new().client_address(std::net::IpAddr::from(address)))
        };
        assert_eq!(from([192, 0, 2, 255]), None);
        assert_eq!(from([192, 0, 3, 0]), Some(Refusal::OutsideNetworks), "{present}");
        assert_eq!(refusal(RequestContext::new()), Some(Refusal::OutsideNetworks), "{present}");
    }
}

#[test]
fn type_is_known_by_its_exact_name() {
    let any = Requirement::any_token();
    for name in ["T", "t.", "tt", "other"] {
        let checked = issue("t", &["a"]).check(ACTIVE, &any, &types(name, &["a"]));
        assert_eq!(checked.err(), Some(Refusal::UnknownType), "{name}");
    }
}

#[test]
fn verified_token_carries_record_fields() {
    for (present, effective) in [
        (&["files:*", "x"][..], "files:* x"),
        (&["files:read"], "files:read"),
        (&[], ""),
        (&["*"], "files:* x"),
    ] {
        let token = issue("t", &["x", "files:*"]);
        let verified =
            token.check(ACTIVE, &Requirement::any_token(), &types("t", present)).unwrap();
        assert_eq!(verified.id(), ID);
        assert_eq!((verified.owner(), verified.token_type()), ("owner", "t"));
        assert_eq!(verified.scopes().as_str(), effective);
        assert_eq!(verified.permits(&requirement("files:write")), effective.contains("files:*"));
        assert!(verified.permits(&Requirement::any_token()));
        assert_eq!(verified.created_at(), from_micros(1_000));
        assert_eq!(verified.not_before(), Some(from_micros(2_000)));
        assert_eq!(verified.expires_at(), Some(from_micros(3_000)));
        assert_eq!(verified.staleness(), Duration::ZERO);
        assert_eq!(
            verified.clone().with_staleness(Duration::from_secs(3)).staleness(),
            Duration::from_secs(3)
        );
        // The verified token does not borrow from the record or the token.
        drop(token);
        assert_eq!(verified.clone(), verified);
    }
}

#[test]
fn verified_token_is_send_and_sync() {
    fn travels<T: Clone + Send + Sync + 'static>() {}
    travels::<VerifiedToken>();
}

#[test]
fn debug_shows_no_secret_or_digest() {
    let token = issue("t", &["a"]);
    let secret = &token.token.expose_secret()[28..71];
    let accepted = [prefix()];
    let parsed = ParsedToken::parse(token.token.expose_secret(), &accepted).unwrap();
    let bytes = token.record.to_bytes();
    let digests = Digests::plain();
    let matched = token.record.matches(&parsed, &digests).unwrap();
    let mut shown = format!("{matched:?}");
    let (asked, rules) = (requirement("a"), types("t", &["a"]));
    let verified =
        matched.authorize(from_micros(ACTIVE), &asked, &RequestContext::new(), &rules).unwrap();
    shown += &format!("{verified:?} {verified:#?}");
    assert!(shown.contains("owner") && shown.contains(&ID.to_string()));
    assert_eq!(parsed.secret(), secret.as_bytes());
    for start in 0..secret.len() - 6 {
        assert!(!shown.contains(&secret[start..start + 6]));
    }
    // No three consecutive stored bytes may appear, either as numbers or in hexadecimal.
    for window in bytes.windows(3).filter(|window| window.iter().all(|byte| *byte > 0x7f)) {
        let [a, b, c] = window else { unreachable!() };
        assert!(!shown.contains(&format!("{a}, {b}, {c}")));
        assert!(!shown.contains(&format!("{a:02x}{b:02x}{c:02x}")));
    }
}
