//! Whatever the store loses, drops or delays: no second token, no lost secret, no false success.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::ReplacedSecret;
use service_tokens::store::StoreError;
use service_tokens::{
    IssueRequest, ListRequest, ManageError, Refusal, RevokeRequest, RotateRequest, TokenId,
    TokenService, TokenStore, VerifyError,
};
use support::{
    Courses, DAY, Fault, Faulty, HOUR, Op, Open, any, builder, over_stores, records, text,
};

over_stores! {
    issuing_makes_one_token_or_none,
    issuing_under_a_chosen_id_makes_one_token_or_none,
    issuing_below_a_limit_makes_one_token_or_none,
    rotating_loses_no_secret,
    revoking_is_never_a_false_success,
    reading_says_when_it_failed,
    verifying_over_a_failing_store_accepts_nothing,
    a_late_rival_turns_a_lost_change_into_an_open_question,
}

const FAULTS: [Fault; 5] =
    [Fault::None, Fault::DoneAndLost, Fault::LostBefore, Fault::Late, Fault::Unavailable];

/// Held against every script there is.
#[test]
fn every_course_is_run_once() {
    // An act that ends with the first call that succeeds, or whose store says so.
    let course = |script: &[Fault], rest: Fault| {
        let ends = |fault: &&Fault| matches!(fault, Fault::None | Fault::Unavailable);
        let all = [script, &[rest]].concat();
        let calls = all.iter().position(|fault| ends(&fault)).map_or(all.len(), |at| at + 1);
        all[..calls].to_vec()
    };
    let faults = [&FAULTS[..], &[Fault::Rival(REVOKE)]].concat();
    let mut run = Vec::new();
    let mut courses = Courses::new(3, &faults, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let met = course(&script, rest);
        courses.met(met.len());
        assert!(!run.contains(&met), "{met:?} again");
        run.push(met);
    }
    for n in 0..faults.len().pow(3) * FAULTS.len() {
        let (n, rest) = (n / FAULTS.len(), FAULTS[n % FAULTS.len()]);
        let script =
            [1, faults.len(), faults.len().pow(2)].map(|unit| faults[n / unit % faults.len()]);
        assert!(run.contains(&course(&script, rest)), "{script:?} {rest:?} is left out");
    }
}

type Service = TokenService<Arc<Faulty>>;

struct Scene {
    clock: Arc<ManualClock>,
    store: Arc<Faulty>,
    service: Service,
    /// Looks at the same records and never fails.
    sound: TokenService<support::SharedStore>,
    _guard: Box<dyn std::any::Any>,
}

const REVOKE: u8 = 0;
const ROTATE: u8 = 1;
const ROTATE_WITH_OVERLAP: u8 = 2;
const ROTATE_TWICE_AND_REVOKE: u8 = 3;
const ISSUE: u8 = 4;

fn scene(open: Open) -> Scene {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let rival_store = opened.store.clone();
    let rival = move |what: u8| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let store = rival_store.clone();
        Box::pin(async move {
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
                REVOKE => {
                    tokens.revoke(record.id(), RevokeRequest::new().by("rival")).await.map(drop)
                }
                ROTATE => {
                    tokens.rotate(record.id(), oldest(RotateRequest::at_once())).await.map(drop)
                }
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
        })
    };
    let store = Arc::new(Faulty::with_rival(opened.store.clone(), rival));
    let service = builder(store.clone()).clock(clock.clone()).build().unwrap();
    let sound = builder(opened.store).clock(clock.clone()).build().unwrap();
    Scene { clock, store, service, sound, _guard: opened.guard }
}

fn request() -> IssueRequest {
    IssueRequest::new("connector", "backup")
}

/// A version-7 id of the manual clock's first moment.
fn chosen_id() -> TokenId {
    let millis = u128::try_from(ManualClock::default().now().timestamp_millis()).unwrap();
    TokenId::from_bytes((millis << 80 | 0x7abc << 64 | 0x8123_4567_89ab_cdef).to_be_bytes())
}

/// Whether reading tells what became of every lost write: then there is no excuse for an error.
fn resolvable(store: &Faulty) -> bool {
    let calls = store.calls();
    let harmless = |(op, fault): &(Op, Fault)| match fault {
        Fault::None => true,
        Fault::DoneAndLost | Fault::LostBefore | Fault::Late => op.writes(),
        Fault::Unavailable | Fault::ReadOnly | Fault::Corrupt | Fault::Rival(_) => false,
    };
    calls.iter().all(harmless) && calls.last().is_some_and(|(_, fault)| *fault == Fault::None)
}

