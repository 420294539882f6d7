//! Operations on many tokens. They revoke, suspend or resume tokens by a filter, purge the records of
//! ended tokens, or report the tokens that expire soon.
//!
//! | function | returns |
//! | --- | --- |
//! | [`Tokens::revoke_all`](crate::Tokens::revoke_all) | [`RevokeAll`] |
//! | [`Tokens::suspend_all`](crate::Tokens::suspend_all) | [`SuspendAll`] |
//! | [`Tokens::resume_all`](crate::Tokens::resume_all) | [`ResumeAll`] |
//! | [`Tokens::purge`](crate::Tokens::purge) | [`Purge`] |
//!
//! Each reports a [`BulkProgress`] while it runs, and a [`BulkOutcome`] or a [`BulkError`] at the end.
//! [`Tokens::expiry_notices`](crate::Tokens::expiry_notices) returns an [`ExpiryScan`], which ends with
//! [`ExpiryNotices`] or an [`ExpiryNoticesError`].

pub use crate::service::{
    BulkError, BulkFailure, BulkOutcome, BulkProgress, ExpiryNotices, ExpiryNoticesError,
    ExpiryScan, Purge, ResumeAll, RevokeAll, SuspendAll,
};
