//! Reasons why the store fails or refuses a write.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::access::{FileAccess, Known};
use super::lock::refuses_writing;
use super::open::directory_of;
use super::open_warning::REMEDY;
use crate::store::StoreError;

/// The reason why frames were not appended.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    kind: FailureKind,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailureKind {
    Unavailable,
    Full,
    ReadOnly,
    Indeterminate,
}

/// The error of the operating system, shared by all writes of a batch that it failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing}")]
struct Cause {
    doing: Cow<'static, str>,
    #[source]
    error: Arc<io::Error>,
}

/// A change that another program made to the file while it was open.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum ExternalChange {
    #[error("its length has changed")]
    Length,
    #[error("its path is gone or names another file")]
    Name,
    #[error("it has {0} names (hard links), and only one is allowed: remove the others")]
    Links(u64),
}

impl From<ExternalChange> for Failure {
    fn from(change: ExternalChange) -> Self {
        Self::unavailable("another program changed the journal", io::Error::other(change))
    }
}

impl Failure {
    pub(super) fn unavailable(doing: impl Into<Cow<'static, str>>, error: io::Error) -> Self {
        let cause = Cause { doing: doing.into(), error: Arc::new(error) };
        Self { kind: FailureKind::Unavailable, cause }
    }

    pub(super) fn new(doing: impl Into<Cow<'static, str>>, error: io::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                FailureKind::Full
            }
            _ if refuses_writing(&error) => FailureKind::ReadOnly,
            _ => FailureKind::Unavailable,
        };
        Self { kind, cause: Cause { doing: doing.into(), error: Arc::new(error) } }
    }

    /// Returns the failure of creating or renaming the compacted journal. If it is the directory that
    /// refuses it, the text names the directory and its access. Such a failure is not a read-only store,
    /// because writes to the journal still succeed.
    pub(super) fn in_directory_of(path: &Path, doing: &'static str, error: io::Error) -> Self {
        if !refuses_writing(&error) {
            return Self::new(doing, error);
        }
        let directory = directory_of(path);
        let access = Known(FileAccess::at(directory));
        Self::unavailable(
            format!("{doing} in the directory {}{access}: {REMEDY}", directory.display()),
            error,
        )
    }

    /// Marks the failure as indeterminate, because the frames may be in the file.
    pub(super) fn indeterminate(self) -> Self {
        Self { kind: FailureKind::Indeterminate, ..self }
    }

    pub(super) fn to_error(&self) -> StoreError {
        match self.kind {
            FailureKind::Unavailable => StoreError::unavailable(self.cause.clone()),
            FailureKind::Full => StoreError::full(self.cause.clone()),
            FailureKind::ReadOnly => StoreError::ReadOnly,
            FailureKind::Indeterminate => StoreError::indeterminate(self.cause.clone()),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not an error with a source, so the cause is a part of the text.
        write!(f, "{}: {}", self.cause, self.cause.error)
    }
}

/// The reason why a request is refused without an I/O error.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the store is closed")]
    Closed,
    #[error("too many writes are waiting for the disk")]
    Overloaded,
    #[error("the file has the highest version, and no write can have a higher one")]
    VersionsExhausted,
}

pub(super) fn closed() -> StoreError {
    StoreError::unavailable(Refused::Closed)
}

pub(super) fn overloaded() -> StoreError {
    StoreError::unavailable(Refused::Overloaded)
}

pub(super) fn versions_exhausted() -> StoreError {
    StoreError::full(Refused::VersionsExhausted)
}

/// The writer thread ended before it answered a request.
#[derive(Debug, thiserror::Error)]
#[error("the journal's writer ended unexpectedly")]
struct WriterEnded;

pub(super) fn writer_ended() -> StoreError {
    StoreError::indeterminate(WriterEnded)
}
