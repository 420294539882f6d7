//! Operations on many tokens. They revoke tokens by a filter, or purge the records of ended tokens.
//!
//! [`Tokens::revoke_all`](crate::Tokens::revoke_all) returns a [`RevokeAll`] and
//! [`Tokens::purge`](crate::Tokens::purge) a [`Purge`]. Both report a [`BulkProgress`] while they run
//! and a [`BulkOutcome`] or a [`BulkError`] at the end.

pub use crate::service::{BulkError, BulkFailure, BulkOutcome, BulkProgress, Purge, RevokeAll};
