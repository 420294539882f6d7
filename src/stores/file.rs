//! A store in one file, with a journal on disk and every record in memory.
//!
//! Design. The journal is a file to which frames are only appended (`format`). Opening it takes the
//! locks (`lock`, `open`), reads all frames and builds the table in memory (`frame_reader`,
//! `replay`). Reads use the table only.
//!
//! Writes go through a queue to one thread (`queue`, `writer`). The thread decides on everything
//! that is waiting, appends all frames in one write, syncs the file once, updates the table and
//! then completes the futures (`group_commit`, `journal`, `reply`). So the cost of a sync is
//! shared, and a reader never sees a write that a power failure could undo.
//!
//! When most of the file is obsolete, a second thread writes a new file that holds only the
//! current version of each record, and the writer puts it in place (`compaction`).

mod access;
mod block;
mod compactable;
mod compaction;
mod disk;
mod failure;
mod format;
mod frame_reader;
mod group_commit;
mod journal;
mod lock;
mod many;
mod open;
mod open_error;
mod open_warning;
mod options;
mod pace;
mod queue;
mod replay;
mod reply;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

pub use access::FileAccess;
pub use compaction::Compacted;
pub use open::{OpenReport, TruncatedTail};
pub use open_error::OpenError;
pub use open_warning::OpenWarning;
pub use options::{FileStoreOptions, OpenProgress};

use crate::record::{CorruptRecord, Record};
use crate::store::{
    Filter, ListRequest, Page, RecordRef, StoreError, StoredRecord, TokenStore, Version,
};
use crate::token::TokenId;
use failure::{closed, writer_ended};
use format::Framer;
use journal::{Journal, Location};
use open::Opened;
use open_error::io_error;
use queue::{MAX_USES_PER_REQUEST, Queue, Request, Write, WriteReply};
use reply::reply;
use writer::{Shared, Writer};

