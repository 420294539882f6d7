//! Reports of texts with other characters around the token.

use super::harness::{Harness, Stores, any, backup, text};
use super::import::{TEXT, old_keys};
use service_tokens::import::{Characters, ImportForm};
use service_tokens::leak::{LeakAction, LeakOutcome, LeakReport, LeakResponse};
use service_tokens::{ImportRequest, LeakRequest, RevokeRequest, State, TokenId, TokenStore};

behaviours! {
    report_leak_ignores_surroundings,
    report_leak_with_inner_characters_is_not_ours,
    report_leak_of_surrounded_token_acts,
    report_leak_of_form_with_quotes_finds_both,
    report_leak_of_unknown_id_reads_once,
    verify_with_surroundings_is_refused,
}

/// What surrounds a token, before it and after it.
const SURROUNDINGS: [(&str, &str); 26] = [
    ("", ""),
    (" ", ""),
    ("", "\n"),
    ("\t", "\r\n"),
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("```\n", "\n```"),
    ("<", ">"),
    ("<<", ">"),
    ("", "\""),
    ("\u{201c}", "\u{201d}"),
    ("\u{2018}", "\u{2019}"),
    ("«", "»"),
    ("\u{a0}", "\u{200b}"),
    ("\u{feff}", ""),
    ("Bearer ", ""),
    ("bearer ", ""),
    ("BEARER\t", ""),
    ("Bearer   ", " "),
    ("\"Bearer ", "\""),
    ("Bearer \"", "\""),
    ("Bearer <", ">"),
    ("Authorization: Bearer ", ""),
    ("'authorization:bearer ", "'"),
    ("`Authorization: `Bearer <", ">``"),
];

fn harness(stores: Stores) -> Harness {
    Harness::builder(stores).configure(|service| service.import_form(old_keys())).build()
}

async fn report(harness: &Harness, text: &str, action: LeakAction) -> LeakReport {
    harness.service.report_leak(text, action, LeakRequest::new()).await.unwrap()
}

async fn import(harness: &Harness, text: &str) -> TokenId {
    let request = ImportRequest::of_plaintext(text, "connector", "backup");
    harness.service.owner("acme").import(request).await.unwrap().record.id()
}

pub(crate) async fn report_leak_ignores_surroundings(stores: Stores) {
    let harness = harness(stores);
    let native = harness.issue(backup()).await;
    let imported = import(&harness, TEXT).await;
    for (id, token) in [(native.record.id(), text(&native)), (imported, TEXT.to_owned())] {
        for (before, after) in SURROUNDINGS {
            let told =
                report(&harness, &format!("{before}{token}{after}"), LeakAction::Report).await;
            let is_live = matches!(told.outcome, LeakOutcome::Live { .. });
            assert!(is_live && told.id == Some(id), "{before:?} {after:?}: {told:?}");
        }
    }
}

pub(crate) async fn report_leak_with_inner_characters_is_not_ours(stores: Stores) {
    let harness = harness(stores);
    let token = text(&harness.issue(backup()).await);
    let (start, end) = token.split_at(40);
    for other in [
        format!("{start} {end}"),
        format!("{start}\"{end}"),
        format!("Bearer{token}"),
        format!("Basic {token}"),
        format!("({token})"),
        format!("{token}{token}"),
        format!("Bearer {start}"),
        "Bearer ".to_owned(),
        "\"\"".to_owned(),
        " ".to_owned(),
        String::new(),
    ] {
        let told = report(&harness, &other, LeakAction::Revoke).await;
        assert!(matches!(told.outcome, LeakOutcome::NotOurs(_)), "{other}");
        assert_eq!(told.id, None);
    }
    let mut bytes = b"\xff".to_vec();
    bytes.extend(token.as_bytes());
    let told = harness.service.report_leak(&bytes, LeakAction::Revoke, LeakRequest::new()).await;
    assert!(matches!(told.unwrap().outcome, LeakOutcome::NotOurs(_)));
    assert!(harness.accepts(&token).await);
}

pub(crate) async fn report_leak_of_surrounded_token_acts(stores: Stores) {
    let harness = harness(stores);
    let native = harness.issue(backup()).await;
    let imported = import(&harness, TEXT).await;
    for (id, token) in [(native.record.id(), text(&native)), (imported, TEXT.to_owned())] {
        let told = report(&harness, &format!("\"Bearer {token}\"\n"), LeakAction::Revoke).await;
        assert!(matches!(told.response, LeakResponse::Revoked { .. }), "{told:?}");
        assert_eq!(harness.state(id).await, State::Revoked);
    }
}

/// A form may allow the characters that are ignored, so a quoted text can be a token as it is or inside.
pub(crate) async fn report_leak_of_form_with_quotes_finds_both(stores: Stores) {
    let characters = Characters::LOWER_HEX.and(Characters::of("'").unwrap());
    let form = ImportForm::sha256("quoted").characters(characters).lengths(32..=40);
    let harness = Harness::builder(stores).configure(|service| service.import_form(form)).build();
    let plain = "0123456789abcdef0123456789abcdef";
    let quoted = "'fedcba9876543210fedcba9876543210'";
    for (token, reported) in [(plain, format!("'{plain}'")), (quoted, quoted.to_owned())] {
        let id = import(&harness, token).await;
        let told = report(&harness, &reported, LeakAction::Report).await;
        let is_live = matches!(told.outcome, LeakOutcome::Live { .. });
        assert!(is_live && told.id == Some(id), "{reported}: {told:?}");
    }
}

pub(crate) async fn report_leak_of_unknown_id_reads_once(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let issued = harness.issue(backup()).await;
    let stored = harness.store.find(issued.record.id()).await.unwrap().unwrap();
    harness.store.remove(issued.record.id(), stored.version).await.unwrap();
    let _ = harness.remote().finds();
    let request = LeakRequest::new();
    let told =
        harness.service.report_leak(&text(&issued), LeakAction::Report, request).await.unwrap();
    assert!(matches!(told.outcome, LeakOutcome::UnknownId));
    harness.expect_store_reads(1);
}

pub(crate) async fn verify_with_surroundings_is_refused(stores: Stores) {
    let harness = harness(stores);
    let native = text(&harness.issue(backup()).await);
    import(&harness, TEXT).await;
    for token in [&*native, TEXT] {
        for (before, after) in SURROUNDINGS.iter().skip(1) {
            let surrounded = format!("{before}{token}{after}");
            assert!(harness.service.verify(&surrounded, &any()).await.is_err(), "{surrounded}");
            let revoked = harness.service.revoke_presented(&surrounded, RevokeRequest::new()).await;
            assert!(revoked.is_err(), "{surrounded}");
        }
        assert!(harness.accepts(token).await);
    }
}
