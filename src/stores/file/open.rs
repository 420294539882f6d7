//! Opening: the lock, the header, the replay, and what is made of an unfinished end.

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
use crate::secret::{OsRandom, RandomError};

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

/// The journal and the file that compaction makes beside it.
pub(super) struct Paths {
    pub(super) journal: PathBuf,
    pub(super) compacting: PathBuf,
}

/// What opening gives the store.
pub(super) struct Opened {
    pub(super) paths: Paths,
    pub(super) disk: Box<dyn Disk>,
    pub(super) header: Header,
    pub(super) sequence: u64,
    pub(super) replayed: Replayed,
    pub(super) opening: OpenReport,
    pub(super) locks: Locks,
    /// Whether nothing may be changed.
    pub(super) read_only: bool,
}

/// How many symbolic links may lead to a file that is not there.
const MAX_LINKS: usize = 16;

/// How often the file is opened anew because another one has taken its name meanwhile.
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
        tracing::warn!(%path, "the journal cannot be written to: every change will be refused");
    }
    let created = write && create_if_missing(&paths, &*options.directory)?;
    let (mut file, journal) = open_locked(path, write)?;
    let locks = Locks::new(beside, journal);
    if write {
        match names(&file).map_err(io_error("opening", path))? {
            0 | 1 => remove_leftover(&paths.compacting)?,
            names => return Err(OpenError::SeveralNames { path: path.clone(), names }),
        }
    }
    let length = file.metadata().map_err(io_error("opening", path))?.len();
    let header = read_header(&mut file, path)?;
    let reading = |error| unreadable(path, error);
    let end = written_end(&mut file, length).map_err(|error| reading(error.into()))?;
    let end = end.max(HEADER_LEN as u64);
    if end < header.base_len {
        let what = "the file is shorter than it was when it was made";
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
    let cut_off = (offset < length).then(|| TruncatedTail { offset, bytes: length - offset });
    let mut disk = options.directory.adopt(frames.into_file(), path);
    if offset < header.base_len {
        let what = "the file ends earlier than when it was made";
        return Err(reading(Unreadable::Damaged { offset, what }));
    }
    if let Some(TruncatedTail { offset, bytes }) = cut_off {
        let path = path.display();
        tracing::warn!(%path, offset, bytes, "an unfinished write at the journal's end is left out");
    }
    if write {
        sync_all(&mut *disk, offset, cut_off.is_some())
            .and_then(|()| options.directory.sync(path))
            .map_err(io_error("making durable", path))?;
    }
    let records = replayed.table.len();
    let opening = OpenReport { created, records, bytes: offset, cut_off, took: began.elapsed() };
    Ok(Opened { paths, disk, header, sequence, replayed, opening, locks, read_only: !write })
}

/// Makes durable what was read: a process that was killed may have written it and not synced, and
/// whoever reads it here takes it for certain. The directory is synced behind it: the killed one may
/// have put a compacted file in place, and what is written into that must not lose its name.
fn sync_all(disk: &mut dyn Disk, length: u64, cut: bool) -> io::Result<()> {
    if cut {
        disk.set_len(length)?;
    }
    disk.sync()
}

/// One spelling of the path, so that every process finds the same lock and a later change of the
/// working directory changes nothing.
fn resolve(path: &Path, links: usize) -> io::Result<Paths> {
    let journal = match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let path = std::path::absolute(path)?;
            let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
            let parent = fs::canonicalize(path.parent().ok_or(ErrorKind::InvalidInput)?)?;
            match fs::read_link(&path) {
                Ok(_) if links == 0 => return Err(error),
                // It leads to no file yet.
                Ok(target) => return resolve(&parent.join(target), links - 1),
                Err(_) => parent.join(name),
            }
        }
        canonical => canonical?,
    };
    Ok(Paths { compacting: with_suffix(&journal, ".compacting"), journal })
}

fn with_suffix(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Refuses what is there and has no store's header, before a lock file is left beside it. A header is
/// never changed in place, so that this needs no lock.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(io_error("opening", path)(ErrorKind::InvalidInput.into()));
        }
        // What is not there, or may not be looked at, is for the steps behind.
        Err(_) => return Ok(()),
        Ok(_) => {}
    }
    match File::open(path) {
        Ok(mut file) => read_header(&mut file, path).map(drop),
        Err(_) => Ok(()),
    }
}

/// Whether the file is there to be written to, or to be created.
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

/// The lock beside the journal, and whether it is the writer's.
fn write_access(lock: &Path, journal: &Path) -> Result<(Option<Lock>, bool), OpenError> {
    match Lock::exclusive(lock) {
        Ok(lock) => Ok((Some(lock), true)),
        // The directory is for reading: a writer could not be kept out. Without a journal there is
        // nothing to read, and this is the error to tell.
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

/// Opens and locks the file that has the name, rather than one that had it a moment ago.
fn open_locked(path: &Path, write: bool) -> Result<(File, Option<Lock>), OpenError> {
    for _ in 0..MAX_REOPENS {
        let file = OpenOptions::new().read(true).write(write).open(path);
        let file = file.map_err(io_error("opening", path))?;
        let lock = Lock::on_journal(&file, write).map_err(|error| not_locked(path, error))?;
        if is_at(&file, path).map_err(io_error("opening", path))? {
            return Ok((file, lock));
        }
    }
    // Only a store that writes replaces it.
    Err(OpenError::Locked { lock: path.to_owned() })
}

fn not_locked(lock: &Path, error: NotLocked) -> OpenError {
    match error {
        NotLocked::Held => OpenError::Locked { lock: lock.to_owned() },
        NotLocked::Io(error) => io_error("locking", lock)(error),
    }
}

/// What a compaction left that was killed.
fn remove_leftover(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Creates the journal in one step: a file under its name always has a whole header.
fn create_if_missing(paths: &Paths, directory: &dyn Directory) -> Result<bool, OpenError> {
    let path = &paths.journal;
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        _ => return Ok(false),
    }
    let create = || {
        let header = Header::new(&OsRandom).map_err(|RandomError| io::Error::other(RandomError))?;
        let mut file = directory.create(&paths.compacting)?;
        file.write_at(0, &header.to_bytes())?;
        file.sync()?;
        directory.rename(&paths.compacting, path)?;
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
