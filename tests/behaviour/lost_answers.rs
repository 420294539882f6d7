//! A store that loses, delays or refuses writes: no second token, no lost secret, no false success.

use std::sync::Arc;

use super::harness::{
    Courses, DAY, Fault, Faulty, HOUR, Harness, Op, SharedStore, Stores, any, backup, builder,
    records, text,
};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::ReplacedSecret;
use service_tokens::store::StoreError;
use service_tokens::{
    IssueRequest, ListRequest, ManageError, Refusal, RevokeRequest, RotateRequest, TokenId,
    VerifyError,
};

behaviours! {
    issue_with_faults_makes_at_most_one_token,
    issue_chosen_id_with_faults_makes_at_most_one,
    issue_at_limit_with_faults_makes_at_most_one,
    rotate_with_faults_loses_no_secret,
    revoke_with_faults_never_falsely_succeeds,
    get_and_list_report_store_failures,
    verify_over_failing_store_is_unavailable,
    lost_rotation_overwritten_is_indeterminate,
}

pub(crate) const FAULTS: [Fault; 5] =
    [Fault::None, Fault::DoneAndLost, Fault::LostBefore, Fault::Late, Fault::Unavailable];

pub(crate) const REVOKE: u8 = 0;
const ROTATE: u8 = 1;
const ROTATE_WITH_OVERLAP: u8 = 2;
const ROTATE_TWICE_AND_REVOKE: u8 = 3;
const ISSUE: u8 = 4;

/// A service over a store that fails on demand, with a rival that changes the same records.
fn contested(stores: Stores) -> Harness<Arc<Faulty>> {
    Harness::builder(stores)
        .faulty_with_rival(|store, _, what| Box::pin(interfere(store, what)))
        .build()
}

/// Runs one operation of the rival.
async fn interfere(store: SharedStore, what: u8) {
    let service = builder(store.clone()).clock(ManualClock::default()).build().unwrap();
    let tokens = service.all_owners();
    if what == ISSUE {
        let request = IssueRequest::new("developer", "rival").id(chosen_id());
        let _ = service.owner("rival").issue(request).await;
        return;
    }
    let Some(record) = records(&*store).await.pop() else { return };
    let oldest = |request: RotateRequest| request.replacing(ReplacedSecret::Oldest);
    let _ = match what {
        REVOKE => tokens.revoke(record.id(), RevokeRequest::new().by("rival")).await.map(drop),
        ROTATE => tokens.rotate(record.id(), oldest(RotateRequest::at_once())).await.map(drop),
        ROTATE_WITH_OVERLAP => {
            let request = oldest(RotateRequest::with_overlap(HOUR));
            tokens.rotate(record.id(), request).await.map(drop)
        }
        _ => {
            let twice = oldest(RotateRequest::at_once());
            let _ = tokens.rotate(record.id(), twice.clone()).await;
            let _ = tokens.rotate(record.id(), twice).await;
            tokens.revoke(record.id(), RevokeRequest::new().by("rival")).await.map(drop)
        }
    };
}

/// Returns an id of version 7 for the first moment of the manual clock.
fn chosen_id() -> TokenId {
    let millis = u128::try_from(ManualClock::default().now().timestamp_millis()).unwrap();
    TokenId::from_bytes((millis << 80 | 0x7abc << 64 | 0x8123_4567_89ab_cdef).to_be_bytes())
}

/// Returns whether reading resolves every lost write. Then the service must not return an error.
fn resolvable(store: &Faulty) -> bool {
    let calls = store.calls();
    let harmless = |(op, fault): &(Op, Fault)| match fault {
        Fault::None => true,
        Fault::DoneAndLost | Fault::LostBefore | Fault::Late => op.writes(),
        Fault::Unavailable
        | Fault::ReadOnly
        | Fault::Corrupt
        | Fault::Rival(_)
        | Fault::RivalAfter(_) => false,
    };
    calls.iter().all(harmless) && calls.last().is_some_and(|(_, fault)| *fault == Fault::None)
}

