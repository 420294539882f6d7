//! Opening a journal. The steps are locks, header, replay, and the unfinished write at the end.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::disk::{Directory, Disk, is_at, names};
use super::format::{HEADER_LEN, Header, NoHeader};
use super::frame_reader::{FrameReader, Unreadable, written_end};
use super::lock::{Lock, Locks, NotLocked, refuses_writing};
use super::open_error::{OpenError, io_error};
use super::options::{FileStoreOptions, OpenProgress};
use super::replay::{Replayed, replay};
use crate::random::{OsRandom, RandomError};

/// The report of opening a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// Whether the file was created.
    pub created: bool,
    /// The number of records in the store.
    pub records: usize,
    /// The length of the file in bytes, without an unfinished write at its end.
    pub bytes: u64,
    /// The unfinished write at the end, or `None`.
    pub truncated_tail: Option<TruncatedTail>,
    /// The duration of opening.
    pub took: Duration,
}

/// An unfinished write at the end of the file. It was never acknowledged. A store that is open for
/// reading only leaves it in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TruncatedTail {
    /// The offset of its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The paths of the journal and of the file that compaction writes next to it.
pub(super) struct Paths {
    pub(super) journal: PathBuf,
    pub(super) new_path: PathBuf,
}

/// Everything that the store needs of an opened file.
pub(super) struct Opened {
    pub(super) paths: Paths,
    pub(super) disk: Box<dyn Disk>,
    pub(super) header: Header,
    pub(super) sequence: u64,
    pub(super) replayed: Replayed,
    pub(super) report: OpenReport,
    pub(super) locks: Locks,
    /// Whether all writes are refused.
    pub(super) read_only: bool,
}

/// The maximum number of symbolic links on the path to a missing file.
const MAX_LINKS: usize = 16;

/// The maximum number of attempts to open a file that is being replaced.
const MAX_REOPENS: usize = 8;

pub(super) fn open(options: &mut FileStoreOptions, path: &Path) -> Result<Opened, OpenError> {
    let began = Instant::now();
    let paths = resolve(path, MAX_LINKS).map_err(io_error("resolving", path))?;
    let path = &paths.journal;
    if options.must_exist {
        fs::metadata(path).map_err(io_error("opening", path))?;
    }
    refuse_foreign(path)?;
    let lock = with_suffix(path, ".lock");
    let writable = !options.read_only && is_writable(path)?;
    let (beside, write) = if writable { write_access(&lock, path) } else { read_access(&lock) }?;
    if !write && !options.read_only {
        let path = path.display();
        tracing::warn!(%path, "the journal cannot be written to, so every write will be refused");
    }
    let created = write && create_if_missing(&paths, &*options.directory)?;
    let (mut file, journal) = open_locked(path, write)?;
    let locks = Locks::new(beside, journal);
    if write {
        match names(&file).map_err(io_error("opening", path))? {
            0 | 1 => remove_leftover(&paths.new_path)?,
            names => return Err(OpenError::SeveralNames { path: path.clone(), names }),
        }
    }
    let length = file.metadata().map_err(io_error("opening", path))?.len();
    let header = read_header(&mut file, path)?;
    let reading = |error| unreadable(path, error);
    let end = written_end(&mut file, length).map_err(|error| reading(error.into()))?;
    let end = end.max(HEADER_LEN as u64);
    if end < header.base_len {
        let what = "the file is shorter than when it was created";
        return Err(reading(Unreadable::Damaged { offset: end, what }));
    }
    let mut frames =
        FrameReader::new(file, header.seed(), end).map_err(|error| reading(error.into()))?;
    let mut report = |bytes_read| {
        if let Some(report) = &mut options.on_progress {
            report(OpenProgress { bytes_read, bytes_total: end });
        }
    };
    let replayed = replay(&mut frames, &header, end, &mut report).map_err(reading)?;
    let (offset, sequence) = (frames.offset(), frames.sequence());
    let truncated_tail =
        (offset < length).then(|| TruncatedTail { offset, bytes: length - offset });
    let mut disk = options.directory.adopt(frames.into_file(), path);
    if offset < header.base_len {
        let what = "the file is shorter than when it was created";
        return Err(reading(Unreadable::Damaged { offset, what }));
    }
    if let Some(TruncatedTail { offset, bytes }) = truncated_tail {
        let path = path.display();
        tracing::warn!(%path, offset, bytes, "an unfinished write at the end of the journal is ignored");
    }
    if write {
        sync_all(&mut *disk, offset, truncated_tail.is_some())
            .and_then(|()| options.directory.sync(path))
            .map_err(io_error("making durable", path))?;
    }
    let records = replayed.table.len();
    let report =
        OpenReport { created, records, bytes: offset, truncated_tail, took: began.elapsed() };
    Ok(Opened { paths, disk, header, sequence, replayed, report, locks, read_only: !write })
}

/// Makes durable what was read. A process that was killed may have written frames without syncing
/// them, and from now on they count as durable. The caller syncs the directory afterwards, because
/// the killed process may have put a compacted file in place, and later writes must not lose their
/// name.
fn sync_all(disk: &mut dyn Disk, length: u64, cut: bool) -> io::Result<()> {
    if cut {
        disk.set_len(length)?;
    }
    disk.sync()
}

