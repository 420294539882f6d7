//! New files that get their content and their access under a temporary name in the same folder.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process;

use crate::file_kind;

/// Creates an empty file in the same folder, which only the user of this program can read and write.
pub(crate) fn create_near(path: &Path, options: &mut OpenOptions) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    options.create_new(true);
    file_kind::for_user_alone(options);
    for number in 0..100 {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{number}.tmp", process::id()));
        let temporary = path.with_file_name(temporary);
        match options.open(&temporary) {
            Ok(file) => {
                // The umask may have taken rights away.
                let set = file_kind::set_for_user_alone(&file);
                return match set {
                    Ok(()) => Ok((file, temporary)),
                    Err(error) => {
                        let _ = fs::remove_file(&temporary);
                        Err(error)
                    }
                };
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// The temporary name of a file. It is removed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Temporary {
    /// Gives the file this name too, unless a file with this name exists.
    pub(crate) fn put_in_place(&self, path: &Path) -> io::Result<()> {
        match fs::hard_link(&self.0, path) {
            // The file system has no hard links.
            Err(error) if error.kind() != ErrorKind::AlreadyExists && !path.exists() => {
                fs::rename(&self.0, path)
            }
            placed => placed,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
