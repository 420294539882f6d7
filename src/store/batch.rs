//! The default of a call about many rows, which makes a single call for each.

use super::error::StoreError;
use crate::concurrency::{BoxFuture, CONCURRENCY, ConcurrentFutures};

/// Makes these calls, several at once, and returns their results in order.
///
/// After an error that every other call would return too, no further call starts. Those that did not start
/// get the same error, because nothing was sent for them.
pub(super) async fn in_order<'f, T: Send + 'f>(
    calls: impl ExactSizeIterator<Item = BoxFuture<'f, Result<T, StoreError>>> + Send + 'f,
) -> Vec<Result<T, StoreError>> {
    let mut results: Vec<Option<Result<T, StoreError>>> = Vec::new();
    results.resize_with(calls.len(), || None);
    let numbered = calls
        .enumerate()
        .map(|(row, call)| -> BoxFuture<'f, _> { Box::pin(async move { (row, call.await) }) });
    let mut running = ConcurrentFutures::new(CONCURRENCY, numbered);
    let mut stopped_by = None;
    while let Some((row, result)) = running.next().await {
        if let Err(error) = &result
            && error.concerns_every_call()
        {
            running.stop_starting();
            stopped_by.get_or_insert_with(|| error.duplicate());
        }
        if let Some(slot) = results.get_mut(row) {
            *slot = Some(result);
        }
    }
    let not_started = |stopped_by: &Option<StoreError>| match stopped_by {
        Some(error) => error.duplicate(),
        None => StoreError::unavailable("the call was not started"),
    };
    results
        .into_iter()
        .map(|result| result.unwrap_or_else(|| Err(not_started(&stopped_by))))
        .collect()
}