/// What an error may say, given what happened to the writes.
fn check_error(error: &ManageError, store: &Faulty, context: &dyn std::fmt::Debug) {
    assert!(!resolvable(store), "{context:?}: it could have been told, and it says {error}");
    let lost_a_write = store.calls().iter().any(|(op, fault)| {
        op.writes() && matches!(fault, Fault::DoneAndLost | Fault::LostBefore | Fault::Late)
    });
    if let ManageError::Indeterminate { source, .. } = error {
        assert!(lost_a_write, "{context:?}: nothing was lost and it says {error}");
        assert!(matches!(source, StoreError::Indeterminate { .. }), "{context:?}");
    } else {
        assert_eq!(store.written(), 0, "{context:?}: something was written and it says {error}");
    }
    let calls = store.calls();
    assert!(calls.len() <= 40, "{context:?}: {} calls", calls.len());
}

async fn check_issue(scene: &Scene, request: IssueRequest, context: &dyn std::fmt::Debug) {
    let outcome = scene.service.owner("acme").issue(request).await;
    scene.store.settle().await;
    let ours = records(scene.sound.store())
        .await
        .into_iter()
        .filter(|record| record.owner() == "acme")
        .count();
    match &outcome {
        Ok(issued) => {
            assert_eq!(ours, 1, "{context:?}");
            let verified = scene.sound.verify(&text(issued), &any()).await;
            let verified = verified.unwrap_or_else(|error| panic!("{context:?}: {error:?}"));
            assert_eq!(verified.id(), issued.record.id());
            let stored = scene.sound.all_owners().get(issued.record.id()).await.unwrap();
            assert_eq!(stored.record, issued.record, "{context:?}");
        }
        Err(error @ ManageError::Indeterminate { id, .. }) => {
            assert!(ours <= 1, "{context:?}");
            check_error(error, &scene.store, context);
            // The id that it names is the one to look at.
            let found = scene.sound.all_owners().get(*id).await.is_ok();
            assert_eq!(found, ours == 1, "{context:?}");
        }
        Err(error) => {
            assert_eq!(ours, 0, "{context:?}");
            check_error(error, &scene.store, context);
        }
    }
}

async fn issuing_makes_one_token_or_none(open: Open) {
    let mut courses = Courses::new(4, &FAULTS, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let scene = scene(open);
        scene.store.arm(&script, rest);
        check_issue(&scene, request(), &(script, rest)).await;
        courses.met(scene.store.calls().len());
    }
}

async fn issuing_under_a_chosen_id_makes_one_token_or_none(open: Open) {
    let faults = [&FAULTS[..], &[Fault::Rival(ISSUE)]].concat();
    let mut courses = Courses::new(4, &faults, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let scene = scene(open);
        scene.store.arm(&script, rest);
        let first = scene.service.owner("acme").issue(request().id(chosen_id())).await;
        scene.store.settle().await;
        courses.met(scene.store.calls().len());
        let context = (script, rest);
        match &first {
            Ok(issued) => {
                assert_eq!(issued.record.id(), chosen_id());
                assert!(scene.sound.verify(&text(issued), &any()).await.is_ok(), "{context:?}");
            }
            Err(error) => check_error(error, &scene.store, &context),
        }
        scene.store.disarm();
        // Repeating makes no second one, and only succeeds where there was none.
        let before = records(scene.sound.store()).await;
        let second = scene.service.owner("acme").issue(request().id(chosen_id())).await;
        assert_eq!(records(scene.sound.store()).await.len(), 1, "{context:?}");
        match second {
            Ok(_) => assert!(before.is_empty() && first.is_err(), "{context:?}"),
            Err(ManageError::Exists { id }) => {
                assert_eq!((id, before.len()), (chosen_id(), 1), "{context:?}");
                assert_eq!(before, records(scene.sound.store()).await);
            }
            Err(error) => panic!("{context:?}: {error}"),
        }
    }
}