/// Checks that an error claims no more than the outcome of the writes allows.
fn check_error(error: &ManageError, store: &Faulty, context: &dyn std::fmt::Debug) {
    assert!(!resolvable(store), "{context:?}: the outcome was knowable, but the error is {error}");
    let lost_a_write = store.calls().iter().any(|(op, fault)| {
        op.writes() && matches!(fault, Fault::DoneAndLost | Fault::LostBefore | Fault::Late)
    });
    if let ManageError::Indeterminate { source, .. } = error {
        assert!(lost_a_write, "{context:?}: no write was lost, but the error is {error}");
        assert!(matches!(source, StoreError::Indeterminate { .. }), "{context:?}");
    } else {
        assert_eq!(store.written(), 0, "{context:?}: a write happened, but the error is {error}");
    }
    let calls = store.calls();
    assert!(calls.len() <= 40, "{context:?}: {} calls", calls.len());
}

async fn check_issue(
    harness: &Harness<Arc<Faulty>>,
    request: IssueRequest,
    context: &dyn std::fmt::Debug,
) {
    let outcome = harness.service.owner("acme").issue(request).await;
    harness.faulty().settle().await;
    let ours = records(harness.elsewhere().store())
        .await
        .into_iter()
        .filter(|record| record.owner() == "acme")
        .count();
    match &outcome {
        Ok(issued) => {
            assert_eq!(ours, 1, "{context:?}");
            let verified = harness.elsewhere().verify(&text(issued), &any()).await;
            let verified = verified.unwrap_or_else(|error| panic!("{context:?}: {error:?}"));
            assert_eq!(verified.id(), issued.record.id());
            let stored = harness.elsewhere().all_owners().get(issued.record.id()).await.unwrap();
            assert_eq!(stored.record, issued.record, "{context:?}");
        }
        Err(error @ ManageError::Indeterminate { id, .. }) => {
            assert!(ours <= 1, "{context:?}");
            check_error(error, harness.faulty(), context);
            // The error names the id of the token that may exist.
            let found = harness.elsewhere().all_owners().get(*id).await.is_ok();
            assert_eq!(found, ours == 1, "{context:?}");
        }
        Err(error) => {
            assert_eq!(ours, 0, "{context:?}");
            check_error(error, harness.faulty(), context);
        }
    }
}

pub(crate) async fn issue_with_faults_makes_at_most_one_token(stores: Stores) {
    let mut courses = Courses::new(4, &FAULTS, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let harness = contested(stores);
        harness.faulty().arm(&script, rest);
        check_issue(&harness, backup(), &(script, rest)).await;
        courses.met(harness.faulty().calls().len());
    }
}

pub(crate) async fn issue_chosen_id_with_faults_makes_at_most_one(stores: Stores) {
    let faults = [&FAULTS[..], &[Fault::Rival(ISSUE)]].concat();
    let mut courses = Courses::new(4, &faults, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let harness = contested(stores);
        harness.faulty().arm(&script, rest);
        let first = harness.service.owner("acme").issue(backup().id(chosen_id())).await;
        harness.faulty().settle().await;
        courses.met(harness.faulty().calls().len());
        let context = (script, rest);
        match &first {
            Ok(issued) => {
                assert_eq!(issued.record.id(), chosen_id());
                assert!(
                    harness.elsewhere().verify(&text(issued), &any()).await.is_ok(),
                    "{context:?}"
                );
            }
            Err(error) => check_error(error, harness.faulty(), &context),
        }
        harness.faulty().disarm();
        // A repeated request never creates a second token. It succeeds only if the first one created none.
        let before = records(harness.elsewhere().store()).await;
        let second = harness.service.owner("acme").issue(backup().id(chosen_id())).await;
        assert_eq!(records(harness.elsewhere().store()).await.len(), 1, "{context:?}");
        match second {
            Ok(_) => assert!(before.is_empty() && first.is_err(), "{context:?}"),
            Err(ManageError::Exists { id }) => {
                assert_eq!((id, before.len()), (chosen_id(), 1), "{context:?}");
                assert_eq!(before, records(harness.elsewhere().store()).await);
            }
            Err(error) => panic!("{context:?}: {error}"),
        }
    }
}

