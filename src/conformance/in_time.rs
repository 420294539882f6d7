//! The time that the suite gives a call.

use std::time::Duration;

use super::polling::within;
use super::verdict::{NotKept, broken};

/// The maximum duration of a call. It is far above a useful value and only bounds the test.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Returns the output of a call, or reports that it did not end.
pub(super) async fn in_time<T>(call: impl Future<Output = T>, what: &str) -> Result<T, NotKept> {
    match within(MAX_WAIT, call).await {
        Some(output) => Ok(output),
        None => broken(format!("{what} did not end within {MAX_WAIT:?}")),
    }
}