async fn issuing_below_a_limit_makes_one_token_or_none(open: Open) {
    let policy = || service_tokens::Policy::new().max_active_per_owner(1);
    let mut courses = Courses::new(4, &FAULTS, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let mut scene = scene(open);
        let limited = builder(scene.store.clone()).policy(policy()).clock(scene.clock.clone());
        scene.service = limited.build().unwrap();
        scene.store.arm(&script, rest);
        check_issue(&scene, request(), &(script, rest)).await;
        courses.met(scene.store.calls().len());
    }
}

async fn rotating_loses_no_secret(open: Open) {
    let rivals = [Fault::Rival(REVOKE), Fault::Rival(ROTATE), Fault::Rival(ROTATE_WITH_OVERLAP)];
    let faults = [&FAULTS[..], &rivals].concat();
    for at_once in [true, false] {
        let mut courses = Courses::new(4, &faults, &FAULTS);
        while let Some((script, rest)) = courses.script() {
            let scene = scene(open);
            let issued = scene.service.owner("acme").issue(request()).await.unwrap();
            let (id, first) = (issued.record.id(), text(&issued));
            scene.store.arm(&script, rest);
            let rotation =
                if at_once { RotateRequest::at_once() } else { RotateRequest::with_overlap(HOUR) };
            let outcome = scene.service.all_owners().rotate(id, rotation).await;
            scene.store.settle().await;
            courses.met(scene.store.calls().len());
            let context = (at_once, script, rest);
            let rival = scene.store.calls().iter().any(|(_, f)| matches!(f, Fault::Rival(_)));
            match outcome {
                Ok(rotated) => {
                    assert_eq!(rotated.record.id(), id);
                    let verified = scene.sound.verify(&text(&rotated), &any()).await;
                    match verified.map_err(|error| error.refusal()) {
                        Ok(_) => {}
                        // A rival came after it, as if it had come after the answer.
                        Err(Some(Refusal::Revoked | Refusal::SecretEnded)) if rival => {}
                        Err(error) => panic!("{context:?}: {error:?}"),
                    }
                    let older = scene.sound.verify(&first, &any()).await;
                    if at_once {
                        assert!(older.is_err(), "{context:?}: the leaked secret is alive");
                    } else if !rival {
                        assert!(older.is_ok(), "{context:?}: {older:?}");
                    }
                }
                Err(error) => {
                    check_error(&error, &scene.store, &context);
                    let kept = !matches!(error, ManageError::Indeterminate { .. });
                    if kept && !rival {
                        assert!(scene.sound.verify(&first, &any()).await.is_ok(), "{context:?}");
                    }
                }
            }
            assert_eq!(records(scene.sound.store()).await.len(), 1, "{context:?}");
        }
    }
}

async fn revoking_is_never_a_false_success(open: Open) {
    let rivals = [Fault::Rival(REVOKE), Fault::Rival(ROTATE), Fault::Rival(ROTATE_WITH_OVERLAP)];
    let faults = [&FAULTS[..], &rivals].concat();
    let mut courses = Courses::new(4, &faults, &FAULTS);
    while let Some((script, rest)) = courses.script() {
        let scene = scene(open);
        let issued = scene.service.owner("acme").issue(request()).await.unwrap();
        let (id, token) = (issued.record.id(), text(&issued));
        scene.store.arm(&script, rest);
        let words = RevokeRequest::new().by("us").reason("leaked");
        let outcome = scene.service.all_owners().revoke(id, words).await;
        scene.store.settle().await;
        courses.met(scene.store.calls().len());
        let context = (script, rest);
        match outcome {
            Ok(revoked) => {
                let refused = scene.sound.verify(&token, &any()).await.unwrap_err();
                let rival = scene.store.calls().iter().any(|(_, f)| matches!(f, Fault::Rival(_)));
                assert!(rival || refused.refusal() == Some(Refusal::Revoked), "{context:?}");
                let stored = scene.sound.all_owners().get(id).await.unwrap().record;
                assert_eq!(stored.revocation(), revoked.record.revocation(), "{context:?}");
                let by = stored.revocation().unwrap().by.as_deref();
                assert_eq!(
                    by,
                    Some(if revoked.already_revoked { "rival" } else { "us" }),
                    "{context:?}"
                );
                assert_eq!(revoked.already_revoked, scene.store.written() == 0, "{context:?}");
            }
            Err(error) => {
                check_error(&error, &scene.store, &context);
                // Repeating does no harm and ends it.
                scene.store.disarm();
                scene.service.all_owners().revoke(id, RevokeRequest::new()).await.unwrap();
                assert!(scene.service.verify(&token, &any()).await.is_err(), "{context:?}");
                let stored = scene.sound.all_owners().get(id).await.unwrap().record;
                assert!(stored.revocation().is_some(), "{context:?}");
            }
        }
    }
}

