//! A token that is revoked, with all that it issued, while it issues or rotates: nothing usable is left,
//! wherever in the act that comes and whatever the store loses.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_lite::future::{block_on, poll_once};
use service_tokens::clock::ManualClock;
use service_tokens::error::NotPermitted;
use service_tokens::event::Operation;
use service_tokens::record::ReplacedSecret;
use service_tokens::store::States;
use service_tokens::{
    Event, Filter, IssueRequest, Issued, ListRequest, ManageError, Policy, Refusal, RotateRequest,
    TokenId, TokenService, VerifiedToken,
};
use support::acting::{builder, request, revoke_with_descendants, set};
use support::{Collected, Fault, Faulty, HOUR, Open, Remote, SharedStore, any, over_stores, text};

over_stores! {
    a_revocation_before_the_second_reading_leaves_nothing_issued,
    a_policy_of_short_reasons_leaves_nothing_issued_either,
    issuing_over_a_failing_store_leaves_nothing_usable,
    a_revocation_before_the_second_reading_withholds_the_rotated_secret,
    rotating_over_a_failing_store_gives_out_nothing_to_a_dead_token,
    a_secret_that_ended_meanwhile_counts_as_well,
    an_issue_that_was_given_up_is_found_by_the_walk,
    threads_that_issue_and_one_that_revokes,
}

const REVOKE_WITH_DESCENDANTS: u8 = 0;
const REVOKE_PARENT_WITH_DESCENDANTS: u8 = 1;
const ROTATE: u8 = 2;

const SCOPES: [&str; 3] = ["x", "service-tokens:issue", "service-tokens:rotate"];

struct Scene {
    store: Arc<Faulty>,
    service: TokenService<Arc<Faulty>>,
    /// Looks at the same records and never fails.
    sound: TokenService<SharedStore>,
    parent: TokenId,
    token: VerifiedToken,
    target: Issued,
    _guard: Box<dyn std::any::Any>,
}

/// A token that another one issued, and a rival that acts on either.
async fn scene(open: Open) -> Scene {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let ids = Arc::new(Mutex::new([TokenId::from_bytes([0; 16]); 2]));
    let rival = {
        let (ids, store, clock) = (ids.clone(), opened.store.clone(), clock.clone());
        move |what: u8| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            let ([parent, id], store, clock) = (*ids.lock().unwrap(), store.clone(), clock.clone());
            Box::pin(async move {
                let service = builder(store, clock).build().unwrap();
                match what {
                    REVOKE_WITH_DESCENDANTS => revoke_with_descendants(&service, id).await,
                    REVOKE_PARENT_WITH_DESCENDANTS => {
                        revoke_with_descendants(&service, parent).await;
                    }
                    _ => {
                        let leak = RotateRequest::at_once();
                        let _ = service.owner("acme").rotate(id, leak).await.unwrap();
                    }
                }
            })
        }
    };
    let store = Arc::new(Faulty::with_rival(opened.store.clone(), rival));
    let service = builder(store.clone(), clock.clone()).build().unwrap();
    let sound = builder(opened.store, clock).build().unwrap();
    let parent = sound.owner("acme").issue(request(&SCOPES)).await.unwrap();
    let parent = sound.verify(&text(&parent), &any()).await.unwrap();
    let issued = sound.on_behalf_of(&parent).issue(request(&SCOPES)).await.unwrap();
    let token = sound.verify(&text(&issued), &any()).await.unwrap();
    *ids.lock().unwrap() = [parent.id(), token.id()];
    let target = sound.owner("acme").issue(request(&["x"])).await.unwrap();
    Scene { store, service, sound, parent: parent.id(), token, target, _guard: opened.guard }
}

impl Scene {
    async fn live_below(&self, id: TokenId) -> Vec<TokenId> {
        let page = self
            .sound
            .all_owners()
            .list(ListRequest::from(Filter::new().issuer(id)))
            .await
            .unwrap();
        page.items.iter().map(|stored| stored.record.id()).collect()
    }

    async fn issue(&self) -> Result<Issued, ManageError> {
        self.service.on_behalf_of(&self.token).issue(request(&["x"])).await
    }

    fn rival_came(&self) -> bool {
        self.store.calls().iter().any(|(_, fault)| matches!(fault, Fault::Rival(_)))
    }
}

