//! Texts from whoever may issue, list or merely ask: kept exactly or refused by name, and never a
//! second line in a log.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use futures_lite::future::block_on;
use proptest::prelude::{ProptestConfig, any as arbitrary, proptest};
use service_tokens::record::Field;
use service_tokens::store::States;
use service_tokens::token::MAX_TOKEN_LEN;
use service_tokens::{
    Filter, IssueRequest, ListRequest, ManageError, MemoryStore, Policy, Record, Refusal,
    RevokeRequest, State, TokenId, TokenService,
};
use support::{Open, any, builder, collect_tracing, over_stores, text};

over_stores! {
    every_text_is_kept_exactly_or_refused_by_name,
    filters_take_any_text_and_compare_bytes,
    spellings_that_look_alike_are_different_owners,
    hostile_tokens_are_refused,
}

/// Each short enough for every field.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "\0",
        "acme\0globex",
        "🔑👩‍👩‍👧‍👦",
        "\u{202e}txt.exe\u{202c}",
        "\u{2066}right\u{2069}",
        "e\u{301}",
        "\u{e9}",
        "\u{301}alone",
        "\u{200b}\u{feff}\u{ad}",
        "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f",
        "'; DROP TABLE tokens; --",
        "\" OR \"\"=\"",
        "%s%n%x{}{0}{owner}$1${jndi:ldap://x}",
        "%_\\%",
        "acme\r\n2026-01-01T00:00:00Z  INFO service_tokens: token issued id=0",
        "acme\nINFO forged",
        "acme\rINFO forged",
        "\u{1b}[31mred\u{1b}[0m\u{7}\u{8}\u{9b}2J",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "*",
        " leading and trailing ",
        "acme live",
        "\u{10ffff}\u{fffe}\u{e000}",
        "\u{7f}\u{80}\u{9f}",
        "NULL",
        "İıſK",
    ]
    .map(String::from)
    .to_vec();
    texts.push("x".repeat(255));
    texts
}

/// What in a text starts a new line, for a terminal or for whoever reads logs.
const BREAKS: [char; 7] = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

fn service(open: Open) -> (TokenService<support::SharedStore>, Box<dyn std::any::Any>) {
    let opened = open();
    (builder(opened.store).build().unwrap(), opened.guard)
}

fn field_of<T: std::fmt::Debug>(outcome: Result<T, ManageError>) -> Field {
    match outcome {
        Err(ManageError::Invalid(invalid)) => {
            let told = invalid.to_string();
            assert!(told.starts_with(&invalid.field.to_string()), "{told}");
            assert!(told.len() < 100, "the value is repeated: {told}");
            invalid.field
        }
        other => panic!("{other:?}"),
    }
}

async fn every_text_is_kept_exactly_or_refused_by_name(open: Open) {
    let (service, _guard) = service(open);
    let view = service.all_owners();
    let texts = hostile();
    for (i, text) in texts.iter().enumerate() {
        let other = &texts[(i + 1) % texts.len()];
        let request = IssueRequest::new("connector", other)
            .issued_by(text)
            .metadata(text, other)
            .metadata("key", text);
        let issued = service.owner(text).issue(request).await.unwrap();
        let id = issued.record.id();
        let words = RevokeRequest::new().by(other).reason(text);
        let view = service.owner(text);
        let verified = service.verify(&support::text(&issued), &any()).await.unwrap();
        assert_eq!(verified.owner(), text);
        view.revoke(id, words).await.unwrap();
        let record = view.get(id).await.unwrap().record;
        assert_eq!((record.owner(), record.issued_to()), (&**text, &**other));
        assert_eq!(record.issued_by(), Some(&**text));
        let metadata: Vec<_> = record.metadata().collect();
        assert!(metadata.contains(&(&**text, &**other)) || text == "key", "{text:?}");
        assert!(metadata.contains(&("key", &**text)));
        let revocation = record.revocation().unwrap();
        assert_eq!(revocation.by.as_deref(), Some(&**other));
        assert_eq!(revocation.reason.as_deref(), Some(&**text));
        assert_eq!(Record::from_bytes(&record.to_bytes()), Ok(record));
        // No type has such a name, and the error does not repeat it.
        let of_type = IssueRequest::new(text, "b");
        assert_eq!(field_of(service.owner("acme").issue(of_type).await), Field::Type);
    }
    // Nobody's view shows another's, however alike the names are.
    for text in &texts {
        let query = ListRequest::from(Filter::new().states(States::ALL));
        let page = service.owner(text).list(query).await.unwrap();
        assert_eq!(page.items.len(), 1, "{text:?}");
        assert_eq!(page.items[0].record.owner(), text);
    }
    let vast = "é".repeat(1 << 19);
    let issue = |request: IssueRequest| service.owner("acme").issue(request);
    let request = || IssueRequest::new("connector", "b");
    assert_eq!(field_of(service.owner(&vast).issue(request()).await), Field::Owner);
    assert_eq!(field_of(issue(IssueRequest::new(&vast, "b")).await), Field::Type);
    assert_eq!(field_of(issue(IssueRequest::new("connector", &vast)).await), Field::IssuedTo);
    assert_eq!(field_of(issue(request().issued_by(&vast)).await), Field::IssuedBy);
    assert_eq!(field_of(issue(request().metadata(&vast, "v")).await), Field::Metadata);
    assert_eq!(field_of(issue(request().metadata("k", &vast)).await), Field::Metadata);
    let id = issue(request()).await.unwrap().record.id();
    assert_eq!(field_of(view.revoke(id, RevokeRequest::new().by(&vast)).await), Field::RevokedBy);
    let reason = RevokeRequest::new().reason(&vast);
    assert_eq!(field_of(view.revoke(id, reason).await), Field::Reason);
}

