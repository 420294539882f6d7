//! Hostile text in requests, filters and tokens is stored exactly or refused by field.

use super::harness::{SharedStore, Stores, any, builder, text};
use service_tokens::record::Field;
use service_tokens::store::States;
use service_tokens::token::MAX_TOKEN_LEN;
use service_tokens::{
    Filter, IssueRequest, ListRequest, ManageError, Record, Refusal, RevokeRequest, TokenService,
};

behaviours! {
    hostile_text_is_stored_exactly_or_refused,
    filter_with_hostile_text_compares_bytes,
    lookalike_owners_are_different,
    verify_hostile_text_is_refused,
}

/// Texts that are each short enough for every field.
pub(crate) fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "a\0",
        "acme\0globex",
        "🔑👩‍👩‍👧‍👦",
        "\u{202e}txt.exe\u{202c}",
        "\u{2066}right\u{2069}",
        "e\u{301}",
        "\u{e9}",
        "\u{301}alone",
        "\u{200b}\u{feff}a\u{ad}",
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
        "\u{7f}\u{80}a\u{9f}",
        "NULL",
        "İıſK",
    ]
    .map(String::from)
    .to_vec();
    texts.push("x".repeat(255));
    texts
}

fn service(stores: Stores) -> (TokenService<SharedStore>, Box<dyn std::any::Any>) {
    let opened = stores.open();
    (builder(opened.store).build().unwrap(), opened.guard)
}

pub(crate) fn field_of<T: std::fmt::Debug>(outcome: Result<T, ManageError>) -> Field {
    match outcome {
        Err(ManageError::Invalid(invalid)) => {
            let message = invalid.to_string();
            assert!(message.starts_with(&invalid.field.to_string()), "{message}");
            assert!(message.len() < 100, "the value is repeated: {message}");
            invalid.field
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn hostile_text_is_stored_exactly_or_refused(stores: Stores) {
    let (service, _guard) = service(stores);
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
        let verified = service.verify(&super::harness::text(&issued), &any()).await.unwrap();
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
    // A view shows no token of another owner, however similar the names are.
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

pub(crate) async fn filter_with_hostile_text_compares_bytes(stores: Stores) {
    let (service, _guard) = service(stores);
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

pub(crate) async fn lookalike_owners_are_different(stores: Stores) {
    let (service, _guard) = service(stores);
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

pub(crate) async fn verify_hostile_text_is_refused(stores: Stores) {
    let (service, _guard) = service(stores);
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
    // A token with any changed byte is another token.
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
