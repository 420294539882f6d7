//! Records in one file: a journal on disk, every record in memory.

mod compaction;
mod disk;
mod failure;
mod format;
mod frame_reader;
mod group_commit;
mod journal;
mod lock;
mod open;
mod open_error;
mod options;
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

pub use compaction::Compacted;
pub use open::{OpenReport, TruncatedTail};
pub use open_error::OpenError;
pub use options::{FileStoreOptions, OpenProgress};

use crate::record::{CorruptRecord, Record};
use crate::store::{Page, Query, RecordRef, StoreError, StoredRecord, TokenStore, Version};
use crate::token::TokenId;
use failure::closed;
use format::Framer;
use journal::{Journal, Location};
use open::Opened;
use open_error::io_error;
use queue::{Queue, Request, Write};
use reply::reply;
use writer::{Shared, Writer};

/// The most uses in one request to the writer.
const MAX_USES_PER_REQUEST: usize = 100_000;

/// Keeps records in one file, for a service that runs in one process.
///
/// Every record is in memory too, so that a look-up costs what it costs in a
/// [`MemoryStore`](crate::MemoryStore) and never waits for the disk. Every change is appended to the
/// file and synced before it is acknowledged; changes that come at the same time share one sync.
///
/// ```
/// use service_tokens::{FileStore, Query, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("tokens.journal");
/// let store = FileStore::open(&path)?;
/// assert!(store.list(&Query::new(), chrono::DateTime::UNIX_EPOCH).await?.items.is_empty());
/// store.close().await;
/// # Ok(()) }
/// ```
///
/// # What it does
///
/// - **One writer.** `<path>.lock` beside the file is locked while the store is open; a second process
///   is refused. So is the journal itself on Unix, which also keeps out who comes by another name or
///   has removed that file. Put the journal on a local file system, and fork before opening, not
///   after: a child has the locks but no writer.
/// - **What else changes the file** while it is open is noticed before each write: a journal that was
///   cut, moved or replaced takes no more changes ([`StoreError::Unavailable`], and an error in the
///   log) until it is as it was; verification goes on.
/// - **It tracks last use**: [`TokenStore::touch`] keeps it.
/// - **To shut down**, call [`flush_last_used`](crate::TokenService::flush_last_used) and
///   [`flush_events`](crate::TokenService::flush_events) on the service, then [`close`](Self::close) on
///   the store.
/// - **It survives a kill** at any moment with everything acknowledged, and opens by itself; so it
///   does after a power failure, if what was being written is missing from some place on. A damaged
///   file is refused, naming the place: no flipped bit brings a revoked token back. Some file systems
///   may after a power failure keep a later page of an unsynced write and not an earlier one. That
///   looks like damage and is refused too. Nothing acknowledged is behind the place then, and a copy
///   of the file, cut there, opens; where no power failed, restore a backup instead.
/// - **A full or failing disk** fails the change with a typed [`StoreError`] and leaves no trace of
///   it; verification and lists go on, and so does writing once there is room.
/// - **It compacts itself** in the background when most of the file is out of date: it writes
///   `<path>.compacting` and puts it in place, with the permissions of the old file. That needs as
///   much room again as the live records do. A journal that is mounted as a single file cannot be
///   replaced; then it only grows, and a warning says so.
/// - **Any executor will do.** Changes are written by a thread of the store; futures only wait for
///   it. A future that is dropped neither stops nor undoes its change.
/// - **A backup** is a copy of the file, taken at any time; not a hard link, which would keep the
///   store from being opened.
///
/// Dropping the store finishes what was begun and blocks until then; [`close`](Self::close) first
/// avoids that.
pub struct FileStore {
    shared: Arc<Shared>,
    /// Nothing is answered any more.
    closed: AtomicBool,
    /// Unless it is read-only, or was dropped.
    writer: Mutex<Option<JoinHandle<()>>>,
    read_only: bool,
    path: PathBuf,
    opening: OpenReport,
}

impl FileStore {
    /// Opens or creates the file as [`FileStoreOptions::open`] does by default: one that cannot be
    /// written to is opened for reading only, with a warning ([`is_read_only`](Self::is_read_only)).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        FileStoreOptions::new().open(path)
    }

    fn open_with(mut options: FileStoreOptions, path: &Path) -> Result<Self, OpenError> {
        let Opened { paths, disk, header, sequence, replayed, opening, locks, read_only } =
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
                journal: Journal::new(disk, opening.bytes, header, framer, location),
                last_version: replayed.last_version,
                live: replayed.live,
                compact_above: options.compact_above,
                compacting: paths.compacting,
                directory,
                durable: Arc::new(AtomicU64::new(opening.bytes)),
                compaction: None,
                next_compaction: Vec::new(),
                retry_at: 0,
                failing: false,
            };
            thread = Some(writer.start().map_err(io_error("starting the writer of", &path))?);
        }
        let (closed, writer) = (AtomicBool::new(false), Mutex::new(thread));
        Ok(Self { shared, closed, writer, read_only, path, opening })
    }

    /// What opening found.
    pub fn opening(&self) -> OpenReport {
        self.opening
    }

    /// The file, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether every change is refused because the store was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Writes the file anew with only what still counts, now rather than when it is due. Returns when
    /// that file is in place; until then and after, everything else goes on. If one is under way,
    /// another follows it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Full`], [`StoreError::ReadOnly`], [`StoreError::Unavailable`], or
    /// [`StoreError::Corrupt`] if the file turned out to be damaged since it was opened. The old file
    /// stays in use.
    pub async fn compact(&self) -> Result<Compacted, StoreError> {
        let (sender, reply) = reply();
        self.push(Request::Compact(sender))?;
        reply.await.unwrap_or_else(|| Err(closed()))
    }

    /// Finishes what was begun, closes the file and gives up the lock. From then on everything is
    /// refused with [`StoreError::Unavailable`]: another process may change the file. Closing again
    /// does nothing.
    ///
    /// Blocks no executor. If the future is dropped, the store closes all the same.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        if !self.read_only {
            let (ended, reply) = reply();
            self.shared.queue.close(ended);
            reply.await;
        }
        self.shared.locks.release();
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

    async fn write(&self, write: Write) -> Result<Version, StoreError> {
        let (sender, reply) = reply();
        self.push(Request::Write(write, sender))?;
        reply.await.unwrap_or_else(|| Err(StoreError::indeterminate(WriterGone)))
    }
}

/// The writer's thread ended before it answered.
#[derive(Debug, thiserror::Error)]
#[error("the journal's writer ended unexpectedly")]
struct WriterGone;

/// A record's encoding, if it can be read back: one that cannot would make the whole file unreadable.
fn encode(record: &Record) -> Result<Vec<u8>, StoreError> {
    let bytes = record.to_bytes();
    match Record::from_bytes(&bytes) {
        Ok(read) if read == *record => Ok(bytes),
        Ok(_) => Err(CorruptRecord("its encoding reads as another record").into()),
        Err(corrupt) => Err(corrupt.into()),
    }
}

impl FileStoreOptions {
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

impl Drop for FileStore {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = writer.take() {
            let (ended, _) = reply();
            self.shared.queue.close(ended);
            // The writer itself drops the store if the waker that it wakes owns the last handle.
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

    async fn list(&self, query: &Query, now: DateTime<Utc>) -> Result<Page, StoreError> {
        self.readable()?;
        Ok(self.shared.table.list(query, now))
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
}

#[cfg(test)]
mod tests;
