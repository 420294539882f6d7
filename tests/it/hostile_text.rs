//! Hostile text in logs and errors, and random text in requests.

use futures_lite::future::block_on;
use proptest::prelude::{ProptestConfig, any as arbitrary, proptest};
use service_tokens::record::Field;
use service_tokens::{
    Filter, IssueRequest, ListRequest, MemoryStore, Policy, Record, RevokeRequest, State, TokenId,
};

use crate::behaviour::harness::{any, builder, collect_tracing};
use crate::behaviour::hostile_text::{field_of, hostile};

const BREAKS: [char; 7] = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Returns whether the text has a character that is visible beyond doubt.
fn has_ordinary(text: &str) -> bool {
    text.chars().any(|c| c.is_alphanumeric() && c.is_ascii() || c.is_ascii_punctuation())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn verify_random_bytes_is_refused(bytes in proptest::collection::vec(arbitrary::<u8>(), 0..200)) {
        let service = builder(MemoryStore::new()).build().unwrap();
        assert!(block_on(service.verify(&bytes, &any())).is_err());
    }

    #[test]
    fn random_text_is_stored_exactly_or_refused(
        owner in ".{0,40}", to in "\\PC{0,40}", key in ".{0,8}", value in "(?s).{0,40}",
    ) {
        let service = builder(MemoryStore::new()).build().unwrap();
        let request = IssueRequest::new("connector", &to).metadata(&key, &value);
        match block_on(service.owner(&owner).issue(request)) {
            Ok(issued) => {
                let record = issued.record;
                assert_eq!((record.owner(), record.issued_to()), (&*owner, &*to));
                assert_eq!(record.metadata().collect::<Vec<_>>(), [(&*key, &*value)]);
                assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
            }
            Err(error) => {
                let field = field_of::<()>(Err(error));
                let expected = match field {
                    Field::Owner => !has_ordinary(&owner),
                    Field::IssuedTo => !has_ordinary(&to),
                    Field::Metadata => !has_ordinary(&key),
                    _ => false,
                };
                assert!(expected, "{field}");
            }
        }
    }
}

/// Traces all of the texts. The log must have as many lines as events, and no character that controls a
/// terminal or a log reader.
#[test]
fn hostile_text_does_not_break_log_lines() {
    collect_tracing(|traced| {
        let policy = Policy::new().max_active_per_owner(1);
        let service = builder(MemoryStore::new()).policy(policy).build().unwrap();
        let mut events = 0;
        for text in hostile() {
            let request = || IssueRequest::new("connector", &text).issued_by(&text);
            let view = service.owner(&text);
            let id = block_on(service.owner(&text).issue(request())).unwrap().record.id();
            assert!(block_on(service.owner(&text).issue(request())).is_err());
            assert!(block_on(service.owner(&text).issue(IssueRequest::new(&text, &text))).is_err());
            let _ = block_on(view.list(ListRequest::from(Filter::new().issued_to_contains(&text))))
                .unwrap();
            let _ = block_on(view.get(id)).unwrap();
            let rotation = service_tokens::RotateRequest::at_once();
            let _ = block_on(view.rotate(id, rotation)).unwrap();
            let words = || RevokeRequest::new().by(&text).reason(&text);
            block_on(view.revoke(id, words())).unwrap();
            block_on(view.revoke(id, words())).unwrap();
            assert!(block_on(view.get(TokenId::from_bytes([0; 16]))).is_err());
            assert!(block_on(service.verify(text.as_bytes(), &any())).is_err());
            events += 10;
        }
        assert_eq!(traced.take().len(), events);
        let printed = traced.printed();
        assert_eq!(printed.split('\n').count() - 1, events, "{printed}");
        for line in printed.split('\n') {
            assert!(!line.contains(BREAKS), "{line:?}");
            let obeyed = |c: char| {
                c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            assert!(!line.contains(obeyed), "{line:?}");
        }
        // The texts are in the log. Without them the checks above would prove little.
        assert!(printed.contains("DROP TABLE") && printed.contains("acme\\r\\n2026"), "{printed}");
    });
}

/// Errors name the rule and do not repeat the text.
#[test]
fn errors_do_not_repeat_hostile_text() {
    let service = builder(MemoryStore::new()).build().unwrap();
    for text in hostile() {
        let foreign = block_on(service.owner(&text).get(TokenId::from_bytes([0; 16])));
        let error = foreign.unwrap_err();
        assert_eq!(error.to_string(), "there is no token with the id 0000000000000000000000");
        let unknown = block_on(service.owner(&text).issue(IssueRequest::new(&text, &text)));
        assert_eq!(unknown.unwrap_err().to_string(), "type is not a type of this service");
    }
    assert_eq!(State::Active.to_string(), "active");
}
