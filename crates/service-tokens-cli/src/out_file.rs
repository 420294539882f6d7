//! The file of `--out`, which receives a token only if the command succeeds.
//!
//! The token is written to a temporary file in the same folder, which then takes the place of the file. The
//! temporary file exists, and has the space for the token, before anything is changed. So a refusal of any
//! kind leaves an earlier token in the file as it is.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use futures_lite::future::block_on;
use service_tokens::steps::ParsedToken;
use service_tokens::store::States;
use service_tokens::{FileStore, ManageError, TokenId, TokenService};

use crate::events::EventsOption;
use crate::exit::Exit;
use crate::file_kind::{self, Kind};
use crate::new_file;
use crate::output::{description, note};
use crate::own_files;
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
            return Err(refused(&"this file belongs to the tool or to a token file"));
        }
        let (file, temporary) = new_file::create_near(path, OpenOptions::new().write(true))
            .map_err(|error| refused(&error))?;
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

/// Returns whether the path leads to a file of a store, to an events file or to another file of this command.
fn is_in_use(path: &Path, settings: &Settings) -> Result<bool, Exit> {
    let tokens = settings.path()?;
    // Also with --no-events, because the file has the events of earlier commands.
    let default = EventsOption::NextToTokens.path(&tokens);
    let events = default.into_iter().chain(settings.events.path(&tokens));
    let mut others = events.chain(settings.key_files().cloned());
    Ok(own_files::belongs_to_store(path, &tokens)
        || own_files::is_events_of_journal(path)
        || others.any(|other| own_files::is_at(path, &other)))
}
