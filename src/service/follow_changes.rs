//! Invalidating cached records as the store reports changes.

use super::core::TokenService;
use crate::store::{Change, StoreError, TokenStore};

impl<S: TokenStore> TokenService<S> {
    /// Invalidates cached records as the store reports changes, so that a revocation by another process
    /// takes effect here within milliseconds and not only after the cache's `max_age`.
    ///
    /// Drive this future next to your requests, on any runtime. If the store has no stream of changes,
    /// or this service has no [cache](crate::TokenServiceBuilder::cache_records), it returns `Ok` at
    /// once. Otherwise it runs until the stream breaks. Then call it again after a pause. While it does
    /// not run, `max_age` is the limit.
    ///
    /// # Errors
    ///
    /// The error of the store if the stream could not be opened or broke.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = MemoryStore::new();
    /// let service = TokenService::builder(store, "acme_live")
    ///     .cache_records(Duration::from_secs(60), 100_000)
    ///     .build()?;
    /// let service = Arc::new(service);
    ///
    /// let following = service.clone();
    /// tokio::spawn(async move {
    ///     while let Err(error) = following.follow_changes().await {
    ///         eprintln!("the stream of changes broke: {error}");
    ///         tokio::time::sleep(Duration::from_secs(1)).await;
    ///     }
    /// });
    /// # Ok(()) }
    /// ```
    pub async fn follow_changes(&self) -> Result<(), StoreError> {
        let Some(cache) = &self.core.records.cache else { return Ok(()) };
        let Some(mut changes) = self.core.records.store.changes().await? else { return Ok(()) };
        // The stream does not report changes from before it was opened.
        cache.invalidate_all();
        loop {
            match changes.next().await {
                Ok(Change::Record(id)) => cache.invalidate(id),
                Ok(Change::Missed) => cache.invalidate_all(),
                Err(error) => {
                    cache.invalidate_all();
                    return Err(error);
                }
            }
        }
    }
}
