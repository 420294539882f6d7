//! The feed of changes of a store.

use async_trait::async_trait;

use super::error::StoreError;
use crate::token::TokenId;

/// An entry of a change feed, as [`ChangeStream::next`] returns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The record of this id was replaced or removed, or perhaps inserted.
    Record(TokenId),
    /// Changes may have been missed, so every cached record must be dropped.
    Missed,
}

/// A feed of the ids whose records change, also if another process writes them.
#[async_trait]
pub trait ChangeStream: Send {
    /// Waits for the next change and returns it. Dropping the future must not lose a change.
    ///
    /// # Errors
    ///
    /// Any error if the stream broke and will not return another change. The caller opens a new stream
    /// with [`TokenStore::changes`](super::TokenStore::changes) and treats the time in between as [`Change::Missed`].
    async fn next(&mut self) -> Result<Change, StoreError>;
}
