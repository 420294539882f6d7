//! A collector of `tracing` events, and of the lines that a subscriber prints of them.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// One `tracing` event.
#[derive(Debug, Clone)]
pub(crate) struct TracedEvent {
    pub(crate) level: Level,
    pub(crate) message: String,
    pub(crate) fields: Vec<(String, String)>,
}

/// The `tracing` events of a test, individually and as the lines of the usual subscriber.
#[derive(Clone, Default)]
pub(crate) struct Traced {
    events: Arc<Mutex<Vec<TracedEvent>>>,
    lines: Arc<Mutex<Vec<u8>>>,
}

impl Traced {
    /// Returns the events of this crate since the last call.
    pub(crate) fn take(&self) -> Vec<TracedEvent> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    /// Returns everything that was printed so far.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.lines.lock().unwrap()).into_owned()
    }
}

/// Runs `work` with a subscriber for every level up to `TRACE`.
pub(crate) fn collect_tracing<T>(work: impl FnOnce(&Traced) -> T) -> T {
    let traced = Traced::default();
    let printer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_writer(Printer(traced.lines.clone()));
    // With a single subscriber, `tracing` queries only the subscriber of the first thread that emits an
    // event, and caches the answer for all threads. A thread of another test has no subscriber, so it would
    // disable the event.
    static KEPT: OnceLock<[Dispatch; 2]> = OnceLock::new();
    KEPT.get_or_init(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));
    tracing::callsite::rebuild_interest_cache();
    let subscriber =
        tracing_subscriber::registry().with(Collector(traced.events.clone())).with(printer);
    tracing::subscriber::with_default(subscriber, || work(&traced))
}

struct Collector(Arc<Mutex<Vec<TracedEvent>>>);

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "service_tokens" {
            return;
        }
        let mut traced = TracedEvent {
            level: *event.metadata().level(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut traced);
        self.0.lock().unwrap().push(traced);
    }
}

impl Visit for TracedEvent {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            self.message = value;
        } else {
            self.fields.push((field.name().to_owned(), value));
        }
    }
}

#[derive(Clone)]
struct Printer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Printer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Printer {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}
