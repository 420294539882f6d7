//! The sink of events, and the way of an event to it.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Event;
use super::queue::{Purpose, Queue, Room};
use super::trace::trace;
use crate::clock::Clock;

/// A receiver of events.
///
/// The service calls a sink from one thread of its own, in order, and puts a bounded queue before it. So
/// no verification waits for a slow sink, and none fails if the sink panics. Three classes of events have
/// shares of the queue, so that no client can displace the events of management operations:
///
/// - **Events that a client can cause in any number** fill at most half of the queue. They are refusals,
///   reads and failed attempts on behalf of tokens, and repeated revocations by tokens. Beyond that they are
///   summed by kind, and each sum is one [`Event::Repeated`].
/// - **A token that issues or rotates** waits for room before it acts. If the sink hangs, these operations
///   hang too.
/// - **The rest is a reserve** for the embedder, for operators and for revocations. None of them waits,
///   except for a bulk operation, which waits for its own events only. While it waits, the events of the
///   embedder are delivered before those of the other classes. Revocations by tokens are summed beyond an
///   eighth of the queue. Events of the embedder that do not fit are counted in [`Event::Lost`].
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

/// Returns the text of an error with the texts of its causes. Some errors contain the text of their cause
/// already, and then it is not repeated.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
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

    /// Emits the event of an action that a report of a text caused.
    pub(crate) fn emit_reported(&self, event: Event) {
        match self {
            Self::Tracing => guarded(|| trace(&event)),
            Self::Queued(queue, clock) => queue.push_reported(event, clock.now()),
        }
    }

    /// Emits the event of an operation that has taken room for it.
    pub(crate) fn emit_in(&self, room: Option<Room<'_>>, event: Event) {
        match (self, room) {
            (Self::Queued(_, clock), Some(room)) => room.push(event, clock.now()),
            _ => self.emit(event),
        }
    }

    /// Waits until there is room for the event of an operation, and takes it. Await it before the operation
    /// acts. `tracing` needs no room.
    pub(crate) async fn room(&self, purpose: Purpose) -> Option<Room<'_>> {
        match self {
            Self::Tracing => None,
            Self::Queued(queue, _) => Some(queue.room(purpose).await),
        }
    }

    /// Waits until the sink has received all events so far, without blocking a thread.
    pub(crate) async fn flush(&self) {
        if let Self::Queued(queue, _) = self {
            queue.flush().await;
        }
    }

    /// Blocks the thread until the sink has received all events so far, at most for `longest`. Returns
    /// whether it has received them.
    pub(crate) fn flush_blocking(&self, longest: Duration) -> bool {
        match self {
            Self::Tracing => true,
            Self::Queued(queue, _) => queue.flush_blocking(longest),
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
