//! The states of a record over time: each limit to the microsecond, and each refusal.

use super::*;
use crate::check::{AccessRules, RequestContext};
use crate::digest::KeyId;
use crate::random::{RandomError, RandomSource};
use crate::record::field::Rule;
use crate::scope::{Requirement, TokenType, TokenTypes};
use crate::secret::Secret;
use crate::token::{ParsedToken, Prefix, Token};

pub(super) const ID: TokenId = TokenId::from_bytes(*b"0123456789abcdef");

fn prefix() -> Prefix {
    Prefix::new("acme").unwrap()
}

/// Returns the token with the n-th of 62 secrets.
fn token(n: usize) -> Token {
    struct Constant(u8);
    impl RandomSource for Constant {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            bytes.fill(self.0);
            Ok(())
        }
    }
    assert!(n < 62);
    Token::assemble(&prefix(), ID, &Secret::generate(&Constant(n as u8)).unwrap())
}

pub(super) fn digest_of(n: usize) -> StoredDigest {
    let (token, accepted) = (token(n), [prefix()]);
    let parsed = ParsedToken::parse(token.expose_secret(), &accepted).unwrap();
    Digests::plain().make(ID, parsed.secret(), prefix().tag())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Denied(Refusal),
    Mismatch(Refusal),
}

pub(super) fn verdict(record: &Record, secret: usize, now: i64) -> Verdict {
    let types = TokenTypes::new([TokenType::new("t", ["a"]).unwrap()]);
    let (rules, context) = (AccessRules::new(types), RequestContext::new());
    let (token, accepted) = (token(secret), [prefix()]);
    let parsed = ParsedToken::parse(token.expose_secret(), &accepted).unwrap();
    let digests = Digests::plain();
    let matched = match record.matches(&parsed, &digests) {
        Ok(matched) => matched,
        Err(mismatch) => return Verdict::Mismatch(mismatch),
    };
    match matched.authorize(from_micros(now), &Requirement::any_token(), &context, &rules) {
        Ok(verified) => {
            assert_eq!(verified.id(), ID);
            Verdict::Accepted
        }
        Err(denied) => Verdict::Denied(denied),
    }
}

/// Returns the first use that presenting this secret is, if the secret matches.
pub(super) fn first_use_of(record: &Record, secret: usize, now: i64) -> Option<FirstUse> {
    let (token, accepted) = (token(secret), [prefix()]);
    let parsed = ParsedToken::parse(token.expose_secret(), &accepted).unwrap();
    record.matches(&parsed, &Digests::plain()).ok()?.first_use(from_micros(now))
}

pub(super) fn issued(now: i64, not_before: Option<i64>, expires_at: Option<i64>) -> Record {
    let mut draft = Draft::new();
    (draft.created_at, draft.not_before, draft.expires_at) = (now, not_before, expires_at);
    let mut record = draft.record().unwrap();
    record.newest.digest = digest_of(0);
    record
}

pub(super) fn rotation(
    secret: usize,
    older_ends: OlderEnds,
    replaces: Option<ReplacedSecret>,
) -> Rotation<'static> {
    Rotation {
        digest: digest_of(secret),
        older_ends,
        replaces,
        expires_at: None,
        by: None,
        on_behalf_of: None,
        made_with: None,
    }
}

pub(super) fn at(micros: i64) -> OlderEnds {
    OlderEnds::At(from_micros(micros))
}

#[test]
fn state_changes_to_the_microsecond() {
    let record = issued(1_000, Some(2_000), Some(3_000));
    for (now, state, expected) in [
        (0, State::Pending, Verdict::Denied(Refusal::NotYetActive)),
        (1_999, State::Pending, Verdict::Denied(Refusal::NotYetActive)),
        (2_000, State::Active, Verdict::Accepted),
        (2_999, State::Active, Verdict::Accepted),
        (3_000, State::Expired, Verdict::Denied(Refusal::Expired)),
        (3_001, State::Expired, Verdict::Denied(Refusal::Expired)),
    ] {
        assert_eq!((record.state(from_micros(now)), verdict(&record, 0, now)), (state, expected));
        let ended_at = (state == State::Expired).then(|| from_micros(3_000));
        assert_eq!(record.ended_at(from_micros(now)), ended_at);
    }
    // Nanoseconds have no effect.
    let late = from_micros(2_999) + chrono::Duration::nanoseconds(999);
    assert_eq!((record.state(late), record.ended_at(late)), (State::Active, None));
}