async fn filters_take_any_text_and_compare_bytes(open: Open) {
    let (service, _guard) = service(open);
    let texts = hostile();
    for text in &texts {
        let request = IssueRequest::new("connector", text).issued_by(text);
        let _ = service.owner(text).issue(request).await.unwrap();
    }
    let plain = IssueRequest::new("connector", "plain");
    let _ = service.owner("plain").issue(plain).await.unwrap();
    let view = service.all_owners();
    let vast = "x".repeat(1 << 20);
    let field_of = async |query: ListRequest| match view.list(query).await {
        Err(ManageError::Invalid(invalid)) => invalid.field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field_of(ListRequest::from(Filter::new().owner(&vast))).await, Field::Owner);
    assert_eq!(field_of(ListRequest::from(Filter::new().token_type(&vast))).await, Field::Type);
    assert_eq!(field_of(ListRequest::from(Filter::new().issued_to(&vast))).await, Field::IssuedTo);
    assert_eq!(
        field_of(ListRequest::from(Filter::new().issued_to_contains(&vast))).await,
        Field::IssuedTo
    );
    assert_eq!(field_of(ListRequest::from(Filter::new().issued_by(&vast))).await, Field::IssuedBy);
    for asked in texts.iter().chain([&String::new()]) {
        let owners = async |query: ListRequest| -> Vec<String> {
            let page = view.list(query.limit(1_000)).await.unwrap();
            page.items.iter().map(|stored| stored.record.owner().to_owned()).collect()
        };
        let exactly = if texts.contains(asked) { vec![asked.clone()] } else { vec![] };
        assert_eq!(
            owners(ListRequest::from(Filter::new().owner(asked))).await,
            exactly,
            "{asked:.20}"
        );
        assert_eq!(
            owners(ListRequest::from(Filter::new().issued_by(asked))).await,
            exactly,
            "{asked:.20}"
        );
        assert_eq!(
            owners(ListRequest::from(Filter::new().issued_to(asked))).await,
            exactly,
            "{asked:.20}"
        );
        assert!(owners(ListRequest::from(Filter::new().token_type(asked))).await.is_empty());
        let mut containing =
            owners(ListRequest::from(Filter::new().issued_to_contains(asked))).await;
        containing.sort();
        let all = texts.iter().map(String::as_str).chain(["plain"]);
        let mut expected: Vec<_> = all.filter(|text| text.contains(&**asked)).collect();
        expected.sort_unstable();
        assert_eq!(containing, expected, "{asked:.20}");
        let foreign = service
            .owner(asked)
            .list(ListRequest::from(Filter::new().owner("plain")))
            .await
            .unwrap();
        assert!(foreign.items.is_empty());
    }
}

