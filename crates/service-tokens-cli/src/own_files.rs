//! The files that `--out` and `--events` must not name, because a line in them or a file in their place would
//! destroy a journal.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::file_kind;
use crate::settings::Settings;
use crate::stdio;

/// The first bytes of every journal.
const MAGIC: [u8; 8] = *b"\x89SVCTOK\n";

/// The names of the files that the store creates next to a journal end with a dot and one of these.
const NEXT_TO_JOURNAL: [&str; 2] = ["lock", "compacting"];

/// Returns whether the path leads to this journal, to another one, or to a file that the store creates next to
/// one.
pub(crate) fn belongs_to_store(path: &Path, tokens: &Path) -> bool {
    let next_to = |ending: &str| file_kind::next_to(tokens, &format!(".{ending}"));
    let mut own = vec![tokens.to_owned(), file_kind::next_to(tokens, "")];
    own.extend(NEXT_TO_JOURNAL.map(next_to));
    let is_of_other =
        |ending: &str| without(path, ending).is_some_and(|journal| is_journal(&journal));
    own.iter().any(|own| is_at(path, own))
        || is_journal(path)
        || NEXT_TO_JOURNAL.into_iter().any(is_of_other)
}

/// Returns whether the path is that of the events file next to any journal.
pub(crate) fn is_events_of_journal(path: &Path) -> bool {
    let journal = without(path, "jsonl").and_then(|path| without(&path, "events"));
    journal.is_some_and(|journal| is_journal(&journal))
}

/// Returns the path without this ending, or `None` if it has another one.
fn without(path: &Path, ending: &str) -> Option<PathBuf> {
    (path.extension() == Some(OsStr::new(ending))).then(|| path.with_extension(""))
}

/// Refuses a path that cannot be that of the events file.
pub(crate) fn refuse_as_events(path: &Path, tokens: &Path, settings: &Settings) -> io::Result<()> {
    let is_any = |files: &[&Path]| files.iter().any(|file| is_at(path, file));
    let rows: Vec<&Path> = settings.rows.iter().map(PathBuf::as_path).collect();
    let keys: Vec<&Path> = settings.key_files().map(PathBuf::as_path).collect();
    let input = !settings.reads_events && file_kind::are_same(path, Path::new(stdio::INPUT));
    let reason = if belongs_to_store(path, tokens) {
        "it is a token file or belongs to one"
    } else if input || is_any(&rows) {
        "it is the input of this command"
    } else if is_any(&keys) {
        "it is a key file"
    } else if file_kind::are_same(path, Path::new(stdio::OUTPUT)) {
        "it is standard output"
    } else {
        return Ok(());
    };
    Err(io::Error::other(reason))
}

/// Returns whether two paths lead to one file, or to one name of a file that is missing.
pub(crate) fn is_at(path: &Path, other: &Path) -> bool {
    let is_one_place = || place(path).is_some_and(|at| Some(at) == place(other));
    file_kind::are_same(path, other) || is_one_place()
}

/// Returns whether a regular file starts like a journal.
fn is_journal(path: &Path) -> bool {
    // Opening a pipe would wait for a writer.
    if !fs::metadata(path).is_ok_and(|file| file.is_file()) {
        return false;
    }
    let mut first = [0; MAGIC.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == MAGIC
}

/// Returns the path with a canonical folder. The file itself may be missing.
fn place(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    Some(folder.join(path.file_name()?))
}
