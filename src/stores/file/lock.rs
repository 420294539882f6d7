//! The locks that allow only one writing process.
//!
//! Design. One lock is on a file next to the journal, which exists before the journal and stays when
//! the journal is replaced. On Unix another is on the journal itself, so that opening it by another
//! name is refused too. Once the journal exists, the second lock alone excludes a second writer,
//! because a compaction locks the new file before it takes the place of the journal. So a reader
//! creates no lock file, and a writer does without one that it cannot open, or that it cannot give
//! the owner of the journal.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{
    self,
    ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem},
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::access::{FileAccess, NotCreated, create_like};
use super::disk::{is_not_regular, is_same, open_regular};

/// A lock on a file, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

/// The reason why a lock was not taken.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// Another store holds a conflicting lock.
    Held,
    Io(io::Error),
}

/// The reason why the lock file next to the journal was not locked.
#[derive(Debug)]
pub(super) enum NoLockFile {
    Lock(NotLocked),
    /// The path names an object that is not a regular file.
    NotRegular,
    /// The path is a symbolic link, and its target is missing.
    DanglingLink,
    /// The file exists and cannot be opened.
    NotOpened(io::Error),
    /// The file is missing and cannot be created.
    NotCreated(io::Error),
    /// The file is missing, and a new one cannot have this access.
    NotGiven(FileAccess),
}

/// The maximum number of attempts to lock a file that other processes create and remove.
const MAX_ATTEMPTS: usize = 8;

impl Lock {
    /// Takes the writer's lock, which excludes all others. A lock file that is missing gets the access
    /// of the journal, or mode 0600 if there is no journal. Returns whether the file was created.
    pub(super) fn exclusive(
        path: &Path,
        journal: Option<FileAccess>,
    ) -> Result<(Self, bool), NoLockFile> {
        for _ in 0..MAX_ATTEMPTS {
            let (file, created) = match open_existing(path)? {
                Some(file) => (file, false),
                None => match create(path, journal) {
                    Ok(file) => (file, true),
                    Err(NotCreated::Exists) => continue,
                    Err(NotCreated::Refused(error)) => return Err(NoLockFile::NotCreated(error)),
                    Err(NotCreated::Access(error)) => {
                        return Err(
                            journal.map_or(NotLocked::Io(error).into(), NoLockFile::NotGiven)
                        );
                    }
                },
            };
            file.try_lock().map_err(NotLocked::from)?;
            let lock = Self(file);
            // A process that failed to open the store removes the lock file that it created.
            if is_same(&lock.0, fs::metadata(path)).map_err(NotLocked::Io)? {
                return Ok((lock, created));
            }
        }
        Err(NotLocked::Held.into())
    }

    /// Takes a reader's lock, which excludes the writer's but not those of other readers. Returns
    /// `None` if there is no lock file that can be opened. Then the lock on the journal must suffice.
    #[cfg(unix)]
    pub(super) fn shared(path: &Path) -> Result<Option<Self>, NoLockFile> {
        let file = match open_if_present(OpenOptions::new().read(true), path) {
            Ok(Some(file)) => file,
            Err(NoLockFile::NotOpened(error)) if error.kind() != PermissionDenied => {
                return Err(NoLockFile::NotOpened(error));
            }
            Ok(None) | Err(NoLockFile::NotOpened(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        file.try_lock_shared().map_err(NotLocked::from)?;
        Ok(Some(Self(file)))
    }

    /// Takes a reader's lock, which excludes the writer's but not those of other readers. Creates the
    /// lock file if it is missing, because the journal itself is not locked on these systems. Returns
    /// `None` if there is no lock file and none can be created. Then there is no writer either.
    #[cfg(not(unix))]
    pub(super) fn shared(path: &Path) -> Result<Option<Self>, NoLockFile> {
        if let Some(file) = open_if_present(OpenOptions::new().read(true), path)? {
            file.try_lock_shared().map_err(NotLocked::from)?;
            return Ok(Some(Self(file)));
        }
        let mut options = OpenOptions::new();
        let created = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = match created.or_else(|_| File::open(path)) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), NotFound | ReadOnlyFilesystem) => return Ok(None),
            Err(error) => return Err(NoLockFile::NotOpened(error)),
        };
        file.try_lock_shared().map_err(NotLocked::from)?;
        Ok(Some(Self(file)))
    }

