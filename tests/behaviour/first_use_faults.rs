//! A first use over a failing store or next to other operations. Verification succeeds, no change is lost,
//! and a failure to end the overlap is an event.

use std::sync::Arc;

use super::harness::{
    Fault, Faulty, HOUR, Harness, MICRO, MINUTE, Op, SharedStore, Stores, any, builder, records,
    text,
};
use futures_lite::future::block_on;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::ReplacedSecret;
use service_tokens::{Event, Refusal, RevokeRequest, RotateRequest, State, TokenStore};

behaviours! {
    first_use_without_writes_is_accepted,
    first_use_resolves_lost_answers,
    first_use_with_rival_loses_nothing,
    concurrent_first_uses_end_overlap_once,
    first_use_during_revoke_keeps_both,
    first_use_during_rotate_keeps_both,
}

const REVOKE: u8 = 0;
const ROTATE: u8 = 1;
const ROTATE_OLDEST: u8 = 2;
const USE: u8 = 3;
const TOUCH_UP: u8 = 4;

/// The text of the newest secret, for rivals that present it.
type Newest = Arc<std::sync::Mutex<String>>;

/// A service over a store that fails on demand, and the text that its rival presents.
fn contested(stores: Stores) -> (Newest, Harness<Arc<Faulty>>) {
    let newest = Newest::default();
    let presented = newest.clone();
    let harness = Harness::builder(stores).faulty_with_rival(move |store, _, what| {
        let newest = presented.lock().unwrap().clone();
        Box::pin(interfere(store, what, newest))
    });
    (newest, harness.build())
}

async fn interfere(store: SharedStore, what: u8, newest: String) {
    let service = builder(store.clone()).clock(ManualClock::default()).build().unwrap();
    let (tokens, id) = (service.all_owners(), records(&*store).await[0].id());
    let again = RotateRequest::until_first_use(HOUR);
    match what {
        REVOKE => drop(tokens.revoke(id, RevokeRequest::new().by("rival")).await.unwrap()),
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
}

fn not_ended(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::OverlapNotEnded { .. }))
}

fn ended(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::OverlapEnded { .. })).count()
}

/// The calls of a verification: it finds the record, and then reads again and replaces.
pub(crate) async fn first_use_without_writes_is_accepted(stores: Stores) {
    for (script, cause) in [
        ([Fault::None, Fault::None, Fault::ReadOnly], "the store is read-only"),
        ([Fault::None, Fault::None, Fault::Unavailable], "unavailable"),
        ([Fault::None, Fault::Unavailable, Fault::None], "unavailable"),
        ([Fault::None, Fault::LostBefore, Fault::None], "answer was lost"),
        // The next read fails, too. The write may have happened.
        ([Fault::None, Fault::None, Fault::LostBefore], "answer was lost"),
    ] {
        let (_, harness) = contested(stores);
        let store = harness.faulty();
        let (_, older, newer) = harness.rotate_until_first_use().await;
        store.arm(&script, Fault::ReadOnly);
        harness.service.verify(&newer, &any()).await.unwrap();
        let events = harness.events_but_refusals();
        let [Event::OverlapNotEnded { cause: emitted, .. }] = &events[..] else {
            panic!("{script:?}: {events:?}")
        };
        assert!(emitted.contains(cause), "{script:?}: {emitted}");
        // The overlap retains its latest end, and the service does not call the store for a minute.
        store.arm(&[], Fault::None);
        harness.clock.advance(MINUTE - MICRO);
        assert!(harness.accepts(&newer).await && harness.accepts(&older).await);
        assert_eq!(store.calls(), [(Op::Find, Fault::None); 2]);
        assert_eq!(harness.events_but_refusals(), []);
        harness.clock.advance(MICRO);
        store.arm(&[Fault::None, Fault::None], Fault::ReadOnly);
        harness.service.verify(&newer, &any()).await.unwrap();
        assert!(not_ended(&harness.events_but_refusals()));
        store.disarm();
        harness.clock.advance(MINUTE);
        assert!(harness.accepts(&newer).await);
        assert_eq!(ended(&harness.events_but_refusals()), 1);
        assert!(!harness.accepts(&older).await);
    }
}

