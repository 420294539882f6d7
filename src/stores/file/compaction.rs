//! Compaction writes a new file with only the current version of each record, and puts it in the place
//! of the journal.
//!
//! Design. A thread of its own reads the journal twice, up to the length that is durable when it
//! starts. The first pass finds the latest version and last use of each id. The second pass copies
//! the frames with those versions into `<path>.compacting`. Then the thread copies the frames that
//! were appended meanwhile, until at most [`MAX_HAND_OVER`] bytes are left. It reads the file and
//! not the table, so it blocks no reader and no writer, and its output is the state at one position
//! of the journal followed by the frames after that position. While others write, it rests between
//! its portions ([`Pace`]).
//!
//! The writer thread takes over between two batches ([`Prepared::hand_over`]): it copies the
//! remaining frames, writes the header, syncs, locks and renames the new file, and continues in it.
//!
//! The new file has the owner, the group and the mode of the journal, or it is not put in place. It
//! gets the owner when it is created, so that a process that may not give it stops at once.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use hashbrown::HashMap;

use super::access::FileAccess;
use super::disk::{Directory, Disk, open_regular};
use super::failure::{Failure, closed};
use super::format::{Body, Framer, HEADER_LEN, Header, Uses};
use super::frame_reader::{FrameReader, Unreadable};
use super::journal::Journal;
use super::lock::NotLocked;
use super::pace::{Pace, Timer};
use crate::store::StoreError;
use crate::token::TokenId;

/// The default of [`FileStoreOptions::compact_above`](crate::file::FileStoreOptions::compact_above): 8
/// MiB of obsolete frames.
pub(super) const DEFAULT_COMPACT_ABOVE: u64 = 8 << 20;

/// Returns whether the file is to be compacted without a request. Its obsolete bytes must exceed
/// both `compact_above` and the current bytes, so that each compaction halves the file at least.
pub(super) fn is_due(obsolete: u64, current_bytes: u64, compact_above: u64) -> bool {
    obsolete > compact_above.max(current_bytes)
}

/// The minimum size of one write to the new file, in bytes. Each of them is synced, because a sync of the
/// journal can wait for a sync of another file, and for its unsynced data, on some file systems. So the size
/// bounds the wait.
const WRITE_CHUNK: usize = 128 << 10;

/// The number of bytes of the journal for which the first pass reserves one record, and the maximum number
/// of reserved records. A table that grows copies itself and returns memory to the system. Meanwhile other
/// threads wait for memory.
const RESERVE: (u64, u64) = (200, 1_000_000);

/// The maximum number of bytes that are left to the writer at the hand-over, in addition to what it
/// appends until then.
const MAX_HAND_OVER: u64 = 64 << 10;

/// The sizes of the file before and after a compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// The size of the file before the compaction, in bytes.
    pub bytes_before: u64,
    /// The size of the file after the compaction, in bytes.
    pub bytes_after: u64,
}

/// The reason why the file was not compacted. The old file stays in use.
#[derive(Debug)]
pub(super) enum NotCompacted {
    Failed(Failure),
    Damaged { offset: u64, what: &'static str },
    Panicked,
    Cancelled,
}

#[derive(Debug, thiserror::Error)]
#[error("the journal is damaged at byte {offset}: {what}")]
struct Damage {
    offset: u64,
    what: &'static str,
}

#[derive(Debug, thiserror::Error)]
#[error("the thread that compacts the journal panicked")]
struct Panicked;

impl NotCompacted {
    pub(super) fn to_error(&self) -> StoreError {
        match self {
            Self::Failed(failure) => failure.to_error(),
            &Self::Damaged { offset, what } => StoreError::corrupt(Damage { offset, what }),
            Self::Panicked => StoreError::unavailable(Panicked),
            Self::Cancelled => closed(),
        }
    }
}

impl std::fmt::Display for NotCompacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            &Self::Damaged { offset, what } => Damage { offset, what }.fmt(f),
            Self::Panicked => Panicked.fmt(f),
            Self::Cancelled => f.write_str("the store is closing"),
        }
    }
}

