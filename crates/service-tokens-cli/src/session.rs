//! The open service of one command, with its events file.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use service_tokens::{FileStore, TokenService};

use crate::events::EventsFile;

/// The time for which the end of a command waits for its events.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The service over the token file. Its events are written when it is dropped at the latest.
pub(crate) struct Session {
    service: TokenService<FileStore>,
    events: Option<EventsFile>,
    /// Whether the events file did not receive the events in time. It is not waited for again.
    hangs: AtomicBool,
}

impl Session {
    pub(crate) fn new(service: TokenService<FileStore>, events: Option<EventsFile>) -> Self {
        Self { service, events, hangs: AtomicBool::new(false) }
    }

    /// Writes the events so far to the disk. Call it before a success is reported.
    pub(crate) fn settle(&self) {
        if let Some(events) = &self.events {
            events.settle(self.deliver());
        }
    }

    /// Waits until the events file has received all events so far. Call it between operations of which there
    /// can be many, because the queue of events is bounded.
    pub(crate) fn deliver(&self) -> bool {
        if self.events.is_none() {
            return true;
        }
        if !self.hangs.load(Ordering::Relaxed) {
            let delivered = self.service.flush_events_blocking(MAX_WAIT).is_ok();
            self.hangs.store(!delivered, Ordering::Relaxed);
        }
        !self.hangs.load(Ordering::Relaxed)
    }
}

impl Deref for Session {
    type Target = TokenService<FileStore>;

    fn deref(&self) -> &Self::Target {
        &self.service
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.settle();
    }
}
