//! The open file: appending, and what follows when that fails.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Directory, Disk};
use super::format::{Framer, Header};
use super::lock::{Lock, Locks, refuses_writing};
use crate::store::StoreError;

/// The journal's file, its durable length and the frames that come next.
pub(super) struct Journal {
    disk: Box<dyn Disk>,
    /// Everything up to here is durable.
    len: u64,
    header: Header,
    framer: Framer,
    debt: Option<Debt>,
    place: Place,
}

/// Where the file is, and what keeps others away from it.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) locks: Arc<Locks>,
}

/// What must succeed before anything is written again.
#[derive(Debug, Clone, Copy)]
enum Debt {
    /// Behind the durable length there may be frames of acts that nobody was told succeeded.
    CutBack,
    /// Under the file's name there may still be the file before compaction, after a power failure.
    SyncDirectory,
}

/// Why frames were not appended.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    kind: Kind,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unavailable,
    Full,
    ReadOnly,
    Indeterminate,
}

/// The operating system's error, for each of the acts that it failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing}: {error}")]
struct Cause {
    doing: &'static str,
    #[source]
    error: Arc<io::Error>,
}

/// What another program did to the file while it was open here.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Changed {
    #[error("it is not as long as this store left it")]
    Length,
    #[error("its name is gone or another file's")]
    Name,
}

impl From<Changed> for Failure {
    fn from(changed: Changed) -> Self {
        Self::unavailable("something else changed the journal", io::Error::other(changed))
    }
}

impl Failure {
    fn unavailable(doing: &'static str, error: io::Error) -> Self {
        let cause = Cause { doing, error: Arc::new(error) };
        Self { kind: Kind::Unavailable, cause }
    }

    pub(super) fn new(doing: &'static str, error: io::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Kind::Full
            }
            _ if refuses_writing(&error) => Kind::ReadOnly,
            _ => Kind::Unavailable,
        };
        Self { kind, cause: Cause { doing, error: Arc::new(error) } }
    }

    pub(super) fn to_error(&self) -> StoreError {
        match self.kind {
            Kind::Unavailable => StoreError::unavailable(self.cause.clone()),
            Kind::Full => StoreError::full(self.cause.clone()),
            Kind::ReadOnly => StoreError::ReadOnly,
            Kind::Indeterminate => StoreError::indeterminate(self.cause.clone()),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cause.fmt(f)
    }
}

impl Journal {
    /// A file that is durable up to `len` and whose next frame is the one numbered `sequence`.
    pub(super) fn new(
        disk: Box<dyn Disk>,
        len: u64,
        header: Header,
        framer: Framer,
        place: Place,
    ) -> Self {
        Self { disk, len, header, framer, debt: None, place }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn path(&self) -> &Path {
        &self.place.path
    }

    pub(super) fn header(&self) -> Header {
        self.header
    }

    /// Writes the frames that come next, for [`append`](Self::append).
    pub(super) fn framer(&self) -> Framer {
        self.framer
    }

    /// Appends frames and returns when they are durable.
    ///
    /// On a failure the file is cut back to where it ended; only if that fails too, the frames may be
    /// in it, and nothing more is written until the cut succeeds. If something else has changed the
    /// file, nothing is written: what is acknowledged would be lost with it.
    pub(super) fn append(&mut self, frames: &[u8], framer: Framer) -> Result<(), Failure> {
        self.settle()?;
        self.unchanged()?;
        if let Err(error) = self.disk.write_at(self.len, frames) {
            let untouched = self.disk.len().is_ok_and(|len| len == self.len);
            return Err(self.failed("the journal could not be written", error, untouched));
        }
        if let Err(error) = self.disk.sync() {
            return Err(self.failed("the journal could not be made durable", error, false));
        }
        self.len += frames.len() as u64;
        self.framer = framer;
        Ok(())
    }

    fn failed(&mut self, doing: &'static str, error: io::Error, untouched: bool) -> Failure {
        let mut failure = Failure::new(doing, error);
        if !untouched {
            self.debt = Some(Debt::CutBack);
            if self.settle().is_err() {
                failure.kind = Kind::Indeterminate;
            }
        }
        failure
    }

    /// Whether the file is as long as it was left, and is the one that has its name.
    pub(super) fn unchanged(&self) -> Result<(), Failure> {
        const UNTOLD: &str = "it cannot be told whether something else changed the journal";
        let untold = |error| Failure::unavailable(UNTOLD, error);
        if self.disk.len().map_err(untold)? != self.len {
            return Err(Changed::Length.into());
        }
        match self.disk.is_at(&self.place.path).map_err(untold)? {
            true => Ok(()),
            false => Err(Changed::Name.into()),
        }
    }

    /// Makes up for what failed before.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        match self.debt {
            None => {}
            Some(Debt::CutBack) => {
                // To cut must not lengthen it.
                if self.disk.len().is_ok_and(|len| len < self.len) {
                    return Err(Changed::Length.into());
                }
                let cut = self.disk.set_len(self.len).and_then(|()| self.disk.sync());
                cut.map_err(|error| Failure::new("the journal could not be cut back", error))?;
            }
            Some(Debt::SyncDirectory) => {
                let synced = self.place.directory.sync(&self.place.path);
                synced.map_err(|error| {
                    Failure::new("the journal's directory could not be made durable", error)
                })?;
            }
        }
        self.debt = None;
        Ok(())
    }

    /// Gives the journal's name to another file, which is open as `disk`.
    pub(super) fn replace_with(&mut self, other: &Path, disk: &dyn Disk) -> Result<(), Failure> {
        let Place { path, directory, .. } = &self.place;
        match directory.rename(other, path) {
            Err(error) if !disk.is_at(path).unwrap_or(false) => {
                Err(Failure::new("the compacted journal could not be renamed", error))
            }
            // It has the name, whatever was answered.
            _ => Ok(()),
        }
    }

    /// Goes on in the file that now has the journal's name. Returns the old one, whose closing may
    /// take a while.
    pub(super) fn move_to(
        &mut self,
        disk: Box<dyn Disk>,
        len: u64,
        header: Header,
        framer: Framer,
        lock: Option<Lock>,
    ) -> Box<dyn Disk> {
        self.place.locks.move_to(lock);
        self.len = len;
        self.header = header;
        self.framer = framer;
        self.debt = Some(Debt::SyncDirectory);
        std::mem::replace(&mut self.disk, disk)
    }
}