pub(crate) async fn first_use_resolves_lost_answers(stores: Stores) {
    let faults =
        [Fault::None, Fault::DoneAndLost, Fault::LostBefore, Fault::Late, Fault::Unavailable];
    let mut scripts = vec![vec![Fault::None]];
    for _ in 0..4 {
        let longer = |script: &Vec<Fault>| faults.map(|fault| [&script[..], &[fault]].concat());
        scripts = scripts.iter().flat_map(longer).collect();
    }
    for script in scripts {
        let (_, harness) = contested(stores);
        let store = harness.faulty();
        let (_, older, newer) = harness.rotate_until_first_use().await;
        store.arm(&script, Fault::None);
        harness.service.verify(&newer, &any()).await.unwrap();
        assert!(store.calls().len() <= 9, "{:?}", store.calls());
        let events = harness.events_but_refusals();
        assert_eq!(ended(&events) + usize::from(not_ended(&events)), 1, "{script:?}: {events:?}");
        let reported_wrongly = ended(&events) > store.written();
        assert!(!reported_wrongly, "{script:?}: {events:?}, and nothing was written");
        store.disarm();
        store.settle().await;
        if ended(&events) == 1 {
            assert!(!harness.accepts(&older).await, "{script:?}");
        }
        // An error is allowed only if reading could not resolve the write.
        let unavailable = store_failed(&script);
        assert!(unavailable || ended(&events) == 1, "{script:?}: {events:?}");
        harness.clock.advance(MINUTE);
        assert!(harness.accepts(&newer).await, "{script:?}");
        assert!(!harness.accepts(&older).await, "{script:?}");
    }
}

/// Returns whether a read failed, or a write certainly failed.
fn store_failed(script: &[Fault]) -> bool {
    let read = |n: usize| n % 2 == 1;
    script.iter().enumerate().any(|(n, fault)| {
        *fault == Fault::Unavailable || (n > 0 && read(n) && *fault != Fault::None)
    })
}

pub(crate) async fn first_use_with_rival_loses_nothing(stores: Stores) {
    for what in [REVOKE, ROTATE, ROTATE_OLDEST, USE, TOUCH_UP] {
        for call in [1, 2] {
            let (newest, harness) = contested(stores);
            let store = harness.faulty();
            let (id, older, newer) = harness.rotate_until_first_use().await;
            newest.lock().unwrap().clone_from(&newer);
            let mut script = vec![Fault::None; call];
            script.push(Fault::Rival(what));
            store.arm(&script, Fault::None);
            // The verification read this record before the rival changed it, so it accepts the token.
            harness.service.verify(&newer, &any()).await.unwrap();
            let events = harness.events_but_refusals();
            store.disarm();
            let record = harness.service.all_owners().get(id).await.unwrap().record;
            let context = format!("{what} before call {call}: {events:?}");
            // The rival ended the overlap or this use did. Neither is a failure.
            assert_eq!(ended(&events), usize::from(what == TOUCH_UP), "{context}");
            assert!(!not_ended(&events), "{context}");
            let overlap = record.overlap(harness.service.now()).is_some();
            assert_eq!(overlap, what == ROTATE_OLDEST || what == REVOKE, "{context}");
            let revoked = record.revocation().map(|revocation| revocation.by.as_deref());
            assert_eq!(revoked, (what == REVOKE).then_some(Some("rival")), "{context}");
            assert!(!harness.accepts(&older).await || what == REVOKE, "{context}");
            let expected = matches!(what, ROTATE_OLDEST | USE | TOUCH_UP);
            // If a rotation at once ended both secrets, the record has only the digest of the older one.
            let accepted = harness.service.verify(&newer, &any()).await.is_ok();
            assert_eq!(accepted, expected, "{context}");
        }
    }
}

