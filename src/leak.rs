//! Leak reports: the action that a caller wants, the result, and the error.
//!
//! [`TokenService::report_leak`](crate::TokenService::report_leak) takes a text that a person or a scanner
//! found where no token should be. [The manual](crate::manual::token_format#secret-scanners) has the recipe
//! for scanners.

pub use crate::service::{
    CannotTell, LeakAction, LeakOutcome, LeakReport, LeakResponse, LeakedSecret, ReportLeakError,
};
