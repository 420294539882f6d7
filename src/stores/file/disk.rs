//! What the journal asks of the operating system, behind traits so that tests can make it fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::lock::{Lock, NotLocked, owner_only};

/// An open file for writing.
pub(super) trait Disk: Send {
    /// Writes all the bytes at this place. On an error some of them may be written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything written is durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file.
    fn set_len(&mut self, length: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Whether it is this very file that has this name. Where files cannot be told apart, it is.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
    /// Takes on another file's permissions.
    fn copy_permissions(&self, path: &Path) -> io::Result<()>;
    /// Locks the file for one that writes.
    fn lock(&self) -> Result<Option<Lock>, NotLocked>;
}

/// The directory that the file is in.
pub(super) trait Directory: Send + Sync {
    /// The journal, open for writing.
    fn adopt(&self, file: File, path: &Path) -> Box<dyn Disk>;
    /// Creates an empty file; one that has the name loses it.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Disk>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Returns when the names in this file's directory are durable.
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

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        is_at(self, path)
    }

    fn copy_permissions(&self, path: &Path) -> io::Result<()> {
        self.set_permissions(fs::metadata(path)?.permissions())
    }

    fn lock(&self) -> Result<Option<Lock>, NotLocked> {
        Lock::on_journal(self, true)
    }
}

/// The directory as the operating system has it.
pub(super) struct RealDirectory;

impl Directory for RealDirectory {
    fn adopt(&self, file: File, _path: &Path) -> Box<dyn Disk> {
        Box::new(file)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Disk>> {
        // Not emptied: it might be open, or a link to anywhere.
        let _ = fs::remove_file(path);
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

/// Whether it is this very file that has this name.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere a file that is open keeps its name.
#[cfg(not(unix))]
pub(super) fn is_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// How many names a file has.
#[cfg(unix)]
pub(super) fn names(file: &File) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.nlink())
}

/// Elsewhere that is not told.
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

/// Elsewhere a directory cannot be opened as a file; names are the file system's own care.
#[cfg(not(unix))]
fn sync_directory(_file: &Path) -> io::Result<()> {
    Ok(())
}
