//! A first use over a store that fails, and at the same moment as something else: the verification
//! succeeds, nothing is lost, and what could not be ended is told.

#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::Arc;

use futures_lite::future::block_on;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::ReplacedSecret;
use service_tokens::{Event, Refusal, RevokeRequest, RotateRequest, State, TokenStore};
use support::rotated::{Scene, scene, scene_over};
use support::{
    Fault, Faulty, HOUR, MICRO, MINUTE, Op, Open, Opened, any, builder, over_stores, records, text,
};

over_stores! {
    a_store_that_cannot_write_refuses_nobody,
    lost_answers_are_resolved,
    a_rival_in_between_loses_nothing,
    of_many_first_uses_one_ends_the_overlap,
    a_first_use_and_a_revocation_at_once,
    a_first_use_and_a_rotation_at_once,
}

const REVOKE: u8 = 0;
const ROTATE: u8 = 1;
const ROTATE_OLDEST: u8 = 2;
const USE: u8 = 3;
const TOUCH_UP: u8 = 4;

/// The text of the newest secret, for rivals that present it.
type Newest = Arc<std::sync::Mutex<String>>;

fn faulty(open: Open) -> (Arc<Faulty>, Newest, Scene<Arc<Faulty>>) {
    let Opened { store, guard } = open();
    let newest = Newest::default();
    let (rivals, presented) = (store.clone(), newest.clone());
    let rival = move |what: u8| -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let (store, newest) = (rivals.clone(), presented.lock().unwrap().clone());
        Box::pin(async move {
            let service = builder(store.clone()).clock(ManualClock::default()).build().unwrap();
            let (tokens, id) = (service.all_owners(), records(&*store).await[0].id());
            let again = RotateRequest::until_first_use(HOUR);
            match what {
                REVOKE => {
                    let words = RevokeRequest::new().by("rival");
                    drop(tokens.revoke(id, words).await.unwrap());
                }
                ROTATE => {
                    let again = RotateRequest::at_once().replacing(ReplacedSecret::Newest);
                    drop(tokens.rotate(id, again).await.unwrap());
                }
                ROTATE_OLDEST => {
                    drop(tokens.rotate(id, again.replacing(ReplacedSecret::Oldest)).await.unwrap());
                }
                USE => drop(service.verify(&newest, &any()).await.unwrap()),
                // The same record under another version.
                _ => {
                    let found = store.find(id).await.unwrap().unwrap();
                    store.replace(&found.record, found.version).await.unwrap();
                }
            }
        })
    };
    let faulty = Arc::new(Faulty::with_rival(store, rival));
    (faulty.clone(), newest, scene_over(faulty, guard))
}

fn not_ended(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::OverlapNotEnded { .. }))
}

fn ended(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::OverlapEnded { .. })).count()
}

/// The calls of a verification: it finds the record, and then reads again and replaces.
async fn a_store_that_cannot_write_refuses_nobody(open: Open) {
    for (script, cause) in [
        ([Fault::None, Fault::None, Fault::ReadOnly], "the store is read-only"),
        ([Fault::None, Fault::None, Fault::Unavailable], "unavailable"),
        ([Fault::None, Fault::Unavailable, Fault::None], "unavailable"),
        ([Fault::None, Fault::LostBefore, Fault::None], "answer was lost"),
        // The next read fails too; what matters is that the change may be in.
        ([Fault::None, Fault::None, Fault::LostBefore], "answer was lost"),
    ] {
        let (store, _, scene) = faulty(open);
        let (_, older, newer) = scene.rotated().await;
        store.arm(&script, Fault::ReadOnly);
        scene.service.verify(&newer, &any()).await.unwrap();
        let events = scene.events();
        let [Event::OverlapNotEnded { cause: told, .. }] = &events[..] else {
            panic!("{script:?}: {events:?}")
        };
        assert!(told.contains(cause), "{script:?}: {told}");
        // The latest end stands, and the store is left alone for a minute.
        store.arm(&[], Fault::None);
        scene.clock.advance(MINUTE - MICRO);
        assert!(scene.accepts(&newer).await && scene.accepts(&older).await);
        assert_eq!(store.calls(), [(Op::Find, Fault::None); 2]);
        assert_eq!(scene.events(), []);
        scene.clock.advance(MICRO);
        store.arm(&[Fault::None, Fault::None], Fault::ReadOnly);
        scene.service.verify(&newer, &any()).await.unwrap();
        assert!(not_ended(&scene.events()));
        store.disarm();
        scene.clock.advance(MINUTE);
        assert!(scene.accepts(&newer).await);
        assert_eq!(ended(&scene.events()), 1);
        assert!(!scene.accepts(&older).await);
    }
}