#[test]
fn older_secret_ends_to_the_microsecond() {
    for older_ends in [at(2_000), OlderEnds::OnFirstUse { latest: from_micros(2_000) }] {
        let rotated = issued(1_000, None, None)
            .rotate(Times::at(from_micros(1_500)), &rotation(1, older_ends, None))
            .unwrap();
        for (now, older) in [
            (1_500, Verdict::Accepted),
            (1_999, Verdict::Accepted),
            (2_000, Verdict::Denied(Refusal::SecretEnded)),
            (2_001, Verdict::Denied(Refusal::SecretEnded)),
        ] {
            assert_eq!(verdict(&rotated, 0, now), older, "{now}");
            assert_eq!(verdict(&rotated, 1, now), Verdict::Accepted, "{now}");
        }
        let first_use = matches!(older_ends, OlderEnds::OnFirstUse { .. });
        let overlap = Overlap {
            ends_at: from_micros(2_000),
            ends_on_first_use: first_use,
            older_created_at: from_micros(1_000),
        };
        assert_eq!(rotated.overlap(from_micros(1_999)), Some(overlap));
        assert_eq!(rotated.overlap(from_micros(2_000)), None);
        // At its end the overlap no longer requires a rotation to name the replaced secret.
        let again = rotation(2, OlderEnds::Now, None);
        assert_eq!(
            rotated.rotate(Times::at(from_micros(1_999)), &again),
            Err(RotateDenied::OverlapRuns)
        );
        assert!(rotated.rotate(Times::at(from_micros(2_000)), &again).is_ok());
    }
}

#[test]
fn first_use_of_newest_ends_older() {
    let until_first_use = OlderEnds::OnFirstUse { latest: from_micros(9_000) };
    let record = issued(1_000, None, None);
    let rotated =
        record.rotate(Times::at(from_micros(1_500)), &rotation(1, until_first_use, None)).unwrap();
    assert_eq!(first_use_of(&record, 0, 1_500), None);
    assert_eq!(first_use_of(&rotated, 0, 1_500), None, "the older one's use");
    assert_eq!(first_use_of(&rotated, 1, 9_000), None, "the overlap is over");
    let first = first_use_of(&rotated, 1, 2_000).unwrap();
    let used = rotated.first_used(&first, from_micros(2_000)).unwrap();
    assert_eq!(verdict(&used, 0, 2_000), Verdict::Denied(Refusal::SecretEnded));
    assert_eq!(verdict(&used, 1, 2_000), Verdict::Accepted);
    assert_eq!(used.ended().unwrap().ended_at, from_micros(2_000));
    assert_eq!(used.secret_created_at(), rotated.secret_created_at());
    // A second use changes nothing.
    assert_eq!(
        (first_use_of(&used, 1, 2_000), used.first_used(&first, from_micros(2_000))),
        (None, None)
    );
    // Other changes in between: the first use overwrites none of them and ends no other secret.
    let again = rotation(2, until_first_use, Some(ReplacedSecret::Oldest));
    let newer = rotated.rotate(Times::at(from_micros(1_900)), &again).unwrap();
    let revoked = rotated.revoke(from_micros(1_900), None, None).unwrap().unwrap();
    let newer_format = rotated.as_if_newer().unwrap();
    for present in [newer, revoked, newer_format, record] {
        assert_eq!(present.first_used(&first, from_micros(2_000)), None, "{present:?}");
    }
    assert_eq!(rotated.first_used(&first, from_micros(9_000)), None);
    // A rotation without that rule has no first use.
    let plain = issued(1_000, None, None)
        .rotate(Times::at(from_micros(1_500)), &rotation(1, at(9_000), None));
    assert_eq!(first_use_of(&plain.unwrap(), 1, 2_000), None);
}

/// If the answer with the newest secret was lost, that secret is never used. The older secret must
/// then last until the next new secret is used.
#[test]
fn replacing_newest_keeps_rule_of_older() {
    let until_first_use = OlderEnds::OnFirstUse { latest: from_micros(9_000) };
    for (first, second, ends_on_first_use) in
        [(until_first_use, at(3_000), true), (at(9_000), until_first_use, false)]
    {
        let record = issued(1_000, None, None)
            .rotate(Times::at(from_micros(1_500)), &rotation(1, first, None))
            .unwrap()
            .rotate(
                Times::at(from_micros(1_600)),
                &rotation(2, second, Some(ReplacedSecret::Newest)),
            )
            .unwrap();
        let overlap = Overlap {
            ends_at: from_micros(9_000),
            ends_on_first_use,
            older_created_at: from_micros(1_000),
        };
        assert_eq!(record.overlap(from_micros(1_600)), Some(overlap));
        assert_eq!(verdict(&record, 0, 8_999), Verdict::Accepted);
        assert_eq!(first_use_of(&record, 2, 2_000).is_some(), ends_on_first_use);
    }
}

