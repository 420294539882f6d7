//! Conditions that do not prevent opening.

use std::fmt;
use std::path::{Path, PathBuf};

use super::access::{FileAccess, Known};

/// The remedy for a directory in which the journal cannot be compacted.
pub(super) const REMEDY: &str =
    "let the user of this process create, rename and remove files there";

/// A condition that does not prevent opening a file, and that an operator should know. Its `Display`
/// names the cause and the remedy. Each warning is also logged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenWarning {
    /// The file cannot be written to, so it was opened for reading only.
    FileNotWritable {
        /// The path of the file.
        path: PathBuf,
        /// The access of the file, or `None` on systems other than Unix.
        access: Option<FileAccess>,
    },
    /// The directory has no lock file and cannot be written to, so the file was opened for reading only.
    DirectoryNotWritable {
        /// The path of the directory.
        directory: PathBuf,
        /// The access of the directory, or `None` on systems other than Unix.
        access: Option<FileAccess>,
    },
    /// The lock file cannot be opened, so only the lock on the journal refuses a second writer.
    LockFileNotOpened {
        /// The path of the lock file.
        lock: PathBuf,
        /// The access of the lock file, or `None` if it is unknown.
        access: Option<FileAccess>,
    },
    /// No lock file was created, because it could not have the access of the journal. So only the lock
    /// on the journal refuses a second writer.
    LockFileNotCreated {
        /// The path of the lock file.
        lock: PathBuf,
        /// The access of the journal.
        access: FileAccess,
    },
    /// The file that a killed compaction has left cannot be removed, so the journal cannot be compacted.
    LeftoverNotRemoved {
        /// The path of the file.
        path: PathBuf,
        /// The access of the file, or `None` if it is unknown.
        access: Option<FileAccess>,
    },
    /// No file can be created in the directory, so the journal cannot be compacted. It only grows.
    NotCompactable {
        /// The path of the directory.
        directory: PathBuf,
        /// The access of the directory, or `None` if it is unknown.
        access: Option<FileAccess>,
    },
    /// The file system cannot sync a directory. After a power failure, a new or compacted file may be
    /// missing from the directory.
    DirectoryNotSynced {
        /// The path of the directory.
        directory: PathBuf,
    },
    /// The superuser created the file in a directory of another user, who cannot open it.
    CreatedBySuperuser {
        /// The path of the file.
        path: PathBuf,
        /// The access of the directory.
        directory: FileAccess,
    },
    /// An unfinished write at the end was cut off, or ignored if the store is read-only.
    TruncatedTail {
        /// The path of the file.
        path: PathBuf,
        /// The offset of its first byte.
        offset: u64,
        /// Its length in bytes.
        bytes: u64,
    },
}

impl fmt::Display for OpenWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileNotWritable { path, access } => write!(
                f,
                "{}{} cannot be written to by this process, so every write is refused",
                path.display(),
                Known(*access)
            ),
            Self::DirectoryNotWritable { directory, access } => write!(
                f,
                "the directory {}{} cannot be written to by this process and has no lock file of the \
                 journal, so every write is refused",
                directory.display(),
                Known(*access)
            ),
            Self::LockFileNotOpened { lock, access } => write!(
                f,
                "the lock file {}{} cannot be opened by this process, so only the lock on the journal \
                 refuses a second writer: give the lock file the owner, group and mode of the journal",
                lock.display(),
                Known(*access)
            ),
            Self::LockFileNotCreated { lock, access } => write!(
                f,
                "the lock file {} was not created because this process cannot give it the access of the \
                 journal ({access}), so only the lock on the journal refuses a second writer: run the \
                 program as that user",
                lock.display()
            ),
            Self::LeftoverNotRemoved { path, access } => write!(
                f,
                "{}{} cannot be removed by this process, so the journal cannot be compacted: remove it \
                 while no program uses the journal",
                path.display(),
                Known(*access)
            ),
            Self::NotCompactable { directory, access } => write!(
                f,
                "no file can be created in the directory {}{}, so the journal cannot be compacted and only \
                 grows: {REMEDY}",
                directory.display(),
                Known(*access)
            ),
            Self::DirectoryNotSynced { directory } => write!(
                f,
                "the file system of {} cannot sync a directory, so after a power failure a new or \
                 compacted journal may be missing: use another file system if that matters",
                directory.display()
            ),
            Self::CreatedBySuperuser { path, directory } => write!(
                f,
                "{} was created by the superuser in a directory of another user, who cannot open it: if \
                 the service runs as that user, run chown {}:{} on it and on its lock file",
                path.display(),
                directory.user,
                directory.group
            ),
            Self::TruncatedTail { path, offset, bytes } => write!(
                f,
                "an unfinished write of {bytes} bytes at the end of {}, from byte {offset} on, is ignored. \
                 It was never acknowledged, unless the disk lost synced data or the file was cut. In that \
                 case the latest revocations, suspensions, rotations and other writes may be missing: see \
                 \"The end of the file was cut off\" in the manual",
                path.display()
            ),
        }
    }
}

impl OpenWarning {
    pub(super) fn log(&self, journal: &Path) {
        tracing::warn!(path = %journal.display(), "{self}");
    }
}
