//! Import forms: which part of a text is hashed and how, and what is refused before the store is asked.

use super::harness::{Harness, Stores, any, backup, builder, text, token_type};
use super::import::{TEXT, hex, old_keys};
use service_tokens::digest::KeyId;
use service_tokens::import::{Characters, ImportDigest, ImportForm};
use service_tokens::token::MalformedToken;
use service_tokens::{ImportRequest, KeyRing, Refusal, TokenService};

behaviours! {
    forms_hash_their_part_of_a_text,
    text_of_no_form_asks_no_store,
    text_with_native_prefix_uses_no_form,
    unknown_import_costs_one_look_up,
    removed_form_refuses_its_texts,
    key_ring_and_import_keys_are_separate,
}

const SANCTUM: &str = "RqPz7mXv0KcB4tWn9sYd2LhG6jFa1UeO8iTkQxN3";
const SHA512: &str = "83c88881f7ea05758297a73da8789b4ad18c161e7323047971f4ca8668d476da\
                      6b296aa41da7fde39543388c320d6dc84c49b0c4dcdccbc22c59358870c81bec";

fn hex_form(form: ImportForm) -> ImportForm {
    form.prefix("sk_live_").characters(Characters::LOWER_HEX).lengths([32])
}

/// The digests were computed by another program.
pub(crate) async fn forms_hash_their_part_of_a_text(stores: Stores) {
    let key = KeyId(*b"old1");
    let sanctum = ImportForm::sha256("sanctum")
        .characters(Characters::BASE62)
        .lengths(42..=69)
        .hash_after_last('|', [40, 48]);
    let numbered = format!("4711|{SANCTUM}");
    for (form, text, digest) in [
        (
            old_keys(),
            TEXT,
            ImportDigest::sha256(hex(
                "18dfa9f7b7f6c370800ff9ad219969e4c0d72144302e1e818ce510f333f629a3",
            )),
        ),
        (
            old_keys().hash_rest(),
            TEXT,
            ImportDigest::sha256(hex(
                "013989616e8b5fc5678be3e9c959f2fa22d17f79bbd8a4e583492868e29cb6d9",
            )),
        ),
        (hex_form(ImportForm::sha512("old keys")), TEXT, ImportDigest::sha512(&hex(SHA512))),
        (
            hex_form(ImportForm::hmac_sha256("old keys", key, b"pepper")),
            TEXT,
            ImportDigest::hmac_sha256(
                key,
                hex("e048deed58a03373e428a3e2132cfbd9fd125e855c653b311dfb04fad9aa4af7"),
            ),
        ),
        (
            // A key that is longer than a block of the hash.
            hex_form(ImportForm::hmac_sha256("old keys", key, &[b'k'; 100])),
            TEXT,
            ImportDigest::hmac_sha256(
                key,
                hex("eedcc22a7d5e5c417b7ebcad60aaec2aa57a17bfbdff3e317bb630e344972ddb"),
            ),
        ),
        (
            sanctum,
            &numbered,
            ImportDigest::sha256(hex(
                "42be5be006aa2b4370d4b8e2347102e3ae325d21eb888cd68c33fde89f45f9c2",
            )),
        ),
    ] {
        let harness =
            Harness::builder(stores).configure(|service| service.import_form(form)).build();
        let request = ImportRequest::of_digest(digest, "connector", "backup");
        let record = harness.service.owner("acme").import(request).await.unwrap().record;
        assert_eq!(record.id(), digest.token_id());
        assert_eq!(harness.verify(text).await.unwrap().id(), record.id());
        let again = ImportRequest::of_plaintext(text, "connector", "backup");
        assert!(harness.service.owner("acme").import(again).await.unwrap().already_imported);
        // One changed character is another credential.
        let altered =
            format!("{}{}", &text[..text.len() - 1], if text.ends_with('0') { '1' } else { '0' });
        assert_eq!(harness.refusal(&altered).await, Some(Refusal::UnknownId));
    }
}

pub(crate) async fn text_of_no_form_asks_no_store(stores: Stores) {
    let harness = Harness::builder(stores)
        .remote()
        .configure(|service| service.import_form(old_keys()))
        .build();
    let long = format!("sk_live_{}", "a".repeat(100_000));
    for (text, malformed) in [
        ("", MalformedToken::Empty),
        ("sk_live_", MalformedToken::UnknownPrefix),
        (&TEXT[..39], MalformedToken::UnknownPrefix),
        (&format!("{TEXT}0"), MalformedToken::UnknownPrefix),
        (&TEXT.replace('a', "A"), MalformedToken::UnknownPrefix),
        (&TEXT.replace('a', "é"), MalformedToken::UnknownPrefix),
        (&TEXT.replace("sk_", "pk_"), MalformedToken::UnknownPrefix),
        (&format!(" {TEXT}"), MalformedToken::UnknownPrefix),
        (&TEXT[8..], MalformedToken::NoPrefix),
        (&long, MalformedToken::TooLong),
    ] {
        assert_eq!(harness.refusal(text).await, Some(Refusal::Malformed(malformed)), "{text:.50}");
    }
    harness.expect_store_reads(0);
}