async fn a_revocation_before_the_second_reading_leaves_nothing_issued(open: Open) {
    for rival in [REVOKE_WITH_DESCENDANTS, REVOKE_PARENT_WITH_DESCENDANTS] {
        // Before the first reading, before the insert, and between that and the second reading.
        for at in 0..3 {
            let scene = scene(open).await;
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(rival));
            scene.store.arm(&script, Fault::None);
            let error = scene.issue().await.unwrap_err();
            let revoked = NotPermitted::NotActive(Refusal::Revoked);
            match (at, error) {
                (0, ManageError::NotPermitted(cause)) => assert_eq!(cause, revoked),
                (1 | 2, ManageError::Overtaken { id, cause }) => {
                    assert_eq!(cause, revoked);
                    let stored = scene.sound.all_owners().get(id).await.unwrap().record;
                    assert_eq!(stored.issuers(), [scene.token.id(), scene.parent]);
                    let revocation = stored.revocation().unwrap();
                    // Between the two the walk has met it; before the insert it could not.
                    assert_eq!(revocation.by.as_deref(), (at == 2).then_some("rival"));
                    assert_eq!(revocation.reason.is_some(), at == 1);
                }
                (_, error) => panic!("{at}: {error:?}"),
            }
            assert_eq!(scene.live_below(scene.token.id()).await, []);
            if rival == REVOKE_PARENT_WITH_DESCENDANTS {
                assert_eq!(scene.live_below(scene.parent).await, []);
            }
        }
    }
}

/// The crate's own reason is longer than what this policy lets callers say.
async fn a_policy_of_short_reasons_leaves_nothing_issued_either(open: Open) {
    let scene = scene(open).await;
    let policy = Policy::new().max_reason_len(1);
    let service = builder(scene.store.clone(), Arc::default()).policy(policy).build().unwrap();
    scene.store.arm(&[Fault::None, Fault::Rival(REVOKE_WITH_DESCENDANTS)], Fault::None);
    let issued = service.on_behalf_of(&scene.token).issue(request(&["x"])).await;
    let Err(ManageError::Overtaken { id, .. }) = issued else { panic!("{issued:?}") };
    let record = scene.sound.all_owners().get(id).await.unwrap().record;
    assert!(record.revocation().unwrap().reason.as_ref().unwrap().len() > 1);
    assert_eq!(scene.live_below(scene.token.id()).await, []);
}

const FAULTS: [Fault; 6] = [
    Fault::None,
    Fault::DoneAndLost,
    Fault::LostBefore,
    Fault::Late,
    Fault::Unavailable,
    Fault::Rival(REVOKE_WITH_DESCENDANTS),
];

/// Every script of four calls, each with several faults for the calls after it.
fn scripts() -> Vec<(Vec<Fault>, Fault)> {
    let mut scripts = vec![Vec::new()];
    for _ in 0..4 {
        let longer = |script: Vec<Fault>| FAULTS.map(|fault| [&script[..], &[fault]].concat());
        scripts = scripts.into_iter().flat_map(longer).collect();
    }
    let rest = [Fault::None, Fault::DoneAndLost, Fault::Late, Fault::Unavailable];
    let each = |script: Vec<Fault>| rest.map(|rest| (script.clone(), rest));
    scripts.into_iter().flat_map(each).collect()
}

async fn issuing_over_a_failing_store_leaves_nothing_usable(open: Open) {
    for (script, rest) in scripts() {
        let scene = scene(open).await;
        scene.store.arm(&script, rest);
        let outcome = scene.issue().await;
        scene.store.settle().await;
        let context = (script, rest);
        let live = scene.live_below(scene.token.id()).await;
        match outcome {
            Ok(issued) => {
                assert!(!scene.rival_came(), "{context:?}: handed out after the revocation");
                assert_eq!(live, [issued.record.id()], "{context:?}");
                let verified = scene.sound.verify(&text(&issued), &any()).await.unwrap();
                assert_eq!(verified.id(), issued.record.id());
            }
            // The one case in which something may be left: its secret is nobody's, its id is told.
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
                assert!(!overtaken || scene.rival_came(), "{context:?}: {error}");
                assert_eq!(live, [], "{context:?}: {error}");
            }
        }
        assert!(scene.store.calls().len() <= 60, "{context:?}");
    }
}

