//! The check at opening that the journal can be compacted later.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

use super::access::FileAccess;
use super::lock::{owner_only, refuses_writing};
use super::open::directory_of;
use super::open_warning::OpenWarning;

/// Removes the file that a killed compaction has left. If it cannot be removed, the journal cannot be
/// compacted, and all other operations work.
pub(super) fn remove_leftover(path: &Path) -> Option<OpenWarning> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let (path, access) = (path.to_owned(), FileAccess::at(path));
            Some(OpenWarning::LeftoverNotRemoved { path, access })
        }
        _ => None,
    }
}

/// Removes a leftover, and finds out whether a compaction can create its file. Call it under the writer's
/// lock.
///
/// The check creates the file and removes it, because rights depend on more than the mode. After a kill in
/// between, the file is a leftover like that of a compaction, and the next opening removes it.
pub(super) fn check_compactable(path: &Path) -> Option<OpenWarning> {
    if let Some(warning) = remove_leftover(path) {
        return Some(warning);
    }
    match owner_only(OpenOptions::new().write(true).create_new(true)).open(path) {
        Ok(_) => remove_leftover(path),
        Err(error) if refuses_writing(&error) => {
            let directory = directory_of(path).to_owned();
            let access = FileAccess::at(&directory);
            Some(OpenWarning::NotCompactable { directory, access })
        }
        // Such as a full disk, which may have room when the journal is compacted.
        Err(_) => None,
    }
}
