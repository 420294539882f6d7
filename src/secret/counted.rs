//! The number of hashes of presented secrets, for tests. Other builds do not contain it.

use std::cell::Cell;

thread_local! {
    static HASHES: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Notes a plain hash of a secret.
pub(crate) fn plain() {
    HASHES.with(|hashes| hashes.update(|(plain, keyed)| (plain + 1, keyed)));
}

/// Notes a keyed hash of an id and a secret.
pub(crate) fn keyed() {
    HASHES.with(|hashes| hashes.update(|(plain, keyed)| (plain, keyed + 1)));
}

/// Returns the plain and the keyed hashes of this thread since the last call.
#[cfg(feature = "memory")]
pub(crate) fn take() -> (usize, usize) {
    HASHES.take()
}
