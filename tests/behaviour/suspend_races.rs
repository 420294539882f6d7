//! A suspension prevails over concurrent operations on its token, is resolved after lost answers, and leaves
//! no usable token that its token issues meanwhile.

use std::pin::pin;
use std::sync::Arc;

use super::harness::{
    Courses, DAY, Family, Fault, Faulty, HOUR, Harness, Interrupted, Op, SharedStore, Stores, any,
    backup, builder, changed_by_others, expect_contended, records, refusal_of, text,
};
use futures_lite::future::poll_once;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::error::NotPermitted;
use service_tokens::record::ReplacedSecret;
use service_tokens::{
    Event, Filter, ManageError, Refusal, ResumeRequest, RevokeRequest, RotateRequest, State,
    SuspendRequest, TokenStore,
};

behaviours! {
    suspend_prevails_over_many_changes,
    suspend_with_endless_conflicts_is_contended,
    rotate_during_suspend_is_contended,
    first_use_during_suspend_is_deferred,
    first_use_write_loses_no_suspension,
    dropped_suspend_does_not_block_resume,
    suspend_and_revoke_do_not_yield_to_each_other,
    suspend_with_faults_never_falsely_succeeds,
    resume_with_faults_never_falsely_succeeds,
    resume_spares_suspension_that_came_meanwhile,
    issue_with_suspended_caller_leaves_no_token,
    rotate_with_suspended_caller_withholds_secret,
}

fn forever() -> SuspendRequest {
    SuspendRequest::new().by("alice").reason("INC-42")
}

pub(crate) async fn suspend_prevails_over_many_changes(stores: Stores) {
    let (faulty, service, _opened) = changed_by_others(stores);
    let issued = service.owner("acme").issue(backup()).await.unwrap();
    faulty.arm(&[Fault::Rival(0); 1_000], Fault::None);
    let suspended = service.owner("acme").suspend(issued.record.id(), forever()).await.unwrap();
    assert!(!suspended.already_suspended);
    faulty.arm(&[Fault::Rival(0); 1_000], Fault::None);
    let longer = service.owner("acme").suspend_all(Filter::new(), forever()).run().await.unwrap();
    assert_eq!((longer.done, longer.failed), (0, 0));
    let refused = service.verify(&text(&issued), &any()).await;
    assert_eq!(refusal_of(refused), Some(Refusal::Suspended));
}

pub(crate) async fn suspend_with_endless_conflicts_is_contended(stores: Stores) {
    let (faulty, service, _opened) = changed_by_others(stores);
    let id = service.owner("acme").issue(backup()).await.unwrap().record.id();
    faulty.arm(&[], Fault::Rival(0));
    let contended = service.owner("acme").suspend(id, forever()).await.unwrap_err();
    assert!(matches!(contended, ManageError::Contended { id: of } if of == id), "{contended:?}");
    let replaces = faulty.calls().iter().filter(|(op, _)| *op == Op::Replace).count();
    assert_eq!(replaces, 10_000);
    let all = service.owner("acme").suspend_all(Filter::new(), forever()).run().await.unwrap();
    assert_eq!((all.done, all.failed, all.passes), (0, 1, 1));
}

pub(crate) async fn rotate_during_suspend_is_contended(stores: Stores) {
    // The thief rotates at the moment when the suspension is about to be written, and another operator
    // resumes.
    let interrupted = Interrupted::new(stores, |service, token| {
        Box::pin(async move {
            let again = || RotateRequest::with_overlap(HOUR).replacing(ReplacedSecret::Newest);
            let itself = service.on_behalf_of(token).rotate_self(again()).await;
            let view = service.all_owners();
            let embedder = view.rotate(token.id(), again()).await;
            let resumed = view.resume(token.id(), ResumeRequest::new()).await;
            vec![itself.map(drop), embedder.map(drop), resumed.map(drop)]
        })
    });
    let interrupted = interrupted.await;
    let (owner, id) = (interrupted.service().owner("acme"), interrupted.id);
    interrupted.arm();
    assert!(!owner.suspend(id, forever().lasting(DAY)).await.unwrap().already_suspended);
    let [itself, embedder, resumed] = &interrupted.take_outcomes()[..] else { panic!() };
    expect_contended(itself);
    expect_contended(embedder);
    assert!(resumed.is_ok(), "it was not suspended yet, so there was no change");
    // The token is suspended, and the suspension is being lengthened.
    interrupted.arm();
    assert!(!owner.suspend(id, forever()).await.unwrap().already_suspended);
    expect_contended(interrupted.take_outcomes().last().unwrap());
    let record = owner.get(id).await.unwrap().record;
    assert_eq!(record.suspensions()[0].until, None);
}

