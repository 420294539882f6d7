//! One process at a time: a lock on a file beside the journal, which is there before the journal and
//! keeps its place when that is replaced, and one on the journal itself, which no name gets round.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{
    self,
    ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem},
};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Held as long as the value lives.
#[derive(Debug)]
pub(super) struct Lock(File);

/// Why the lock was not taken.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// Somebody holds it.
    Held,
    Io(io::Error),
}

impl Lock {
    /// The writer's lock: nobody else's is held beside it.
    pub(super) fn exclusive(path: &Path) -> Result<Self, NotLocked> {
        let file = create(path).map_err(NotLocked::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(error) => Err(error.into()),
        }
    }

    /// A reader's lock: other readers' are held beside it, a writer's is not. `None` if there is no
    /// lock file, so no writer either, and none can be made.
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

    /// A lock on a journal that is open. It has a handle of its own and holds until it is dropped,
    /// also when the journal is closed.
    #[cfg(unix)]
    pub(super) fn on_journal(journal: &File, exclusive: bool) -> Result<Option<Self>, NotLocked> {
        let file = journal.try_clone().map_err(NotLocked::Io)?;
        if exclusive { file.try_lock() } else { file.try_lock_shared() }?;
        Ok(Some(Self(file)))
    }

    /// Elsewhere a lock keeps others from reading, and so from taking a copy: the one beside the
    /// journal has to do.
    #[cfg(not(unix))]
    pub(super) fn on_journal(_journal: &File, _exclusive: bool) -> Result<Option<Self>, NotLocked> {
        Ok(None)
    }
}

/// The locks of one open store. They hold until they are released, or dropped.
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

    /// Holds another journal's lock in the place of the one before.
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
        // Closing would release it too, unless a child that is being started at this moment has
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

/// Whether an error says that this file or file system is for reading only.
pub(super) fn refuses_writing(error: &io::Error) -> bool {
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

fn create(path: &Path) -> io::Result<File> {
    owner_only(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)
}

/// Sets the mode of the files that the store creates to 0600, so that only their owner reads them.
pub(super) fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}
