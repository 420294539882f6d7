//! Operations on many tokens. They revoke, suspend or resume tokens by a filter, or purge the records of
//! ended tokens.
//!
//! | function | returns |
//! | --- | --- |
//! | [`Tokens::revoke_all`](crate::Tokens::revoke_all) | [`RevokeAll`] |
//! | [`Tokens::suspend_all`](crate::Tokens::suspend_all) | [`SuspendAll`] |
//! | [`Tokens::resume_all`](crate::Tokens::resume_all) | [`ResumeAll`] |
//! | [`Tokens::purge`](crate::Tokens::purge) | [`Purge`] |
//!
//! Each reports a [`BulkProgress`] while it runs, and a [`BulkOutcome`] or a [`BulkError`] at the end.

pub use crate::service::{
    BulkError, BulkFailure, BulkOutcome, BulkProgress, Purge, ResumeAll, RevokeAll, SuspendAll,
    SuspensionMatch,
};
