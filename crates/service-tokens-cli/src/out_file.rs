//! The file of `--out`, which receives a token only if the command succeeds.
//!
//! The token is written to a temporary file in the same folder, which then takes the place of the file. The
//! temporary file exists, and has the space for the token, before anything is changed. So a refusal of any
//! kind leaves an earlier token in the file as it is.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;

use futures_lite::future::block_on;
use service_tokens::steps::ParsedToken;
use service_tokens::store::States;
use service_tokens::{FileStore, ManageError, TokenId, TokenService};

use crate::exit::Exit;
use crate::file_kind::{self, Kind};
use crate::output::{description, note};
use crate::settings::Settings;

/// The number of bytes that are reserved. A token is shorter.
const RESERVED: usize = 512;

/// The file that will receive a token.
#[derive(Debug)]
pub(crate) struct OutFile {
    path: PathBuf,
    file: File,
    /// The path of the temporary file, while it exists.
    temporary: Option<PathBuf>,
    /// The id of the token that the file has now.
    present: Option<TokenId>,
}

/// The error returned if the file did not receive the token.
#[derive(Debug)]
pub(crate) struct NotWritten {
    pub(crate) error: io::Error,
    /// The temporary file, if it has the token.
    pub(crate) token_in: Option<PathBuf>,
}

impl OutFile {
    /// Creates the temporary file. A file at the path is not changed.
    pub(crate) fn prepare(path: &Path, settings: &Settings) -> Result<Self, Exit> {
        let refused = |reason: &dyn Display| {
            Exit::Failed(format!("--out {}: {reason}: nothing was changed", path.display()))
        };
        let kind = file_kind::of(path).map_err(|error| refused(&error))?;
        if !matches!(kind, Kind::Missing | Kind::File) {
            return Err(refused(&format!(
                "it is {kind} and not a regular file\nhint: without --out the token is written to \
                 standard output"
            )));
        }
        if is_in_use(path, settings)? {
            return Err(refused(&"this file belongs to the tool"));
        }
        let (file, temporary) = create_near(path).map_err(|error| refused(&error))?;
        let (path_of_file, temporary) = (path.to_owned(), Some(temporary));
        let mut out = Self { path: path_of_file, file, temporary, present: None };
        if kind == Kind::File {
            let text = first_bytes(path).map_err(|error| refused(&error))?;
            let prefixes = settings.prefixes()?;
            let token = ParsedToken::parse(text.trim_ascii(), &prefixes);
            out.present = token.ok().map(|token| token.id());
            file_kind::copy_access(path, &out.file).map_err(|error| {
                refused(&format!(
                    "its owner, group and mode cannot be given to a new file: {error}"
                ))
            })?;
            if file_kind::is_readable_by_all(&out.file) {
                note(format_args!(
                    "{} was readable by every user of this machine, and so is the new token.",
                    path.display()
                ));
            }
        }
        let reserved = out.file.write_all(&[b' '; RESERVED]).and_then(|()| out.file.sync_all());
        reserved.map_err(|error| refused(&error))?;
        Ok(out)
    }

    /// Refuses to replace the token of another id that is live, because the file may be its only copy. `id` is
    /// that of the token that is rotated.
    pub(crate) fn expect_no_other(
        &self,
        service: &TokenService<FileStore>,
        id: Option<TokenId>,
    ) -> Result<(), Exit> {
        let Some(present) = self.present.filter(|present| Some(*present) != id) else {
            return Ok(());
        };
        match block_on(service.all_owners().get(present)) {
            Ok(stored) if States::LIVE.contains(stored.record.state(service.now())) => {
                Err(Exit::Failed(format!(
                    "--out {}: the file has a token of {}, which is live: nothing was changed\n\
                     hint: choose another file, or move this one away",
                    self.path.display(),
                    description(&stored.record)
                )))
            }
            Ok(_) | Err(ManageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the token and puts it in the place of the file.
    pub(crate) fn finish(mut self, token: &str) -> Result<(), NotWritten> {
        let not_written = |error| NotWritten { error, token_in: None };
        self.write(token).map_err(not_written)?;
        let Some(temporary) = self.temporary.take() else { return Ok(()) };
        if let Err(error) = fs::rename(&temporary, &self.path) {
            let exists = file_kind::is_same(&self.file, &temporary).unwrap_or(false);
            return Err(NotWritten { error, token_in: exists.then_some(temporary) });
        }
        if let Err(error) = file_kind::sync_folder(&self.path) {
            note(format_args!(
                "{} may be the earlier file after a power failure: {error}",
                self.path.display()
            ));
        }
        Ok(())
    }

    fn write(&mut self, token: &str) -> io::Result<()> {
        let line = format!("{token}\n");
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(line.as_bytes())?;
        self.file.set_len(line.len() as u64)?;
        self.file.sync_all()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Returns the beginning of a file, which is longer than a token.
fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(RESERVED as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Creates an empty file in the same folder, which only the user of this program can read.
fn create_near(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    file_kind::for_user_alone(&mut options);
    for number in 0..100 {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{number}.tmp", process::id()));
        let temporary = path.with_file_name(temporary);
        match options.open(&temporary) {
            Ok(file) => return Ok((file, temporary)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Returns whether the path is that of the token file, or of a file next to it.
fn is_in_use(path: &Path, settings: &Settings) -> Result<bool, Exit> {
    let tokens = settings.path()?;
    let mut used = vec![
        tokens.clone(),
        file_kind::next_to(&tokens, ".lock"),
        file_kind::next_to(&tokens, ".compacting"),
    ];
    used.extend(settings.events.path(&tokens));
    Ok(used.iter().any(|used| file_kind::are_same(used, path) || place(used) == place(path)))
}

/// Returns the path with a canonical folder. The file itself may be missing.
fn place(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    Some(folder.join(path.file_name()?))
}