#[test]
fn overlap_end_before_now_is_now() {
    let record = issued(1_000, None, None);
    for older_ends in [OlderEnds::Now, at(1_500), at(1_499), at(0)] {
        let rotated =
            record.rotate(Times::at(from_micros(1_500)), &rotation(1, older_ends, None)).unwrap();
        assert_eq!(verdict(&rotated, 0, 1_500), Verdict::Denied(Refusal::SecretEnded));
        assert_eq!(verdict(&rotated, 1, 1_500), Verdict::Accepted);
        assert_eq!(rotated.overlap(from_micros(1_500)), None);
    }
    let rotated =
        record.rotate(Times::at(from_micros(1_500)), &rotation(1, at(1_501), None)).unwrap();
    assert_eq!(verdict(&rotated, 0, 1_500), Verdict::Accepted);
}

/// After a leak of both secrets, a rotation that replaces the oldest and ends the others now leaves
/// only the new one.
#[test]
fn rotate_at_once_can_end_both_secrets() {
    let record = issued(1_000, None, None);
    let twice = record
        .rotate(Times::at(from_micros(1_500)), &rotation(1, at(9_000), None))
        .unwrap()
        .rotate(
            Times::at(from_micros(1_600)),
            &rotation(2, OlderEnds::Now, Some(ReplacedSecret::Oldest)),
        )
        .unwrap();
    assert_eq!(verdict(&twice, 0, 1_600), Verdict::Mismatch(Refusal::WrongSecret));
    assert_eq!(verdict(&twice, 1, 1_600), Verdict::Denied(Refusal::SecretEnded));
    assert_eq!(verdict(&twice, 2, 1_600), Verdict::Accepted);
}

#[test]
fn rotate_of_inactive_record_is_refused() {
    let plain = rotation(1, OlderEnds::Now, None);
    let record = issued(1_000, Some(2_000), Some(3_000));
    let rotate =
        |now, rotation: &Rotation| record.rotate(Times::at(from_micros(now)), rotation).err();
    assert_eq!(rotate(1_999, &plain), Some(RotateDenied::NotActive(State::Pending)));
    assert_eq!(rotate(2_000, &plain), None);
    assert_eq!(rotate(2_999, &plain), None);
    assert_eq!(rotate(3_000, &plain), Some(RotateDenied::NotActive(State::Expired)));
    let revoked = record.revoke(from_micros(2_500), None, None).unwrap().unwrap();
    let denied = revoked.rotate(Times::at(from_micros(2_500)), &plain).err();
    assert_eq!(denied, Some(RotateDenied::NotActive(State::Revoked)));

    let invalid = |field: Field, rule| Some(RotateDenied::Invalid(InvalidField { field, rule }));
    let until = |end| Rotation { expires_at: Some(Some(from_micros(end))), ..plain };
    assert_eq!(rotate(2_500, &until(2_500)), invalid(Field::ExpiresAt, Rule::NotAfterNow));
    assert_eq!(rotate(2_500, &until(2_501)), None);
    assert_eq!(rotate(2_500, &until(LATEST)), None);
    assert_eq!(rotate(2_500, &until(LATEST + 1)), invalid(Field::ExpiresAt, Rule::OutOfRange));
    assert_eq!(rotate(2_500, &rotation(1, at(LATEST), None)), None);
    let late = rotation(1, at(LATEST + 1), None);
    assert_eq!(rotate(2_500, &late), invalid(Field::OlderEnds, Rule::OutOfRange));
}

#[test]
fn revoke_again_retains_the_first() {
    let record = issued(1_000, None, Some(3_000));
    let now = from_micros(2_000);
    let revoked = record.revoke(now, Some("first"), Some("why")).unwrap().unwrap();
    let expected = Revocation { at: now, by: Some("first".into()), reason: Some("why".into()) };
    assert_eq!(revoked.revocation(), Some(&expected));
    assert_eq!(revoked.revoke(from_micros(1_500), Some("second"), None), Ok(None));
    assert_eq!(revoked.revoke(from_micros(1_500), Some(""), None), Ok(None));
    // Revocation is a state and not a time. It applies even before its time, in case a clock is
    // wrong.
    for now in [0, 1_999, 2_000, 3_000, LATEST] {
        assert_eq!(verdict(&revoked, 0, now), Verdict::Denied(Refusal::Revoked));
    }
    assert_eq!(revoked.ended_at(from_micros(2_500)), Some(now));
    // The token was revoked after its end, so its end is the expiry.
    let late = record.revoke(from_micros(4_000), None, None).unwrap().unwrap();
    assert_eq!(late.ended_at(from_micros(4_000)), Some(from_micros(3_000)));
}