async fn spellings_that_look_alike_are_different_owners(open: Open) {
    let (service, _guard) = service(open);
    let alike = [
        ["\u{e9}", "e\u{301}"],
        ["acme", "acme\0"],
        ["acme", "Acme"],
        ["acme", "acme "],
        ["acme", "аcme"],
        ["ſ", "s"],
        ["acme", "acme\u{200b}"],
    ];
    for [one, other] in alike {
        let request = IssueRequest::new("connector", "b");
        let id = service.owner(one).issue(request).await.unwrap().record.id();
        let not_found = service.owner(other).get(id).await;
        assert!(matches!(not_found, Err(ManageError::NotFound { .. })), "{one:?} {other:?}");
        let revoked = service.owner(other).revoke(id, RevokeRequest::new()).await;
        assert!(matches!(revoked, Err(ManageError::NotFound { .. })));
        assert!(service.owner(one).get(id).await.is_ok());
    }
}

async fn hostile_tokens_are_refused(open: Open) {
    let (service, _guard) = service(open);
    let issued = service.owner("acme").issue(IssueRequest::new("connector", "b")).await.unwrap();
    let token = text(&issued);
    let mut hostile: Vec<Vec<u8>> = hostile().into_iter().map(String::into_bytes).collect();
    hostile.extend([
        vec![],
        vec![0xff; 82],
        vec![b'_'; MAX_TOKEN_LEN],
        vec![b'_'; 1 << 20],
        [b"acme_live_1", &[b'z'; 71][..]].concat(),
        [b"acme_live_1", &[0xc3; 71][..]].concat(),
        token.replace('1', "\u{661}").into_bytes(),
        token.to_uppercase().into_bytes(),
        [token.as_bytes(), b"\0"].concat(),
        [b"\0", token.as_bytes()].concat(),
        [token.as_bytes(), b"\r\n"].concat(),
        [b"Bearer ", token.as_bytes()].concat(),
        "\u{feff}".bytes().chain(token.bytes()).collect(),
        vec![b'a'; 1 << 20],
    ]);
    for hostile in hostile {
        let refused = service.verify(&hostile, &any()).await.unwrap_err();
        assert!(matches!(refused.refusal(), Some(Refusal::Malformed(_))), "{refused:?}");
        assert_eq!(refused.to_string(), "the token is not accepted");
    }
    // Each single byte changed is another token, whatever it is changed to.
    for position in 0..token.len() {
        for byte in [0, b'\n', b'_', b'0', b'z', 0x7f, 0x80, 0xff] {
            let mut altered = token.clone().into_bytes();
            if std::mem::replace(&mut altered[position], byte) == byte {
                continue;
            }
            let refused = service.verify(&altered, &any()).await.unwrap_err();
            assert!(matches!(refused.refusal(), Some(Refusal::Malformed(_))), "{position} {byte}");
        }
    }
    service.verify(&token, &any()).await.unwrap();
    service.verify(token.as_bytes(), &any()).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(arbitrary::<u8>(), 0..200)) {
        let service = builder(MemoryStore::new()).build().unwrap();
        assert!(block_on(service.verify(&bytes, &any())).is_err());
    }

    #[test]
    fn any_texts_are_kept_exactly_or_refused(
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
                    Field::Owner => owner.trim().is_empty(),
                    Field::IssuedTo => to.trim().is_empty(),
                    Field::Metadata => key.is_empty(),
                    _ => false,
                };
                assert!(expected, "{field}");
            }
        }
    }
}

/// All of the texts through everything that is traced: as many lines as events, and none with a
/// character that a terminal or a reader of logs obeys.
#[test]
fn no_text_breaks_a_line_of_the_log() {
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
        // They are in it: what is not there cannot break anything.
        assert!(printed.contains("DROP TABLE") && printed.contains("acme\\r\\n2026"), "{printed}");
    });
}

/// An owner with a line break in an error, as it is shown to whoever asked.
#[test]
fn no_error_repeats_a_text() {
    let service = builder(MemoryStore::new()).build().unwrap();
    for text in hostile() {
        let foreign = block_on(service.owner(&text).get(TokenId::from_bytes([0; 16])));
        let error = foreign.unwrap_err();
        assert_eq!(error.to_string(), "there is no token with the id 0000000000000000000000");
        let unknown = block_on(service.owner(&text).issue(IssueRequest::new(&text, &text)));
        assert_eq!(unknown.unwrap_err().to_string(), "type is not a type that this service knows");
    }
    assert_eq!(State::Active.to_string(), "active");
}
