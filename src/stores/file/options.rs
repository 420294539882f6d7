//! How a store is opened, and what is told of it.

use std::fmt;
use std::sync::Arc;

use super::compaction::DEFAULT_COMPACT_ABOVE;
use super::disk::{Directory, RealDirectory};

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
            compact_above: DEFAULT_COMPACT_ABOVE,
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
