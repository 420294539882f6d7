//! What the journal asks of the operating system, behind traits so that tests can make it fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// An open file for writing.
pub(super) trait Disk: Send {
    /// Writes all the bytes at this place. On an error some of them may be written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything written is durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file.
    fn set_len(&mut self, length: u64) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
}

/// The directory that the file is in.
pub(super) trait Directory: Send + Sync {
    /// The journal, open for writing.
    fn adopt(&self, file: File, path: &Path) -> Box<dyn Disk>;
    /// Creates an empty file in the place of whatever is there.
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
}

/// The directory as the operating system has it.
pub(super) struct RealDirectory;

impl Directory for RealDirectory {
    fn adopt(&self, file: File, _path: &Path) -> Box<dyn Disk> {
        Box::new(file)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Disk>> {
        let file =
            private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)?;
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

/// New files are for their owner alone.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}
