//! Operations on many tokens. They revoke tokens by a filter, purge the records of ended tokens, or report
//! the tokens that expire soon.
//!
//! [`Tokens::revoke_all`](crate::Tokens::revoke_all) returns a [`RevokeAll`] and
//! [`Tokens::purge`](crate::Tokens::purge) a [`Purge`]. Both report a [`BulkProgress`] while they run
//! and a [`BulkOutcome`] or a [`BulkError`] at the end.
//! [`Tokens::expiry_notices`](crate::Tokens::expiry_notices) returns an [`ExpiryScan`], which ends with
//! [`ExpiryNotices`] or an [`ExpiryNoticesError`].

pub use crate::service::{
    BulkError, BulkFailure, BulkOutcome, BulkProgress, ExpiryNotices, ExpiryNoticesError,
    ExpiryScan, Purge, RevokeAll,
};
