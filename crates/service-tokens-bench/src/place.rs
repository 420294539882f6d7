//! Where results go and where files are measured.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The workspace's target folder: the outermost one above this program that cargo has marked.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().expect("the program's path");
    let marked = program.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.last().map_or_else(std::env::temp_dir, Path::to_path_buf)
}

/// A folder that goes with its guard, on the target folder's disk: where temporary files go there may
/// be none.
pub fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("peers-").tempdir_in(target()).expect("a folder")
}