/// A store that keeps its records in one file, for a service that runs in one process.
///
/// Every record is also in memory, so a look-up costs the same as in a
/// [`MemoryStore`](crate::MemoryStore) and never waits for the disk. Every write is appended to the
/// file and synced before it is acknowledged. Writes that arrive at the same time share one sync.
///
/// ```
/// use service_tokens::{FileStore, ListRequest, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("tokens.journal");
/// let store = FileStore::open(&path)?;
/// assert!(store.list(&ListRequest::new(), chrono::DateTime::UNIX_EPOCH).await?.items.is_empty());
/// store.close().await?;
/// # Ok(()) }
/// ```
///
/// # Behavior
///
/// - **One writer.** The file `<path>.lock` next to the journal is locked while the store is open,
///   and a second process is refused. On Unix the journal itself is locked too. That also refuses a
///   process that uses another name of the file or has removed the lock file. A user who may read the
///   journal or the lock file can take such a lock and so prevent opening, so give the right to read
///   only to users who operate the service. Put the journal on a local file system. Fork before opening the store, because a child process that is forked later
///   inherits the locks but has no writer thread.
/// - **Other users.** Each file that the store creates next to the journal or in its place gets the
///   owner, the group and the mode of the journal, so a tool that runs as root does not lock the
///   service out. If the process may not give them, the file is not put in place. Then the old journal
///   stays in use, or no lock file is created and the lock on the journal alone refuses a second
///   writer, and a warning is logged. A new journal belongs to the process and has mode 0600. A store
///   that is open for reading creates no file on Unix. Access control lists are not copied.
/// - **Other programs.** Before each write, and before a compacted file takes the place of the journal,
///   the store checks the length of the file and, on Unix, that the path still names it and that it has
///   no other name (hard link). If another program has cut, extended, moved, replaced or linked the
///   journal, writes fail with [`StoreError::Unavailable`] and an error is logged, until the file is as
///   the store left it. Verification continues. The check does not read the content, so it does not
///   notice bytes that were overwritten without a change of the length.
/// - **Last use** is stored by [`TokenStore::touch`].
/// - **Shutdown.** Call [`shut_down`](crate::TokenService::shut_down) on the service, which closes the
///   store. Without a service, call [`close`](TokenStore::close).
/// - **Kill.** After a kill at any moment the store opens with every acknowledged write.
/// - **Damage and power loss.** A torn tail is truncated on open, and reported
///   ([`OpenReport::truncated_tail`]). A file that was cut at any place behind the last compaction
///   looks the same as after a kill, so such a cut can lose acknowledged writes. Any other damage is
///   refused as [`OpenError::Damaged`] with its offset, more than 8 MiB of zeros at the end among it. So
///   no flipped bit makes a revoked token valid again.
///   After a power loss, the damage may be an unacknowledged write at the end whose pages reached the
///   disk out of order. Only then is truncating safe. Truncate a copy at the offset
///   (`truncate -s OFFSET copy.journal`) and open the copy. If the damage lies earlier, truncating
///   discards acknowledged writes, and a revoked token may become valid again. In doubt, restore a
///   backup.
/// - **Full or failing disk.** The write fails with [`StoreError::Full`],
///   [`StoreError::Unavailable`] or [`StoreError::ReadOnly`] and has no effect. If the store cannot
///   cut the failed write off the file, or if its writer thread ended, it returns
///   [`StoreError::Indeterminate`]. Verification and lists continue. Writes succeed again once there
///   is space, except after the end of the writer thread.
/// - **Compaction** runs in the background when most of the file is obsolete. While others write, it
///   works half of the time, so that writes wait less for the disk. It writes
///   `<path>.compacting` and renames it to the path of the journal. This needs additional disk space for
///   the current version of every record. A journal that is mounted as a single file cannot be
///   replaced. Such a journal only grows, and a warning is logged. The same holds if the process cannot
///   create a file in the directory, which [`OpenReport::warnings`] names. If the file system cannot sync a
///   directory, a power failure may bring the file from before the compaction back, and a warning is
///   logged at opening.
/// - **Any executor** can be used, because a thread of the store writes and the futures only wait
///   for it. Dropping a future neither stops nor undoes its write.
/// - **Backup.** Copy the file at any time. Do not use a hard link. On Unix, opening a journal with
///   two names for writing returns [`OpenError::SeveralNames`], and an open store refuses writes.
///
/// Dropping the store completes the pending writes and blocks until then. To avoid blocking, await
/// [`close`](TokenStore::close) first.
pub struct FileStore {
    shared: Arc<Shared>,
    /// Set by `close`. From then on every call is refused.
    closed: AtomicBool,
    /// `None` if the store is read-only or was dropped.
    writer: Mutex<Option<JoinHandle<()>>>,
    read_only: bool,
    path: PathBuf,
    report: OpenReport,
}

