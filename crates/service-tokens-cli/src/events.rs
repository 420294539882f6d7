//! The events file, which records the changes of the tool. An old copy of the token file lacks the changes since
//! the copy was made, and this file names them.
//!
//! - One write appends each event as a line (`O_APPEND`), so the lines of two programs do not mix.
//! - A crash can cut the last line. The next line then begins on a new line.
//! - The file is opened before anything is changed, and synced before a success is reported. If it cannot be
//!   written after the change, the events go to standard error, and the program ends with a status of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use service_tokens::{Event, EventSink};

use crate::exit::Exit;
use crate::file_kind::{self, Kind};
use crate::json::escape_invisible;
use crate::output::{exact_time, note, visible};

/// The number of lines after which the file is synced, so that a power failure during a bulk operation loses the
/// last ones only.
const MAX_UNSYNCED: u64 = 1_024;

/// Whether events of a change could not be written to the events file.
static UNWRITTEN: AtomicBool = AtomicBool::new(false);

/// Returns whether events of a change could not be written to the events file.
pub(crate) fn are_unwritten() -> bool {
    UNWRITTEN.load(Ordering::Relaxed)
}

/// The option `--events` or `--no-events`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum EventsOption {
    /// The events go to the file next to the token file.
    #[default]
    NextToTokens,
    File(PathBuf),
    Off,
}

impl EventsOption {
    /// Returns the path of the events file. If the token file is a link, it is next to the target.
    pub(crate) fn path(&self, tokens: &Path) -> Option<PathBuf> {
        match self {
            Self::NextToTokens => Some(file_kind::next_to(tokens, ".events.jsonl")),
            Self::File(path) => Some(path.clone()),
            Self::Off => None,
        }
    }
}

/// The open events file. Its clones share it.
#[derive(Debug, Clone)]
pub(crate) struct EventsFile {
    path: PathBuf,
    /// Whether this program created the file.
    created: bool,
    state: Arc<Mutex<State>>,
    /// The values that each line has in addition to those of the event.
    context: Arc<Context>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// The length of the file at the last sync, or when it was opened.
    synced: u64,
    /// Whether the file ends within a line, so that the next line needs a line break before it.
    cut: bool,
    /// The number of lines since the last sync.
    unsynced: u64,
    /// The first error of a write. No further line is written after it.
    error: Option<io::Error>,
    /// The lines that could not be written.
    unwritten: Vec<String>,
    /// The number of events that never reached this sink, because more were emitted than it received in time.
    lost: u64,
}

#[derive(Debug)]
struct Context {
    operator: Option<String>,
    by: Option<String>,
}

impl EventsFile {
    /// Opens the file, and creates it for the user of this program alone. `by` is for events that have no such
    /// field.
    pub(crate) fn open(path: &Path, by: Option<String>) -> Result<Self, Exit> {
        let refused = |reason: &dyn std::fmt::Display| {
            Exit::Failed(format!(
                "the events file {} cannot be opened: {reason}: nothing was changed\n\
                 hint: --events FILE sets another file, and --no-events writes none",
                path.display()
            ))
        };
        let (file, created) = open(path).map_err(|error| refused(&error))?;
        let length = file.metadata().map_err(|error| refused(&error))?.len();
        let cut = ends_within_line(&file, length).map_err(|error| refused(&error))?;
        let (error, unwritten) = (None, Vec::new());
        let state = State { file, synced: length, cut, unsynced: 0, error, unwritten, lost: 0 };
        let context = Context { operator: operator(), by };
        Ok(Self {
            path: path.to_owned(),
            created,
            state: Arc::new(Mutex::new(state)),
            context: Arc::new(context),
        })
    }

    /// Gives a file that this program created the owner, the group and the mode of the token file.
    pub(crate) fn belong_to(&self, tokens: &Path) {
        if !self.created {
            return;
        }
        if let Err(error) = file_kind::copy_access(tokens, &self.lock().file) {
            note(format_args!(
                "The events file {} could not be given the owner, group and mode of the token file, so only the \
                 user of this command can read it: {error}",
                self.path.display()
            ));
        }
    }

