//! Scans for expiry notices that are refused, interrupted or slowed down.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::expiry_notices::{WEEK, notices};
use super::harness::{
    Collected, DAY, Fault, HOUR, Harness, MICRO, MINUTE, Stores, backup, builder, delta,
};
use futures_lite::future::{block_on, poll_once};
use service_tokens::bulk::{ExpiryNoticesError, ExpiryScan};
use service_tokens::clock::{Clock, ManualClock};
use service_tokens::event::Operation;
use service_tokens::store::{MAX_PAGE_LEN, StoreError};
use service_tokens::{Event, ManageError};

behaviours! {
    scan_without_valid_distance_is_refused,
    watermark_after_now_is_refused,
    scan_after_clock_jump_is_refused,
    scan_after_corrected_clock_skips_nothing,
    clock_jump_during_scan_has_no_effect,
    failed_scan_is_repeated_from_watermark,
    dropped_scan_is_repeated_from_watermark,
    scan_with_slow_sink_keeps_notices,
}

pub(crate) async fn scan_without_valid_distance_is_refused(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let _ = harness.issued_id(backup().expires_in(DAY)).await;
    let from = harness.service.now();
    harness.advance(HOUR);
    let _ = harness.events();
    harness.faulty().disarm();
    let view = harness.service.all_owners();
    let refused = async |scan: ExpiryScan<'_, _>, text: &str| {
        assert_eq!(scan.run().await.unwrap_err().to_string(), text);
        let events = harness.events();
        let [Event::Failed { operation: Operation::NotifyExpiry, cause, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(cause, text);
    };
    refused(view.expiry_notices(from), "at least one distance is required").await;
    let (min, max) = (2 * MINUTE, 3_660 * DAY);
    let text = "a distance must be between 120s and 316224000s";
    for distance in [Duration::ZERO, MICRO, min - MICRO, max + MICRO, Duration::MAX] {
        refused(view.expiry_notices(from).distance(distance), text).await;
        refused(view.expiry_notices(from).distance(DAY).distance(distance), text).await;
    }
    assert!(harness.faulty().calls().is_empty());
    for distance in [min, max] {
        assert!(view.expiry_notices(from).distance(distance).run().await.is_ok());
    }
}

pub(crate) async fn watermark_after_now_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let now = harness.service.now();
    // A watermark within the last minute, or of now, has an empty window and does not move back.
    for from in [now - delta(MINUTE), now - delta(MICRO), now] {
        assert_eq!(harness.scan(from, DAY).await, (Vec::new(), from));
    }
    for ahead in [MICRO, 1_000 * DAY] {
        let scan = harness.service.all_owners().expiry_notices(now + delta(ahead)).distance(DAY);
        let error = scan.run().await.unwrap_err();
        assert!(
            matches!(error, ExpiryNoticesError::WatermarkInFuture { now: at, .. } if at == now)
        );
        assert_eq!(
            error.to_string(),
            "the watermark is after the present time, 2026-01-01T00:00:00Z"
        );
    }
    harness.advance(MICRO);
    assert_eq!(harness.scan(now + delta(MICRO), DAY).await.1, now + delta(MICRO));
}

pub(crate) async fn scan_after_clock_jump_is_refused(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now();
    let end = start + delta(8 * DAY);
    let id = harness.issued_id(backup().expires_at(end)).await;
    // The machine slept, so the later time is right.
    harness.clock.set(start + delta(3 * DAY));
    for _ in 0..2 {
        let _ = harness.events();
        let scan = harness.service.all_owners().expiry_notices(start).distance(WEEK);
        assert!(matches!(scan.run().await, Err(ExpiryNoticesError::ClockJumped)));
        let failed = |event: &Event| matches!(event, Event::Failed { .. });
        assert_eq!(harness.events().iter().filter(|event| failed(event)).count(), 1);
    }
    assert!(harness.service.acknowledge_clock_jump().is_some());
    let (found, watermark) = harness.scan(start, WEEK).await;
    assert_eq!(found, [(id, end, WEEK)]);
    harness.advance(30 * DAY);
    assert_eq!(harness.scan(watermark, WEEK).await.0, []);
}

pub(crate) async fn scan_after_corrected_clock_skips_nothing(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now();
    let early = harness.issued_id(backup().expires_in(8 * DAY)).await;
    // The clock runs ahead by three days. A token is issued with the wrong time.
    harness.clock.set(start + delta(3 * DAY));
    assert!(harness.service.has_clock_jumped());
    let ahead = harness.issued_id(backup().expires_in(DAY)).await;
    let scan = harness.service.all_owners().expiry_notices(start).distance(WEEK);
    assert!(scan.run().await.is_err());
    // It is corrected an hour later. The right time is issued by another process.
    harness.advance(HOUR);
    harness.clock.set(start + delta(HOUR));
    assert!(harness.service.has_clock_jumped());
    assert!(harness.service.acknowledge_clock_jump().is_some());
    let right = harness.issue_elsewhere().await;
    let mut watermark = start;
    let mut all = Vec::new();
    for _ in 0..100 {
        harness.advance(DAY);
        let (found, next) = harness.scan(watermark, WEEK).await;
        assert!(next > watermark);
        all.extend(found.into_iter().map(|(id, ..)| id));
        watermark = next;
    }
    assert_eq!(all, [early, ahead, right.record.id()]);
}