impl FileStore {
    /// Opens or creates the file with the default [`FileStoreOptions`].
    ///
    /// A file that cannot be written to is opened for reading only, and a warning is logged (see
    /// [`is_read_only`](Self::is_read_only) and [`OpenReport::warnings`]).
    ///
    /// # Errors
    ///
    /// Fails like [`FileStoreOptions::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::FileStore;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("tokens.journal");
    /// let store = FileStore::open(&path)?;
    /// assert!(store.open_report().created);
    /// assert!(!store.is_read_only());
    /// # Ok(()) }
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        FileStoreOptions::new().open(path)
    }

    fn open_with(mut options: FileStoreOptions, path: &Path) -> Result<Self, OpenError> {
        let Opened { paths, disk, header, sequence, replayed, report, locks, read_only } =
            open::open(&mut options, path)?;
        let (table, queue, locks) = (replayed.table, Queue::default(), Arc::new(locks));
        let shared = Arc::new(Shared { table, queue, locks: locks.clone() });
        let path = paths.journal.clone();
        let mut thread = None;
        if !read_only {
            let directory = options.directory;
            let location = Location { path: path.clone(), directory: directory.clone(), locks };
            let framer = Framer::new(header.seed(), sequence);
            let writer = Writer {
                shared: shared.clone(),
                journal: Journal::new(disk, report.bytes, header, framer, location),
                last_version: replayed.last_version,
                current_bytes: replayed.current_bytes,
                compact_above: options.compact_above,
                new_path: paths.new_path,
                directory,
                durable_len: Arc::new(AtomicU64::new(report.bytes)),
                running: None,
                waiting_replies: Vec::new(),
                retry_at: 0,
                failing: false,
            };
            thread = Some(writer.start().map_err(io_error("starting the writer of", &path))?);
        }
        shared.locks.keep_created();
        let (closed, writer) = (AtomicBool::new(false), Mutex::new(thread));
        Ok(Self { shared, closed, writer, read_only, path, report })
    }

    /// Returns the report of opening the file.
    pub fn open_report(&self) -> OpenReport {
        self.report.clone()
    }

    /// Returns the absolute path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the store was opened for reading only, so that every write is refused.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Compacts the file now, by replacing it with one that contains only the
    /// current version of each record, revoked and expired ones included.
    ///
    /// Returns when the new file is in place. Reads and writes continue in the meantime. If a
    /// compaction is already running, another one starts after it.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Full`], [`StoreError::Unavailable`] or [`StoreError::ReadOnly`], or
    /// [`StoreError::Corrupt`] if the file was damaged after it was opened. The error is
    /// [`StoreError::Unavailable`] if the process may not give the new file the owner, group and mode of
    /// the old one, or may not create or rename a file in the directory, and if the thread that compacts
    /// panics. On every error except
    /// [`StoreError::Indeterminate`] the old file stays in use. It is `Indeterminate` if the writer thread
    /// ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::FileStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("tokens.journal");
    /// let store = FileStore::open(&path)?;
    /// let compacted = store.compact().await?;
    /// assert!(compacted.bytes_after <= compacted.bytes_before);
    /// # Ok(()) }
    /// ```
    pub async fn compact(&self) -> Result<Compacted, StoreError> {
        let (sender, reply) = reply();
        self.push(Request::Compact(sender))?;
        let unanswered = || if self.is_closed() { closed() } else { writer_ended() };
        reply.await.unwrap_or_else(|| Err(unanswered()))
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn readable(&self) -> Result<(), StoreError> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    fn push(&self, request: Request) -> Result<(), StoreError> {
        self.readable()?;
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        self.shared.queue.push(request)
    }

    /// Submits writes to the writer as one.
    fn submit(&self, writes: Vec<(Write, WriteReply)>) -> Result<(), StoreError> {
        self.readable()?;
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        self.shared.queue.push_writes(writes)
    }

    async fn write(&self, write: Write) -> Result<Version, StoreError> {
        let (sender, reply) = reply();
        self.push(Request::Write(write, sender))?;
        reply.await.unwrap_or_else(|| Err(writer_ended()))
    }
}

/// Encodes a record and checks that the bytes can be read back. Bytes that cannot be read would
/// make the whole file unreadable.
fn encode(record: &Record) -> Result<Vec<u8>, StoreError> {
    let bytes = record.to_bytes();
    match Record::from_bytes(&bytes) {
        Ok(read) if read == *record => Ok(bytes),
        Ok(_) => Err(CorruptRecord("its encoding reads as another record").into()),
        Err(corrupt) => Err(corrupt.into()),
    }
}