    /// Removes the file if this program created it and wrote no line to it.
    pub(crate) fn discard(&self) {
        let is_empty = self.lock().file.metadata().is_ok_and(|file| file.len() == 0);
        if self.created && is_empty {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Syncs the lines so far. Writes those that cannot be in the file to standard error. `delivered` says
    /// whether the sink has received all events.
    pub(crate) fn settle(&self, delivered: bool) {
        if !delivered && self.state.try_lock().is_err() {
            // A write hangs, for example on a network file system, and it would block this one too.
            UNWRITTEN.store(true, Ordering::Relaxed);
            note(format_args!(
                "service-tokens: the changes are in effect, but writing their events to {} hangs",
                self.path.display(),
            ));
            return;
        }
        let mut state = self.lock();
        self.sync(&mut state);
        let lost = std::mem::take(&mut state.lost);
        if delivered && lost == 0 && state.unwritten.is_empty() {
            return;
        }
        UNWRITTEN.store(true, Ordering::Relaxed);
        let reason = match (&state.error, delivered) {
            (Some(error), _) => error.to_string(),
            (None, false) => "it accepts no more lines in time".into(),
            (None, true) => format!("{lost} events came faster than they could be written"),
        };
        note(format_args!(
            "service-tokens: the changes are in effect, but their events could not be written to {}: {reason}\n\
             hint: append these lines to your event log:",
            self.path.display(),
        ));
        for line in std::mem::take(&mut state.unwritten) {
            note(line);
        }
    }

    /// Syncs the lines so far.
    fn sync(&self, state: &mut State) {
        if state.unsynced == 0 || state.error.is_some() {
            return;
        }
        state.unsynced = 0;
        match self.sync_file(&state.file) {
            Ok(length) => state.synced = length,
            Err(error) => {
                // It is unknown which of the lines since the last sync are on the disk, so all are shown.
                let (synced, mut bytes) = (state.synced, Vec::new());
                let _ = state.file.seek(SeekFrom::Start(synced));
                let _ = state.file.read_to_end(&mut bytes);
                state.unwritten =
                    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
                state.error = Some(error);
            }
        }
    }

    /// Syncs the file, which must still have a name, and returns its length. Lines in a file that was deleted
    /// are lost.
    fn sync_file(&self, file: &File) -> io::Result<u64> {
        file.sync_data()?;
        if self.created {
            file_kind::sync_folder(&self.path)?;
        }
        match file_kind::has_name(file)? {
            true => Ok(file.metadata()?.len()),
            false => Err(io::Error::other("the file was deleted while this command ran")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the line of an event.
    fn line(&self, event: &Event, at: DateTime<Utc>) -> String {
        let mut line = match serde_json::to_value(event) {
            Ok(Value::Object(fields)) => fields,
            // Every event is a map. A future one that is not is still named.
            _ => Map::from_iter([("event".into(), event.name().into())]),
        };
        line.insert("at".into(), exact_time(at).into());
        line.insert("operator".into(), self.context.operator.clone().into());
        if let (None, Some(by)) = (event.by(), &self.context.by) {
            line.insert("by".into(), by.clone().into());
        }
        escape_invisible(&Value::Object(line).to_string())
    }
}

impl EventSink for EventsFile {
    fn record(&self, event: &Event, at: DateTime<Utc>) {
        // The file has what was changed. Looking up a token before the change is not part of it.
        if let Event::Read { .. } | Event::Listed { .. } | Event::Counted { .. } = event {
            return;
        }
        let line = self.line(event, at);
        let mut state = self.lock();
        match event {
            Event::Lost { operations, .. } => state.lost += operations,
            Event::Repeated { count, .. } => state.lost += count,
            _ => {}
        }
        if state.error.is_none() {
            let text = format!("{}{line}\n", if state.cut { "\n" } else { "" });
            match state.file.write_all(text.as_bytes()) {
                Ok(()) => {
                    state.cut = false;
                    state.unsynced += 1;
                }
                Err(error) => {
                    // Lines that were written before are not lost, but a sync may fail too.
                    self.sync(&mut state);
                    state.error.get_or_insert(error);
                }
            }
            if state.unsynced >= MAX_UNSYNCED {
                self.sync(&mut state);
                return;
            }
        }
        if state.error.is_some() {
            state.unwritten.push(line);
        }
    }
}

fn open(path: &Path) -> io::Result<(File, bool)> {
    // Opening a pipe would wait for a reader, and a device retains nothing.
    match file_kind::of(path)? {
        Kind::File => {
            let file = OpenOptions::new().read(true).append(true).open(path)?;
            // A link that replaced the file after the check leads to another one.
            match file_kind::is_same(&file, path)? {
                true => Ok((file, false)),
                false => Err(io::Error::other("it was replaced while it was opened")),
            }
        }
        Kind::Missing => {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create_new(true);
            file_kind::for_user_alone(&mut options);
            match options.open(path) {
                Ok(file) => Ok((file, true)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    Err(io::Error::other("it was created by another program at the same time"))
                }
                Err(error) => Err(error),
            }
        }
        other => Err(io::Error::other(format!("it is {other} and not a regular file"))),
    }
}

fn ends_within_line(mut file: &File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte != *b"\n")
}

/// Returns the login name of the operator, as the environment has it, or the number of the user. Under sudo it is
/// the name of the user who called it.
fn operator() -> Option<String> {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty())
        .map(|name| visible(&name))
        .or_else(|| file_kind::user_of_process().map(|user| format!("uid {user}")))
}