pub(crate) async fn first_use_during_suspend_is_deferred(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let store = harness.remote();
    let (id, _, newer) = harness.rotate_until_first_use().await;
    store.hold_writes(true);
    let owner = harness.service.owner("acme");
    let mut suspend = Box::pin(owner.suspend(id, forever()));
    assert!(poll_once(&mut suspend).await.is_none());
    store.replaces();
    let verified = poll_once(harness.service.verify(&newer, &any())).await;
    verified.expect("it waits for a write").unwrap();
    assert_eq!(store.replaces(), 0);
    store.hold_writes(false);
    store.release_writes(1);
    assert!(!suspend.await.unwrap().already_suspended);
    assert_eq!(harness.refusal(&newer).await, Some(Refusal::Suspended));
    assert!(harness.has_overlap(id).await);
}

/// The first use was accepted before the suspension and is written after it, by another process.
pub(crate) async fn first_use_write_loses_no_suspension(stores: Stores) {
    let harness = Harness::builder(stores)
        .faulty_with_rival(|store, clock, _| {
            Box::pin(async move {
                let service = builder(store.clone()).clock(clock).build().unwrap();
                let id = records(&*store).await[0].id();
                service.all_owners().suspend(id, forever()).await.unwrap();
            })
        })
        .build();
    for calls in 1..3 {
        let (id, _, newer) = harness.rotate_until_first_use().await;
        let mut script = vec![Fault::None; calls];
        script.push(Fault::Rival(0));
        harness.faulty().arm(&script, Fault::None);
        harness.service.verify(&newer, &any()).await.unwrap();
        harness.faulty().disarm();
        let first = records(&*harness.store).await[0].clone();
        assert_eq!(first.id(), id);
        assert_eq!(first.suspensions()[0].reason.as_deref(), Some("INC-42"));
        assert_eq!(harness.refusal(&newer).await, Some(Refusal::Suspended));
        let found = harness.store.find(id).await.unwrap().unwrap();
        harness.store.remove(id, found.version).await.unwrap();
    }
}

pub(crate) async fn dropped_suspend_does_not_block_resume(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let store = harness.remote();
    let (id, token) = harness.issue_backup().await;
    let owner = harness.service.owner("acme");
    owner.suspend(id, forever().lasting(DAY)).await.unwrap();
    store.hold_writes(true);
    {
        let mut lengthen = Box::pin(owner.suspend(id, forever()));
        assert!(poll_once(&mut lengthen).await.is_none());
        store.hold_writes(false);
        let aside = owner.resume(id, ResumeRequest::new()).await;
        assert!(matches!(aside, Err(ManageError::Contended { .. })), "it is still under way");
    }
    assert!(owner.resume(id, ResumeRequest::new()).await.unwrap().ended.len() == 1);
    assert_eq!(harness.refusal(&token).await, None);
    let events = harness.events();
    let dropped =
        |event: &Event| matches!(event, Event::Failed { cause, .. } if cause.contains("gave up"));
    assert_eq!(events.iter().filter(|event| dropped(event)).count(), 1);
}

pub(crate) async fn suspend_and_revoke_do_not_yield_to_each_other(stores: Stores) {
    for suspend_first in [true, false] {
        let harness = Harness::over_remote(stores);
        let store = harness.remote();
        let (id, token) = harness.issue_backup().await;
        let owner = harness.service.owner("acme");
        store.hold_writes(true);
        let mut suspend = pin!(owner.suspend(id, forever()));
        let mut revoke = pin!(owner.revoke(id, RevokeRequest::new()));
        assert!(poll_once(&mut suspend).await.is_none());
        assert!(poll_once(&mut revoke).await.is_none());
        store.hold_writes(false);
        store.release_writes(2);
        if suspend_first {
            assert!(!suspend.await.unwrap().already_suspended);
            assert!(!revoke.await.unwrap().already_revoked);
        } else {
            assert!(!revoke.await.unwrap().already_revoked);
            let ended = suspend.await;
            assert!(matches!(ended, Err(ManageError::Ended { state: State::Revoked, .. })));
        }
        assert_eq!(harness.refusal(&token).await, Some(Refusal::Revoked));
    }
}

const SUSPEND_LONGER: u8 = 0;
const RESUME: u8 = 1;
const REVOKE: u8 = 2;

