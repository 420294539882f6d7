//! How a store is opened, and what is told of it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::FileStore;
use super::disk::{Directory, RealDirectory};
use super::open_error::OpenError;

/// How a [`FileStore`] is opened.
///
/// ```no_run
/// use service_tokens::file::FileStoreOptions;
///
/// let store = FileStoreOptions::new()
///     .on_progress(|p| eprintln!("{} of {} bytes", p.bytes_read, p.bytes_total))
///     .open("/var/lib/acme/tokens.journal")?;
/// # Ok::<(), service_tokens::file::OpenError>(())
/// ```
#[must_use]
pub struct FileStoreOptions {
    pub(super) read_only: bool,
    pub(super) must_exist: bool,
    pub(super) compact_above: u64,
    pub(super) on_progress: Option<Box<dyn FnMut(OpenProgress) + Send>>,
    pub(super) directory: Arc<dyn Directory>,
}

impl FileStoreOptions {
    /// For reading and writing, compacted by itself.
    pub fn new() -> Self {
        Self {
            read_only: false,
            must_exist: false,
            compact_above: 8 << 20,
            on_progress: None,
            directory: Arc::new(RealDirectory),
        }
    }

    /// Opens for verifying and listing only; every change is refused with
    /// [`StoreError::ReadOnly`](crate::store::StoreError::ReadOnly). The file must be there.
    ///
    /// Any number of read-only stores may be open at once, but none beside one that writes: it would
    /// not learn of what that one revokes. So a writer is refused while readers are open, and readers
    /// while a writer is.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Refuses to create the file ([`OpenError::Io`] of the kind
    /// [`NotFound`](std::io::ErrorKind::NotFound)). For a store that is known to be there: where its
    /// volume is not mounted, an empty one would know no token.
    pub fn must_exist(mut self, must_exist: bool) -> Self {
        self.must_exist = must_exist;
        self
    }

    /// How many bytes of the file may be out of date before it is compacted by itself, in the
    /// background. It also has to be more than half the file. The default is 8 MiB;
    /// [`u64::MAX`] leaves it to [`FileStore::compact`].
    pub fn compact_above(mut self, bytes: u64) -> Self {
        self.compact_above = bytes;
        self
    }

    /// Calls this every few megabytes while the file is read, on the thread that opens.
    pub fn on_progress(mut self, report: impl FnMut(OpenProgress) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Opens the file, or creates it with mode 0600 if there is none. A symbolic link that leads to no
    /// file stays; the file is created where it leads to, if that directory is there.
    ///
    /// It reads the whole file and blocks that long, some 1.3 seconds for a million tokens: call it
    /// before the service starts, or where blocking is allowed. An unfinished write at the end is cut
    /// off; [`FileStore::opening`] and a warning say so.
    ///
    /// A file, directory or mount that cannot be written to is opened as if [`read_only`] had been
    /// asked for; [`FileStore::is_read_only`] tells, and a warning.
    ///
    /// [`read_only`]: Self::read_only
    ///
    /// # Errors
    ///
    /// [`OpenError`]. In every case nothing but an unfinished write was taken from the file.
    pub fn open(self, path: impl AsRef<Path>) -> Result<FileStore, OpenError> {
        FileStore::open_with(self, path.as_ref())
    }
}

impl Default for FileStoreOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FileStoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStoreOptions")
            .field("read_only", &self.read_only)
            .field("must_exist", &self.must_exist)
            .field("compact_above", &self.compact_above)
            .finish_non_exhaustive()
    }
}

/// How far an opening has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenProgress {
    /// Bytes of the file read so far.
    pub bytes_read: u64,
    /// Bytes that there are to read.
    pub bytes_total: u64,
}

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether the file was created.
    pub created: bool,
    /// Records in the store.
    pub records: usize,
    /// Bytes of the file, without what was cut off.
    pub bytes: u64,
    /// The unfinished write at the end, if there was one.
    pub cut_off: Option<TruncatedTail>,
    /// How long it took.
    pub took: Duration,
}

/// An unfinished write at the end of the file: nobody was told that it succeeded. A read-only store
/// leaves it where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TruncatedTail {
    /// Where it began.
    pub offset: u64,
    /// How long it was.
    pub bytes: u64,
}
