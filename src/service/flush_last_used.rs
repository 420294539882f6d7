//! Writing pending uses to the store.

use super::core::TokenService;
use crate::event::{Event, with_sources};
use crate::store::{StoreError, TokenStore};

/// The largest number of uses in one call of the store.
const BATCH: usize = 1_000;

/// The result of [`TokenService::flush_last_used`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// The number of tokens whose last use was written to the store.
    pub tokens: usize,
}

impl<S: TokenStore> TokenService<S> {
    /// Writes the times at which tokens were last used to the store.
    ///
    /// Verifications only note uses in memory. Call this function every few seconds, at most every few
    /// minutes, from a task of your program, and once before the process ends.
    ///
    /// If the process crashes, the uses since the last successful flush are lost. So the store's last
    /// use of a token is behind the true one by less than that time plus one
    /// [resolution](crate::TokenServiceBuilder::last_used_resolution). With the default resolution and
    /// a flush every ten seconds, that is 70 seconds.
    ///
    /// Several tasks may call it at once, and its future may be dropped, because each use is retained
    /// until the store has it. If uses wait for longer than ten resolutions and ten minutes, the
    /// verification that notices it emits [`Event::LastUsedStalled`]. Waiting uses take up to some
    /// hundred bytes for each token.
    ///
    /// If the store does not track last use, or recording it is
    /// [disabled](crate::TokenServiceBuilder::disable_last_used), this function has no effect.
    ///
    /// # Errors
    ///
    /// The error of the store, which is also an [event](Event::LastUsedNotFlushed). Uses that were not
    /// written wait for the next call.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = Arc::new(TokenService::builder(MemoryStore::new(), "acme_live").build()?);
    /// let flushing = service.clone();
    /// tokio::spawn(async move {
    ///     let mut interval = tokio::time::interval(Duration::from_secs(10));
    ///     loop {
    ///         interval.tick().await;
    ///         // A failure is an event, and the uses wait for the next flush.
    ///         let _ = flushing.flush_last_used().await;
    ///     }
    /// });
    /// // … and before the process ends:
    /// service.flush_last_used().await?;
    /// # Ok(()) }
    /// ```
    pub async fn flush_last_used(&self) -> Result<Flushed, StoreError> {
        let mut flushed = Flushed { tokens: 0 };
        let Some(uses) = &self.pending_uses else { return Ok(flushed) };
        for batch in uses.to_flush().chunks(BATCH) {
            if let Err(error) = self.records.store.touch(batch).await {
                let (waiting, cause) = (uses.waiting(), with_sources(&error));
                self.events.emit(Event::LastUsedNotFlushed { waiting, cause });
                return Err(error);
            }
            uses.flushed(batch);
            flushed.tokens += batch.len();
        }
        Ok(flushed)
    }
}