pub(crate) async fn clock_jump_during_scan_has_no_effect(stores: Stores) {
    let harness = Harness::builder(stores)
        .faulty_with_rival(|_, clock, _| {
            Box::pin(async move { clock.set(clock.now() + delta(2 * HOUR)) })
        })
        .build();
    let start = harness.service.now();
    for _ in 0..=MAX_PAGE_LEN {
        let _ = harness.issued_id(backup().expires_in(DAY)).await;
    }
    harness.advance(HOUR);
    let _ = harness.events();
    harness.faulty().arm(&[Fault::None, Fault::Rival(0)], Fault::None);
    let scan = harness.service.all_owners().expiry_notices(start - delta(MICRO)).distance(DAY);
    let done = scan.run().await.unwrap();
    assert_eq!(done.notices, MAX_PAGE_LEN as u64 + 1);
    assert_eq!(done.watermark, start + delta(HOUR - MINUTE));
    assert!(harness.service.has_clock_jumped());
}

pub(crate) async fn failed_scan_is_repeated_from_watermark(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let start = harness.service.now() - delta(MICRO);
    for _ in 0..=MAX_PAGE_LEN {
        let _ = harness.issued_id(backup().expires_in(DAY)).await;
    }
    harness.advance(HOUR);
    for (pages, emitted) in [(0, 0), (1, MAX_PAGE_LEN)] {
        let _ = harness.events();
        harness.faulty().arm(&vec![Fault::None; pages], Fault::Unavailable);
        let scan = harness.service.all_owners().expiry_notices(start).distance(DAY);
        let error = scan.run().await.unwrap_err();
        let ExpiryNoticesError::Stopped { notices: count, cause, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*count, emitted as u64);
        assert!(matches!(cause, ManageError::Store(StoreError::Unavailable { .. })));
        assert_eq!(error.to_string(), format!("the scan stopped after {emitted} notices"));
        let events = harness.events();
        let (Event::Failed { cause, .. }, sent) = events.split_last().unwrap() else {
            panic!("{events:?}")
        };
        assert!(cause.contains("no route to the store"), "{cause}");
        assert_eq!(notices(sent).len(), emitted);
    }
    harness.faulty().disarm();
    assert_eq!(harness.scan(start, DAY).await.0.len(), MAX_PAGE_LEN + 1);
}

pub(crate) async fn dropped_scan_is_repeated_from_watermark(stores: Stores) {
    let harness = Harness::new(stores);
    let start = harness.service.now() - delta(MICRO);
    for _ in 0..=MAX_PAGE_LEN {
        let _ = harness.issued_id(backup().expires_in(DAY)).await;
    }
    harness.advance(HOUR);
    let _ = harness.events();
    let mut run = Box::pin(harness.service.all_owners().expiry_notices(start).distance(DAY).run());
    assert!(poll_once(&mut run).await.is_none());
    drop(run);
    let events = harness.events();
    let Some((Event::Failed { cause, .. }, sent)) = events.split_last() else {
        panic!("{events:?}")
    };
    assert!(cause.contains("gave up"), "{cause}");
    assert_eq!(notices(sent).len(), MAX_PAGE_LEN);
    assert_eq!(harness.scan(start, DAY).await.0.len(), MAX_PAGE_LEN + 1);
}

pub(crate) async fn scan_with_slow_sink_keeps_notices(stores: Stores) {
    let opened = stores.open();
    let clock = Arc::new(ManualClock::default());
    let issuer = builder(opened.store.clone()).clock(clock.clone()).build().unwrap();
    let start = clock.now() - delta(MICRO);
    for _ in 0..1_000 {
        let _ = issuer.owner("acme").issue(backup().expires_in(DAY)).await.unwrap();
    }
    clock.advance(HOUR);
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    let collected = Collected::default();
    let record = collected.sink();
    let sink = move |event: &Event| {
        // It blocks until the other end is dropped.
        let _ = held.lock().unwrap().recv();
        record(event);
    };
    let service = builder(opened.store.clone()).clock(clock).events(sink).build().unwrap();
    // With twenty distances there are more notices than two queues hold. One is full, and the thread that
    // delivers may have taken another one.
    let scan = (1..=20)
        .fold(service.all_owners().expiry_notices(start), |scan, days| scan.distance(days * DAY));
    std::thread::scope(|threads| {
        let run = threads.spawn(|| block_on(scan.run()).unwrap());
        std::thread::sleep(Duration::from_millis(300));
        assert!(!run.is_finished(), "the scan did not wait for the sink");
        drop(release);
        assert_eq!(run.join().unwrap().notices, 20_000);
    });
    assert_eq!(notices(&collected.take(&service)).len(), 20_000);
}