async fn lost_answers_are_resolved(open: Open) {
    let faults =
        [Fault::None, Fault::DoneAndLost, Fault::LostBefore, Fault::Late, Fault::Unavailable];
    let mut scripts = vec![vec![Fault::None]];
    for _ in 0..4 {
        let longer = |script: &Vec<Fault>| faults.map(|fault| [&script[..], &[fault]].concat());
        scripts = scripts.iter().flat_map(longer).collect();
    }
    for script in scripts {
        let (store, _, scene) = faulty(open);
        let (_, older, newer) = scene.rotated().await;
        store.arm(&script, Fault::None);
        scene.service.verify(&newer, &any()).await.unwrap();
        assert!(store.calls().len() <= 9, "{:?}", store.calls());
        let events = scene.events();
        assert_eq!(ended(&events) + usize::from(not_ended(&events)), 1, "{script:?}: {events:?}");
        let told_wrong = ended(&events) > store.written();
        assert!(!told_wrong, "{script:?}: {events:?}, and nothing was written");
        store.disarm();
        store.settle().await;
        if ended(&events) == 1 {
            assert!(!scene.accepts(&older).await, "{script:?}");
        }
        // An error only where reading could not tell.
        let unavailable = store_failed(&script);
        assert!(unavailable || ended(&events) == 1, "{script:?}: {events:?}");
        scene.clock.advance(MINUTE);
        assert!(scene.accepts(&newer).await, "{script:?}");
        assert!(!scene.accepts(&older).await, "{script:?}");
    }
}

/// Whether a read failed, or a write for certain.
fn store_failed(script: &[Fault]) -> bool {
    let read = |n: usize| n % 2 == 1;
    script.iter().enumerate().any(|(n, fault)| {
        *fault == Fault::Unavailable || (n > 0 && read(n) && *fault != Fault::None)
    })
}

async fn a_rival_in_between_loses_nothing(open: Open) {
    for what in [REVOKE, ROTATE, ROTATE_OLDEST, USE, TOUCH_UP] {
        for call in [1, 2] {
            let (store, newest, scene) = faulty(open);
            let (id, older, newer) = scene.rotated().await;
            newest.lock().unwrap().clone_from(&newer);
            let mut script = vec![Fault::None; call];
            script.push(Fault::Rival(what));
            store.arm(&script, Fault::None);
            // The record that it was accepted on was the present one when it was read.
            scene.service.verify(&newer, &any()).await.unwrap();
            let events = scene.events();
            store.disarm();
            let record = scene.service.all_owners().get(id).await.unwrap().record;
            let context = format!("{what} before call {call}: {events:?}");
            // Somebody else settled it, or it came through: in no case a failure.
            assert_eq!(ended(&events), usize::from(what == TOUCH_UP), "{context}");
            assert!(!not_ended(&events), "{context}");
            let overlap = record.overlap(scene.service.now()).is_some();
            assert_eq!(overlap, what == ROTATE_OLDEST || what == REVOKE, "{context}");
            let revoked = record.revocation().map(|revocation| revocation.by.as_deref());
            assert_eq!(revoked, (what == REVOKE).then_some(Some("rival")), "{context}");
            assert!(!scene.accepts(&older).await || what == REVOKE, "{context}");
            let lives = matches!(what, ROTATE_OLDEST | USE | TOUCH_UP);
            // After a rotation at once that ended both, the older one's digest is all that is known.
            let accepted = scene.service.verify(&newer, &any()).await.is_ok();
            assert_eq!(accepted, lives, "{context}");
        }
    }
}

