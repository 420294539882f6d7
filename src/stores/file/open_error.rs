//! Why a store does not open.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another store has it open, in this process or in another.
    #[error("the store is open elsewhere: {} is locked", lock.display())]
    Locked {
        /// The file that is locked.
        lock: PathBuf,
    },
    /// The file has several names (hard links). It is not opened for writing: when it is compacted,
    /// another file takes one of the names, and under the others revoked tokens would be alive.
    /// Remove the other names, or open it for [reading only](crate::file::FileStoreOptions::read_only).
    #[error("{} has {names} names: remove the other hard links", path.display())]
    SeveralNames {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        names: u64,
    },
    /// The file is none of this crate's.
    #[error("{} is not a token store", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this crate wrote it.
    #[error("{} has the newer format {format}: use the version that wrote it", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format's version.
        format: u32,
    },
    /// What is in the file was changed by something else than this crate. It is refused as a whole,
    /// because a part of it could bring a revoked token back: restore a copy.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The place.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The operating system refused something.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// An [`OpenError::Io`] about a file.
pub(super) fn io_error<'p>(
    doing: &'static str,
    path: &'p Path,
) -> impl FnOnce(io::Error) -> OpenError + use<'p> {
    move |source| OpenError::Io { doing, path: path.to_owned(), source }
}