pub(crate) async fn concurrent_first_uses_end_overlap_once(stores: Stores) {
    for turn in 0..10 {
        let harness = Harness::new(stores);
        let store = &harness.store;
        let (id, older, newer) = harness.rotate_until_first_use().await;
        let before = store.find(id).await.unwrap().unwrap().version;
        // Separate processes, which do not share memory of earlier uses.
        let services: Vec<_> = (0..4)
            .map(|_| {
                let process = builder(store.clone()).clock(harness.clock.clone());
                process.events(harness.collected.sink()).build().unwrap()
            })
            .collect();
        std::thread::scope(|threads| {
            for service in services.iter().chain(&services) {
                let newer = &newer;
                threads.spawn(move || block_on(service.verify(newer, &any())).unwrap());
            }
        });
        services.iter().for_each(|service| assert!(service.flush_events_blocking(HOUR).is_ok()));
        harness.expect_overlap_ended(id);
        assert!(!harness.accepts(&older).await && harness.accepts(&newer).await, "{turn}");
        let after = store.find(id).await.unwrap().unwrap().version;
        assert!(after > before, "{turn}");
    }
}

/// Both succeed, in either order.
pub(crate) async fn first_use_during_revoke_keeps_both(stores: Stores) {
    for _ in 0..20 {
        let harness = Harness::new(stores);
        let (service, (id, older, newer)) =
            (&harness.service, harness.rotate_until_first_use().await);
        std::thread::scope(|threads| {
            let first = threads.spawn(|| block_on(service.verify(&newer, &any())));
            let words = RevokeRequest::new().by("alice").reason("left");
            let revoked = block_on(service.owner("acme").revoke(id, words)).unwrap();
            assert!(!revoked.already_revoked);
            if let Err(error) = first.join().unwrap() {
                assert_eq!(error.refusal(), Some(Refusal::Revoked));
            }
        });
        let record = harness.service.owner("acme").get(id).await.unwrap().record;
        assert_eq!(record.state(harness.clock.now()), State::Revoked);
        assert_eq!(record.revocation().unwrap().by.as_deref(), Some("alice"));
        assert!(!harness.accepts(&older).await && !harness.accepts(&newer).await);
        let failed = |e: &Event| matches!(e, Event::OverlapNotEnded { .. } | Event::Failed { .. });
        assert!(!harness.events_but_refusals().iter().any(failed));
    }
}

pub(crate) async fn first_use_during_rotate_keeps_both(stores: Stores) {
    for turn in 0..40 {
        let harness = Harness::new(stores);
        let (service, (id, one, two)) = (&harness.service, harness.rotate_until_first_use().await);
        let which = if turn % 2 == 0 { ReplacedSecret::Oldest } else { ReplacedSecret::Newest };
        let three = std::thread::scope(|threads| {
            let first = threads.spawn(|| block_on(service.verify(&two, &any())));
            let again = RotateRequest::until_first_use(HOUR).replacing(which);
            let three = block_on(service.owner("acme").rotate(id, again)).unwrap();
            if let Err(error) = first.join().unwrap() {
                // The rotation came first and replaced the secret.
                assert_eq!(
                    (error.refusal(), which),
                    (Some(Refusal::SecretEnded), ReplacedSecret::Newest)
                );
            }
            text(&three)
        });
        let events = harness.events_but_refusals();
        let failed = |e: &Event| matches!(e, Event::OverlapNotEnded { .. } | Event::Failed { .. });
        assert!(!events.iter().any(failed), "{events:?}");
        let used = events.iter().any(|event| matches!(event, Event::OverlapEnded { .. }));
        let accepted = async |token: &str| harness.service.verify(token, &any()).await.is_ok();
        // One of the two earlier secrets is accepted next to the third, until the third is used.
        let older = [accepted(&one).await, accepted(&two).await];
        let expected =
            if which == ReplacedSecret::Oldest || used { [false, true] } else { [true, false] };
        assert_eq!(older, expected, "{turn}: {events:?}");
        assert!(harness.accepts(&three).await);
        assert_eq!([accepted(&one).await, accepted(&two).await], [false, false], "{turn}");
    }
}
