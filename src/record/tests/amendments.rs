//! The limits of an amendment that hold under any policy, and the records that cannot be amended.

use super::life::issued;
use super::*;
use crate::record::amend::Amendment;
use crate::record::field::Rule;

fn nothing(metadata: &BTreeMap<String, Option<String>>) -> Amendment<'_> {
    Amendment { issued_to: None, metadata, expires_at: None, scopes: None, networks: None }
}

#[test]
fn amendment_beyond_a_limit_is_refused() {
    let (record, now) = (issued(1_000, None, None), from_micros(2_000));
    let none = BTreeMap::new();
    let refused = |field: Field, rule| Err(ChangeDenied::Invalid(field.breaks(rule)));
    let long = "x".repeat(MAX_TEXT_LEN + 1);
    let too_long = Rule::TooLong { max: MAX_TEXT_LEN };
    for (text, rule) in [("", Rule::Empty), (" ", Rule::Empty), (&*long, too_long)] {
        let amendment = Amendment { issued_to: Some(text), ..nothing(&none) };
        assert_eq!(record.amend(now, &amendment), refused(Field::IssuedTo, rule));
    }
    let amendment = Amendment { issued_to: Some(&long[1..]), ..nothing(&none) };
    assert!(record.amend(now, &amendment).unwrap().is_some());

    let entries = |many: usize| (0..many).map(|n| (n.to_string(), Some(String::new()))).collect();
    let (max, _) = MAX_METADATA;
    let most: BTreeMap<_, _> = entries(max);
    assert!(record.amend(now, &nothing(&most)).unwrap().is_some());
    let more: BTreeMap<_, _> = entries(max + 1);
    let too_many = refused(Field::Metadata, Rule::TooMany { max });
    assert_eq!(record.amend(now, &nothing(&more)), too_many);

    let end = |micros| {
        let expires_at = Some(Some(from_micros(micros)));
        record.amend(now, &Amendment { expires_at, ..nothing(&none) })
    };
    assert_eq!(end(2_000), refused(Field::ExpiresAt, Rule::NotAfterNow));
    assert!(end(2_001).unwrap().is_some());
    assert!(end(LATEST).unwrap().is_some());
    assert_eq!(end(LATEST + 1), refused(Field::ExpiresAt, Rule::OutOfRange));
}

#[test]
fn amend_of_ended_or_newer_record_is_refused() {
    let none = BTreeMap::new();
    let amendment = Amendment { issued_to: Some("other"), ..nothing(&none) };
    let record = issued(1_000, None, Some(3_000));
    assert!(record.amend(from_micros(2_999), &amendment).unwrap().is_some());
    let expired = Err(ChangeDenied::Ended(State::Expired));
    assert_eq!(record.amend(from_micros(3_000), &amendment), expired);
    let revoked = record.revoke(from_micros(2_000), None, None).unwrap().unwrap();
    let expected = Err(ChangeDenied::Ended(State::Revoked));
    assert_eq!(revoked.amend(from_micros(2_000), &amendment), expected);
    let newer = record.as_if_newer().unwrap();
    assert_eq!(newer.amend(from_micros(2_000), &amendment), Err(ChangeDenied::NewerRecord));
}

#[test]
fn newest_secret_of_newer_record_is_unknown() {
    let record = issued(1_000, None, None);
    assert_eq!(record.expect_newest(from_micros(1_000)), Ok(()));
    assert_eq!(record.expect_newest(from_micros(1_001)), Err(RotateDenied::RotatedSince));
    let newer = record.as_if_newer().unwrap();
    assert_eq!(newer.expect_newest(from_micros(1_000)), Err(RotateDenied::NewerRecord));
}

#[test]
fn secret_of_newer_record_is_not_matched_again() {
    let (record, digests) = (issued(1_000, None, None), Digests::plain());
    assert!(record.matched_before(from_micros(1_000), &digests).is_ok());
    let newer = record.as_if_newer().unwrap();
    let refused = newer.matched_before(from_micros(1_000), &digests).err();
    assert_eq!(refused, Some(Refusal::NewerRecord));
}
