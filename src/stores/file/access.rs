//! The owner, the group and the mode of the files that the store creates.
//!
//! Design. A file that the store puts next to the journal, or in its place, has the access of the
//! journal, because otherwise a program that an operator runs as another user would lock the service
//! out. A new file has mode 0600. It gets its owner and group first and its mode last, so at no time
//! can more users read it than the journal. Access control lists are not copied.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::lock::owner_only;
use super::open::with_suffix;
use crate::random::{OsRandom, RandomError, RandomSource};

/// The owner, the group and the mode of a file on Unix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileAccess {
    /// The user id of the owner.
    pub user: u32,
    /// The group id.
    pub group: u32,
    /// The permission bits.
    pub mode: u32,
}

impl FileAccess {
    /// Returns the access of a file, or `None` on systems other than Unix.
    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let mode = metadata.mode() & 0o7777;
        Some(Self { user: metadata.uid(), group: metadata.gid(), mode })
    }

    #[cfg(not(unix))]
    pub(super) fn of(_metadata: &Metadata) -> Option<Self> {
        None
    }

    /// Returns the access of the file at this path, or `None` if it cannot be read.
    pub(super) fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().and_then(Self::of)
    }

    /// Gives a file the owner and the group. An id that it has already is not set, because setting it
    /// needs a right that the process may lack.
    #[cfg(unix)]
    pub(super) fn give_owner(self, file: &File) -> io::Result<()> {
        let Some(now) = Self::of(&file.metadata()?) else { return Ok(()) };
        let user = (now.user != self.user).then_some(self.user);
        let group = (now.group != self.group).then_some(self.group);
        if user.is_none() && group.is_none() {
            return Ok(());
        }
        std::os::unix::fs::fchown(file, user, group)
    }

    #[cfg(not(unix))]
    pub(super) fn give_owner(self, _file: &File) -> io::Result<()> {
        Ok(())
    }

    /// Gives a file the owner, the group and then the mode, and checks that it has them.
    #[cfg(unix)]
    pub(super) fn give(self, file: &File) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let now = || Ok::<_, io::Error>(Self::of(&file.metadata()?));
        if now()? == Some(self) {
            return Ok(());
        }
        self.give_owner(file)?;
        if now()?.is_some_and(|now| now.mode != self.mode) {
            file.set_permissions(fs::Permissions::from_mode(self.mode))?;
        }
        // Some file systems ignore these calls without an error.
        if now()? == Some(self) { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    #[cfg(not(unix))]
    pub(super) fn give(self, _file: &File) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for FileAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}, group {}, mode {:04o}", self.user, self.group, self.mode)
    }
}

/// Shows the access of a file in parentheses, if it is known.
pub(super) struct Known(pub(super) Option<FileAccess>);

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(access) => write!(f, " ({access})"),
            None => Ok(()),
        }
    }
}

/// The reason why a file was not created.
#[derive(Debug)]
pub(super) enum NotCreated {
    /// A file with this name exists.
    Exists,
    /// The directory or the file system refuses a new file.
    Refused(io::Error),
    /// The file cannot have the requested access.
    Access(io::Error),
}

/// Creates a file with this access in one step, so that also after a kill no file with this name has
/// another access.
pub(super) fn create_like(path: &Path, access: FileAccess) -> Result<File, NotCreated> {
    let mut random = [0; 8];
    let drawn = OsRandom.fill(&mut random);
    drawn.map_err(|RandomError| NotCreated::Refused(io::Error::other(RandomError)))?;
    let temporary = with_suffix(path, &format!(".{:016x}", u64::from_be_bytes(random)));
    let mut options = OpenOptions::new();
    let created = owner_only(options.read(true).write(true).create_new(true)).open(&temporary);
    let file = created.map_err(NotCreated::Refused)?;
    let placed = access.give(&file).map_err(NotCreated::Access).and_then(|()| {
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(NotCreated::Exists),
            // The file system has no hard links.
            Err(_) if !path.exists() => fs::rename(&temporary, path).map_err(NotCreated::Refused),
            Err(error) => Err(NotCreated::Refused(error)),
            Ok(()) => Ok(()),
        }
    });
    let _ = fs::remove_file(&temporary);
    placed.map(|()| file)
}
