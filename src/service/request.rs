//! The requests of callers, one file for each verb.

mod amend;
mod end_older;
mod import;
mod issue;
mod leak;
mod revoke;
mod rotate;
mod suspend;

use std::time::Duration;

use chrono::{DateTime, Utc};

pub use amend::AmendRequest;
pub use end_older::EndOlderRequest;
pub use import::ImportRequest;
pub(super) use import::ImportSource;
pub use issue::IssueRequest;
pub use leak::LeakRequest;
pub use revoke::RevokeRequest;
pub use rotate::RotateRequest;
pub use suspend::{ResumeRequest, SuspendRequest};

/// The end that a request names, of the token, of its older secret or of its suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Default,
    In(Duration),
    At(DateTime<Utc>),
    Never,
}
