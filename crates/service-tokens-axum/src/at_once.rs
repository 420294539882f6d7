//! Futures that need not wait.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The output, if the future has it without waiting. Otherwise it is to be awaited: the next poll tells
/// it whom to wake.
///
/// A store in this process always has its answer at once. What waits for nothing can be done before the
/// service further in is called, and then neither that nor the request need be moved into a future.
pub(crate) fn at_once<T>(future: &mut Pin<Box<impl Future<Output = T> + ?Sized>>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
