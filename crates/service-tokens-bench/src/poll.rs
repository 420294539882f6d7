//! Runs futures without an executor, so that no executor is part of a measurement.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Polls a future until it is done. A future that is ready at the first poll costs one call and no waker.
/// Otherwise this thread parks until the future wakes it.
// Always inlined, because `.await` also polls a future in place. A move of the future would be measured.
#[inline(always)]
pub fn ready<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => park_until_done(future),
    }
}

#[cold]
fn park_until_done<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let waker = this_thread();
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls several futures in turn until all are done. Returns the outputs in the order of the futures.
pub fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    let waker = this_thread();
    let mut context = Context::from_waker(&waker);
    let mut left = outputs.len();
    while left > 0 {
        for (future, output) in waiting.iter_mut().zip(&mut outputs).filter(|(_, o)| o.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                *output = Some(value);
                left -= 1;
            }
        }
        if left > 0 {
            thread::park();
        }
    }
    outputs.into_iter().flatten().collect()
}

/// A waker that unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn this_thread() -> Waker {
    Arc::new(Unpark(thread::current())).into()
}
