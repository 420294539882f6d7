//! The requests of callers, one file for each verb.

mod import;
mod issue;
mod revoke;
mod rotate;

use std::time::Duration;

use chrono::{DateTime, Utc};

pub use import::ImportRequest;
pub(super) use import::ImportSource;
pub use issue::IssueRequest;
pub use revoke::RevokeRequest;
pub use rotate::RotateRequest;

/// The end that a request names, of the token or of its older secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Default,
    In(Duration),
    At(DateTime<Utc>),
    Never,
}
