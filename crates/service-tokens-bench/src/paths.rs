//! The folders for results and for measured files.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Returns the target folder of the workspace. It is the outermost folder above this program that cargo has
/// marked.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().expect("the program's path");
    let marked = program.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.last().map_or_else(std::env::temp_dir, Path::to_path_buf)
}

/// Creates a folder that is removed when the guard is dropped. It is on the disk of the target folder,
/// because the system's temporary folder can be in memory.
pub fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("peers-").tempdir_in(target()).expect("a folder")
}