#[test]
fn oversized_revocation_is_refused() {
    let record = issued(1_000, None, None);
    let now = from_micros(2_000);
    let long = "x".repeat(MAX_TEXT_LEN + 1);
    let invalid = |field: Field, rule| Err(ChangeDenied::Invalid(InvalidField { field, rule }));
    let too_long = Rule::TooLong { max: MAX_TEXT_LEN };
    assert_eq!(record.revoke(now, Some(""), None), invalid(Field::RevokedBy, Rule::Empty));
    assert_eq!(record.revoke(now, Some(&long), None), invalid(Field::RevokedBy, too_long));
    assert_eq!(record.revoke(now, None, Some(" ")), invalid(Field::Reason, Rule::Empty));
    assert_eq!(record.revoke(now, None, Some(&long)), invalid(Field::Reason, too_long));
    assert!(record.revoke(now, Some(&long[1..]), Some(&long[1..])).is_ok());
    // A wrong clock does not prevent a revocation.
    for (clock, at) in [(i64::MIN, 0), (-1, 0), (LATEST + 1, LATEST), (i64::MAX, LATEST)] {
        let revoked = record.revoke(from_micros(clock), None, None).unwrap().unwrap();
        assert_eq!(revoked.revocation().unwrap().at, from_micros(at));
    }
}

#[test]
fn newer_record_is_neither_matched_nor_changed() {
    let record = issued(1_000, None, None).as_if_newer().unwrap();
    assert!(record.is_newer());
    assert_eq!(verdict(&record, 0, 2_000), Verdict::Mismatch(Refusal::NewerRecord));
    let now = from_micros(2_000);
    assert_eq!(record.revoke(now, None, None), Err(ChangeDenied::NewerRecord));
    let rotated = record.rotate(Times::at(now), &rotation(1, OlderEnds::Now, None));
    assert_eq!(rotated, Err(RotateDenied::NewerRecord));
}

#[test]
fn unknown_optional_field_is_written_back() {
    let mut record = issued(1_000, None, None);
    record.rare.get_or_insert_default().ignorable = vec![(200, b"new".as_slice().into())];
    let read = Record::from_bytes(&record.to_bytes()).unwrap();
    assert_eq!(verdict(&read, 0, 2_000), Verdict::Accepted);
    let now = from_micros(2_000);
    let revoked = read.revoke(now, None, None).unwrap().unwrap();
    let rotated = read.rotate(Times::at(now), &rotation(1, OlderEnds::Now, None)).unwrap();
    for changed in [revoked, rotated] {
        let bytes = changed.to_bytes();
        assert!(bytes.windows(5).any(|field| field == b"\xc8\x03new"), "{changed:?}");
        assert_eq!(Record::from_bytes(&bytes), Ok(changed));
    }
}

#[test]
fn each_mismatch_has_its_reason() {
    let record = issued(1_000, None, None);
    assert_eq!(verdict(&record, 1, 2_000), Verdict::Mismatch(Refusal::WrongSecret));
    let mut other = record.clone();
    other.id = TokenId::from_bytes([0; 16]);
    assert_eq!(verdict(&other, 0, 2_000), Verdict::Mismatch(Refusal::UnknownId));
    // An unknown scheme or key does not prevent a match with another secret.
    let unknown = |scheme: u8| {
        let mut bytes = digest_of(0).to_bytes();
        bytes[..5].copy_from_slice(&[scheme, b'k', b'e', b'y', b'1']);
        StoredDigest::from_bytes(&bytes)
    };
    let mut changed = record.clone();
    changed.newest.digest = unknown(6);
    assert_eq!(verdict(&changed, 0, 2_000), Verdict::Mismatch(Refusal::UnknownScheme(6)));
    changed.newest.digest = unknown(0);
    assert_eq!(verdict(&changed, 0, 2_000), Verdict::Mismatch(Refusal::UnknownScheme(0)));
    changed.newest.digest = unknown(2);
    let missing = Refusal::MissingKey(KeyId(*b"key1"));
    assert_eq!(verdict(&changed, 0, 2_000), Verdict::Mismatch(missing));
    let older = OlderSecret {
        digest: digest_of(0),
        created_at: from_micros(0),
        latest_end: from_micros(3_000),
        ends_on_first_use: false,
    };
    changed.rare = Some(Box::new(Rare { older: Some(older), ..Rare::default() }));
    assert_eq!(verdict(&changed, 0, 2_000), Verdict::Accepted);
    assert_eq!(verdict(&changed, 1, 2_000), Verdict::Mismatch(missing));
}
