//! The kinds of files that a path can lead to, and the access to them.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The kind of the file at a path. Links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Missing,
    File,
    Folder,
    Link,
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::File => "a regular file",
            Self::Folder => "a folder",
            Self::Link => "a symbolic link",
            Self::Other => "a device, a pipe or a socket",
        })
    }
}

/// Returns the kind of the file at a path.
pub(crate) fn of(path: &Path) -> io::Result<Kind> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(Kind::File),
        Ok(found) if found.is_dir() => Ok(Kind::Folder),
        Ok(found) if found.is_symlink() => Ok(Kind::Link),
        Ok(_) => Ok(Kind::Other),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Kind::Missing),
        Err(error) => Err(error),
    }
}

/// The maximum number of links on the path to a missing file. The file store has the same limit.
const MAX_LINKS: usize = 16;

/// Returns the path of the file with this suffix, next to a file or to the target of a link. The target may be
/// missing.
pub(crate) fn next_to(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(target(path));
    name.push(suffix);
    name.into()
}

fn target(path: &Path) -> PathBuf {
    if let Ok(target) = fs::canonicalize(path) {
        return target;
    }
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
    }
    path
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};

    use super::*;

    /// Returns whether the path still leads to the open file itself, and not to a link.
    pub(crate) fn is_same(file: &File, path: &Path) -> io::Result<bool> {
        let (open, named) = (file.metadata()?, fs::symlink_metadata(path)?);
        Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
    }

    /// Returns whether two paths lead to one file that exists.
    pub(crate) fn are_same(one: &Path, other: &Path) -> bool {
        match (fs::metadata(one), fs::metadata(other)) {
            (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
            _ => false,
        }
    }

    /// Returns whether the open file was not deleted.
    pub(crate) fn has_name(file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.nlink() > 0)
    }

    /// Creates the file so that only the user of this program can read it.
    pub(crate) fn for_user_alone(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    /// Sets the mode of an open file so that only its owner can read and write it.
    pub(crate) fn set_for_user_alone(file: &File) -> io::Result<()> {
        set_mode(file, 0o600)
    }

    /// Sets the permission bits if they differ. Some file systems refuse to set any.
    fn set_mode(file: &File, mode: u32) -> io::Result<()> {
        if file.metadata()?.mode() & 0o777 == mode {
            return Ok(());
        }
        file.set_permissions(fs::Permissions::from_mode(mode))
    }

    /// Gives an open file the owner, the group and the mode of another file. The mode comes last, so that no
    /// other user can read the file in between.
    pub(crate) fn copy_access(from: &Path, to: &File) -> io::Result<()> {
        let (from, present) = (fs::metadata(from)?, to.metadata()?);
        if (from.uid(), from.gid()) != (present.uid(), present.gid()) {
            fchown(to, Some(from.uid()), Some(from.gid()))?;
        }
        set_mode(to, from.mode() & 0o777)
    }

    /// Gives an open file the access of another file as far as this user may. If it cannot have the owner, it
    /// gets the group and the mode, and the error is returned as `Ok(Some)`. It is an error if users who may
    /// write the other file through its group or as any user could not write this one.
    pub(crate) fn share_access(from: &Path, to: &File) -> io::Result<Option<io::Error>> {
        let Err(error) = copy_access(from, to) else { return Ok(None) };
        let (from, present) = (fs::metadata(from)?, to.metadata()?);
        let has_group = present.gid() == from.gid() || fchown(to, None, Some(from.gid())).is_ok();
        let (mode, others) = (from.mode() & 0o777, from.mode() & 0o007);
        // Another group must not get more rights than all users have.
        let mode = if has_group { mode } else { (mode & 0o707) | (others << 3) };
        let is_shared = others & 0o006 == 0o006 || (has_group && mode & 0o060 == 0o060);
        if !is_shared {
            return Err(error);
        }
        set_mode(to, mode)?;
        Ok(Some(error))
    }

    /// Returns the number of the user of this program, on systems with `/proc`.
    pub(crate) fn user_of_process() -> Option<u32> {
        fs::metadata("/proc/self").ok().map(|process| process.uid())
    }

    /// Makes the name of a file durable. Some file systems cannot sync a folder.
    pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        match File::open(folder.unwrap_or(Path::new(".")))?.sync_all() {
            Err(error)
                if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) =>
            {
                Ok(())
            }
            synced => synced,
        }
    }

    /// Returns whether users other than the owner and the group may read the file.
    pub(crate) fn is_readable_by_all(file: &File) -> bool {
        file.metadata().is_ok_and(|file| file.mode() & 0o004 != 0)
    }
}
#[cfg(unix)]
pub(crate) use unix::*;

// Other systems have neither modes nor numbers of files in the standard library.
#[cfg(not(unix))]
mod other {
    use super::*;

    pub(crate) fn is_same(_: &File, _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    pub(crate) fn are_same(one: &Path, other: &Path) -> bool {
        match (fs::canonicalize(one), fs::canonicalize(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
    }

    pub(crate) fn has_name(_: &File) -> io::Result<bool> {
        Ok(true)
    }

    pub(crate) fn for_user_alone(_: &mut OpenOptions) {}

    pub(crate) fn set_for_user_alone(_: &File) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn copy_access(_: &Path, _: &File) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn share_access(_: &Path, _: &File) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    pub(crate) fn user_of_process() -> Option<u32> {
        None
    }

    pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn is_readable_by_all(_: &File) -> bool {
        false
    }
}
#[cfg(not(unix))]
pub(crate) use other::*;
