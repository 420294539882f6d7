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

/// Returns the path of the file with this suffix, next to a file or to the target of a link.
pub(crate) fn next_to(path: &Path, suffix: &str) -> PathBuf {
    let target = fs::canonicalize(path);
    let mut name = OsString::from(target.as_deref().unwrap_or(path));
    name.push(suffix);
    name.into()
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

    /// Gives an open file the owner, the group and the mode of another file. The mode comes last, so that no
    /// other user can read the file in between.
    pub(crate) fn copy_access(from: &Path, to: &File) -> io::Result<()> {
        let (from, present) = (fs::metadata(from)?, to.metadata()?);
        if (from.uid(), from.gid()) != (present.uid(), present.gid()) {
            fchown(to, Some(from.uid()), Some(from.gid()))?;
        }
        to.set_permissions(fs::Permissions::from_mode(from.mode() & 0o777))
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

    pub(crate) fn copy_access(_: &Path, _: &File) -> io::Result<()> {
        Ok(())
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
