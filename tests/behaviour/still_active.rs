//! Whether a token that was verified before would still be accepted.

use service_tokens::store::LastUsed;
use service_tokens::{Event, Refusal, RotateRequest, VerifiedToken, VerifyError};

use super::harness::{
    Fault, HOUR, Harness, MAX_AGE, MICRO, Stores, any, backup, incident, refusal_of, text,
};

behaviours! {
    revoked_token_is_not_still_active,
    expired_token_is_not_still_active,
    replaced_secret_is_not_still_active,
    still_active_reads_the_store,
    still_active_is_no_use,
    still_active_without_answer_is_unavailable,
    still_active_emits_one_event_if_refused,
    prefix_respelled_is_wrong_secret,
}

async fn verified<S: service_tokens::TokenStore>(
    harness: &Harness<S>,
    request: service_tokens::IssueRequest,
) -> VerifiedToken {
    let issued = harness.service.owner("acme").issue(request).await.unwrap();
    harness.service.verify(&text(&issued), &any()).await.unwrap()
}

pub(crate) async fn revoked_token_is_not_still_active(stores: Stores) {
    let harness = Harness::new(stores);
    let token = verified(&harness, backup()).await;
    let again = harness.service.still_active(&token).await.unwrap();
    assert_eq!((again.id(), again.scopes()), (token.id(), token.scopes()));
    let _ = harness.service.owner("acme").revoke(token.id(), incident()).await.unwrap();
    assert_eq!(refusal_of(harness.service.still_active(&token).await), Some(Refusal::Revoked));
}

pub(crate) async fn expired_token_is_not_still_active(stores: Stores) {
    let harness = Harness::new(stores);
    let token = verified(&harness, backup().expires_in(HOUR)).await;
    harness.clock.advance(HOUR - MICRO);
    assert!(harness.service.still_active(&token).await.is_ok());
    harness.clock.advance(MICRO);
    assert_eq!(refusal_of(harness.service.still_active(&token).await), Some(Refusal::Expired));
}

pub(crate) async fn replaced_secret_is_not_still_active(stores: Stores) {
    let harness = Harness::new(stores);
    let acme = harness.service.owner("acme");
    let older = verified(&harness, backup()).await;
    let rotated = acme.rotate(older.id(), RotateRequest::with_overlap(HOUR)).await.unwrap();
    let newest = harness.service.verify(&text(&rotated), &any()).await.unwrap();
    harness.clock.advance(HOUR - MICRO);
    assert!(harness.service.still_active(&older).await.is_ok());
    harness.clock.advance(MICRO);
    assert_eq!(refusal_of(harness.service.still_active(&older).await), Some(Refusal::SecretEnded));
    assert!(harness.service.still_active(&newest).await.is_ok());
    let _ = acme.rotate(older.id(), RotateRequest::at_once()).await.unwrap();
    assert_eq!(refusal_of(harness.service.still_active(&newest).await), Some(Refusal::SecretEnded));
}

pub(crate) async fn still_active_reads_the_store(stores: Stores) {
    let harness = Harness::cached(stores, MAX_AGE, 10);
    let token = verified(&harness, backup()).await;
    assert!(harness.service.still_active(&token).await.is_ok());
    let elsewhere = super::harness::builder(harness.store.clone()).build().unwrap();
    let _ = elsewhere.owner("acme").revoke(token.id(), incident()).await.unwrap();
    assert_eq!(refusal_of(harness.service.still_active(&token).await), Some(Refusal::Revoked));
}

pub(crate) async fn still_active_is_no_use(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.service.owner("acme").issue(backup()).await.unwrap();
    let token = harness.service.authenticate(&text(&issued)).await.unwrap();
    assert!(harness.service.still_active(&token).await.is_ok());
    let stored = harness.service.owner("acme").get(token.id()).await.unwrap();
    assert_eq!(stored.last_used, LastUsed::Never);
    // Nor does it end an overlap.
    let request = RotateRequest::until_first_use(HOUR);
    let rotated = harness.service.owner("acme").rotate(token.id(), request).await.unwrap();
    let newest = harness.service.authenticate(&text(&rotated)).await.unwrap();
    assert!(harness.service.still_active(&newest).await.is_ok());
    assert!(harness.service.still_active(&token).await.is_ok());
}

pub(crate) async fn still_active_without_answer_is_unavailable(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let token = verified(&harness, backup()).await;
    harness.faulty().arm(&[Fault::Unavailable], Fault::None);
    let unknown = harness.service.still_active(&token).await;
    assert!(matches!(unknown, Err(VerifyError::Unavailable(_))), "{unknown:?}");
    assert!(harness.service.still_active(&token).await.is_ok());
}

pub(crate) async fn still_active_emits_one_event_if_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let token = verified(&harness, backup()).await;
    let _ = harness.collected.take(&harness.service);
    assert!(harness.service.still_active(&token).await.is_ok());
    assert!(harness.collected.take(&harness.service).is_empty());
    let _ = harness.service.owner("acme").revoke(token.id(), incident()).await.unwrap();
    let _ = harness.collected.take(&harness.service);
    assert!(harness.service.still_active(&token).await.is_err());
    let events = harness.collected.take(&harness.service);
    assert!(matches!(&events[..], [Event::Refused { reason: Refusal::Revoked, .. }]), "{events:?}");
}

/// Two services over one store, such as of a test and a live environment, do not accept each other's
/// tokens.
pub(crate) async fn prefix_respelled_is_wrong_secret(stores: Stores) {
    let harness = Harness::new(stores);
    let builder = || {
        service_tokens::TokenService::builder(harness.store.clone(), "acme_test")
            .token_type(super::harness::token_type("connector", &["files:read", "files:upload"]))
            .clock(harness.clock.clone())
    };
    let test = builder().build().unwrap();
    let both = builder().accept_prefix("acme_live").build().unwrap();
    let issued = harness.service.owner("acme").issue(backup()).await.unwrap();
    let live = text(&issued);
    let body = &live["acme_live".len()..live.len() - 6];
    let respelled = with_checksum(&format!("acme_test{body}"));
    for service in [&test, &both] {
        let refused = service.verify(&respelled, &any()).await;
        assert_eq!(refusal_of(refused), Some(Refusal::WrongSecret));
    }
    assert!(test.verify(&live, &any()).await.is_err());
    // An accepted older prefix keeps working.
    assert!(both.verify(&live, &any()).await.is_ok());
}

/// Appends the checksum of a token: CRC-32/ISO-HDLC in six characters of base62.
fn with_checksum(covered: &str) -> String {
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut crc = u32::MAX;
    for byte in covered.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let mut rest = !crc;
    let mut characters = Vec::new();
    for _ in 0..6 {
        characters.insert(0, alphabet[(rest % 62) as usize]);
        rest /= 62;
    }
    format!("{covered}{}", String::from_utf8(characters).unwrap())
}