async fn reading_says_when_it_failed(open: Open) {
    let scene = scene(open);
    let issued = scene.service.owner("acme").issue(request()).await.unwrap();
    let id = issued.record.id();
    for (script, rest) in FAULTS.map(|fault| ([fault], Fault::None)) {
        let fails = script[0] != Fault::None;
        scene.store.arm(&script, rest);
        let got = scene.service.owner("acme").get(id).await;
        assert_eq!(scene.store.calls().len(), 1);
        scene.store.arm(&script, rest);
        let listed = scene.service.owner("acme").list(ListRequest::new()).await;
        assert_eq!(scene.store.calls().len(), 1);
        assert_eq!(scene.store.calls()[0].0, Op::List);
        if fails {
            assert!(matches!(got, Err(ManageError::Store(_))), "{script:?}: {got:?}");
            assert!(matches!(listed, Err(ManageError::Store(_))), "{script:?}: {listed:?}");
        } else {
            assert_eq!(got.unwrap().record, issued.record);
            assert_eq!(listed.unwrap().items.len(), 1);
        }
    }
}

async fn verifying_over_a_failing_store_accepts_nothing(open: Open) {
    for kept in [false, true] {
        for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Unavailable] {
            let mut scene = scene(open);
            if kept {
                let keeping = builder(scene.store.clone()).clock(scene.clock.clone());
                scene.service = keeping.cache_records(HOUR, 100).build().unwrap();
            }
            let token = text(&scene.service.owner("acme").issue(request()).await.unwrap());
            scene.store.arm(&[], fault);
            for _ in 0..3 {
                let plain = scene.service.verify(&token, &any()).await;
                assert!(matches!(plain, Err(VerifyError::Unavailable(_))), "{fault:?}: {plain:?}");
                let uncached = scene.service.verify_uncached(&token, &any()).await;
                assert!(
                    matches!(uncached, Err(VerifyError::Unavailable(_))),
                    "{fault:?}: {uncached:?}"
                );
            }
            scene.store.disarm();
            assert!(scene.service.verify(&token, &any()).await.is_ok());
        }
    }
}

/// The write was done and its answer lost; then others replaced the secret twice, so that nothing of
/// ours is to be seen in the record, and revoked it. "Nothing changed" would be wrong.
async fn a_late_rival_turns_a_lost_change_into_an_open_question(open: Open) {
    let scene = scene(open);
    let id =
        scene.service.owner("acme").issue(request().expires_in(DAY)).await.unwrap().record.id();
    let script = [Fault::None, Fault::DoneAndLost, Fault::Rival(ROTATE_TWICE_AND_REVOKE)];
    scene.store.arm(&script, Fault::None);
    let outcome = scene.service.all_owners().rotate(id, RotateRequest::at_once()).await;
    assert_eq!(scene.store.written(), 1);
    assert!(matches!(outcome, Err(ManageError::Indeterminate { .. })), "{outcome:?}");
}

/// The double itself: a test that cannot fail proves nothing.
#[test]
fn the_double_does_what_it_says() {
    futures_lite::future::block_on(async {
        let scene = scene(support::memory);
        scene.store.arm(&[Fault::DoneAndLost], Fault::None);
        let sound = builder(support::memory().store).build().unwrap();
        let record = sound.owner("acme").issue(request()).await.unwrap().record;
        let answer = scene.store.insert(&record).await;
        assert!(matches!(answer, Err(StoreError::Indeterminate { .. })));
        assert_eq!(scene.store.written(), 1);
        assert!(scene.store.find(record.id()).await.unwrap().is_some());
        scene.store.arm(&[Fault::LostBefore, Fault::Unavailable], Fault::None);
        assert!(scene.store.replace(&record, service_tokens::store::Version(1)).await.is_err());
        assert!(scene.store.find(record.id()).await.is_err());
        assert_eq!(scene.store.written(), 0);
    });
}
