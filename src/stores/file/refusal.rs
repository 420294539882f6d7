//! Why the store takes nothing although nothing failed.

use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the store is closed")]
    Closed,
    #[error("too many changes wait to be written")]
    Overloaded,
}

pub(super) fn closed() -> StoreError {
    StoreError::unavailable(Refused::Closed)
}

pub(super) fn overloaded() -> StoreError {
    StoreError::unavailable(Refused::Overloaded)
}