    /// Locks an open journal. The lock has its own file handle, so it is held until it is dropped,
    /// also after the journal was closed.
    #[cfg(unix)]
    pub(super) fn on_journal(journal: &File, exclusive: bool) -> Result<Option<Self>, NotLocked> {
        let file = journal.try_clone().map_err(NotLocked::Io)?;
        if exclusive { file.try_lock() } else { file.try_lock_shared() }?;
        Ok(Some(Self(file)))
    }

    /// Returns `None`. On these systems a lock would prevent other processes from reading, and so
    /// from taking a backup. The lock next to the journal must suffice.
    #[cfg(not(unix))]
    pub(super) fn on_journal(_journal: &File, _exclusive: bool) -> Result<Option<Self>, NotLocked> {
        Ok(None)
    }
}

/// The locks of an open store, held until they are released or dropped.
#[derive(Debug)]
pub(super) struct Locks(Mutex<Held>);

#[derive(Debug)]
struct Held {
    journal: Option<Lock>,
    beside: Option<Lock>,
    /// The files that opening has created. They are removed if it fails.
    created: Vec<PathBuf>,
}

impl Locks {
    /// Holds the lock next to the journal. The lock on the journal is added later.
    pub(super) fn new(beside: Option<Lock>) -> Self {
        Self(Mutex::new(Held { journal: None, beside, created: Vec::new() }))
    }

    /// Returns whether the file next to the journal is locked.
    pub(super) fn has_lock_file(&self) -> bool {
        self.held().beside.is_some()
    }

    /// Registers a file that opening has created.
    pub(super) fn add_created(&self, path: &Path) {
        self.held().created.push(path.to_owned());
    }

    /// Returns whether opening has created a file.
    pub(super) fn has_created(&self) -> bool {
        !self.held().created.is_empty()
    }

    /// Keeps the files that opening has created, because it succeeded.
    pub(super) fn keep_created(&self) {
        self.held().created.clear();
    }

    /// Replaces the lock on the journal, by the lock on its successor if there was one.
    pub(super) fn replace_journal_lock(&self, journal: Option<Lock>) {
        self.held().journal = journal;
    }

    pub(super) fn release(&self) {
        let mut held = self.held();
        held.journal = None;
        held.beside = None;
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        // Removed before the locks are released, so that no other process uses these files already.
        for path in self.held().created.drain(..).rev() {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file releases the lock too, unless a child process that is being started has
        // inherited the file.
        let _ = self.0.unlock();
    }
}

impl From<NotLocked> for NoLockFile {
    fn from(error: NotLocked) -> Self {
        Self::Lock(error)
    }
}

impl From<TryLockError> for NotLocked {
    fn from(error: TryLockError) -> Self {
        match error {
            TryLockError::WouldBlock => Self::Held,
            TryLockError::Error(error) => Self::Io(error),
        }
    }
}

/// Returns whether the error says that the file or file system is read-only.
pub(super) fn refuses_writing(error: &io::Error) -> bool {
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// Opens a lock file for writing, or for reading if it cannot be written to. Returns `None` if it is
/// missing.
fn open_existing(path: &Path) -> Result<Option<File>, NoLockFile> {
    match open_if_present(OpenOptions::new().read(true).write(true), path) {
        Err(NoLockFile::NotOpened(error)) if refuses_writing(&error) => {
            open_if_present(OpenOptions::new().read(true), path)
        }
        opened => opened,
    }
}

/// Opens a lock file, or returns `None` if it is missing. Another object with its name is an error. It would
/// refuse every writer without saying why, or opening it might never end.
fn open_if_present(options: &OpenOptions, path: &Path) -> Result<Option<File>, NoLockFile> {
    match open_regular(options, path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_not_regular(&error) => Err(NoLockFile::NotRegular),
        Err(error) if error.kind() == NotFound => {
            match fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
                true => Err(NoLockFile::DanglingLink),
                false => Ok(None),
            }
        }
        Err(error) => Err(NoLockFile::NotOpened(error)),
    }
}

fn create(path: &Path, journal: Option<FileAccess>) -> Result<File, NotCreated> {
    if let Some(access) = journal {
        return create_like(path, access);
    }
    let mut options = OpenOptions::new();
    let created = owner_only(options.read(true).write(true).create_new(true)).open(path);
    created.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => NotCreated::Exists,
        _ => NotCreated::Refused(error),
    })
}

/// Sets the mode of a file to be created to 0600, so that only its owner can read it.
pub(super) fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}
