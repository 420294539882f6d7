//! The locks that allow only one writing process.
//!
//! One lock is on a file next to the journal, which exists before the journal and stays when the
//! journal is replaced. On Unix another is on the journal itself, so that opening it by another
//! name is refused too.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{
    self,
    ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem},
};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A lock on a file, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

/// The reason why the lock was not taken.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// Another store holds a conflicting lock.
    Held,
    Io(io::Error),
}

impl Lock {
    /// Takes the writer's lock, which excludes all others.
    pub(super) fn exclusive(path: &Path) -> Result<Self, NotLocked> {
        let file = create(path).map_err(NotLocked::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a reader's lock, which excludes the writer's but not those of other readers. Returns
    /// `None` if there is no lock file and none can be created. Then there is no writer either.
    pub(super) fn shared(path: &Path) -> Result<Option<Self>, NotLocked> {
        let file = match create(path).or_else(|_| File::open(path)) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), NotFound | ReadOnlyFilesystem) => return Ok(None),
            Err(error) => return Err(NotLocked::Io(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self(file))),
            Err(error) => Err(error.into()),
        }
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
pub(super) struct Locks(Mutex<Pair>);

#[derive(Debug)]
struct Pair {
    journal: Option<Lock>,
    beside: Option<Lock>,
}

impl Locks {
    pub(super) fn new(beside: Option<Lock>, journal: Option<Lock>) -> Self {
        Self(Mutex::new(Pair { journal, beside }))
    }

    /// Replaces the lock on the journal by the lock on its successor.
    pub(super) fn replace_journal_lock(&self, journal: Option<Lock>) {
        self.pair().journal = journal;
    }

    pub(super) fn release(&self) {
        let mut pair = self.pair();
        pair.journal = None;
        pair.beside = None;
    }

    fn pair(&self) -> std::sync::MutexGuard<'_, Pair> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file releases the lock too, unless a child process that is being started has
        // inherited the file.
        let _ = self.0.unlock();
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

fn create(path: &Path) -> io::Result<File> {
    owner_only(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)
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