async fn of_many_first_uses_one_ends_the_overlap(open: Open) {
    for turn in 0..10 {
        let Opened { store, guard } = open();
        let scene = scene_over(store.clone(), guard);
        let (id, older, newer) = scene.rotated().await;
        let before = store.find(id).await.unwrap().unwrap().version;
        // As many processes: what one of them remembers, the others do not know.
        let services: Vec<_> = (0..4)
            .map(|_| {
                let process = builder(store.clone()).clock(scene.clock.clone());
                process.events(scene.collected.sink()).build().unwrap()
            })
            .collect();
        std::thread::scope(|threads| {
            for service in services.iter().chain(&services) {
                let newer = &newer;
                threads.spawn(move || block_on(service.verify(newer, &any())).unwrap());
            }
        });
        services.iter().for_each(|service| assert!(service.flush_events(HOUR).is_ok()));
        scene.overlap_ended(id);
        assert!(!scene.accepts(&older).await && scene.accepts(&newer).await, "{turn}");
        let after = store.find(id).await.unwrap().unwrap().version;
        assert!(after > before, "{turn}");
    }
}

/// Both come through, in whatever order.
async fn a_first_use_and_a_revocation_at_once(open: Open) {
    for _ in 0..20 {
        let scene = scene(open);
        let (service, (id, older, newer)) = (&scene.service, scene.rotated().await);
        std::thread::scope(|threads| {
            let first = threads.spawn(|| block_on(service.verify(&newer, &any())));
            let words = RevokeRequest::new().by("alice").reason("left");
            let revoked = block_on(service.owner("acme").revoke(id, words)).unwrap();
            assert!(!revoked.already_revoked);
            if let Err(error) = first.join().unwrap() {
                assert_eq!(error.refusal(), Some(Refusal::Revoked));
            }
        });
        let record = scene.service.owner("acme").get(id).await.unwrap().record;
        assert_eq!(record.state(scene.clock.now()), State::Revoked);
        assert_eq!(record.revocation().unwrap().by.as_deref(), Some("alice"));
        assert!(!scene.accepts(&older).await && !scene.accepts(&newer).await);
        let failed = |e: &Event| matches!(e, Event::OverlapNotEnded { .. } | Event::Failed { .. });
        assert!(!scene.events().iter().any(failed));
    }
}

async fn a_first_use_and_a_rotation_at_once(open: Open) {
    for turn in 0..40 {
        let scene = scene(open);
        let (service, (id, one, two)) = (&scene.service, scene.rotated().await);
        let which = if turn % 2 == 0 { ReplacedSecret::Oldest } else { ReplacedSecret::Newest };
        let three = std::thread::scope(|threads| {
            let first = threads.spawn(|| block_on(service.verify(&two, &any())));
            let again = RotateRequest::until_first_use(HOUR).replacing(which);
            let three = block_on(service.owner("acme").rotate(id, again)).unwrap();
            if let Err(error) = first.join().unwrap() {
                // The rotation was first and replaced it.
                assert_eq!(
                    (error.refusal(), which),
                    (Some(Refusal::SecretEnded), ReplacedSecret::Newest)
                );
            }
            text(&three)
        });
        let events = scene.events();
        let failed = |e: &Event| matches!(e, Event::OverlapNotEnded { .. } | Event::Failed { .. });
        assert!(!events.iter().any(failed), "{events:?}");
        let used = events.iter().any(|event| matches!(event, Event::OverlapEnded { .. }));
        let accepted = async |token: &str| scene.service.verify(token, &any()).await.is_ok();
        // One of the two before lives on beside the third, until that is used.
        let older = [accepted(&one).await, accepted(&two).await];
        let expected =
            if which == ReplacedSecret::Oldest || used { [false, true] } else { [true, false] };
        assert_eq!(older, expected, "{turn}: {events:?}");
        assert!(scene.accepts(&three).await);
        assert_eq!([accepted(&one).await, accepted(&two).await], [false, false], "{turn}");
    }
}