impl FileStoreOptions {
    /// Opens the file, or creates it with mode 0600 if it does not exist.
    ///
    /// If the path is a symbolic link to a missing file, the link stays and the file is created at
    /// its target, provided that the target's directory exists.
    ///
    /// The call reads the whole file and blocks meanwhile, about 1.3 seconds for a million tokens.
    /// Call it before the service starts, or on a thread that may block. An unfinished write at the
    /// end is cut off, or ignored if the store is opened for reading only.
    /// [`FileStore::open_report`] reports it, and a warning is logged.
    ///
    /// If the file, its directory or its file system cannot be written to, the store is opened as
    /// with [`read_only`]. [`FileStore::is_read_only`] then returns `true`.
    /// [`OpenReport::warnings`] names the cause, and a warning is logged.
    ///
    /// An empty file is refused as [`OpenError::Empty`], because the store never leaves one. It may be
    /// what remains of a journal.
    ///
    /// [`read_only`]: Self::read_only
    ///
    /// # Errors
    ///
    /// Returns an [`OpenError`]. The records in the file are unchanged, and a file that this call created
    /// is removed. A late error can leave an existing file without its unfinished write.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::file::FileStoreOptions;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("tokens.journal");
    /// let store = FileStoreOptions::new().open(&path)?;
    /// assert_eq!(store.open_report().records, 0);
    /// # Ok(()) }
    /// ```
    pub fn open(self, path: impl AsRef<Path>) -> Result<FileStore, OpenError> {
        FileStore::open_with(self, path.as_ref())
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = writer.take() {
            let (ended, _) = reply();
            self.shared.queue.close(ended);
            // The waker that the writer thread calls may own the last handle. Then the writer
            // itself drops the store and must not join itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.path)
            .field("read_only", &self.read_only)
            .field("records", &self.shared.table.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenStore for FileStore {
    async fn insert(&self, record: &Record) -> Result<Version, StoreError> {
        let bytes = encode(record)?;
        self.write(Write::Insert { record: record.clone(), bytes }).await
    }

    async fn find(&self, id: TokenId) -> Result<Option<StoredRecord>, StoreError> {
        self.readable()?;
        Ok(self.shared.table.find(id))
    }

    async fn replace(&self, record: &Record, expected: Version) -> Result<Version, StoreError> {
        let bytes = encode(record)?;
        self.write(Write::Replace { record: record.clone(), bytes, expected }).await
    }

    async fn remove(&self, id: TokenId, expected: Version) -> Result<(), StoreError> {
        self.write(Write::Remove { id, expected }).await.map(drop)
    }

    async fn list(&self, request: &ListRequest, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.readable()?;
        Ok(self.shared.table.list(request, now))
    }

    async fn find_many(&self, ids: &[TokenId]) -> Vec<Result<Option<StoredRecord>, StoreError>> {
        ids.iter().map(|id| self.readable().map(|()| self.shared.table.find(*id))).collect()
    }

    async fn versions(&self, ids: &[TokenId]) -> Vec<Result<Option<Version>, StoreError>> {
        ids.iter().map(|id| self.readable().map(|()| self.shared.table.version(*id))).collect()
    }

    async fn replace_many(&self, writes: &[(Record, Version)]) -> Vec<Result<Version, StoreError>> {
        let replace = |(record, expected): &(Record, Version)| {
            let (bytes, expected) = (encode(record)?, *expected);
            Ok(Write::Replace { record: record.clone(), bytes, expected })
        };
        self.write_many(writes.iter().map(replace)).await
    }

    async fn remove_many(&self, removals: &[(TokenId, Version)]) -> Vec<Result<(), StoreError>> {
        let remove = |&(id, expected): &_| Ok(Write::Remove { id, expected });
        let removed = self.write_many(removals.iter().map(remove)).await;
        removed.into_iter().map(|removed| removed.map(drop)).collect()
    }

    async fn count(&self, filter: &Filter, now: DateTime<Utc>) -> Result<u64, StoreError> {
        self.readable()?;
        Ok(self.shared.table.count(filter, now).await)
    }

    fn tracks_last_used(&self) -> bool {
        true
    }

    async fn touch(&self, uses: &[(TokenId, DateTime<Utc>)]) -> Result<(), StoreError> {
        for uses in uses.chunks(MAX_USES_PER_REQUEST) {
            let uses = uses.iter().map(|(id, used)| (*id, used.timestamp_micros())).collect();
            self.write(Write::Touch { uses }).await?;
        }
        Ok(())
    }

    fn find_now(&self, id: TokenId, visit: &mut dyn FnMut(Option<RecordRef<'_>>)) -> bool {
        !self.is_closed() && self.shared.table.find_now(id, visit)
    }

    /// Completes the pending writes, closes the file and releases the locks.
    ///
    /// From then on every call is refused with [`StoreError::Unavailable`], because another process
    /// may write to the file. Calling `close` again has no effect.
    ///
    /// The future blocks no executor. Once it was polled, the store closes even if the future is
    /// dropped. If it is dropped before that, the store stays open. It never fails.
    async fn close(&self) -> Result<(), StoreError> {
        self.closed.store(true, Ordering::SeqCst);
        if !self.read_only {
            let (ended, reply) = reply();
            self.shared.queue.close(ended);
            reply.await;
        }
        self.shared.locks.release();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
