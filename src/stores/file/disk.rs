//! The file operations that the journal uses, behind traits so that tests can make them fail.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::access::FileAccess;
use super::lock::{Lock, NotLocked, owner_only};

/// A file that is open for writing.
pub(super) trait Disk: Send {
    /// Writes all bytes at this offset. After an error some of them may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes all written bytes durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes all written bytes, the owner, the group and the mode durable.
    fn sync_all(&mut self) -> io::Result<()>;
    /// Truncates the file to this length.
    fn set_len(&mut self, length: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Returns whether the path names this very file. Always `true` on systems where files have no
    /// identity.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
    /// Returns the number of names (hard links) of the file. Always 1 on systems other than Unix.
    fn names(&self) -> io::Result<u64>;
    /// Returns the owner, the group and the mode of the file, or `None` on systems other than Unix.
    fn access(&self) -> io::Result<Option<FileAccess>>;
    /// Gives the file an owner and a group, and leaves its mode.
    fn give_owner(&self, access: FileAccess) -> io::Result<()>;
    /// Gives the file an owner, a group and a mode. They are durable after [`sync_all`](Self::sync_all),
    /// because syncing the data alone may leave them behind.
    fn give(&self, access: FileAccess) -> io::Result<()>;
    /// Takes the writer's lock on the file.
    fn lock(&self) -> Result<Option<Lock>, NotLocked>;
}

/// The directory that contains the journal.
pub(super) trait Directory: Send + Sync {
    /// Wraps the journal, which is open for writing.
    fn adopt(&self, file: File, path: &Path) -> Box<dyn Disk>;
    /// Creates an empty file. An existing file with this name is removed first.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Disk>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in the directory of this file durable. Callers use [`sync_names`].
    fn sync(&self, file: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
}

impl Disk for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        Self::sync_all(self)
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        is_at(self, path)
    }

    fn names(&self) -> io::Result<u64> {
        names(self)
    }

    fn access(&self) -> io::Result<Option<FileAccess>> {
        Ok(FileAccess::of(&self.metadata()?))
    }

    fn give_owner(&self, access: FileAccess) -> io::Result<()> {
        access.give_owner(self)
    }

    fn give(&self, access: FileAccess) -> io::Result<()> {
        access.give(self)
    }

    fn lock(&self) -> Result<Option<Lock>, NotLocked> {
        Lock::on_journal(self, true)
    }
}

/// The directory of the operating system.
pub(super) struct RealDirectory;

impl Directory for RealDirectory {
    fn adopt(&self, file: File, _path: &Path) -> Box<dyn Disk> {
        Box::new(file)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Disk>> {
        // An existing file is removed and not truncated, because it might be open, or be a link to
        // another file.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = owner_only(OpenOptions::new().write(true).create_new(true)).open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync(&self, file: &Path) -> io::Result<()> {
        sync_directory(file)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// Whether the names in a directory were made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamesSynced {
    Yes,
    /// The file system cannot sync a directory.
    Unsupported,
}

/// The error of a file system that syncs only files that are open for writing.
const EBADF: i32 = 9;

/// Makes the names in the directory of this file durable. Some file systems cannot sync a directory,
/// such as shared folders of virtual machines and some over FUSE. They answer `EINVAL`, `ENOTSUP` or
/// `EBADF`, which says nothing about the disk, so it is not an error.
pub(super) fn sync_names(directory: &dyn Directory, file: &Path) -> io::Result<NamesSynced> {
    match directory.sync(file) {
        Ok(()) => Ok(NamesSynced::Yes),
        Err(error) => match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
                Ok(NamesSynced::Unsupported)
            }
            _ if error.raw_os_error() == Some(EBADF) => Ok(NamesSynced::Unsupported),
            _ => Err(error),
        },
    }
}

/// The error of a path that names a directory, a device, a pipe or another object that is not a regular
/// file.
#[derive(Debug, thiserror::Error)]
#[error("it is not a regular file")]
pub(super) struct NotRegular;

/// Opens a file that must be a regular one. The type is checked first, because opening a pipe waits for
/// another process, and opening a device may have effects.
pub(super) fn open_regular(options: &OpenOptions, path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other(NotRegular));
    }
    options.open(path)
}

/// Returns whether the error is that of a path that names no regular file.
pub(super) fn is_not_regular(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<NotRegular>())
}

/// Returns whether the path names this very file.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    is_same(file, fs::symlink_metadata(path))
}

/// Returns whether the metadata of a path are those of this very file.
#[cfg(unix)]
pub(super) fn is_same(file: &File, named: io::Result<Metadata>) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let held = file.metadata()?;
    match named {
        Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns `true`, because an open file keeps its name on these systems.
#[cfg(not(unix))]
pub(super) fn is_same(_file: &File, _named: io::Result<Metadata>) -> io::Result<bool> {
    Ok(true)
}

/// Returns the number of names (hard links) of a file.
#[cfg(unix)]
pub(super) fn names(file: &File) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.nlink())
}

/// Returns 1, because the number is not available on these systems.
#[cfg(not(unix))]
pub(super) fn names(_file: &File) -> io::Result<u64> {
    Ok(1)
}

#[cfg(unix)]
fn sync_directory(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Does nothing. On these systems a directory cannot be opened as a file, and the file system makes
/// names durable itself.
#[cfg(not(unix))]
fn sync_directory(_file: &Path) -> io::Result<()> {
    Ok(())
}
