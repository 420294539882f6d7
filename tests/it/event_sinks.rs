//! Sinks that block, panic or are slow: no verification waits for one or fails because of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::behaviour::harness::{any, builder, text};
use futures_lite::future::block_on;
use service_tokens::{Event, IssueRequest, ListRequest, MemoryStore, RevokeRequest, TokenService};

fn request() -> IssueRequest {
    IssueRequest::new("connector", "backup").issued_by("alice")
}

/// Enough refusals to fill the queue many times.
fn refuse_many(service: &TokenService<MemoryStore>, token: &str) {
    for _ in 0..1_000 {
        assert!(block_on(service.verify("nonsense", &any())).is_err());
        assert!(block_on(service.verify(token, &any())).is_ok());
    }
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn blocking_sink_delays_nothing() {
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_by_sink = seen.clone();
    let service = builder(MemoryStore::new())
        .events(move |event: &Event| {
            // Blocks until the test releases it.
            let _ = released.lock().unwrap().recv();
            seen_by_sink.lock().unwrap().push(event.clone());
        })
        .build()
        .unwrap();
    let began = Instant::now();
    let token = text(&block_on(service.owner("acme").issue(request())).unwrap());
    for _ in 0..12 {
        refuse_many(&service, &token);
    }
    // Queued refusals do not take the room of a management operation.
    let id = block_on(service.owner("acme").list(ListRequest::new())).unwrap().items[0].record.id();
    block_on(service.owner("acme").revoke(id, RevokeRequest::new())).unwrap();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(service.flush_events_blocking(Duration::from_millis(20)).is_err());
    assert!(began.elapsed() < SOON);
    drop(release);
    assert!(service.flush_events_blocking(SOON).is_ok());
    let seen = seen.lock().unwrap();
    assert!(!seen.iter().any(|event| matches!(event, Event::Lost { .. })));
    assert!(seen.iter().any(|event| matches!(event, Event::Revoked { .. })));
    // Every event is delivered or summed: an issue, a list, a revocation and twelve thousand refusals.
    let summed = |event: &Event| match event {
        Event::Repeated { kind, count, .. } => {
            assert_eq!(*kind, "refused");
            *count
        }
        _ => 1,
    };
    assert_eq!(seen.iter().map(summed).sum::<u64>(), 12_003);
    assert!(seen.len() < 5_000, "{}", seen.len());
    assert!(matches!(seen[0], Event::Issued { .. }), "in order: {:?}", seen[0]);
}

#[test]
fn panicking_sink_gets_the_next_event() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let service = builder(MemoryStore::new())
        .events(move |_: &Event| {
            counter.fetch_add(1, Ordering::SeqCst);
            // Suppresses the output of the panic hook.
            std::panic::resume_unwind(Box::new("the sink's own fault"));
        })
        .build()
        .unwrap();
    let token = text(&block_on(service.owner("acme").issue(request())).unwrap());
    let began = Instant::now();
    refuse_many(&service, &token);
    assert!(service.flush_events_blocking(SOON).is_ok());
    assert!(began.elapsed() < SOON);
    assert_eq!(calls.load(Ordering::SeqCst), 1_001);
}

/// "All events so far" works while other threads emit more.
#[test]
fn flush_events_ends_under_load() {
    let service = Arc::new(
        builder(MemoryStore::new())
            .events(|_: &Event| std::thread::sleep(Duration::from_micros(200)))
            .build()
            .unwrap(),
    );
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let busy = {
        let (service, stop) = (service.clone(), stop.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let _ = block_on(service.verify("nonsense", &any()));
                std::thread::sleep(Duration::from_micros(50));
            }
        })
    };
    std::thread::sleep(Duration::from_millis(20));
    let flushed = service.flush_events_blocking(SOON).is_ok();
    stop.store(true, Ordering::Relaxed);
    busy.join().unwrap();
    assert!(flushed, "the queue is never empty, and all events so far were delivered long ago");
}

#[test]
fn panicking_subscriber_fails_no_operation() {
    struct Panicking;
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Panicking {
        fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            std::panic::resume_unwind(Box::new("the subscriber's own fault"));
        }
    }
    use tracing_subscriber::layer::SubscriberExt as _;
    let subscriber = tracing_subscriber::registry().with(Panicking);
    tracing::subscriber::with_default(subscriber, || {
        let service = builder(MemoryStore::new()).build().unwrap();
        let token = text(&block_on(service.owner("acme").issue(request())).unwrap());
        refuse_many(&service, &token);
    });
}

/// A dropped service delivers every event that was emitted before.
#[test]
fn dropped_service_delivers_queued_events() {
    let (delivered, deliveries) = channel();
    let delivered = Mutex::new(delivered);
    let service = builder(MemoryStore::new())
        .events(move |event: &Event| {
            let _ = delivered.lock().unwrap().send(event.clone());
        })
        .build()
        .unwrap();
    for _ in 0..100 {
        let _ = block_on(service.verify("nonsense", &any()));
    }
    drop(service);
    // The channel ends with the sink, so this also sees that its thread ends.
    assert_eq!(deliveries.iter().count(), 100);
}
