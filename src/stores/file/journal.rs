//! The open journal: appending, and the repair after a failed append.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::access::FileAccess;
use super::disk::{Directory, Disk, NamesSynced, sync_names};
use super::failure::{ExternalChange, Failure};
use super::format::{Framer, Header};
use super::lock::{Lock, Locks};

/// The journal, its durable length and the framer for the next frames.
pub(super) struct Journal {
    disk: Box<dyn Disk>,
    /// Everything before this offset is durable.
    len: u64,
    header: Header,
    framer: Framer,
    pending_repair: Option<Repair>,
    location: Location,
}

/// The path and directory of the file, and the locks on it.
pub(super) struct Location {
    pub(super) path: PathBuf,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) locks: Arc<Locks>,
}

/// A repair that must succeed before the next write.
#[derive(Debug, Clone, Copy)]
enum Repair {
    /// Cut the file back, because after its durable length there may be frames of writes that were
    /// not acknowledged.
    CutBack,
    /// Sync the directory, because after a power failure the path may still name the file from
    /// before the compaction.
    SyncDirectory,
}

impl Journal {
    /// Creates a journal that is durable up to `len` and whose next frames `framer` writes.
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

    /// Returns the framer for the next call of [`append`](Self::append).
    pub(super) fn framer(&self) -> Framer {
        self.framer
    }

    /// Appends frames and syncs the file.
    ///
    /// After a failure the file is cut back to its previous length. If that fails too, the frames
    /// may be in the file, and every write fails until the cut succeeds. No frame is written if
    /// another program has changed the file, because an acknowledged write would be lost with that
    /// file.
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

    /// Checks that the file has the expected length, and the path of the journal as its only name.
    pub(super) fn check_unchanged(&self) -> Result<(), Failure> {
        const UNKNOWN: &str = "the length and name of the journal cannot be checked";
        let unknown = |error| Failure::unavailable(UNKNOWN, error);
        if self.disk.len().map_err(unknown)? != self.len {
            return Err(ExternalChange::Length.into());
        }
        if !self.disk.is_at(&self.location.path).map_err(unknown)? {
            return Err(ExternalChange::Name.into());
        }
        // After a compaction, another name would keep the state from before it.
        match self.disk.names().map_err(unknown)? {
            0 | 1 => Ok(()),
            names => Err(ExternalChange::Links(names).into()),
        }
    }

    /// Returns the owner, the group and the mode of the file, or `None` on systems other than Unix.
    pub(super) fn access(&self) -> Result<Option<FileAccess>, Failure> {
        let unknown = |error| Failure::unavailable("the journal's owner cannot be read", error);
        self.disk.access().map_err(unknown)
    }

    /// Repeats the repair that failed before, if any.
    pub(super) fn repair(&mut self) -> Result<(), Failure> {
        match self.pending_repair {
            None => {}
            Some(Repair::CutBack) => {
                // `set_len` must not extend a file that another program has cut.
                if self.disk.len().is_ok_and(|len| len < self.len) {
                    return Err(ExternalChange::Length.into());
                }
                let cut = self.disk.set_len(self.len).and_then(|()| self.disk.sync());
                cut.map_err(|error| Failure::new("the journal could not be cut back", error))?;
            }
            Some(Repair::SyncDirectory) => {
                let path = &self.location.path;
                let synced = sync_names(&*self.location.directory, path).map_err(|error| {
                    Failure::new("the journal's directory could not be made durable", error)
                })?;
                if synced == NamesSynced::Unsupported {
                    let path = path.display();
                    tracing::warn!(
                        %path,
                        "the file system cannot sync a directory, so a power failure may bring the \
                         journal from before the compaction back"
                    );
                }
            }
        }
        self.pending_repair = None;
        Ok(())
    }

    /// Renames the file at `other`, which is open as `disk`, to the path of the journal.
    pub(super) fn replace_with(&mut self, other: &Path, disk: &dyn Disk) -> Result<(), Failure> {
        self.check_unchanged()?;
        let Location { path, directory, .. } = &self.location;
        match (disk.is_at(other), disk.names()) {
            (Ok(true), Ok(0 | 1)) => {}
            (Err(error), _) | (_, Err(error)) => {
                return Err(Failure::unavailable("the compacted journal cannot be checked", error));
            }
            (Ok(_), Ok(_)) => {
                let replaced = io::ErrorKind::AlreadyExists.into();
                let doing = "another program changed the compacted journal";
                return Err(Failure::unavailable(doing, replaced));
            }
        }
        match directory.rename(other, path) {
            Err(error) if !disk.is_at(path).unwrap_or(false) => Err(Failure::in_directory_of(
                path,
                "the compacted journal could not be renamed",
                error,
            )),
            // The rename took effect even if it returned an error.
            _ => Ok(()),
        }
    }

    /// Continues in the file that now has the name of the journal. Returns the old one, because
    /// closing it may take time.
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
