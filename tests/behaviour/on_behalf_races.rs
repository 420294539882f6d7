//! A calling token that is revoked with its descendants while it issues or rotates leaves no usable token,
//! at any point of the operation and with any fault of the store.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::harness::{
    Collected, Courses, FAMILY_SCOPES, Family, Fault, HOUR, Ids, Remote, Stores, any, builder,
    revoke_with_descendants, scope_set, scoped_request, text,
};
use futures_lite::future::{block_on, poll_once};
use service_tokens::clock::ManualClock;
use service_tokens::error::NotPermitted;
use service_tokens::event::Operation;
use service_tokens::record::ReplacedSecret;
use service_tokens::store::States;
use service_tokens::{
    AmendRequest, Event, Filter, IssueRequest, ListRequest, ManageError, Policy, Refusal,
    RotateRequest,
};

behaviours! {
    issue_with_revoked_caller_leaves_no_token,
    issue_with_short_reasons_leaves_no_token,
    issue_with_faults_leaves_no_usable_token,
    rotate_with_revoked_caller_withholds_secret,
    rotate_with_faults_withholds_secret,
    issue_with_ended_secret_leaves_no_token,
    dropped_issue_is_revoked_with_descendants,
    revoke_with_descendants_during_issues,
    issue_with_narrowed_caller_leaves_no_token,
    rotate_with_narrowed_caller_withholds_secret,
}

const REVOKE_WITH_DESCENDANTS: u8 = 0;
const REVOKE_PARENT_WITH_DESCENDANTS: u8 = 1;
const ROTATE: u8 = 2;
const NARROW_SCOPES: u8 = 3;
const SHORTEN: u8 = 4;

/// A token that another one issued, and a rival that revokes or changes either.
async fn family(stores: Stores) -> Family {
    Family::new(stores, |service, Ids { parent, token }, what| {
        Box::pin(async move {
            let acme = service.owner("acme");
            match what {
                REVOKE_WITH_DESCENDANTS => revoke_with_descendants(&service, token).await,
                REVOKE_PARENT_WITH_DESCENDANTS => revoke_with_descendants(&service, parent).await,
                NARROW_SCOPES => {
                    let scopes = scope_set(&["service-tokens:issue", "service-tokens:rotate"]);
                    acme.amend(token, AmendRequest::new().scopes(scopes)).await.unwrap();
                }
                SHORTEN => {
                    acme.amend(token, AmendRequest::new().expires_in(HOUR)).await.unwrap();
                }
                _ => drop(acme.rotate(token, RotateRequest::at_once()).await.unwrap()),
            }
        })
    })
    .await
}

fn rival_came(family: &Family) -> bool {
    family.faulty().calls().iter().any(|(_, fault)| matches!(fault, Fault::Rival(_)))
}

pub(crate) async fn issue_with_revoked_caller_leaves_no_token(stores: Stores) {
    for rival in [REVOKE_WITH_DESCENDANTS, REVOKE_PARENT_WITH_DESCENDANTS] {
        // Before the first reading, before the insert, and between that and the second reading.
        for at in 0..3 {
            let family = family(stores).await;
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(rival));
            family.faulty().arm(&script, Fault::None);
            let error = family.issue_on_behalf().await.unwrap_err();
            let revoked = NotPermitted::NotActive(Refusal::Revoked);
            match (at, error) {
                (0, ManageError::NotPermitted(cause)) => assert_eq!(cause, revoked),
                (1 | 2, ManageError::Overtaken { id, cause }) => {
                    assert_eq!(cause, revoked);
                    let stored = family.elsewhere().all_owners().get(id).await.unwrap().record;
                    assert_eq!(stored.issuers(), [family.token.id(), family.parent]);
                    let revocation = stored.revocation().unwrap();
                    // The bulk revocation finds the record after its insert, and not before.
                    assert_eq!(revocation.by.as_deref(), (at == 2).then_some("rival"));
                    assert_eq!(revocation.reason.is_some(), at == 1);
                }
                (_, error) => panic!("{at}: {error:?}"),
            }
            assert_eq!(family.below(family.token.id(), States::LIVE).await, []);
            if rival == REVOKE_PARENT_WITH_DESCENDANTS {
                assert_eq!(family.below(family.parent, States::LIVE).await, []);
            }
        }
    }
}