pub(crate) async fn issue_at_limit_with_faults_makes_at_most_one(stores: Stores) {
    let policy = || service_tokens::Policy::new().max_active_per_owner(1);
    let mut courses = Courses::new(4, &FAULTS, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let mut harness = contested(stores);
        let limited =
            builder(harness.faulty().clone()).policy(policy()).clock(harness.clock.clone());
        harness.service = limited.build().unwrap();
        harness.faulty().arm(&script, rest);
        check_issue(&harness, backup(), &(script, rest)).await;
        courses.met(harness.faulty().calls().len());
    }
}

pub(crate) async fn rotate_with_faults_loses_no_secret(stores: Stores) {
    let rivals = [Fault::Rival(REVOKE), Fault::Rival(ROTATE), Fault::Rival(ROTATE_WITH_OVERLAP)];
    let faults = [&FAULTS[..], &rivals].concat();
    for at_once in [true, false] {
        let mut courses = Courses::new(4, &faults, &FAULTS);
        while let Some((script, rest)) = courses.script() {
            let harness = contested(stores);
            let issued = harness.service.owner("acme").issue(backup()).await.unwrap();
            let (id, first) = (issued.record.id(), text(&issued));
            harness.faulty().arm(&script, rest);
            let rotation =
                if at_once { RotateRequest::at_once() } else { RotateRequest::with_overlap(HOUR) };
            let outcome = harness.service.all_owners().rotate(id, rotation).await;
            harness.faulty().settle().await;
            courses.met(harness.faulty().calls().len());
            let context = (at_once, script, rest);
            let rival = harness.faulty().calls().iter().any(|(_, f)| matches!(f, Fault::Rival(_)));
            match outcome {
                Ok(rotated) => {
                    assert_eq!(rotated.record.id(), id);
                    let verified = harness.elsewhere().verify(&text(&rotated), &any()).await;
                    match verified.map_err(|error| error.refusal()) {
                        Ok(_) => {}
                        // The rival wrote after the operation, as if it had written after the answer.
                        Err(Some(Refusal::Revoked | Refusal::SecretEnded)) if rival => {}
                        Err(error) => panic!("{context:?}: {error:?}"),
                    }
                    let older = harness.elsewhere().verify(&first, &any()).await;
                    if at_once {
                        assert!(older.is_err(), "{context:?}: the leaked secret is accepted");
                    } else if !rival {
                        assert!(older.is_ok(), "{context:?}: {older:?}");
                    }
                }
                Err(error) => {
                    check_error(&error, harness.faulty(), &context);
                    let kept = !matches!(error, ManageError::Indeterminate { .. });
                    if kept && !rival {
                        assert!(
                            harness.elsewhere().verify(&first, &any()).await.is_ok(),
                            "{context:?}"
                        );
                    }
                }
            }
            assert_eq!(records(harness.elsewhere().store()).await.len(), 1, "{context:?}");
        }
    }
}

pub(crate) async fn revoke_with_faults_never_falsely_succeeds(stores: Stores) {
    let rivals = [Fault::Rival(REVOKE), Fault::Rival(ROTATE), Fault::Rival(ROTATE_WITH_OVERLAP)];
    let faults = [&FAULTS[..], &rivals].concat();
    let mut courses = Courses::new(4, &faults, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let harness = contested(stores);
        let issued = harness.service.owner("acme").issue(backup()).await.unwrap();
        let (id, token) = (issued.record.id(), text(&issued));
        harness.faulty().arm(&script, rest);
        let words = RevokeRequest::new().by("us").reason("leaked");
        let outcome = harness.service.all_owners().revoke(id, words).await;
        harness.faulty().settle().await;
        courses.met(harness.faulty().calls().len());
        let context = (script, rest);
        match outcome {
            Ok(revoked) => {
                let refused = harness.elsewhere().verify(&token, &any()).await.unwrap_err();
                let rival =
                    harness.faulty().calls().iter().any(|(_, f)| matches!(f, Fault::Rival(_)));
                assert!(rival || refused.refusal() == Some(Refusal::Revoked), "{context:?}");
                let stored = harness.elsewhere().all_owners().get(id).await.unwrap().record;
                assert_eq!(stored.revocation(), revoked.record.revocation(), "{context:?}");
                let by = stored.revocation().unwrap().by.as_deref();
                assert_eq!(
                    by,
                    Some(if revoked.already_revoked { "rival" } else { "us" }),
                    "{context:?}"
                );
                assert_eq!(revoked.already_revoked, harness.faulty().written() == 0, "{context:?}");
            }
            Err(error) => {
                check_error(&error, harness.faulty(), &context);
                // Repeating the revocation is harmless, and it ends the token.
                harness.faulty().disarm();
                harness.service.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
                assert!(harness.service.verify(&token, &any()).await.is_err(), "{context:?}");
                let stored = harness.elsewhere().all_owners().get(id).await.unwrap().record;
                assert!(stored.revocation().is_some(), "{context:?}");
            }
        }
    }
}

