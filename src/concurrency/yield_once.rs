//! Yielding to other tasks.

use std::future::poll_fn;
use std::task::Poll;

/// Yields to the other tasks of the thread, because a store in memory never waits.
pub(crate) async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
