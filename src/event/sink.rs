//! The sink of events, and the way of an event to it.

use std::error::Error;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Event;
use super::queue::Queue;
use super::trace::trace;
use crate::clock::Clock;

/// A receiver of events.
///
/// The service calls a sink from one thread of its own, in order, and puts a bounded queue before it. So
/// no verification waits for a slow sink, and none fails if the sink panics. Events that do not fit the
/// queue are counted and reported as [`Event::Lost`]. Refusals may take half of the queue only, because
/// a client can cause any number of them and they must not displace management operations. A bulk
/// revocation is the only operation that waits for room, so a sink that hangs delays it.
///
/// Without a sink events go to `tracing` under the target `service_tokens`, in the thread and span of
/// the request. Operations that write and refusals are `INFO`, and reads are `DEBUG`. Events that an
/// operator should see are `WARN`. These are a failed operation, issuing paused or resumed, an ended
/// secret, an overlap that did not end, a store without an answer, last uses that are not flushed, a clock
/// jump, and lost events.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::Arc;
/// use service_tokens::Event;
///
/// let leaks = Arc::new(AtomicU64::new(0));
/// let counter = leaks.clone();
/// // Every closure of this form is a sink.
/// let sink = move |event: &Event| {
///     if let Event::EndedSecretPresented { .. } = event {
///         counter.fetch_add(1, Ordering::Relaxed);
///     }
/// };
/// # fn takes(_: impl service_tokens::EventSink) {} takes(sink);
/// ```
pub trait EventSink: Send + Sync + 'static {
    /// Receives an event that happened at the wall-clock time `at`.
    ///
    /// It may block and it may panic, because the service calls it on a thread of its own. While it
    /// blocks, later events wait in the queue.
    fn record(&self, event: &Event, at: DateTime<Utc>);
}

/// A sink behind an `Arc`, so that the program can share it with the service.
#[deny(clippy::missing_trait_methods)]
impl<S: EventSink + ?Sized> EventSink for Arc<S> {
    fn record(&self, event: &Event, at: DateTime<Utc>) {
        (**self).record(event, at);
    }
}

// There is no implementation for every `Box<S>`, because a boxed closure is a closure and so a sink.
#[deny(clippy::missing_trait_methods)]
impl EventSink for Box<dyn EventSink> {
    fn record(&self, event: &Event, at: DateTime<Utc>) {
        (**self).record(event, at);
    }
}

impl<F: Fn(&Event) + Send + Sync + 'static> EventSink for F {
    fn record(&self, event: &Event, _: DateTime<Utc>) {
        self(event);
    }
}

/// Returns the text of an error with the texts of its causes.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The path of events from the service to a sink.
pub(crate) enum Events {
    Tracing,
    Queued(Arc<Queue>, Arc<dyn Clock>),
}

impl Events {
    /// Creates a queue of `capacity` events before `sink`, with a thread that delivers them.
    pub(crate) fn queued(
        sink: Box<dyn EventSink>,
        capacity: usize,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(capacity));
        let drained = queue.clone();
        std::thread::Builder::new().name("service-tokens-events".into()).spawn(move || {
            drained.drain(|event, at| guarded(|| sink.record(event, at)));
        })?;
        Ok(Self::Queued(queue, clock))
    }

    /// Writes the event to `tracing`, or puts it into the queue without waiting.
    pub(crate) fn emit(&self, event: Event) {
        match self {
            Self::Tracing => guarded(|| trace(&event)),
            Self::Queued(queue, clock) => queue.push(event, clock.now()),
        }
    }

    /// Waits until a bulk operation may emit its next event without displacing others.
    pub(crate) async fn room(&self) {
        if let Self::Queued(queue, _) = self {
            poll_fn(|context| queue.poll_room(context)).await;
        }
    }

    /// Waits until the sink has received all events so far, at most for `longest`. Returns whether it has
    /// received them.
    pub(crate) fn flush(&self, longest: Duration) -> bool {
        match self {
            Self::Tracing => true,
            Self::Queued(queue, _) => queue.flush(longest),
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Self::Queued(queue, _) = self {
            queue.close();
        }
    }
}

/// Contains a panic of a sink or a waker. The panic hook has reported it already.
pub(super) fn guarded(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}