async fn interfere(store: SharedStore, what: u8) {
    let service = builder(store.clone()).clock(ManualClock::default()).build().unwrap();
    let (tokens, id) = (service.all_owners(), records(&*store).await[0].id());
    match what {
        SUSPEND_LONGER => {
            drop(tokens.suspend(id, SuspendRequest::new().by("rival").lasting(3 * DAY)).await);
        }
        RESUME => drop(tokens.resume(id, ResumeRequest::new()).await),
        _ => drop(tokens.revoke(id, RevokeRequest::new().by("rival")).await),
    }
}

fn contested(stores: Stores) -> Harness<Arc<Faulty>> {
    Harness::builder(stores)
        .faulty_with_rival(|store, _, what| Box::pin(interfere(store, what)))
        .build()
}

const FAULTS: [Fault; 6] = [
    Fault::None,
    Fault::DoneAndLost,
    Fault::LostBefore,
    Fault::Late,
    Fault::Unavailable,
    Fault::Rival(SUSPEND_LONGER),
];
const RESTS: [Fault; 3] = [Fault::None, Fault::DoneAndLost, Fault::Unavailable];

fn lost_a_write(store: &Faulty) -> bool {
    store.calls().iter().any(|(op, fault)| {
        op.writes() && matches!(fault, Fault::DoneAndLost | Fault::LostBefore | Fault::Late)
    })
}

pub(crate) async fn suspend_with_faults_never_falsely_succeeds(stores: Stores) {
    let faults = [&FAULTS[..], &[Fault::Rival(RESUME), Fault::Rival(REVOKE)]].concat();
    let mut courses = Courses::new(4, &faults, &RESTS);
    while let Some((script, rest)) = courses.script() {
        let harness = contested(stores);
        let (id, _) = harness.issue_backup().await;
        let began = harness.clock.now();
        harness.faulty().arm(&script, rest);
        let view = harness.service.owner("acme");
        let outcome = view.suspend(id, forever().lasting(DAY)).await;
        harness.faulty().settle().await;
        courses.met(harness.faulty().calls().len());
        let context = (script, rest);
        let record = harness.elsewhere().all_owners().get(id).await.unwrap().record;
        let ours = |suspension: &service_tokens::record::Suspension| {
            (suspension.by.as_deref(), suspension.since) == (Some("alice"), began)
        };
        let calls = harness.faulty().calls();
        let came = |what| calls.iter().any(|(_, fault)| *fault == Fault::Rival(what));
        match outcome {
            // A rival may have changed it since.
            Ok(suspended) if came(RESUME) || came(REVOKE) || came(SUSPEND_LONGER) => {
                assert!(!suspended.already_suspended, "{context:?}");
                assert!(suspended.record.suspensions().iter().any(ours), "{context:?}");
            }
            Ok(suspended) => {
                assert!(!suspended.already_suspended, "{context:?}");
                assert_eq!(suspended.record, record, "{context:?}");
                assert!(record.suspensions().iter().any(ours), "{context:?}");
            }
            Err(ManageError::Indeterminate { .. }) => {
                assert!(lost_a_write(harness.faulty()), "{context:?}");
            }
            Err(error) => {
                assert!(!record.suspensions().iter().any(ours), "{context:?}: {error}");
                let ended = matches!(error, ManageError::Ended { .. }) && came(REVOKE);
                assert!(ended || matches!(error, ManageError::Store(_)), "{context:?}: {error}");
            }
        }
    }
}

pub(crate) async fn resume_with_faults_never_falsely_succeeds(stores: Stores) {
    let mut courses = Courses::new(4, &FAULTS, &RESTS);
    while let Some((script, rest)) = courses.script() {
        let harness = contested(stores);
        let (id, _) = harness.issue_backup().await;
        let view = harness.service.owner("acme");
        view.suspend(id, forever().lasting(DAY)).await.unwrap();
        harness.faulty().arm(&script, rest);
        let outcome = view.resume(id, ResumeRequest::new()).await;
        harness.faulty().settle().await;
        courses.met(harness.faulty().calls().len());
        let context = (script, rest);
        let record = harness.elsewhere().all_owners().get(id).await.unwrap().record;
        let by: Vec<_> = record.suspensions().iter().map(|s| s.by.as_deref().unwrap()).collect();
        let calls = harness.faulty().calls();
        // The rival wrote after this call had read the record.
        let replaced = calls.iter().skip(1).any(|(_, fault)| matches!(fault, Fault::Rival(_)));
        match outcome {
            Ok(resumed) => {
                assert!(!resumed.ended.is_empty(), "{context:?}");
                assert_eq!(resumed.record.suspensions(), [], "{context:?}");
                assert!(by.is_empty() || (by == ["rival"] && replaced), "{context:?}: {by:?}");
            }
            Err(ManageError::Indeterminate { .. }) => {
                assert!(lost_a_write(harness.faulty()), "{context:?}");
            }
            Err(ManageError::Contended { .. }) => {
                assert!(replaced && by.contains(&"rival"), "{context:?}: {by:?}");
            }
            Err(error) => {
                assert!(matches!(error, ManageError::Store(_)), "{context:?}: {error}");
                assert!(!by.is_empty(), "{context:?}: {error}");
            }
        }
    }
}

