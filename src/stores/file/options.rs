//! The options for opening a store.

use std::fmt;
use std::sync::Arc;

use super::compaction::DEFAULT_COMPACT_ABOVE;
use super::disk::{Directory, RealDirectory};

/// The options for opening a [`FileStore`](crate::FileStore).
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
    /// Creates the default options for reading and writing, with compaction in the background.
    pub fn new() -> Self {
        Self {
            read_only: false,
            must_exist: false,
            compact_above: DEFAULT_COMPACT_ABOVE,
            on_progress: None,
            directory: Arc::new(RealDirectory),
        }
    }

    /// Sets whether the store is opened for verifying and listing only. The default is `false`.
    ///
    /// Every write is refused with [`StoreError::ReadOnly`](crate::store::StoreError::ReadOnly). The file
    /// must exist.
    ///
    /// Several read-only stores can be open at once, but not together with a store that writes,
    /// because they would not see its revocations. So a writer is refused while readers are open,
    /// and a reader is refused while a writer is open.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::file::FileStoreOptions;
    /// use service_tokens::FileStore;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("tokens.journal");
    /// drop(FileStore::open(&path)?);
    /// let reader = FileStoreOptions::new().read_only(true).open(&path)?;
    /// assert!(reader.is_read_only());
    /// # Ok(()) }
    /// ```
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets whether opening fails instead of creating a missing file. The default is `false`.
    ///
    /// The error is [`OpenError::Io`](crate::file::OpenError::Io) of the kind
    /// [`NotFound`](std::io::ErrorKind::NotFound). Use it for a store that is known to exist. If
    /// its volume is not mounted, a new empty store would refuse every token.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::file::FileStoreOptions;
    ///
    /// let missing = FileStoreOptions::new().must_exist(true).open("/not/mounted/tokens.journal");
    /// assert!(missing.is_err());
    /// ```
    pub fn must_exist(mut self, must_exist: bool) -> Self {
        self.must_exist = must_exist;
        self
    }

    /// Sets the number of obsolete bytes above which the file is compacted in the background. The
    /// obsolete part must also be more than half of the file.
    ///
    /// The default is 8 MiB. With [`u64::MAX`] the file is compacted only by
    /// [`FileStore::compact`](crate::FileStore::compact).
    pub fn compact_above(mut self, bytes: u64) -> Self {
        self.compact_above = bytes;
        self
    }

    /// Sets a function that is called every few megabytes while the file is read, on the opening
    /// thread.
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

/// The progress of opening a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenProgress {
    /// The number of bytes read so far.
    pub bytes_read: u64,
    /// The number of bytes to read in total.
    pub bytes_total: u64,
}
