//! The one moment in which a token is shown.

use std::io::{self, Write};

use service_tokens::Issued;

use crate::stop::Stop;

/// Prints the token alone on a line of standard output.
pub(crate) fn hand_over(issued: &Issued) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", issued.token.expose_secret()).and_then(|()| out.flush());
    // A closed pipe is no quiet end here: the secret is gone.
    written.map_err(|error| {
        Stop::Failed(format!(
            "the token could not be written to standard output ({error}), and it cannot be shown \
             again.\n`tokens rotate {} --at-once` gives it a new secret.",
            issued.record.id()
        ))
    })
}