/// The reason that the crate writes is longer than the limit of this policy for callers.
pub(crate) async fn issue_with_short_reasons_leaves_no_token(stores: Stores) {
    let family = family(stores).await;
    let policy = Policy::new().max_reason_len(1);
    let service = builder(family.faulty().clone())
        .clock(Arc::<ManualClock>::default())
        .policy(policy)
        .build()
        .unwrap();
    family.faulty().arm(&[Fault::None, Fault::Rival(REVOKE_WITH_DESCENDANTS)], Fault::None);
    let issued = service.on_behalf_of(&family.token).issue(scoped_request(&["x"])).await;
    let Err(ManageError::Overtaken { id, .. }) = issued else { panic!("{issued:?}") };
    let record = family.elsewhere().all_owners().get(id).await.unwrap().record;
    assert!(record.revocation().unwrap().reason.as_ref().unwrap().len() > 1);
    assert_eq!(family.below(family.token.id(), States::LIVE).await, []);
}

const FAULTS: [Fault; 6] = [
    Fault::None,
    Fault::DoneAndLost,
    Fault::LostBefore,
    Fault::Late,
    Fault::Unavailable,
    Fault::Rival(REVOKE_WITH_DESCENDANTS),
];

/// The faults of all calls after the first four.
const RESTS: [Fault; 4] = [Fault::None, Fault::DoneAndLost, Fault::Late, Fault::Unavailable];

pub(crate) async fn issue_with_faults_leaves_no_usable_token(stores: Stores) {
    let mut courses = Courses::new(4, &FAULTS, &RESTS);
    while let Some((script, rest)) = courses.script() {
        let family = family(stores).await;
        family.faulty().arm(&script, rest);
        let outcome = family.issue_on_behalf().await;
        family.faulty().settle().await;
        courses.met(family.faulty().calls().len());
        let context = (script, rest);
        let live = family.below(family.token.id(), States::LIVE).await;
        match outcome {
            Ok(issued) => {
                assert!(!rival_came(&family), "{context:?}: handed out after the revocation");
                assert_eq!(live, [issued.record.id()], "{context:?}");
                let verified = family.elsewhere().verify(&text(&issued), &any()).await.unwrap();
                assert_eq!(verified.id(), issued.record.id());
            }
            // Only here a token may remain. Its secret was not handed out, and the error names its id.
            Err(ManageError::Indeterminate { id, .. }) => {
                assert!(live.is_empty() || live == [id], "{context:?}: {live:?}, not {id}");
            }
            Err(error) => {
                let overtaken =
                    matches!(error, ManageError::Overtaken { .. } | ManageError::NotPermitted(_));
                assert!(
                    overtaken || matches!(error, ManageError::Store(_)),
                    "{context:?}: {error}"
                );
                assert!(!overtaken || rival_came(&family), "{context:?}: {error}");
                assert_eq!(live, [], "{context:?}: {error}");
            }
        }
        assert!(family.faulty().calls().len() <= 60, "{context:?}");
    }
}

