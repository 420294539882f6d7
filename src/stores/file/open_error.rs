//! Errors of opening a store.

use std::io;
use std::path::{Path, PathBuf};

use super::access::FileAccess;
use super::disk::is_not_regular;

/// The error returned when a file is not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another store has the file open, in this process or in another.
    #[error("the store is open elsewhere: {} is locked", lock.display())]
    Locked {
        /// The locked file.
        lock: PathBuf,
    },
    /// The file has several names (hard links) and is not opened for writing. A compaction would
    /// replace the file under one name only, and under the other names revoked tokens would stay
    /// valid. Remove the other names, or open the file for
    /// [reading only](crate::file::FileStoreOptions::read_only).
    #[error("{} has {names} names (hard links), and only one is allowed", path.display())]
    SeveralNames {
        /// The path of the file.
        path: PathBuf,
        /// The number of its names.
        names: u64,
    },
    /// The path of the journal or of its lock file names a directory, a device, a pipe or another object
    /// that is not a regular file.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The lock file is a symbolic link to a missing file. The store creates no lock file through a link.
    /// Remove the link.
    #[error("the lock file {} is a symbolic link to a missing file: remove the link", path.display())]
    DanglingLock {
        /// The path of the link.
        path: PathBuf,
    },
    /// The file is empty. A store never leaves an empty file, so its content was lost, or another program
    /// created it. It is not taken for a new journal, because that would hide a loss of all tokens. Restore
    /// a backup, or remove the file if it never contained a token.
    #[error(
        "{} is empty, and a token store never is: restore a backup, or remove the file if it never \
         contained a token",
        path.display()
    )]
    Empty {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file is not a journal of this crate.
    #[error("{} is not a token store", path.display())]
    NotAStore {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file was written by a newer version of this crate.
    #[error("{} has the newer format {format}, written by a newer version of this crate", path.display())]
    NewerFormat {
        /// The path of the file.
        path: PathBuf,
        /// Its format version.
        format: u32,
    },
    /// The file is damaged, and not only by an unfinished write at its end. The whole file is refused,
    /// because opening a part of it could make a revoked token valid again. Restore a backup. After a
    /// power loss, see [`FileStore`](crate::FileStore#behavior) first.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// The offset of the damage, in bytes.
        offset: u64,
        /// A description of the damage.
        what: &'static str,
    },
    /// The process may not access a file or a directory.
    #[error("{doing} {} ({access})", path.display())]
    NoAccess {
        /// The operation, such as `opening`.
        doing: &'static str,
        /// The path of the file or directory.
        path: PathBuf,
        /// The owner, the group and the mode of the file or directory.
        access: FileAccess,
        /// The error of the operating system.
        source: io::Error,
    },
    /// An operation of the operating system failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// The operation, such as `opening`.
        doing: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Returns a function that turns an I/O error about a file into an [`OpenError::NoAccess`] or an
/// [`OpenError::Io`].
pub(super) fn io_error<'p>(
    doing: &'static str,
    path: &'p Path,
) -> impl FnOnce(io::Error) -> OpenError + use<'p> {
    move |source| {
        let path = path.to_owned();
        if is_not_regular(&source) {
            return OpenError::NotAFile { path };
        }
        let access = match source.kind() {
            io::ErrorKind::PermissionDenied => FileAccess::at(&path),
            _ => None,
        };
        match access {
            Some(access) => OpenError::NoAccess { doing, path, access, source },
            None => OpenError::Io { doing, path, source },
        }
    }
}
