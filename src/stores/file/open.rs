//! Opening a journal. The steps are locks, header, replay, and the unfinished write at the end.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::access::FileAccess;
use super::compactable::{check_compactable, remove_leftover};
use super::disk::{Directory, Disk, NamesSynced, is_at, names, open_regular, sync_names};
use super::format::{HEADER_LEN, Header, NoHeader};
use super::frame_reader::{FrameReader, Unreadable, written_end};
use super::lock::{Lock, Locks, NoLockFile, NotLocked, refuses_writing};
use super::open_error::{OpenError, io_error};
use super::open_warning::OpenWarning;
use super::options::{FileStoreOptions, OpenProgress};
use super::replay::{Replayed, replay};
use crate::random::{OsRandom, RandomError};

/// The report of opening a file.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The conditions that an operator should know. Each was also logged.
    pub warnings: Vec<OpenWarning>,
    /// The duration of opening.
    pub took: Duration,
}

/// An unfinished write at the end of the file. A store that is open for reading only leaves it in the
/// file.
///
/// It was never acknowledged, unless the disk lost synced data, or the file was cut or copied
/// incompletely. In these cases the latest revocations and other writes may be missing. The manual has
/// [the steps](crate::manual::rotation_and_incidents#the-end-of-the-file-was-cut-off).
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
    let mut warnings = Vec::new();
    // Declared before all other files, and so dropped after them.
    let (locks, write) = lock_beside(options.read_only, path, &mut warnings)?;
    // Without the lock next to it, two processes could create the journal at the same time.
    let may_create = write && locks.has_lock_file();
    let created = may_create && create_if_missing(&paths, &*options.directory, &locks)?;
    let (mut file, journal) = open_locked(path, write)?;
    locks.replace_journal_lock(journal);
    if write {
        match names(&file).map_err(io_error("opening", path))? {
            // An opening that has created a file in the directory needs no other proof.
            0 | 1 if locks.has_created() => warnings.extend(remove_leftover(&paths.new_path)),
            0 | 1 => warnings.extend(check_compactable(&paths.new_path)),
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
        warnings.push(OpenWarning::TruncatedTail { path: path.clone(), offset, bytes });
    }
    if write {
        sync_all(&mut *disk, offset, truncated_tail.is_some())
            .map_err(io_error("making durable", path))?;
        let directory = directory_of(path);
        let synced = sync_names(&*options.directory, path);
        if synced.map_err(io_error("syncing the directory", directory))? == NamesSynced::Unsupported
        {
            warnings.push(OpenWarning::DirectoryNotSynced { directory: directory.to_owned() });
        }
    }
    if created {
        warnings.extend(created_by_superuser(path));
    }
    warnings.iter().for_each(|warning| warning.log(path));
    let (records, took) = (replayed.table.len(), began.elapsed());
    let report = OpenReport { created, records, bytes: offset, truncated_tail, warnings, took };
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
            let parent = path.parent().ok_or(ErrorKind::InvalidInput)?;
            let parent = fs::canonicalize(parent).map_err(|error| match error.kind() {
                ErrorKind::NotFound => io::Error::new(ErrorKind::NotFound, NoDirectory),
                _ => error,
            })?;
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

/// The directory of the path does not exist.
#[derive(Debug, thiserror::Error)]
#[error("its directory does not exist")]
struct NoDirectory;

pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

pub(super) fn with_suffix(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Refuses a file without a valid header before a lock file is created next to it. No lock is
/// needed, because a header is never modified.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(OpenError::NotAFile { path: path.to_owned() });
        }
        // Later steps report a file that is missing or cannot be read.
        Err(_) => return Ok(()),
        Ok(_) => {}
    }
    match open_regular(OpenOptions::new().read(true), path) {
        Ok(mut file) => read_header(&mut file, path).map(drop),
        Err(_) => Ok(()),
    }
}

/// Returns whether the file can be written to, or is missing and can be created. The mode does not answer
/// this, because the superuser may write to a file of mode 0400.
fn is_writable(path: &Path) -> Result<bool, OpenError> {
    match open_regular(OpenOptions::new().read(true).write(true), path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if refuses_writing(&error) => Ok(false),
        Err(error) => Err(io_error("opening", path)(error)),
    }
}

