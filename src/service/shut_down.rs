//! The end of a service: its last uses, its events, its store.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::core::{FlushTimeout, TokenService};
use super::flush_last_used::Flushed;
use crate::event::with_sources;
use crate::store::{StoreError, TokenStore};

/// The result of each step of [`TokenService::shut_down`].
///
/// `Display` names the steps that failed, for a log.
#[derive(Debug)]
#[must_use = "it says what was lost"]
#[non_exhaustive]
pub struct ShutDown {
    /// Whether the last uses were written. After an error those that wait are lost.
    pub last_used: Result<Flushed, StoreError>,
    /// Whether the event sink received all events. After an error those in the queue are lost.
    pub events: Result<(), FlushTimeout>,
    /// Whether the store was closed.
    pub store: Result<(), StoreError>,
}

impl ShutDown {
    /// Returns whether every step succeeded.
    pub fn is_complete(&self) -> bool {
        self.last_used.is_ok() && self.events.is_ok() && self.store.is_ok()
    }
}

impl fmt::Display for ShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last_used = self
            .last_used
            .as_ref()
            .err()
            .map(|error| format!("the last uses were not written: {}", with_sources(error)));
        let events = self.events.as_ref().err().map(ToString::to_string);
        let store = self.store.as_ref().err();
        let store = store.map(|error| format!("the store was not closed: {}", with_sources(error)));
        let failed: Vec<String> = [last_used, events, store].into_iter().flatten().collect();
        match &failed[..] {
            [] => f.write_str("the service was shut down"),
            _ => f.write_str(&failed.join("; ")),
        }
    }
}

impl<S: TokenStore> TokenService<S> {
    /// Ends the service. It flushes the last uses, then the events, and then closes the store.
    ///
    /// Call it once when no request runs any more, before the process ends. A step that fails does not
    /// prevent the others. The event of a failed flush of last uses is among the flushed events.
    ///
    /// The flush of the events waits for the sink until `deadline` completes, which is a timer of your
    /// runtime. It blocks no thread. The two calls of the store have no limit of their own. Put a limit of your runtime around this future if the store can hang. If the
    /// future is dropped, the remaining steps are not done, and it may be called again.
    ///
    /// Afterwards the service still exists. It depends on the store whether calls succeed. The stores in
    /// memory continue to work, and a [`FileStore`](crate::FileStore) refuses every call.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let ended = service.shut_down(tokio::time::sleep(Duration::from_secs(5))).await;
    /// if !ended.is_complete() {
    ///     eprintln!("{ended}");
    /// }
    /// # assert!(ended.is_complete());
    /// # Ok(()) }
    /// ```
    pub async fn shut_down(&self, deadline: impl Future<Output = ()>) -> ShutDown {
        let last_used = self.flush_last_used().await;
        let (mut flush, mut deadline) = (pin!(self.flush_events()), pin!(deadline));
        let events = poll_fn(|context| {
            if flush.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            deadline.as_mut().poll(context).map(|()| Err(FlushTimeout))
        })
        .await;
        let store = self.core.records.store.close().await;
        ShutDown { last_used, events, store }
    }
}
