//! Keys and prefixes that change while tokens are live.

use super::harness::{HOUR, Stores, any, builder, text};
use service_tokens::digest::KeyId;
use service_tokens::token::{InvalidPrefix, MalformedToken};
use service_tokens::{
    BuildError, IssueRequest, KeyRing, Refusal, RevokeRequest, RotateRequest, TokenService,
    TokenType,
};

behaviours! {
    verify_follows_key_rotation,
    keyed_and_plain_records_coexist,
    change_of_prefix_accepts_old_tokens,
}

fn request() -> IssueRequest {
    IssueRequest::new("connector", "backup")
}

const OLD: KeyId = KeyId(*b"2025");
const NEW: KeyId = KeyId(*b"2026");

pub(crate) async fn verify_follows_key_rotation(stores: Stores) {
    let opened = stores.open();
    let (old_key, new_key) = ([1; 32], [2; 32]);
    let with = |keys: KeyRing| builder(opened.store.clone()).keys(keys).build().unwrap();
    let before = with(KeyRing::new(OLD, &old_key).unwrap());
    let first = before.owner("acme").issue(request()).await.unwrap();
    let id = first.record.id();
    before.verify(&text(&first), &any()).await.unwrap();

    let ring = || KeyRing::new(NEW, &new_key).unwrap();
    let during = with(ring().retired(OLD, &old_key).unwrap());
    during.verify(&text(&first), &any()).await.unwrap();
    let rotation = RotateRequest::with_overlap(HOUR);
    let second = during.owner("acme").rotate(id, rotation).await.unwrap();
    for issued in [&first, &second] {
        during.verify(&text(issued), &any()).await.unwrap();
    }

    let after = with(ring());
    after.verify(&text(&second), &any()).await.unwrap();
    let refused = after.verify(&text(&first), &any()).await.unwrap_err().refusal();
    assert_eq!(refused, Some(Refusal::MissingKey(OLD)));
    // To a client it looks like any other refusal.
    let refused = after.verify(&text(&first), &any()).await.unwrap_err();
    assert_eq!(refused.to_string(), after.verify("x", &any()).await.unwrap_err().to_string());
    // A token under the lost key can still be managed. Only a rotation makes it acceptable again.
    let third = before.owner("acme").issue(request()).await.unwrap();
    assert!(after.verify(&text(&third), &any()).await.is_err());
    let view = after.owner("acme");
    let fourth = view.rotate(third.record.id(), RotateRequest::at_once()).await.unwrap();
    after.verify(&text(&fourth), &any()).await.unwrap();
    view.revoke(third.record.id(), RevokeRequest::new()).await.unwrap();

    // Another key under the same id does not match.
    let impostor = with(KeyRing::new(OLD, &[3; 32]).unwrap());
    let fifth = before.owner("acme").issue(request()).await.unwrap();
    let refused = impostor.verify(&text(&fifth), &any()).await.unwrap_err().refusal();
    assert_eq!(refused, Some(Refusal::WrongSecret));
}

pub(crate) async fn keyed_and_plain_records_coexist(stores: Stores) {
    let opened = stores.open();
    let plain = builder(opened.store.clone()).build().unwrap();
    let keys = KeyRing::new(NEW, &[9; 32]).unwrap();
    let keyed = builder(opened.store.clone()).keys(keys).build().unwrap();
    let before = plain.owner("acme").issue(request()).await.unwrap();
    keyed.verify(&text(&before), &any()).await.unwrap();
    let rotated = keyed.owner("acme").rotate(before.record.id(), RotateRequest::at_once()).await;
    let rotated = rotated.unwrap();
    keyed.verify(&text(&rotated), &any()).await.unwrap();
    let refused = plain.verify(&text(&rotated), &any()).await.unwrap_err().refusal();
    assert_eq!(refused, Some(Refusal::MissingKey(NEW)));
    let ended = keyed.verify(&text(&before), &any()).await.unwrap_err().refusal();
    assert_eq!(ended, Some(Refusal::SecretEnded));
}

pub(crate) async fn change_of_prefix_accepts_old_tokens(stores: Stores) {
    let opened = stores.open();
    let with = |prefix: &str, accepted: &[&str]| {
        let connector = TokenType::new("connector", ["files:read"]).unwrap();
        let service = TokenService::builder(opened.store.clone(), prefix).token_type(connector);
        accepted.iter().fold(service, |service, prefix| service.accept_prefix(*prefix))
    };
    let old = with("acme", &[]).build().unwrap();
    let issued = old.owner("acme").issue(request()).await.unwrap();
    assert!(text(&issued).starts_with("acme_1"));

    let new = with("globex_live", &["acme"]).build().unwrap();
    new.verify(&text(&issued), &any()).await.unwrap();
    let fresh = new.owner("acme").issue(request()).await.unwrap();
    let view = new.owner("acme");
    let rotated = view.rotate(issued.record.id(), RotateRequest::at_once()).await.unwrap();
    for issued in [&fresh, &rotated] {
        assert!(text(issued).starts_with("globex_live_1"), "new tokens have the new prefix");
        new.verify(&text(issued), &any()).await.unwrap();
        let refused = old.verify(&text(issued), &any()).await.unwrap_err().refusal();
        let reason = Refusal::Malformed(MalformedToken::UnknownPrefix);
        assert_eq!(refused, Some(reason));
    }
    assert_eq!(new.scanner_regex(), "(?:globex_live|acme)_1[0-9A-Za-z]{71}");

    let last = with("globex_live", &[]).build().unwrap();
    assert!(last.verify(&text(&issued), &any()).await.is_err());
    last.verify(&text(&fresh), &any()).await.unwrap();
    // Another prefix in front of the same body is another text, with a wrong checksum.
    let swapped = text(&fresh).replacen("globex_live", "acme", 1);
    let refused = new.verify(&swapped, &any()).await.unwrap_err().refusal();
    assert_eq!(refused, Some(Refusal::Malformed(MalformedToken::Checksum)));

    for wrong in ["", "Acme", "acme_", "1acme", "a__b", "acmé"] {
        assert!(matches!(with(wrong, &[]).build(), Err(BuildError::Prefix(_))), "{wrong}");
        let accepted = with("acme", &[wrong]).build();
        assert!(matches!(accepted, Err(BuildError::Prefix(_))), "{wrong}");
    }
    let long = "a".repeat(33);
    let outcome = with(&long, &[]).build();
    assert!(matches!(outcome, Err(BuildError::Prefix(InvalidPrefix::TooLong))));
    let doubled = with("acme", &[]).token_type(TokenType::new("connector", ["x"]).unwrap());
    let doubled = doubled.build();
    assert!(matches!(doubled, Err(BuildError::DuplicateType(name)) if name == "connector"));
}
