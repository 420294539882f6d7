//! The limits of a suspension, each on both sides.

use super::life::issued;
use super::*;
use crate::record::field::Rule;

#[test]
fn suspension_beyond_a_limit_is_refused() {
    let record = issued(1_000, None, None);
    let now = from_micros(2_000);
    let long = "x".repeat(MAX_TEXT_LEN + 1);
    let suspend = |until: Option<i64>, by: Option<&str>, reason: Option<&str>| {
        let until = until.map(from_micros);
        record.suspend(now, NewSuspension { since: now, until, by, reason, displaces: true })
    };
    let too_long = Rule::TooLong { max: MAX_TEXT_LEN };
    for (text, rule) in [("", Rule::Empty), (" ", Rule::Empty), (&*long, too_long)] {
        let refused = |field: Field| Err(ChangeDenied::Invalid(field.breaks(rule)));
        assert_eq!(suspend(None, Some(text), None), refused(Field::SuspendedBy));
        assert_eq!(suspend(None, None, Some(text)), refused(Field::Reason));
    }
    let refused = |rule| Err(ChangeDenied::Invalid(Field::SuspendedUntil.breaks(rule)));
    assert_eq!(suspend(Some(1_999), None, None), refused(Rule::NotAfterNow));
    assert_eq!(suspend(Some(2_000), None, None), refused(Rule::NotAfterNow));
    assert!(suspend(Some(LATEST + 1), None, None).is_err());
    assert!(suspend(Some(2_001), Some(&long[1..]), Some(&long[1..])).unwrap().is_some());
    assert!(suspend(Some(LATEST), None, None).unwrap().is_some());
}
