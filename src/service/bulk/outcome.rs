//! The reports of a bulk operation.

use crate::error::ManageError;
use crate::token::TokenId;

/// The progress of a bulk operation, reported after every page of records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkProgress {
    /// The number of the pass over the store, from one.
    pub pass: u64,
    /// The number of records that were found and needed work, in all passes.
    pub found: u64,
    /// The number of tokens that this operation revoked, suspended or resumed, or of records that it
    /// removed.
    pub done: u64,
    /// The number of records of this pass that failed; see [`BulkOutcome::failed`].
    pub failed: u64,
    /// The position that this pass has reached, or `None` at its end.
    pub cursor: Option<TokenId>,
}

/// The result of a bulk operation.
#[derive(Debug)]
#[must_use = "some may have failed"]
#[non_exhaustive]
pub struct BulkOutcome {
    /// The number of tokens that this operation revoked, suspended or resumed, or of records that it
    /// removed. Tokens that another caller changed in that way are not counted.
    pub done: u64,
    /// The number of passes, including one that did not reach its end.
    pub passes: u64,
    /// The number of records that failed in the last pass, and of those whose result has been unknown since
    /// an earlier pass. They may be unchanged; all others were processed. A record fails if a newer program
    /// wrote it, if it is damaged, if other writes caused conflicts again and again, or if the store's
    /// answer was lost and the result is unknown.
    pub failed: u64,
    /// The first hundred of the failed records.
    pub failures: Vec<BulkFailure>,
}

/// A record that failed in a bulk operation.
#[derive(Debug)]
#[non_exhaustive]
pub struct BulkFailure {
    /// The token's id.
    pub id: TokenId,
    /// The error.
    pub error: ManageError,
}

/// The error returned by a bulk operation that stopped before its end. Completed work stays. Run the
/// operation again to continue.
#[derive(Debug, thiserror::Error)]
#[error("the operation stopped after {} tokens", so_far.done)]
#[non_exhaustive]
pub struct BulkError {
    /// The result until then.
    pub so_far: BulkOutcome,
    /// The error that stopped the operation.
    #[source]
    pub cause: ManageError,
}