pub(crate) async fn rotate_with_revoked_caller_withholds_secret(stores: Stores) {
    for overlap in [false, true] {
        for at in 0..4 {
            let family = family(stores).await;
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(REVOKE_PARENT_WITH_DESCENDANTS));
            family.faulty().arm(&script, Fault::None);
            let rotation =
                if overlap { RotateRequest::with_overlap(HOUR) } else { RotateRequest::at_once() };
            let target = family.target.record.id();
            let on_behalf = family.service.on_behalf_of(&family.token);
            let error = on_behalf.rotate(target, rotation).await.unwrap_err();
            let cause = match (at, error) {
                (0, ManageError::NotPermitted(cause)) => cause,
                (1..=3, ManageError::Overtaken { id, cause }) => {
                    assert_eq!(id, target);
                    cause
                }
                (_, error) => panic!("{at}: {error:?}"),
            };
            assert_eq!(cause, NotPermitted::NotActive(Refusal::Revoked));
            let older = family.elsewhere().verify(&text(&family.target), &any()).await;
            match at {
                // The target is unchanged.
                0 => assert!(older.is_ok()),
                // The revocation ran too early. The older secret is accepted for the requested overlap,
                // and the embedder repairs it.
                1 | 2 => {
                    assert_eq!(older.is_ok(), overlap);
                    let repair = RotateRequest::at_once().replacing(ReplacedSecret::Newest);
                    let repaired =
                        family.elsewhere().owner("acme").rotate(target, repair).await.unwrap();
                    assert!(family.elsewhere().verify(&text(&repaired), &any()).await.is_ok());
                }
                // The bulk revocation found the token, because the revoked caller might know its secret.
                _ => assert_eq!(older.unwrap_err().refusal(), Some(Refusal::Revoked)),
            }
        }
    }
}

pub(crate) async fn rotate_with_faults_withholds_secret(stores: Stores) {
    let mut courses = Courses::new(4, &FAULTS, &RESTS);
    while let Some((script, rest)) = courses.script() {
        let family = family(stores).await;
        let target = family.target.record.id();
        family.faulty().arm(&script, rest);
        let on_behalf = family.service.on_behalf_of(&family.token);
        let outcome = on_behalf.rotate(target, RotateRequest::at_once()).await;
        family.faulty().settle().await;
        courses.met(family.faulty().calls().len());
        let context = (script, rest);
        let older = family.elsewhere().verify(&text(&family.target), &any()).await;
        match outcome {
            Ok(rotated) => {
                assert!(!rival_came(&family), "{context:?}: handed out after the revocation");
                assert!(
                    family.elsewhere().verify(&text(&rotated), &any()).await.is_ok(),
                    "{context:?}"
                );
                assert!(older.is_err(), "{context:?}");
                assert_eq!(rotated.record.issuers()[0], family.token.id());
            }
            Err(ManageError::Overtaken { id, .. }) => {
                assert_eq!(id, target);
                assert!(rival_came(&family) && older.is_err(), "{context:?}");
            }
            Err(ManageError::Indeterminate { id, .. }) => assert_eq!(id, target),
            Err(error) => {
                let caller_ended = matches!(error, ManageError::NotPermitted(_));
                assert!(
                    caller_ended || matches!(error, ManageError::Store(_)),
                    "{context:?}: {error}"
                );
                assert!(!caller_ended || rival_came(&family), "{context:?}: {error}");
                assert!(older.is_ok(), "{context:?}: the secret changed, but the error is {error}");
            }
        }
    }
}

pub(crate) async fn issue_with_ended_secret_leaves_no_token(stores: Stores) {
    let ended = NotPermitted::NotActive(Refusal::SecretEnded);
    for at in 1..3 {
        let family = family(stores).await;
        let mut script = vec![Fault::None; at];
        script.push(Fault::Rival(ROTATE));
        family.faulty().arm(&script, Fault::None);
        let Err(ManageError::Overtaken { cause, .. }) = family.issue_on_behalf().await else {
            panic!("{at}")
        };
        assert_eq!(cause, ended);
        assert_eq!(family.below(family.token.id(), States::LIVE).await, []);
    }
}

