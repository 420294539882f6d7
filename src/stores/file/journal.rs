//! The open file: appending, and what follows when that fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Directory, Disk};
use super::failure::{ExternalChange, Failure};
use super::format::{Framer, Header};
use super::lock::{Lock, Locks};

/// The journal's file, its durable length and the frames that come next.
pub(super) struct Journal {
    disk: Box<dyn Disk>,
    /// Everything up to here is durable.
    len: u64,
    header: Header,
    framer: Framer,
    pending_repair: Option<Repair>,
    location: Location,
}

/// Where the file is, and what keeps others away from it.
pub(super) struct Location {
    pub(super) path: PathBuf,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) locks: Arc<Locks>,
}

/// What must succeed before anything is written again.
#[derive(Debug, Clone, Copy)]
enum Repair {
    /// Behind the durable length there may be frames of acts that nobody was told succeeded.
    CutBack,
    /// Under the file's name there may still be the file before compaction, after a power failure.
    SyncDirectory,
}

impl Journal {
    /// A file that is durable up to `len` and whose next frame is the one numbered `sequence`.
    pub(super) fn new(
        disk: Box<dyn Disk>,
        len: u64,
        header: Header,
        framer: Framer,
        location: Location,
    ) -> Self {
        Self { disk, len, header, framer, pending_repair: None, location }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn path(&self) -> &Path {
        &self.location.path
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
        self.repair()?;
        self.check_unchanged()?;
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
            self.pending_repair = Some(Repair::CutBack);
            if self.repair().is_err() {
                failure = failure.indeterminate();
            }
        }
        failure
    }

    /// Whether the file is as long as it was left, and is the one that has its name.
    pub(super) fn check_unchanged(&self) -> Result<(), Failure> {
        const UNKNOWN: &str = "the length and name of the journal cannot be checked";
        let unknown = |error| Failure::unavailable(UNKNOWN, error);
        if self.disk.len().map_err(unknown)? != self.len {
            return Err(ExternalChange::Length.into());
        }
        match self.disk.is_at(&self.location.path).map_err(unknown)? {
            true => Ok(()),
            false => Err(ExternalChange::Name.into()),
        }
    }

    /// Makes up for what failed before.
    pub(super) fn repair(&mut self) -> Result<(), Failure> {
        match self.pending_repair {
            None => {}
            Some(Repair::CutBack) => {
                // To cut must not lengthen it.
                if self.disk.len().is_ok_and(|len| len < self.len) {
                    return Err(ExternalChange::Length.into());
                }
                let cut = self.disk.set_len(self.len).and_then(|()| self.disk.sync());
                cut.map_err(|error| Failure::new("the journal could not be cut back", error))?;
            }
            Some(Repair::SyncDirectory) => {
                let synced = self.location.directory.sync(&self.location.path);
                synced.map_err(|error| {
                    Failure::new("the journal's directory could not be made durable", error)
                })?;
            }
        }
        self.pending_repair = None;
        Ok(())
    }

    /// Gives the journal's name to another file, which is open as `disk`.
    pub(super) fn replace_with(&mut self, other: &Path, disk: &dyn Disk) -> Result<(), Failure> {
        let Location { path, directory, .. } = &self.location;
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
    pub(super) fn switch_to(
        &mut self,
        disk: Box<dyn Disk>,
        len: u64,
        header: Header,
        framer: Framer,
        lock: Option<Lock>,
    ) -> Box<dyn Disk> {
        self.location.locks.replace_journal_lock(lock);
        self.len = len;
        self.header = header;
        self.framer = framer;
        self.pending_repair = Some(Repair::SyncDirectory);
        std::mem::replace(&mut self.disk, disk)
    }
}