/// The resumption ends the suspension that it found, and none that an operator made since.
pub(crate) async fn resume_spares_suspension_that_came_meanwhile(stores: Stores) {
    let harness = contested(stores);
    let (id, token) = harness.issue_backup().await;
    let view = harness.service.owner("acme");
    view.suspend(id, forever().lasting(DAY)).await.unwrap();
    harness.faulty().arm(&[Fault::None, Fault::Rival(SUSPEND_LONGER)], Fault::None);
    let resumed = view.resume(id, ResumeRequest::new()).await;
    assert!(matches!(resumed, Err(ManageError::Contended { .. })), "{resumed:?}");
    harness.faulty().disarm();
    assert_eq!(harness.refusal(&token).await, Some(Refusal::Suspended));
    assert!(view.resume(id, ResumeRequest::new()).await.unwrap().ended.len() == 2);
    assert_eq!(harness.refusal(&token).await, None);
}

const SUSPEND_TOKEN: u8 = 0;
const SUSPEND_PARENT: u8 = 1;

/// A token that another one issued, and a rival that suspends either with its descendants.
async fn family(stores: Stores) -> Family {
    Family::new(stores, |service, ids, what| {
        let id = if what == SUSPEND_PARENT { ids.parent } else { ids.token };
        Box::pin(async move {
            let run = service.all_owners().suspend_with_descendants(id, forever()).run();
            assert_eq!(run.await.unwrap().failed, 0);
        })
    })
    .await
}

pub(crate) async fn issue_with_suspended_caller_leaves_no_token(stores: Stores) {
    for rival in [SUSPEND_TOKEN, SUSPEND_PARENT] {
        // Before the first reading, before the insert, and between that and the second reading.
        for at in 0..3 {
            let family = family(stores).await;
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(rival));
            family.faulty().arm(&script, Fault::None);
            let error = family.issue_on_behalf().await.unwrap_err();
            let suspended = NotPermitted::NotActive(Refusal::Suspended);
            match (at, error) {
                (0, ManageError::NotPermitted(cause)) => assert_eq!(cause, suspended),
                (1 | 2, ManageError::Overtaken { id, cause }) => {
                    assert_eq!(cause, suspended);
                    let sound = family.elsewhere().all_owners();
                    let stored = sound.get(id).await.unwrap().record;
                    assert_eq!(stored.issuers(), [family.token.id(), family.parent]);
                    // Resuming the tokens later does not bring it back, because it is revoked.
                    assert!(stored.revocation().is_some());
                    assert_eq!(!stored.suspensions().is_empty(), at == 2, "the last pass found it");
                }
                (_, error) => panic!("{at}: {error:?}"),
            }
            assert_eq!(family.below(family.token.id(), State::Active).await, []);
            if rival == SUSPEND_PARENT {
                assert_eq!(family.below(family.parent, State::Active).await, []);
                assert_eq!(family.below(family.parent, State::Suspended).await.len(), 1);
            }
        }
    }
}

pub(crate) async fn rotate_with_suspended_caller_withholds_secret(stores: Stores) {
    for at in 0..4 {
        let family = family(stores).await;
        let mut script = vec![Fault::None; at];
        script.push(Fault::Rival(SUSPEND_PARENT));
        family.faulty().arm(&script, Fault::None);
        let on_behalf = family.service.on_behalf_of(&family.token);
        let target = family.target.record.id();
        let rotated = on_behalf.rotate(target, RotateRequest::at_once()).await;
        match (at, rotated) {
            (0, Err(ManageError::NotPermitted(_))) => {}
            (1.., Err(ManageError::Overtaken { id, .. })) => assert_eq!(id, target),
            (_, rotated) => panic!("{at}: {rotated:?}"),
        }
    }
}
