//! The `Retry-After` of answers with status 503, in seconds.

/// A store that is down returns soon or much later. A short wait delays no client for long.
pub(crate) const STORE_UNAVAILABLE: u16 = 1;

/// A person resumes issuing, so a second attempt within a minute is rarely useful.
#[cfg(feature = "management")]
pub(crate) const ISSUING_PAUSED: u16 = 60;