/// Returns the canonical path, so that every process finds the same lock, and so that changing the
/// working directory has no effect.
fn resolve(path: &Path, links: usize) -> io::Result<Paths> {
    let journal = match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let path = std::path::absolute(path)?;
            let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
            let parent = fs::canonicalize(path.parent().ok_or(ErrorKind::InvalidInput)?)?;
            match fs::read_link(&path) {
                Ok(_) if links == 0 => return Err(error),
                // The target of the link does not exist yet.
                Ok(target) => return resolve(&parent.join(target), links - 1),
                Err(_) => parent.join(name),
            }
        }
        canonical => canonical?,
    };
    Ok(Paths { new_path: with_suffix(&journal, ".compacting"), journal })
}

fn with_suffix(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Refuses a file without a valid header before a lock file is created next to it. No lock is
/// needed, because a header is never modified.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(io_error("opening", path)(ErrorKind::InvalidInput.into()));
        }
        // Later steps report a file that is missing or cannot be read.
        Err(_) => return Ok(()),
        Ok(_) => {}
    }
    match File::open(path) {
        Ok(mut file) => read_header(&mut file, path).map(drop),
        Err(_) => Ok(()),
    }
}

/// Returns whether the file can be written to, or is missing and can be created.
fn is_writable(path: &Path) -> Result<bool, OpenError> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        metadata => metadata.map_err(io_error("opening", path))?,
    };
    if metadata.permissions().readonly() {
        return Ok(false);
    }
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Ok(true),
        Err(error) if refuses_writing(&error) => Ok(false),
        Err(error) => Err(io_error("opening", path)(error)),
    }
}

/// Takes the lock next to the journal. Returns it and whether it is the writer's.
fn write_access(lock: &Path, journal: &Path) -> Result<(Option<Lock>, bool), OpenError> {
    match Lock::exclusive(lock) {
        Ok(lock) => Ok((Some(lock), true)),
        // The directory is read-only, so a writer could not be excluded. If there is no journal to
        // read, this error is the one to report.
        Err(NotLocked::Io(error)) if refuses_writing(&error) && journal.exists() => {
            read_access(lock)
        }
        Err(error) => Err(not_locked(lock, error)),
    }
}

fn read_access(lock: &Path) -> Result<(Option<Lock>, bool), OpenError> {
    let lock = Lock::shared(lock).map_err(|error| not_locked(lock, error))?;
    Ok((lock, false))
}

/// Opens and locks the file that has the name now, not one that had it before a replacement.
fn open_locked(path: &Path, write: bool) -> Result<(File, Option<Lock>), OpenError> {
    for _ in 0..MAX_REOPENS {
        let file = OpenOptions::new().read(true).write(write).open(path);
        let file = file.map_err(io_error("opening", path))?;
        let lock = Lock::on_journal(&file, write).map_err(|error| not_locked(path, error))?;
        if is_at(&file, path).map_err(io_error("opening", path))? {
            return Ok((file, lock));
        }
    }
    // Only a store that is open for writing replaces the file.
    Err(OpenError::Locked { lock: path.to_owned() })
}

fn not_locked(lock: &Path, error: NotLocked) -> OpenError {
    match error {
        NotLocked::Held => OpenError::Locked { lock: lock.to_owned() },
        NotLocked::Io(error) => io_error("locking", lock)(error),
    }
}

/// Removes the file that a killed compaction has left.
fn remove_leftover(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Creates the journal in one step, so that a file with its name always has a complete header.
fn create_if_missing(paths: &Paths, directory: &dyn Directory) -> Result<bool, OpenError> {
    let path = &paths.journal;
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        _ => return Ok(false),
    }
    let create = || {
        let header = Header::new(&OsRandom).map_err(|RandomError| io::Error::other(RandomError))?;
        let mut file = directory.create(&paths.new_path)?;
        file.write_at(0, &header.to_bytes())?;
        file.sync()?;
        directory.rename(&paths.new_path, path)?;
        directory.sync(path)
    };
    create().map_err(io_error("creating", path))?;
    Ok(true)
}

fn read_header(file: &mut File, path: &Path) -> Result<Header, OpenError> {
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    let read = file.take(HEADER_LEN as u64).read_to_end(&mut bytes);
    read.map_err(io_error("reading", path))?;
    Header::read(&bytes).map_err(|error| {
        let path = path.to_owned();
        match error {
            NoHeader::Foreign => OpenError::NotAStore { path },
            NoHeader::Newer(format) => OpenError::NewerFormat { path, format },
            NoHeader::Damaged(offset, what) => OpenError::Damaged { path, offset, what },
        }
    })
}

fn unreadable(path: &Path, error: Unreadable) -> OpenError {
    match error {
        Unreadable::Io(error) => io_error("reading", path)(error),
        Unreadable::Damaged { offset, what } => {
            OpenError::Damaged { path: path.to_owned(), offset, what }
        }
    }
}