pub(crate) async fn get_and_list_report_store_failures(stores: Stores) {
    let harness = contested(stores);
    let issued = harness.service.owner("acme").issue(backup()).await.unwrap();
    let id = issued.record.id();
    for (script, rest) in FAULTS.map(|fault| ([fault], Fault::None)) {
        let fails = script[0] != Fault::None;
        harness.faulty().arm(&script, rest);
        let got = harness.service.owner("acme").get(id).await;
        assert_eq!(harness.faulty().calls().len(), 1);
        harness.faulty().arm(&script, rest);
        let listed = harness.service.owner("acme").list(ListRequest::new()).await;
        assert_eq!(harness.faulty().calls().len(), 1);
        assert_eq!(harness.faulty().calls()[0].0, Op::List);
        if fails {
            assert!(matches!(got, Err(ManageError::Store(_))), "{script:?}: {got:?}");
            assert!(matches!(listed, Err(ManageError::Store(_))), "{script:?}: {listed:?}");
        } else {
            assert_eq!(got.unwrap().record, issued.record);
            assert_eq!(listed.unwrap().items.len(), 1);
        }
    }
}

pub(crate) async fn verify_over_failing_store_is_unavailable(stores: Stores) {
    for kept in [false, true] {
        for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Unavailable] {
            let mut harness = contested(stores);
            if kept {
                let keeping = builder(harness.faulty().clone()).clock(harness.clock.clone());
                harness.service = keeping.cache_records(HOUR, 100).build().unwrap();
            }
            let token = text(&harness.service.owner("acme").issue(backup()).await.unwrap());
            harness.faulty().arm(&[], fault);
            for _ in 0..3 {
                let plain = harness.service.verify(&token, &any()).await;
                assert!(matches!(plain, Err(VerifyError::Unavailable(_))), "{fault:?}: {plain:?}");
                let uncached = harness.service.verify_uncached(&token, &any()).await;
                assert!(
                    matches!(uncached, Err(VerifyError::Unavailable(_))),
                    "{fault:?}: {uncached:?}"
                );
            }
            harness.faulty().disarm();
            assert!(harness.service.verify(&token, &any()).await.is_ok());
        }
    }
}

/// The write was done and its answer was lost. Then others replaced the secret twice, so that the record
/// has no trace of the write, and revoked it. An error that says "not changed" would be wrong.
pub(crate) async fn lost_rotation_overwritten_is_indeterminate(stores: Stores) {
    let harness = contested(stores);
    let id =
        harness.service.owner("acme").issue(backup().expires_in(DAY)).await.unwrap().record.id();
    let script = [Fault::None, Fault::DoneAndLost, Fault::Rival(ROTATE_TWICE_AND_REVOKE)];
    harness.faulty().arm(&script, Fault::None);
    let outcome = harness.service.all_owners().rotate(id, RotateRequest::at_once()).await;
    assert_eq!(harness.faulty().written(), 1);
    assert!(matches!(outcome, Err(ManageError::Indeterminate { .. })), "{outcome:?}");
}