async fn a_revocation_before_the_second_reading_withholds_the_rotated_secret(open: Open) {
    for overlap in [false, true] {
        for at in 0..4 {
            let scene = scene(open).await;
            let mut script = vec![Fault::None; at];
            script.push(Fault::Rival(REVOKE_PARENT_WITH_DESCENDANTS));
            scene.store.arm(&script, Fault::None);
            let rotation =
                if overlap { RotateRequest::with_overlap(HOUR) } else { RotateRequest::at_once() };
            let target = scene.target.record.id();
            let acts = scene.service.on_behalf_of(&scene.token);
            let error = acts.rotate(target, rotation).await.unwrap_err();
            let cause = match (at, error) {
                (0, ManageError::NotPermitted(cause)) => cause,
                (1..=3, ManageError::Overtaken { id, cause }) => {
                    assert_eq!(id, target);
                    cause
                }
                (_, error) => panic!("{at}: {error:?}"),
            };
            assert_eq!(cause, NotPermitted::NotActive(Refusal::Revoked));
            let older = scene.sound.verify(&text(&scene.target), &any()).await;
            match at {
                // Nothing happened to it.
                0 => assert!(older.is_ok()),
                // The walk came too early: the older secret goes on for as long as was asked for, and
                // the embedder repairs it.
                1 | 2 => {
                    assert_eq!(older.is_ok(), overlap);
                    let repair = RotateRequest::at_once().replacing(ReplacedSecret::Newest);
                    let repaired = scene.sound.owner("acme").rotate(target, repair).await.unwrap();
                    assert!(scene.sound.verify(&text(&repaired), &any()).await.is_ok());
                }
                // The walk met it: the revoked token might have known its secret.
                _ => assert_eq!(older.unwrap_err().refusal(), Some(Refusal::Revoked)),
            }
        }
    }
}

async fn rotating_over_a_failing_store_gives_out_nothing_to_a_dead_token(open: Open) {
    for (script, rest) in scripts() {
        let scene = scene(open).await;
        let target = scene.target.record.id();
        scene.store.arm(&script, rest);
        let acts = scene.service.on_behalf_of(&scene.token);
        let outcome = acts.rotate(target, RotateRequest::at_once()).await;
        scene.store.settle().await;
        let context = (script, rest);
        let older = scene.sound.verify(&text(&scene.target), &any()).await;
        match outcome {
            Ok(rotated) => {
                assert!(!scene.rival_came(), "{context:?}: handed out after the revocation");
                assert!(scene.sound.verify(&text(&rotated), &any()).await.is_ok(), "{context:?}");
                assert!(older.is_err(), "{context:?}");
                assert_eq!(rotated.record.issuers()[0], scene.token.id());
            }
            Err(ManageError::Overtaken { id, .. }) => {
                assert_eq!(id, target);
                assert!(scene.rival_came() && older.is_err(), "{context:?}");
            }
            Err(ManageError::Indeterminate { id, .. }) => assert_eq!(id, target),
            Err(error) => {
                let died = matches!(error, ManageError::NotPermitted(_));
                assert!(died || matches!(error, ManageError::Store(_)), "{context:?}: {error}");
                assert!(!died || scene.rival_came(), "{context:?}: {error}");
                assert!(older.is_ok(), "{context:?}: something changed, and it says {error}");
            }
        }
    }
}

async fn a_secret_that_ended_meanwhile_counts_as_well(open: Open) {
    let ended = NotPermitted::NotActive(Refusal::SecretEnded);
    for at in 1..3 {
        let scene = scene(open).await;
        let mut script = vec![Fault::None; at];
        script.push(Fault::Rival(ROTATE));
        scene.store.arm(&script, Fault::None);
        let Err(ManageError::Overtaken { cause, .. }) = scene.issue().await else { panic!("{at}") };
        assert_eq!(cause, ended);
        assert_eq!(scene.live_below(scene.token.id()).await, []);
    }
}

/// The future is dropped between the insert and the second reading: nobody has the secret, and whoever
/// revokes the issuer finds the token.
async fn an_issue_that_was_given_up_is_found_by_the_walk(open: Open) {
    let opened = open();
    let clock = Arc::new(ManualClock::default());
    let collected = Collected::default();
    let store = Arc::new(Remote::new(opened.store.clone()));
    let service = builder(store.clone(), clock.clone()).events(collected.sink()).build().unwrap();
    let sound = builder(opened.store.clone(), clock).build().unwrap();
    let issued = sound.owner("acme").issue(request(&SCOPES)).await.unwrap();
    let token = sound.verify(&text(&issued), &any()).await.unwrap();
    store.hold(true);
    store.release(1);
    {
        let mut act = pin!(service.on_behalf_of(&token).issue(request(&["x"])));
        let mut readings = 0;
        while readings < 2 {
            assert!(poll_once(&mut act).await.is_none());
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

async fn threads_that_issue_and_one_that_revokes(open: Open) {
    for _ in 0..20 {
        let opened = open();
        let clock = Arc::new(ManualClock::default());
        let service = builder(opened.store, clock).build().unwrap();
        let issued = service.owner("acme").issue(request(&SCOPES)).await.unwrap();
        let root = service.verify(&text(&issued), &any()).await.unwrap();
        let (stop, handed_out) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    // Each issues below the one that it got last, or below the root again.
                    let mut token = root.clone();
                    while !stop.load(Ordering::SeqCst) {
                        let child = IssueRequest::new("all", "c").scopes(set(&SCOPES));
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