/// Takes the lock next to the journal. Returns it and whether it is the writer's.
fn lock_beside(
    read_only: bool,
    journal: &Path,
    warnings: &mut Vec<OpenWarning>,
) -> Result<(Locks, bool), OpenError> {
    let lock = with_suffix(journal, ".lock");
    let reader = || {
        let taken = Lock::shared(&lock).map_err(|error| no_lock_file(&lock, error))?;
        Ok((Locks::new(taken), false))
    };
    if read_only {
        return reader();
    }
    let access = FileAccess::at(journal);
    if !is_writable(journal)? {
        warnings.push(OpenWarning::FileNotWritable { path: journal.to_owned(), access });
        return reader();
    }
    match Lock::exclusive(&lock, access) {
        Ok((taken, created)) => {
            let locks = Locks::new(Some(taken));
            if created {
                locks.add_created(&lock);
            }
            Ok((locks, true))
        }
        // The lock on the journal excludes a second writer. `access` is `None` if there is no journal,
        // and on systems where it is not locked.
        Err(NoLockFile::NotOpened(error)) if refuses_writing(&error) && access.is_some() => {
            let access = FileAccess::at(&lock);
            warnings.push(OpenWarning::LockFileNotOpened { lock, access });
            Ok((Locks::new(None), true))
        }
        Err(NoLockFile::NotGiven(access)) => {
            warnings.push(OpenWarning::LockFileNotCreated { lock, access });
            Ok((Locks::new(None), true))
        }
        // No file can be created in the directory, so the journal could not be compacted either. If there
        // is no journal to read, this error is the one to report.
        Err(NoLockFile::NotCreated(error)) if refuses_writing(&error) && journal.exists() => {
            let directory = directory_of(journal).to_owned();
            let access = FileAccess::at(&directory);
            warnings.push(OpenWarning::DirectoryNotWritable { directory, access });
            reader()
        }
        Err(error) => Err(no_lock_file(&lock, error)),
    }
}

/// Returns a warning if the superuser created the journal in a directory of another user.
fn created_by_superuser(path: &Path) -> Option<OpenWarning> {
    let (file, directory) = (FileAccess::at(path)?, FileAccess::at(directory_of(path))?);
    let path = path.to_owned();
    (file.user == 0 && directory.user != 0)
        .then_some(OpenWarning::CreatedBySuperuser { path, directory })
}

/// Opens and locks the file that has the name now, not one that had it before a replacement.
fn open_locked(path: &Path, write: bool) -> Result<(File, Option<Lock>), OpenError> {
    for _ in 0..MAX_REOPENS {
        let file = open_regular(OpenOptions::new().read(true).write(write), path);
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

fn no_lock_file(lock: &Path, error: NoLockFile) -> OpenError {
    match error {
        NoLockFile::Lock(error) => not_locked(lock, error),
        NoLockFile::NotRegular => OpenError::NotAFile { path: lock.to_owned() },
        NoLockFile::DanglingLink => OpenError::DanglingLock { path: lock.to_owned() },
        NoLockFile::NotOpened(error) => io_error("opening the lock file", lock)(error),
        NoLockFile::NotCreated(error) => {
            io_error("creating a lock file in", directory_of(lock))(error)
        }
        // Only next to a journal, and then a writer does without it.
        NoLockFile::NotGiven(_) => io_error("locking", lock)(ErrorKind::PermissionDenied.into()),
    }
}

/// Creates the journal in one step, so that a file with its name always has a complete header.
fn create_if_missing(
    paths: &Paths,
    directory: &dyn Directory,
    locks: &Locks,
) -> Result<bool, OpenError> {
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
        let renamed = directory.rename(&paths.new_path, path);
        // A rename that reports an error may have taken effect.
        if renamed.is_ok() || (cfg!(unix) && file.is_at(path).unwrap_or(false)) {
            locks.add_created(path);
        }
        renamed?;
        sync_names(directory, path)
    };
    create().map_err(|error| {
        let _ = directory.remove(&paths.new_path);
        io_error("creating a file in", directory_of(path))(error)
    })?;
    Ok(true)
}

fn read_header(file: &mut File, path: &Path) -> Result<Header, OpenError> {
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    let read = file.take(HEADER_LEN as u64).read_to_end(&mut bytes);
    read.map_err(io_error("reading", path))?;
    if bytes.is_empty() {
        return Err(OpenError::Empty { path: path.to_owned() });
    }
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