pub(crate) async fn text_with_native_prefix_uses_no_form(stores: Stores) {
    let form =
        || ImportForm::sha256("anything").characters(Characters::BASE64URL).lengths(20..=200);
    // SHA-256 of the text.
    let digest = hex("f2182add65066306280cbdc0e5187cb1e9a2dba456b9c21a34022ed398402634");
    let native_like = "acme_live_e5e9fa1ba31ecd1ae84f75caaa474f3a";
    let request = || ImportRequest::of_digest(ImportDigest::sha256(digest), "connector", "backup");
    let harness =
        Harness::builder(stores).remote().configure(|service| service.import_form(form())).build();
    harness.service.owner("acme").import(request()).await.unwrap();
    let _ = harness.remote().finds();
    let refused = harness.refusal(native_like).await;
    assert!(matches!(refused, Some(Refusal::Malformed(_))), "{refused:?}");
    // A native token with a typing error is malformed, and not a credential of another kind.
    let mut native = text(&harness.issue(backup()).await);
    native.pop();
    let refused = harness.refusal(&native).await;
    assert!(matches!(refused, Some(Refusal::Malformed(_))), "{refused:?}");
    harness.expect_store_reads(0);

    // Under a service with another prefix, the text has the form.
    let other = |accepted: &[&str]| {
        let service = TokenService::builder(harness.store.clone(), "globex")
            .import_form(form())
            .clock(harness.clock.clone());
        let service = service.token_type(token_type("connector", &["files:read"]));
        accepted
            .iter()
            .fold(service, |service, prefix| service.accept_prefix(*prefix))
            .build()
            .unwrap()
    };
    assert_eq!(other(&[]).verify(native_like, &any()).await.unwrap().owner(), "acme");
    assert!(other(&["acme_live"]).verify(native_like, &any()).await.is_err());
    assert!(other(&["acme"]).verify(native_like, &any()).await.is_err());
    // Only the whole prefix with its underscore counts.
    assert!(other(&["acme_liv"]).verify(native_like, &any()).await.is_ok());
}

pub(crate) async fn unknown_import_costs_one_look_up(stores: Stores) {
    let harness = Harness::builder(stores)
        .remote()
        .configure(|service| {
            let hex = |form: ImportForm| form.characters(Characters::LOWER_HEX).lengths([32]);
            service
                .import_form(hex(ImportForm::sha512("others").prefix("xk_live_")))
                .import_form(old_keys())
                .import_form(hex(ImportForm::sha256("more").prefix("pk_live_")))
        })
        .build();
    assert_eq!(harness.refusal(TEXT).await, Some(Refusal::UnknownId));
    harness.expect_store_reads(1);
}

pub(crate) async fn removed_form_refuses_its_texts(stores: Stores) {
    let harness =
        Harness::builder(stores).configure(|service| service.import_form(old_keys())).build();
    let request = ImportRequest::of_plaintext(TEXT, "connector", "backup");
    let id = harness.service.owner("acme").import(request).await.unwrap().record.id();
    let without = harness.elsewhere();
    let refused = without.verify(TEXT, &any()).await.unwrap_err().refusal();
    assert_eq!(refused, Some(Refusal::Malformed(MalformedToken::UnknownPrefix)));
    // The record is still there, and can be managed.
    let native = harness.rotate_elsewhere(id).await;
    without.verify(&native, &any()).await.unwrap();
}

pub(crate) async fn key_ring_and_import_keys_are_separate(stores: Stores) {
    let (id, key) = (KeyId(*b"2026"), [9; 32]);
    let form = hex_form(ImportForm::hmac_sha256("old keys", id, b"short"));
    let harness = Harness::builder(stores)
        .configure(|service| service.import_form(form).keys(KeyRing::new(id, &key).unwrap()))
        .build();
    let request = ImportRequest::of_plaintext(TEXT, "connector", "backup");
    let imported = harness.service.owner("acme").import(request).await.unwrap().record;
    let issued = harness.issue(backup()).await;
    harness.verify(TEXT).await.unwrap();
    harness.verified(&issued).await;
    let now = harness.service.now();
    assert_eq!(imported.key_ids(now).count(), 0, "no key of the ring is needed");
    assert_eq!(issued.record.key_ids(now).collect::<Vec<_>>(), [id]);
    // The same text under another import key is another credential.
    let other = hex_form(ImportForm::hmac_sha256("old keys", id, b"other"));
    let service = builder(harness.store.clone()).import_form(other).build().unwrap();
    assert_eq!(service.verify(TEXT, &any()).await.unwrap_err().refusal(), Some(Refusal::UnknownId));
}
