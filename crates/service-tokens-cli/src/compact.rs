//! Making the file smaller. A service does that by itself, in the background; this program has ended
//! before.

use futures_lite::future::block_on;
use service_tokens::{FileStore, TokenService};

use crate::stop::{chain, note};

/// Writes the file anew and tells both sizes. What was done before is done, whether this works or not.
pub(crate) fn compact(service: &TokenService<FileStore>) {
    match block_on(service.store().compact()) {
        Ok(sizes) => note(format_args!(
            "The file had {} bytes and has {} now.",
            sizes.bytes_before, sizes.bytes_after
        )),
        Err(error) => note(format_args!(
            "The file could not be made smaller, which needs room for the live records once more: {}",
            chain(&error)
        )),
    }
}
