//! The loop that flushes last uses, and the end of a service.

use std::cell::Cell;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_lite::future::{poll_once, yield_now};
use service_tokens::store::{LastUsed, StoreError, Version};
use service_tokens::{
    Event, FlushTimeout, ListRequest, Page, Record, StoredRecord, TokenId, TokenStore,
};

use super::harness::{Fault, Harness, MINUTE, SharedStore, Stores, backup, text};

behaviours! {
    flush_loop_writes_uses_after_each_tick,
    flush_loop_continues_after_failures,
    flush_loop_without_pause_yields,
    shut_down_flushes_then_closes,
    shut_down_reports_each_failure,
    shut_down_reports_slow_sink,
    shut_down_again_succeeds,
}

pub(crate) async fn flush_loop_writes_uses_after_each_tick(stores: Stores) {
    let harness = Harness::new(stores);
    let issued = harness.issue(backup()).await;
    let id = issued.record.id();
    let (due, ticks) = (Cell::new(false), Cell::new(0));
    let tick = || {
        ticks.set(ticks.get() + 1);
        async {
            while !due.replace(false) {
                yield_now().await;
            }
        }
    };
    let mut flushing = pin!(harness.service.flush_last_used_loop(tick));
    for turn in 1..=3 {
        let used = harness.use_token(&text(&issued)).await;
        assert!(poll_once(&mut flushing).await.is_none());
        assert_ne!(harness.stored_last_used(id).await, LastUsed::At(used), "before the tick");
        due.set(true);
        // The store in a file answers later.
        for _ in 0..1_000 {
            assert!(poll_once(&mut flushing).await.is_none());
            if harness.stored_last_used(id).await == LastUsed::At(used) && ticks.get() > turn {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(harness.stored_last_used(id).await, LastUsed::At(used));
        assert_eq!(ticks.get(), turn + 1);
        harness.advance(MINUTE);
    }
}

pub(crate) async fn flush_loop_continues_after_failures(stores: Stores) {
    let harness = Harness::over_faulty(stores);
    let issued = harness.issue(backup()).await;
    let used = harness.use_token(&text(&issued)).await;
    let _ = harness.events();
    harness.faulty().arm(&[Fault::Unavailable; 3], Fault::None);
    let mut flushing = pin!(harness.service.flush_last_used_loop(yield_now));
    for _ in 0..1_000 {
        assert!(poll_once(&mut flushing).await.is_none());
        if harness.stored_last_used(issued.record.id()).await == LastUsed::At(used) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(harness.stored_last_used(issued.record.id()).await, LastUsed::At(used));
    let events = harness.last_used_events();
    let failed = |event: &Event| matches!(event, Event::LastUsedNotFlushed { waiting: 1, .. });
    assert!(events.len() == 3 && events.iter().all(failed), "{events:?}");
}

/// A timer that is always due must not stop the other tasks of its thread.
pub(crate) async fn flush_loop_without_pause_yields(stores: Stores) {
    let harness = Harness::new(stores);
    let mut flushing = pin!(harness.service.flush_last_used_loop(|| std::future::ready(())));
    for _ in 0..10 {
        assert!(poll_once(&mut flushing).await.is_none());
    }
}

/// A store that notes its last calls.
struct Noting {
    inner: SharedStore,
    calls: Arc<Mutex<Vec<&'static str>>>,
    fails: bool,
}

impl Noting {
    fn note(&self, call: &'static str) -> Result<(), StoreError> {
        self.calls.lock().unwrap().push(call);
        if self.fails { Err(StoreError::unavailable("the disk is gone")) } else { Ok(()) }
    }
}

#[async_trait]
impl TokenStore for Noting {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        self.inner.insert(record).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.inner.find(id).await
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        self.inner.replace(record, expected).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.inner.list(request, now).await
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        self.note("touch")?;
        self.inner.touch(uses).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.note("close")?;
        self.inner.close().await
    }
}

type Calls = Arc<Mutex<Vec<&'static str>>>;

/// Returns a service that notes the last calls of its store, and the events among them.
fn noting(stores: Stores, fails: bool) -> (Harness<Noting>, Calls) {
    let calls = Calls::default();
    let (of_store, of_sink) = (calls.clone(), calls.clone());
    let harness = Harness::builder(stores)
        .over(|inner| Noting { inner, calls: of_store, fails })
        .configure(|service| {
            service.events(move |event: &Event| {
                // The sink is slow, so the events are still in the queue when the service ends.
                std::thread::sleep(Duration::from_millis(20));
                of_sink.lock().unwrap().push(event.name());
            })
        });
    (harness.build(), calls)
}

pub(crate) async fn shut_down_flushes_then_closes(stores: Stores) {
    let (harness, calls) = noting(stores, false);
    let issued = harness.issue(backup()).await;
    let used = harness.use_token(&text(&issued)).await;
    let ended = harness.service.shut_down(std::future::pending()).await;
    assert!(ended.is_complete(), "{ended}");
    assert_eq!(ended.last_used.unwrap().tokens, 1);
    assert_eq!(*calls.lock().unwrap(), ["touch", "issued", "close"]);
    // A closed store refuses, or it answers as before.
    if let Ok(stored) = harness.store.find(issued.record.id()).await {
        assert_eq!(stored.unwrap().last_used, LastUsed::At(used));
    }
}

pub(crate) async fn shut_down_reports_each_failure(stores: Stores) {
    let (harness, calls) = noting(stores, true);
    let issued = harness.issue(backup()).await;
    harness.use_token(&text(&issued)).await;
    let ended = harness.service.shut_down(std::future::pending()).await;
    assert!(!ended.is_complete());
    // The event of the failed flush is delivered before the store is closed.
    assert_eq!(*calls.lock().unwrap(), ["touch", "issued", "last_used_not_flushed", "close"]);
    assert!(ended.last_used.is_err() && ended.events.is_ok() && ended.store.is_err());
    let message = ended.to_string();
    assert!(message.contains("the last uses were not written: "), "{message}");
    assert!(message.contains("; the store was not closed: "), "{message}");
    assert!(message.contains("the disk is gone"), "{message}");
}

pub(crate) async fn shut_down_reports_slow_sink(stores: Stores) {
    let (harness, calls) = noting(stores, false);
    for _ in 0..100 {
        let _ = harness.issue(backup()).await;
    }
    let ended = harness.service.shut_down(std::future::ready(())).await;
    assert!(matches!(ended.events, Err(FlushTimeout { .. })));
    assert!(ended.store.is_ok() && calls.lock().unwrap().contains(&"close"));
    assert!(ended.to_string().contains("the event sink had not received all events"), "{ended}");
}

pub(crate) async fn shut_down_again_succeeds(stores: Stores) {
    let harness = Harness::new(stores);
    let _ = harness.issue(backup()).await;
    for _ in 0..2 {
        let ended = harness.service.shut_down(std::future::pending()).await;
        assert!(ended.is_complete(), "{ended}");
        assert_eq!(ended.to_string(), "the service was shut down");
    }
}
