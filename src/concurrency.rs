//! Several futures at once within one task.

pub(crate) mod yield_once;

use std::pin::Pin;

/// The number of single calls that a default of the store's contract makes at once. A store that commits in
/// groups, or that is far away, is slow if the records are processed one by one.
pub(crate) const CONCURRENCY: usize = 64;

/// A future that may move to another thread. Its type is erased, because otherwise the compiler cannot
/// prove `Send` for a future that awaits many of them.
pub(crate) type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;