impl From<Unreadable> for NotCompacted {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Io(error) => {
                Self::Failed(Failure::new("the journal could not be read", error))
            }
            Unreadable::Damaged { offset, what } => Self::Damaged { offset, what },
        }
    }
}

fn unwritten(error: std::io::Error) -> NotCompacted {
    NotCompacted::Failed(Failure::new("the compacted journal could not be written", error))
}

/// Returns the error of a new file that was not given the access of the journal. Only if the process may
/// not give it, another user is the remedy. A failing disk or a quota is reported as such.
fn not_given(access: FileAccess) -> impl FnOnce(std::io::Error) -> NotCompacted {
    move |error| {
        NotCompacted::Failed(match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::Unsupported | ErrorKind::InvalidInput => {
                Failure::unavailable(
                    format!(
                        "the compacted journal cannot have the owner, group and mode of the journal \
                         ({access}): compact it as that user, who must be in that group"
                    ),
                    error,
                )
            }
            _ => Failure::new(
                "the owner, group and mode of the compacted journal could not be set",
                error,
            ),
        })
    }
}

pub(super) type CompactionResult = Result<Box<Prepared>, NotCompacted>;

/// The input of a compaction.
pub(super) struct CompactionJob {
    pub(super) path: PathBuf,
    pub(super) new_path: PathBuf,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) header: Header,
    /// The access of the journal, or `None` on systems other than Unix.
    pub(super) access: Option<FileAccess>,
    /// The durable length of the journal, updated by the writer.
    pub(super) durable_len: Arc<AtomicU64>,
    pub(super) cancelled: Arc<AtomicBool>,
    /// The clock of the rests.
    pub(super) timer: Arc<dyn Timer>,
}

impl CompactionJob {
    /// Prepares the new file and passes it to `deliver` for the hand-over. Runs on its own thread.
    pub(super) fn run(self, deliver: impl FnOnce(CompactionResult)) {
        let (done, old_files) = mpsc::channel();
        // The writer and the callers wait for an outcome, so a panic is one too. Unwinding has removed the new
        // file, and nothing else was modified.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.prepare(done)));
        let outcome = outcome.unwrap_or_else(|panic| {
            // Leaked, because dropping it might panic too.
            std::mem::forget(panic);
            Err(NotCompacted::Panicked)
        });
        deliver(outcome.map(Box::new));
        // Closing a large file without a name frees its blocks, which takes time. This thread does
        // it so that the writer does not wait.
        drop(old_files.recv());
    }

    fn prepare(&self, done: mpsc::Sender<OldFiles>) -> Result<Prepared, NotCompacted> {
        let end = self.durable_len.load(Ordering::Acquire);
        let mut frames = self.frames(end)?;
        let mut latest = self.latest(&mut frames, end)?;
        let mut copied = self.frames(end)?;
        let mut new_file = NewFile::create(self)?;
        while let Some(frame) = copied.next()? {
            let offset = frame.offset;
            let body = Body::read(frame.body);
            let body = body.map_err(|what| NotCompacted::Damaged { offset, what })?;
            if let Body::Put { id, version, record, .. } = body
                && let Some(row) = latest.get(&id).filter(|row| row.version == version)
            {
                new_file.framer.put(&mut new_file.buffer, id, version, row.last_used, record);
                // The frame was written twice. This skips the second one.
                latest.remove(&id);
                new_file.write_chunk()?;
            }
            new_file.after_frame();
            self.check_cancelled()?;
        }
        check_reached(&copied, end)?;
        let mut prepared = Prepared { frames: copied, new_file, done };
        // Each turn is synced, so that the hand-over has to sync only what was appended during the last
        // sync. If the writer appends more in every turn, another turn does not help.
        let mut left_before = u64::MAX;
        loop {
            prepared.copy(self.durable_len.load(Ordering::Acquire), &self.cancelled)?;
            prepared.new_file.write()?;
            prepared.new_file.sync()?;
            let left = self.durable_len.load(Ordering::Acquire) - prepared.frames.offset();
            if left <= MAX_HAND_OVER || left >= left_before {
                break;
            }
            left_before = left;
        }
        Ok(prepared)
    }

