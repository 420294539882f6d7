//! Recording when tokens were last used.

use chrono::{DateTime, Utc};

use super::TokenService;
use super::uses::View;
use crate::event::{Event, with_sources};
use crate::store::{StoreError, TokenStore};
use crate::token::TokenId;

/// The most uses given to the store in one call.
const BATCH: usize = 1_000;

/// What a flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// How many tokens' last use the store was given.
    pub tokens: usize,
}

impl<S: TokenStore> TokenService<S> {
    /// Brings to the store when tokens were last used.
    ///
    /// Verifications note uses in memory; nothing else writes them out. Call this every few seconds, at
    /// most every few minutes, from a task of your own, and once before the process ends:
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = Arc::new(TokenService::builder(MemoryStore::new(), "acme_live").build()?);
    /// let flushing = service.clone();
    /// tokio::spawn(async move {
    ///     let mut every = tokio::time::interval(Duration::from_secs(10));
    ///     loop {
    ///         every.tick().await;
    ///         // A failure is an event, and the uses are kept for the next time.
    ///         let _ = flushing.flush_last_used().await;
    ///     }
    /// });
    /// // …
    /// service.flush_last_used().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// When the process dies, what was noted since the last flush that succeeded is lost. So the store's
    /// last use of a token is behind the true one by less than that time and one
    /// [step](super::TokenServiceBuilder::last_used_resolution) more: 70 seconds for the default step and the
    /// ten seconds above.
    ///
    /// It can be called from several tasks at once, and its future can be dropped: no use is forgotten
    /// before the store has it. Uses that wait for longer than ten steps, and at least ten minutes, are
    /// an [event](Event::LastUsedStalled) of the verification that notices. They take up to some
    /// hundred bytes for each token.
    ///
    /// On a store that does not track last use, or [without](super::TokenServiceBuilder::disable_last_used)
    /// recording, there is nothing to flush.
    ///
    /// # Errors
    ///
    /// The store's; it is an event too. What was not given to the store waits for the next call.
    pub async fn flush_last_used(&self) -> Result<Flushed, StoreError> {
        let mut flushed = Flushed { tokens: 0 };
        let Some(uses) = &self.uses else { return Ok(flushed) };
        for batch in uses.to_flush().chunks(BATCH) {
            if let Err(error) = self.store.touch(batch).await {
                let (waiting, cause) = (uses.waiting(), with_sources(&error));
                self.events.emit(Event::LastUsedNotFlushed { waiting, cause });
                return Err(error);
            }
            uses.flushed(batch);
            flushed.tokens += batch.len();
        }
        Ok(flushed)
    }

    /// Notes a use, if the service records them.
    pub(super) fn note_use(&self, id: TokenId, at: DateTime<Utc>) {
        let Some(uses) = &self.uses else { return };
        if let Some(stalled) = uses.note(id, at, || self.clock.monotonic()) {
            let (waiting, oldest) = (stalled.waiting, stalled.oldest);
            self.events.emit(Event::LastUsedStalled { waiting, oldest });
        }
    }

    /// To be taken before the store is asked for what is to be shown.
    pub(super) fn view_of_uses(&self) -> View<'_> {
        View::new(self.uses.as_ref())
    }
}
