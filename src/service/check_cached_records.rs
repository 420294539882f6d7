//! Invalidating cached records whose version in the store is another one.

use std::convert::Infallible;

use super::cache::Cache;
use super::core::TokenService;
use crate::concurrency::yield_once::yield_once;
use crate::error::wrong_number_of_results;
use crate::store::{MAX_PAGE_LEN, StoreError, TokenStore};
use crate::token::TokenId;

/// The result of [`TokenService::check_cached_records`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CheckedRecords {
    /// The number of cached records that were compared with the store, including ids that the store did not
    /// have. Reads that were in flight count as well.
    pub checked: usize,
    /// The number of cached records that were invalidated, because the store has another version.
    pub invalidated: usize,
}

impl<S: TokenStore> TokenService<S> {
    /// Asks the store for the versions of all cached records, and invalidates those that have changed. So a
    /// revocation by another process takes effect here soon, also over a store without a [feed of
    /// changes](Self::follow_changes).
    ///
    /// Call it from a task of your program at a regular interval.
    /// [`check_cached_records_loop`](Self::check_cached_records_loop) is the loop for such a task. A change
    /// takes effect after the interval and two checks at the latest, because it may be too late for the check
    /// that runs. The cache's [`max_age`](crate::TokenServiceBuilder::cache_records) is the limit in any
    /// case, also if the store does not answer.
    ///
    /// A check makes one call of [`versions`](TokenStore::versions) for every 1,000 records, one call after the
    /// other. It needs no clock and no feed. A store with a feed may be checked as well. If this service has
    /// no cache, the method returns at once.
    ///
    /// # Errors
    ///
    /// The first error of the store, after all records were checked. A record without an answer stays in the
    /// cache for at most `max_age`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = MemoryStore::new();
    /// let service = TokenService::builder(store, "acme_live")
    ///     .cache_records(Duration::from_secs(60), 100_000)
    ///     .build()?;
    /// let checked = service.check_cached_records().await?;
    /// assert_eq!(checked.invalidated, 0);
    /// # Ok(()) }
    /// ```
    pub async fn check_cached_records(&self) -> Result<CheckedRecords, StoreError> {
        let mut checked = CheckedRecords::default();
        let Some(cache) = &self.core.records.cache else { return Ok(checked) };
        let (mut failed, mut ids) = (None, Vec::new());
        for shard in cache.ids() {
            ids.extend(shard);
            while ids.len() >= MAX_PAGE_LEN {
                let rest = ids.split_off(MAX_PAGE_LEN);
                self.check_batch(cache, &ids, &mut checked, &mut failed).await;
                ids = rest;
            }
        }
        if !ids.is_empty() {
            self.check_batch(cache, &ids, &mut checked, &mut failed).await;
        }
        match failed {
            None => Ok(checked),
            Some(error) => Err(error),
        }
    }

    async fn check_batch(
        &self,
        cache: &Cache,
        ids: &[TokenId],
        checked: &mut CheckedRecords,
        failed: &mut Option<StoreError>,
    ) {
        let asked_at = self.core.clock.monotonic();
        let versions = self.core.records.store.versions(ids).await;
        if versions.len() != ids.len() {
            failed.get_or_insert_with(|| wrong_number_of_results(StoreError::corrupt));
            return;
        }
        for (id, version) in ids.iter().zip(versions) {
            match version {
                Ok(version) => {
                    checked.checked += 1;
                    checked.invalidated += usize::from(cache.check(*id, version, asked_at));
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        // A store in this process never waits, so the task would not yield between two batches.
        yield_once().await;
    }

    /// Calls [`check_cached_records`](Self::check_cached_records) after each tick of your timer, and never
    /// ends.
    ///
    /// `tick` returns a future that completes when the next check is due, such as the `sleep` of your runtime.
    /// The next future is created after the check, so checks do not pile up. Spawn the loop, or select it with
    /// the end of your program, and drop it to end it.
    ///
    /// The loop calls `failed` with the error of each check that fails, and continues. While checks fail, the
    /// cache's `max_age` is the limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = MemoryStore::new();
    /// let service = TokenService::builder(store, "acme_live")
    ///     .cache_records(Duration::from_secs(60), 100_000)
    ///     .build()?;
    /// let service = Arc::new(service);
    ///
    /// let checking = service.clone();
    /// tokio::spawn(async move {
    ///     let tick = || tokio::time::sleep(Duration::from_secs(2));
    ///     let failed = |error| eprintln!("cached records were not checked: {error}");
    ///     checking.check_cached_records_loop(tick, failed).await
    /// });
    /// # Ok(()) }
    /// ```
    pub async fn check_cached_records_loop<T>(
        &self,
        mut tick: impl FnMut() -> T,
        mut failed: impl FnMut(StoreError),
    ) -> Infallible
    where
        T: Future<Output = ()>,
    {
        loop {
            tick().await;
            if let Err(error) = self.check_cached_records().await {
                failed(error);
            }
            // Neither a timer without a pause nor a store in memory waits, so the task would never yield.
            yield_once().await;
        }
    }
}
