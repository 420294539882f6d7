//! A rotation on the condition that the secret is still the expected one.

use std::sync::{Arc, Barrier};

use super::harness::{
    Fault, Faulty, HOUR, Harness, MICRO, Stores, any, builder, delta, scoped_request, text,
};
use futures_lite::future::block_on;
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::record::{ReplacedSecret, RotateDenied};
use service_tokens::{ManageError, Record, RotateRequest};

behaviours! {
    rotate_if_secret_changed_is_refused,
    concurrent_conditional_rotations_succeed_once,
    conditional_rotation_resolves_lost_answer,
}

fn at_once(record: &Record) -> RotateRequest {
    RotateRequest::at_once().if_secret_created_at(record.secret_created_at())
}

#[track_caller]
fn rotated_since<T: std::fmt::Debug>(outcome: Result<T, ManageError>) {
    let denied = matches!(outcome, Err(ManageError::NotRotated(RotateDenied::RotatedSince)));
    assert!(denied, "{outcome:?}");
}

pub(crate) async fn rotate_if_secret_changed_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(scoped_request(&["service-tokens:rotate-self"])).await;
    let id = issued.record.id();
    let acme = harness.service.owner("acme");
    // The clock does not advance. Each secret has a different time nevertheless.
    let first = acme.rotate(id, at_once(&issued.record)).await.unwrap();
    assert!(first.record.secret_created_at() > issued.record.secret_created_at());
    let second = acme.rotate(id, at_once(&first.record)).await.unwrap();
    for stale in [&issued.record, &first.record] {
        rotated_since(acme.rotate(id, at_once(stale)).await);
        let token = harness.verified(&second).await;
        let on_behalf = harness.service.on_behalf_of(&token);
        rotated_since(on_behalf.rotate_self(at_once(stale)).await);
    }
    for off in [delta(MICRO), -delta(MICRO)] {
        let rotation =
            RotateRequest::at_once().if_secret_created_at(second.record.secret_created_at() + off);
        rotated_since(acme.rotate(id, rotation).await);
    }
    assert_eq!(harness.record(id).await, second.record);
    // The same error in an overlap, because it says more than that an overlap runs.
    let overlap =
        RotateRequest::with_overlap(HOUR).if_secret_created_at(second.record.secret_created_at());
    let third = acme.rotate(id, overlap.clone()).await.unwrap();
    rotated_since(acme.rotate(id, overlap.clone()).await);
    rotated_since(acme.rotate(id, overlap.replacing(ReplacedSecret::Oldest)).await);
    let replacing = at_once(&third.record).replacing(ReplacedSecret::Newest);
    let _ = acme.rotate(id, replacing).await.unwrap();
    // A time that is finer than a record stores counts as the time that it was rounded to.
    let issued = harness.issue(scoped_request(&["x"])).await.record;
    let finer = issued.secret_created_at() + chrono::TimeDelta::nanoseconds(999);
    let rotation = RotateRequest::at_once().if_secret_created_at(finer);
    assert!(acme.rotate(issued.id(), rotation).await.is_ok());
}

pub(crate) async fn concurrent_conditional_rotations_succeed_once(stores: Stores) {
    for _ in 0..20 {
        let harness = Harness::new(stores);
        let record = harness.issue(scoped_request(&["x"])).await.record;
        let barrier = Barrier::new(4);
        let rotated: Vec<_> = std::thread::scope(|threads| {
            let rotate = || {
                barrier.wait();
                block_on(harness.service.owner("acme").rotate(record.id(), at_once(&record)))
            };
            let all: Vec<_> = (0..4).map(|_| threads.spawn(rotate)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (done, refused): (Vec<_>, Vec<_>) = rotated.into_iter().partition(Result::is_ok);
        let [Ok(only)] = &done[..] else { panic!("{} rotated it", done.len()) };
        assert_eq!(harness.verified(only).await.id(), record.id());
        refused.into_iter().for_each(rotated_since);
    }
}

pub(crate) async fn conditional_rotation_resolves_lost_answer(stores: Stores) {
    for fault in [Fault::DoneAndLost, Fault::LostBefore, Fault::Late] {
        let opened = stores.open();
        let store = Arc::new(Faulty::new(opened.store));
        let clock = Arc::new(ManualClock::default());
        let service = builder(store.clone()).clock(clock.clone()).build().unwrap();
        let record = service.owner("acme").issue(scoped_request(&["x"])).await.unwrap().record;
        assert_eq!(record.secret_created_at(), clock.now());
        store.arm(&[Fault::None, fault], Fault::None);
        let rotated = service.owner("acme").rotate(record.id(), at_once(&record)).await.unwrap();
        store.disarm();
        assert!(service.verify(&text(&rotated), &any()).await.is_ok(), "{fault:?}");
    }
}
