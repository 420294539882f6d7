//! Writing pending uses to the store.

use std::convert::Infallible;

use super::core::TokenService;
use crate::concurrency::yield_once::yield_once;
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
    /// [`flush_last_used_loop`](Self::flush_last_used_loop) is the loop for such a task, and
    /// [`shut_down`](Self::shut_down) contains the last call.
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
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// service.flush_last_used().await?;
    /// # Ok(()) }
    /// ```
    pub async fn flush_last_used(&self) -> Result<Flushed, StoreError> {
        let mut flushed = Flushed { tokens: 0 };
        let Some(uses) = &self.core.pending_uses else { return Ok(flushed) };
        for batch in uses.to_flush().chunks(BATCH) {
            if let Err(error) = self.core.records.store.touch(batch).await {
                let (waiting, cause) = (uses.waiting(), with_sources(&error));
                self.core.events.emit(Event::LastUsedNotFlushed { waiting, cause });
                return Err(error);
            }
            uses.flushed(batch);
            flushed.tokens += batch.len();
        }
        Ok(flushed)
    }
    /// Calls [`flush_last_used`](Self::flush_last_used) after each tick of your timer, and never ends.
    ///
    /// `tick` returns a future that completes when the next flush is due, such as the `sleep` of your
    /// runtime. The next future is created after the flush, so flushes do not pile up. Spawn the loop, or
    /// select it with the end of your program, and drop it to end it. The last uses are then flushed by
    /// [`shut_down`](Self::shut_down).
    ///
    /// A flush that fails emits [`Event::LastUsedNotFlushed`], and the loop continues. The uses wait for
    /// the next flush.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = Arc::new(TokenService::builder(MemoryStore::new(), "acme_live").build()?);
    /// let flushing = service.clone();
    /// let flusher = tokio::spawn(async move {
    ///     flushing.flush_last_used_loop(|| tokio::time::sleep(Duration::from_secs(10))).await
    /// });
    /// // … and before the process ends:
    /// flusher.abort();
    /// let ended = service.shut_down(tokio::time::sleep(Duration::from_secs(5))).await;
    /// # assert!(ended.is_complete());
    /// # Ok(()) }
    /// ```
    pub async fn flush_last_used_loop<T>(&self, mut tick: impl FnMut() -> T) -> Infallible
    where
        T: Future<Output = ()>,
    {
        loop {
            tick().await;
            // A failure is an event, and the uses wait for the next flush.
            let _ = self.flush_last_used().await;
            // Neither a timer without a pause nor a store in memory waits, so the task would never yield.
            yield_once().await;
        }
    }
}
