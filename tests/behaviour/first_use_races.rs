//! The first use of a new secret ends the older one although other writes of the record compete with it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::harness::{Fault, HOUR, Harness, Op, Stores, any, records, scoped_request, text};
use futures_lite::future::{block_on, poll_once, yield_now};
use service_tokens::error::NotPermitted;
use service_tokens::record::ReplacedSecret;
use service_tokens::{AmendRequest, Event, ManageError, Refusal, RotateRequest};

behaviours! {
    first_use_prevails_over_other_processes,
    first_use_prevails_over_amendments,
    amend_during_contended_first_use_yields,
    first_use_with_endless_conflicts_gives_up,
}

/// Another process writes the record before each call of the store.
pub(crate) async fn first_use_prevails_over_other_processes(stores: Stores) {
    let harness = Harness::builder(stores)
        .faulty_with_rival(|store, _, _| {
            Box::pin(async move {
                for record in records(&*store).await {
                    let present = store.find(record.id()).await.unwrap().unwrap();
                    store.replace(&present.record, present.version).await.unwrap();
                }
            })
        })
        .build();
    let (id, older, newer) = harness.rotate_until_first_use().await;
    harness.faulty().arm(&[Fault::Rival(0); 1_000], Fault::None);
    harness.service.verify(&newer, &any()).await.unwrap();
    harness.faulty().disarm();
    harness.expect_overlap_ended(id);
    assert!(!harness.accepts(&older).await && harness.accepts(&newer).await);
}

/// The holders of the older secret amend the token as fast as they can.
pub(crate) async fn first_use_prevails_over_amendments(stores: Stores) {
    const HOLDERS: usize = 8;
    for turn in 0..5 {
        let harness = Harness::new(stores);
        let service = &harness.service;
        let issued = harness.issue(scoped_request(&["x", "service-tokens:amend"])).await;
        let holder = harness.verified(&issued).await;
        let until_use = RotateRequest::until_first_use(HOUR);
        let rotated = service.owner("acme").rotate(holder.id(), until_use).await.unwrap();
        let _ = harness.events();
        let (stop, amended) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|threads| {
            for number in 0..HOLDERS {
                let (holder, stop, amended) = (&holder, &stop, &amended);
                threads.spawn(move || {
                    for value in 0_u32.. {
                        let request =
                            AmendRequest::new().metadata(format!("{number}"), format!("{value}"));
                        match block_on(service.on_behalf_of(holder).amend(holder.id(), request)) {
                            Ok(_) => drop(amended.fetch_add(1, Ordering::Relaxed)),
                            Err(ManageError::Contended { .. }) => std::thread::yield_now(),
                            Err(ManageError::NotPermitted(NotPermitted::NotActive(refusal))) => {
                                assert_eq!(refusal, Refusal::SecretEnded);
                                return;
                            }
                            Err(error) => panic!("{error:?}"),
                        }
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                });
            }
            while amended.load(Ordering::Relaxed) < 4 * HOLDERS {
                std::thread::yield_now();
            }
            block_on(service.verify(&text(&rotated), &any())).unwrap();
            // The answer came after the end of the older secret.
            let older = block_on(service.verify(&text(&issued), &any()));
            stop.store(true, Ordering::Relaxed);
            let refused = older.err().and_then(|error| error.refusal());
            assert_eq!(refused, Some(Refusal::SecretEnded), "{turn}");
        });
        let events = harness.events_but_refusals();
        let ended = |e: &&Event| matches!(e, Event::OverlapEnded { .. });
        assert_eq!(events.iter().filter(ended).count(), 1, "{turn}");
        assert!(!events.iter().any(|e| matches!(e, Event::OverlapNotEnded { .. })), "{turn}");
    }
}

pub(crate) async fn amend_during_contended_first_use_yields(stores: Stores) {
    let harness = Harness::over_remote(stores);
    let store = harness.remote();
    let (id, older, newer) = harness.rotate_until_first_use().await;
    let acme = harness.service.owner("acme");
    let amend = |value: &str| acme.amend(id, AmendRequest::new().metadata("n", value));
    store.replaces();
    store.hold_writes(true);
    let requirement = any();
    let mut first = Box::pin(harness.service.verify(&newer, &requirement));
    assert!(poll_once(&mut first).await.is_none());
    assert_eq!(store.replaces(), 1);
    // Before a conflict, an operator's amendment does not yield.
    store.hold_writes(false);
    amend("1").await.unwrap();
    assert_eq!(store.replaces(), 1);
    store.hold_writes(true);
    store.release_writes(1);
    while store.replaces() == 0 {
        assert!(poll_once(&mut first).await.is_none());
        yield_now().await;
    }
    store.hold_writes(false);
    assert!(matches!(amend("2").await, Err(ManageError::Contended { .. })));
    let rotation = RotateRequest::at_once().replacing(ReplacedSecret::Newest);
    let rotated = acme.rotate(id, rotation).await;
    assert!(matches!(rotated, Err(ManageError::Contended { .. })), "{rotated:?}");
    assert_eq!(store.replaces(), 0);
    store.release_writes(1);
    first.await.unwrap();
    assert!(!harness.accepts(&older).await);
    amend("3").await.unwrap();
}

/// Afterwards other writes do not yield any more.
pub(crate) async fn first_use_with_endless_conflicts_gives_up(stores: Stores) {
    let harness = Harness::builder(stores)
        .faulty_with_rival(|store, _, _| {
            Box::pin(async move {
                for record in records(&*store).await {
                    let present = store.find(record.id()).await.unwrap().unwrap();
                    let _ = store.replace(&present.record, present.version).await;
                }
            })
        })
        .build();
    let (id, older, newer) = harness.rotate_until_first_use().await;
    harness.faulty().arm(&[], Fault::Rival(0));
    harness.service.verify(&newer, &any()).await.unwrap();
    let replaces = harness.faulty().calls().iter().filter(|(op, _)| *op == Op::Replace).count();
    assert_eq!(replaces, 10_000);
    harness.faulty().disarm();
    let events = harness.events_but_refusals();
    assert!(matches!(&events[..], [Event::OverlapNotEnded { .. }]), "{events:?}");
    assert!(harness.accepts(&older).await);
    let amend = AmendRequest::new().metadata("n", "1");
    harness.service.owner("acme").amend(id, amend).await.unwrap();
}
