//! The standard streams. A result that cannot be written is found before anything is changed.
//!
//! The runtime of Rust opens `/dev/null` for reading and writing in the place of a stream that is closed, so
//! each write to it would succeed. `> /dev/null` of a shell opens it for writing only.

use crate::exit::Exit;

/// A path that leads to the file that is standard input, on systems with this path.
pub(crate) const INPUT: &str = "/dev/stdin";

/// A path that leads to the file that is standard output, on systems with this path.
pub(crate) const OUTPUT: &str = "/dev/stdout";

/// The state of a standard stream.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stream {
    Open,
    /// It is `/dev/null`, and the caller opened it for writing.
    Null,
    /// The caller closed it, or it is `/dev/null` for reading and writing.
    Closed,
    /// Writing to it fails.
    Failing(String),
}

/// Returns an error if standard output loses the result of the command.
pub(crate) fn require_stdout() -> Result<(), Exit> {
    match imp::stdout() {
        Stream::Open | Stream::Null => Ok(()),
        Stream::Closed => Err(Exit::Failed(format!(
            "standard output is closed, so the result would be lost: {NO_CHANGE}\n\
             hint: `> /dev/null` discards it on purpose"
        ))),
        Stream::Failing(error) => {
            Err(Exit::Failed(format!("writing to standard output: {error}: {NO_CHANGE}")))
        }
    }
}

/// Returns an error if standard output loses the token. A token for `/dev/null` is always a mistake.
pub(crate) fn require_stdout_for_token() -> Result<(), Exit> {
    let reason = match imp::stdout() {
        Stream::Open => return Ok(()),
        Stream::Null => "standard output is /dev/null, so the token would be lost".into(),
        Stream::Closed => "standard output is closed, so the token would be lost".into(),
        Stream::Failing(error) => format!("writing to standard output: {error}"),
    };
    Err(Exit::Failed(format!("{reason}: {NO_CHANGE}\nhint: --out FILE writes it to a file")))
}

/// Returns an error if writing to standard error fails.
pub(crate) fn require_stderr() -> Result<(), Exit> {
    match imp::stderr() {
        Stream::Failing(error) => {
            Err(Exit::Failed(format!("writing to standard error: {error}: {NO_CHANGE}")))
        }
        _ => Ok(()),
    }
}

/// Returns an error if standard error loses the report of the command.
pub(crate) fn require_stderr_for_report() -> Result<(), Exit> {
    match imp::stderr() {
        Stream::Closed => Err(Exit::Failed(format!(
            "standard error is closed, so the report would be lost: {NO_CHANGE}"
        ))),
        _ => require_stderr(),
    }
}

/// Returns whether a person can see a question on standard error.
pub(crate) fn shows_questions() -> bool {
    imp::stderr() == Stream::Open
}

const NO_CHANGE: &str = "nothing was changed";

#[cfg(unix)]
mod imp {
    use std::fs::{self, File};
    use std::io::{self, Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    use super::Stream;

    pub(super) fn stdout() -> Stream {
        of(io::stdout())
    }

    pub(super) fn stderr() -> Stream {
        of(io::stderr())
    }

    fn of(stream: impl AsFd) -> Stream {
        let file = match stream.as_fd().try_clone_to_owned() {
            Ok(descriptor) => File::from(descriptor),
            Err(error) => return Stream::Failing(error.to_string()),
        };
        if is_null(&file) {
            let readable = (&file).read(&mut [0]).is_ok();
            return if readable { Stream::Closed } else { Stream::Null };
        }
        // An empty write shows whether the descriptor is for writing, and whether a device is full.
        #[expect(clippy::unused_io_amount, reason = "no byte is written")]
        match (&file).write(&[]) {
            Ok(_) => Stream::Open,
            Err(error) => Stream::Failing(error.to_string()),
        }
    }

    fn is_null(file: &File) -> bool {
        match (file.metadata(), fs::metadata("/dev/null")) {
            (Ok(file), Ok(null)) => file.file_type().is_char_device() && file.rdev() == null.rdev(),
            _ => false,
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use super::Stream;

    pub(super) fn stdout() -> Stream {
        Stream::Open
    }

    pub(super) fn stderr() -> Stream {
        Stream::Open
    }
}
