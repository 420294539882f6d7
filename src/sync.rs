//! The lock and the counters of the code that the model checker runs.
//!
//! Under `--cfg shuttle` the unit tests replace them with those of shuttle, which chooses the thread that
//! runs next at each of their operations. `Arc` is the one of the standard library in both cases, because a
//! waker can only be made from that one.

#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
