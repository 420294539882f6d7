//! A text that must not be empty needs a character that a person can see.

use super::harness::{Harness, Stores, backup, expect_invalid, plant};
use service_tokens::record::{Field, Rule};
use service_tokens::{Filter, IssueRequest, ListRequest, Record, RevokeRequest, RotateRequest};

behaviours! {
    invisible_text_is_refused,
    stored_invisible_text_stays_readable,
}

/// Texts that show nothing: each of them alone, with another, and with white space.
fn invisible() -> Vec<String> {
    let characters = "\0\u{1}\t\n\u{7f}\u{85}\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{1680}\u{17b4}\
        \u{180e}\u{2000}\u{200b}\u{200d}\u{200f}\u{2028}\u{2029}\u{202e}\u{202f}\u{205f}\u{2060}\u{2064}\
        \u{2069}\u{2800}\u{3000}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{1d159}\u{1d173}\u{e0001}\
        \u{e0020}\u{e0100}";
    let mut texts: Vec<String> = characters.chars().map(String::from).collect();
    texts.extend(characters.chars().map(|character| format!(" {character}\u{200b}")));
    texts.push(String::new());
    texts
}

pub(crate) async fn invisible_text_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let id = harness.issue(backup()).await.record.id();
    let acme = harness.service.owner("acme");
    for blank in invisible() {
        let outcome = harness.service.owner(&blank).issue(backup()).await;
        expect_invalid(outcome, Field::Owner, Rule::Empty);
        let outcome = acme.issue(IssueRequest::new("connector", &blank)).await;
        expect_invalid(outcome, Field::IssuedTo, Rule::Empty);
        expect_invalid(acme.issue(backup().issued_by(&blank)).await, Field::IssuedBy, Rule::Empty);
        let outcome = acme.issue(backup().metadata(&blank, "x")).await;
        expect_invalid(outcome, Field::Metadata, Rule::BlankKey);
        let outcome = acme.rotate(id, RotateRequest::at_once().by(&blank)).await;
        expect_invalid(outcome, Field::RotatedBy, Rule::Empty);
        let outcome = acme.revoke(id, RevokeRequest::new().by(&blank)).await;
        expect_invalid(outcome, Field::RevokedBy, Rule::Empty);
        let outcome = acme.revoke(id, RevokeRequest::new().reason(&blank)).await;
        expect_invalid(outcome, Field::Reason, Rule::Empty);
        let outcome = harness.service.pause_issuing(&blank).await;
        expect_invalid(outcome, Field::Reason, Rule::Empty);
    }
    assert_eq!(Rule::Empty.to_string(), "must contain a visible character");
    // One visible character is enough, and a value of the metadata may show nothing.
    for seen in ["\u{200b}x", "ㄱ", "🔑", "\u{5d0}\u{200f}", "\u{301}", ".", "\u{e000}"] {
        let record = harness.issue(backup().metadata(seen, "\u{200b}")).await.record;
        assert_eq!(record.metadata().collect::<Vec<_>>(), [(seen, "\u{200b}")]);
        let record = harness.issue(IssueRequest::new("connector", seen)).await.record;
        assert_eq!(record.issued_to(), seen);
    }
}

/// Returns the record with every `from` in its bytes replaced, and the checksum that fits.
fn respelled(record: &Record, from: &str, to: &str) -> Record {
    assert_eq!(from.len(), to.len());
    let mut bytes = record.to_bytes();
    bytes.truncate(bytes.len() - 4);
    let places: Vec<_> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from.as_bytes())).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    let checksum = crc32fast::hash(&bytes).to_be_bytes();
    bytes.extend_from_slice(&checksum);
    Record::from_bytes(&bytes).unwrap()
}

/// An older version of this crate accepted such texts.
pub(crate) async fn stored_invisible_text_stays_readable(stores: Stores) {
    let harness = Harness::new(stores);
    let request = IssueRequest::new("connector", "QQQQQQ").issued_by("QQQQQQ");
    let blank = "\u{200b}\u{2060}";
    let (id, token) =
        plant(&*harness.store, request, |record| respelled(record, "QQQQQQ", blank)).await;
    let acme = harness.service.owner("acme");
    let record = acme.get(id).await.unwrap().record;
    assert_eq!((record.issued_to(), record.issued_by()), (blank, Some(blank)));
    assert_eq!(harness.refusal(&token).await, None);
    let filter = Filter::new().issued_to(blank);
    assert_eq!(acme.list(ListRequest::from(filter)).await.unwrap().items.len(), 1);
    let rotated = acme.rotate(id, RotateRequest::at_once()).await.unwrap();
    assert_eq!(rotated.record.issued_to(), blank);
    assert!(acme.revoke(id, RevokeRequest::new()).await.is_ok());
}