/// The future is dropped between the insert and the second read. The secret is lost, and a revocation of
/// the issuer with its descendants finds the token.
pub(crate) async fn dropped_issue_is_revoked_with_descendants(stores: Stores) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let collected = Collected::default();
    let store = Arc::new(Remote::new(opened.store.clone()));
    let service =
        builder(store.clone()).clock(clock.clone()).events(collected.sink()).build().unwrap();
    let sound = builder(opened.store.clone()).clock(clock).build().unwrap();
    let issued = sound.owner("acme").issue(scoped_request(&FAMILY_SCOPES)).await.unwrap();
    let token = sound.verify(&text(&issued), &any()).await.unwrap();
    store.hold(true);
    store.release(1);
    {
        let mut issue = pin!(service.on_behalf_of(&token).issue(scoped_request(&["x"])));
        let mut readings = 0;
        while readings < 2 {
            assert!(poll_once(&mut issue).await.is_none());
            readings += store.finds();
        }
    }
    let events = collected.take(&service);
    let [Event::Failed { operation: Operation::Issue, id: Some(id), on_behalf_of, .. }] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(*on_behalf_of, Some(token.id()));
    assert!(sound.all_owners().get(*id).await.unwrap().record.revocation().is_none());
    revoke_with_descendants(&sound, token.id()).await;
    assert!(sound.all_owners().get(*id).await.unwrap().record.revocation().is_some());
}

pub(crate) async fn revoke_with_descendants_during_issues(stores: Stores) {
    for _ in 0..20 {
        let opened = stores.open();
        let clock = Arc::new(ManualClock::default());
        let service = builder(opened.store).clock(clock).build().unwrap();
        let issued = service.owner("acme").issue(scoped_request(&FAMILY_SCOPES)).await.unwrap();
        let root = service.verify(&text(&issued), &any()).await.unwrap();
        let (stop, handed_out) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    // Each issues below the one that it got last, or below the root again.
                    let mut token = root.clone();
                    while !stop.load(Ordering::SeqCst) {
                        let child = IssueRequest::new("all", "c").scopes(scope_set(&FAMILY_SCOPES));
                        let child = block_on(service.on_behalf_of(&token).issue(child));
                        token = root.clone();
                        if let Ok(child) = child {
                            handed_out.lock().unwrap().push(text(&child));
                            if let Ok(next) = block_on(service.verify(&text(&child), &any()))
                                && handed_out.lock().unwrap().len() % 4 != 0
                            {
                                token = next;
                            }
                        }
                    }
                });
            }
            while handed_out.lock().unwrap().len() < 8 {
                std::thread::yield_now();
            }
            block_on(revoke_with_descendants(&service, root.id()));
            stop.store(true, Ordering::SeqCst);
        });
        for token in handed_out.into_inner().unwrap() {
            let refused = service.verify(&token, &any()).await.unwrap_err();
            assert_eq!(refused.refusal(), Some(Refusal::Revoked));
        }
        let live = ListRequest::from(Filter::new().issuer(root.id()).states(States::LIVE));
        assert!(service.all_owners().list(live).await.unwrap().items.is_empty());
    }
}

/// An operator amends the calling token between its first reading and its second one.
pub(crate) async fn issue_with_narrowed_caller_leaves_no_token(stores: Stores) {
    for rival in [NARROW_SCOPES, SHORTEN] {
        for at in 1..3 {
            let family = family(stores).await;
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(rival));
            family.faulty().arm(&script, Fault::None);
            let error = family.issue_on_behalf().await.unwrap_err();
            let ManageError::Overtaken { id, cause } = error else { panic!("{error:?}") };
            assert_eq!(cause, NotPermitted::ExceedsCaller);
            let stored = family.elsewhere().all_owners().get(id).await.unwrap().record;
            assert!(stored.revocation().is_some());
            assert_eq!(family.below(family.token.id(), States::LIVE).await, []);
        }
    }
}

pub(crate) async fn rotate_with_narrowed_caller_withholds_secret(stores: Stores) {
    for rival in [NARROW_SCOPES, SHORTEN] {
        let family = family(stores).await;
        // The rival comes between the write and the second reading.
        family.faulty().arm(&[Fault::None, Fault::None, Fault::Rival(rival)], Fault::None);
        let target = family.target.record.id();
        let request = RotateRequest::with_overlap(HOUR);
        let error = family.service.on_behalf_of(&family.token).rotate(target, request).await;
        assert!(
            matches!(
                error,
                Err(ManageError::Overtaken { id, cause: NotPermitted::ExceedsCaller }) if id == target
            ),
            "{error:?}"
        );
    }
}