    fn frames(&self, end: u64) -> Result<FrameReader, NotCompacted> {
        // Another program may have put a pipe in its place, and opening that would never end.
        let file = open_regular(OpenOptions::new().read(true), &self.path);
        let file = file.map_err(Unreadable::Io)?;
        Ok(FrameReader::new(file, self.header.seed(), end).map_err(Unreadable::Io)?)
    }

    /// Returns the latest version and last use of each id that has a record at the end of the
    /// frames.
    fn latest(
        &self,
        frames: &mut FrameReader,
        end: u64,
    ) -> Result<HashMap<TokenId, LatestRow>, NotCompacted> {
        let (per_record, max) = RESERVE;
        let mut latest: HashMap<TokenId, LatestRow> =
            HashMap::with_capacity((end / per_record).min(max) as usize);
        let mut pace = self.pace();
        while let Some(frame) = frames.next()? {
            let offset = frame.offset;
            pace.after_frame();
            match Body::read(frame.body).map_err(|what| NotCompacted::Damaged { offset, what })? {
                Body::Put { id, version, last_used, .. } => {
                    let row = latest.entry(id).or_insert(LatestRow { version, last_used });
                    row.version = row.version.max(version);
                    row.last_used = row.last_used.max(last_used);
                }
                Body::Remove { id, version } => {
                    if latest.get(&id).is_some_and(|row| row.version < version) {
                        latest.remove(&id);
                    }
                }
                Body::Touch(uses) => touch(&mut latest, uses),
            }
            self.check_cancelled()?;
        }
        check_reached(frames, end)?;
        Ok(latest)
    }

    fn pace(&self) -> Pace {
        Pace::new(self.durable_len.clone(), self.timer.clone())
    }

    fn check_cancelled(&self) -> Result<(), NotCompacted> {
        check_cancelled(&self.cancelled)
    }
}

fn check_cancelled(cancelled: &AtomicBool) -> Result<(), NotCompacted> {
    if cancelled.load(Ordering::Relaxed) { Err(NotCompacted::Cancelled) } else { Ok(()) }
}

/// Checks that all frames were read. The durable part of a file ends with a complete frame.
fn check_reached(frames: &FrameReader, end: u64) -> Result<(), NotCompacted> {
    match frames.offset() {
        offset if offset == end => Ok(()),
        offset => Err(NotCompacted::Damaged { offset, what: "a frame is cut short" }),
    }
}

struct LatestRow {
    version: u64,
    last_used: Option<i64>,
}

fn touch(latest: &mut HashMap<TokenId, LatestRow>, uses: Uses<'_>) {
    for (id, used) in uses {
        if let Some(row) = latest.get_mut(&id) {
            row.last_used = row.last_used.max(Some(used));
        }
    }
}

/// The new file while it is written. Dropping it removes the file unless it is in place.
struct NewFile {
    disk: Option<Box<dyn Disk>>,
    path: PathBuf,
    directory: Arc<dyn Directory>,
    header: Header,
    framer: Framer,
    buffer: Vec<u8>,
    len: u64,
    /// `None` from the hand-over on, because the writer does not rest and syncs the file once.
    pace: Option<Pace>,
    in_place: bool,
}

impl NewFile {
    fn create(job: &CompactionJob) -> Result<Self, NotCompacted> {
        let disk = job.directory.create(&job.new_path).map_err(|error| {
            let doing = "the compacted journal could not be created";
            NotCompacted::Failed(Failure::in_directory_of(&job.path, doing, error))
        })?;
        let header = job.header.next_generation(job.header.last_version);
        let mut new_file = Self {
            disk: Some(disk),
            path: job.new_path.clone(),
            directory: job.directory.clone(),
            header,
            framer: Framer::new(header.seed(), 1),
            // Reserved for the header, which is written last. Until then the file is not a valid
            // store.
            buffer: vec![0; HEADER_LEN],
            len: 0,
            pace: Some(job.pace()),
            in_place: false,
        };
        if let Some(access) = job.access {
            // The mode stays 0600 until the hand-over.
            new_file.disk()?.give_owner(access).map_err(not_given(access))?;
        }
        Ok(new_file)
    }

