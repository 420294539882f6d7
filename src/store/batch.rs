//! The default of a call about many rows, which makes a single call for each.

use std::future::poll_fn;
use std::task::Poll;

use super::error::StoreError;
use crate::concurrency::{BoxFuture, CONCURRENCY};

/// Makes these calls, several at once, and returns their results in order.
///
/// After an error that every other call would return too, no further call starts. Those that did not start
/// get the same error, because nothing was sent for them.
///
/// When one of the running calls wakes the task, all of them are polled. For so few calls that costs less
/// than a waker for each.
pub(super) async fn in_order<'f, T: Send + 'f>(
    calls: impl ExactSizeIterator<Item = BoxFuture<'f, Result<T, StoreError>>> + Send + 'f,
) -> Vec<Result<T, StoreError>> {
    let mut results: Vec<Option<Result<T, StoreError>>> = Vec::new();
    results.resize_with(calls.len(), || None);
    let mut waiting = calls.enumerate();
    let mut running: Vec<(usize, BoxFuture<'f, Result<T, StoreError>>)> = Vec::new();
    let mut stopped_by: Option<StoreError> = None;
    poll_fn(|context| {
        let mut end = |row: usize, result: Result<T, StoreError>, stopped_by: &mut Option<_>| {
            if let Err(error) = &result
                && error.concerns_every_call()
            {
                stopped_by.get_or_insert_with(|| error.duplicate());
            }
            if let Some(slot) = results.get_mut(row) {
                *slot = Some(result);
            }
        };
        running.retain_mut(|(row, call)| match call.as_mut().poll(context) {
            Poll::Ready(result) => {
                end(*row, result, &mut stopped_by);
                false
            }
            Poll::Pending => true,
        });
        while stopped_by.is_none()
            && running.len() < CONCURRENCY
            && let Some((row, mut call)) = waiting.next()
        {
            match call.as_mut().poll(context) {
                Poll::Ready(result) => end(row, result, &mut stopped_by),
                Poll::Pending => running.push((row, call)),
            }
        }
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let not_started = || match &stopped_by {
        Some(error) => error.duplicate(),
        None => StoreError::unavailable("the call was not started"),
    };
    results.into_iter().map(|result| result.unwrap_or_else(|| Err(not_started()))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_lite::future::{block_on, yield_now};

    use super::*;

    #[test]
    fn calls_run_in_order_within_the_limit() {
        for count in [0, 3, 64, 65, 1_000] {
            let (running, highest) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
            let calls = (0..count).map(|n| -> BoxFuture<'_, Result<usize, StoreError>> {
                Box::pin(async move {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    highest.fetch_max(now, Ordering::SeqCst);
                    for _ in 0..n * 7 % 5 {
                        yield_now().await;
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    // An error about one row does not stop the others.
                    if n % 10 == 9 { Err(StoreError::Conflict) } else { Ok(n) }
                })
            });
            let results = block_on(in_order(calls));
            assert_eq!(results.len(), count);
            for (n, result) in results.into_iter().enumerate() {
                match result {
                    Ok(of) => assert_eq!(of, n),
                    Err(error) => assert!(matches!(error, StoreError::Conflict) && n % 10 == 9),
                }
            }
            let highest = highest.load(Ordering::SeqCst);
            assert!(highest <= CONCURRENCY && 2 * highest >= count.min(CONCURRENCY), "{highest}");
        }
    }

    #[test]
    fn no_call_starts_after_unavailable() {
        let started = &AtomicUsize::new(0);
        let calls = (0..1_000).map(|n| -> BoxFuture<'_, Result<usize, StoreError>> {
            Box::pin(async move {
                started.fetch_add(1, Ordering::SeqCst);
                yield_now().await;
                if n == 100 { Err(StoreError::unavailable("no route")) } else { Ok(n) }
            })
        });
        let results = block_on(in_order(calls));
        let started = started.load(Ordering::SeqCst);
        // The running calls ended, and the rest got the error.
        assert!((101..=100 + CONCURRENCY).contains(&started), "{started}");
        for (n, result) in results.into_iter().enumerate() {
            match result {
                Ok(of) => assert!(of == n && n < started && n != 100),
                Err(StoreError::Unavailable { .. }) => assert!(n == 100 || n >= started),
                Err(error) => panic!("{error}"),
            }
        }
    }
}