    fn disk(&mut self) -> Result<&mut Box<dyn Disk>, NotCompacted> {
        self.disk.as_mut().ok_or(NotCompacted::Cancelled)
    }

    /// Writes and syncs the buffer if it is large enough, and rests.
    fn write_chunk(&mut self) -> Result<(), NotCompacted> {
        if self.buffer.len() < WRITE_CHUNK {
            return Ok(());
        }
        self.write()?;
        if self.pace.is_some() {
            self.sync()?;
        }
        if let Some(pace) = &mut self.pace {
            pace.rest();
        }
        Ok(())
    }

    fn after_frame(&mut self) {
        if let Some(pace) = &mut self.pace {
            pace.after_frame();
        }
    }

    fn write(&mut self) -> Result<(), NotCompacted> {
        let buffer = std::mem::take(&mut self.buffer);
        let len = self.len;
        self.disk()?.write_at(len, &buffer).map_err(unwritten)?;
        self.len += buffer.len() as u64;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), NotCompacted> {
        self.disk()?.sync().map_err(unwritten)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.in_place {
            self.disk = None;
            // If this fails, the next opening removes the file.
            let _ = self.directory.remove(&self.path);
        }
    }
}

type OldFiles = (File, Box<dyn Disk>);

/// A new file that lacks only the last frames of the journal.
pub(super) struct Prepared {
    /// Reads the frames of the old file that were not yet copied.
    frames: FrameReader,
    new_file: NewFile,
    done: mpsc::Sender<OldFiles>,
}

impl Prepared {
    fn copy(&mut self, until: u64, cancelled: &AtomicBool) -> Result<(), NotCompacted> {
        self.frames.extend_to(until);
        while let Some(frame) = self.frames.next()? {
            self.new_file.framer.copy(&mut self.new_file.buffer, frame.body);
            self.new_file.write_chunk()?;
            self.new_file.after_frame();
            check_cancelled(cancelled)?;
        }
        check_reached(&self.frames, until)
    }

    /// Puts the new file in the place of the journal. Called by the writer, so no frame is appended
    /// meanwhile.
    pub(super) fn hand_over(
        mut self,
        journal: &mut Journal,
        last_version: u64,
    ) -> Result<Compacted, NotCompacted> {
        let bytes_before = journal.len();
        journal.check_unchanged().map_err(NotCompacted::Failed)?;
        self.new_file.pace = None;
        self.copy(bytes_before, &AtomicBool::new(false))?;
        let new_file = &mut self.new_file;
        new_file.write()?;
        new_file.header.base_len = new_file.len;
        new_file.header.last_version = last_version;
        let header = new_file.header;
        new_file.disk()?.write_at(0, &header.to_bytes()).map_err(unwritten)?;
        // Read again, because an operator may have changed it in the meantime.
        if let Some(access) = journal.access().map_err(NotCompacted::Failed)? {
            new_file.disk()?.give(access).map_err(not_given(access))?;
        }
        // The data, and the access that was given.
        new_file.disk()?.sync_all().map_err(unwritten)?;
        // Locked before the rename, so that no other process finds the file unlocked.
        let lock = new_file.disk()?.lock().map_err(|error| match error {
            NotLocked::Held => unwritten(ErrorKind::ResourceBusy.into()),
            NotLocked::Io(error) => unwritten(error),
        })?;
        let path = new_file.path.clone();
        let renamed = journal.replace_with(&path, &**new_file.disk()?);
        renamed.map_err(NotCompacted::Failed)?;
        new_file.in_place = true;
        let bytes_after = new_file.len;
        if let Some(disk) = new_file.disk.take() {
            let old = journal.switch_to(disk, bytes_after, header, new_file.framer, lock);
            // If the compaction thread has ended, the files are closed here.
            let _ = self.done.send((self.frames.into_file(), old));
        }
        Ok(Compacted { bytes_before, bytes_after })
    }
}
