//! The events file, which records the changes of the tool. An old copy of the token file lacks the changes since
//! the copy was made, and this file names them.
//!
//! - One write appends each event as a line (`O_APPEND`), so the lines of two programs do not mix.
//! - A crash can cut the last line. The next line then begins on a new line.
//! - The file is opened before anything is changed, and synced before a success is reported. If it cannot be
//!   written after the change, the events go to standard error, and the program ends with a status of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use service_tokens::event::Operation;
use service_tokens::{Event, EventSink};

use crate::file_kind::{self, Kind};
use crate::json::escape_invisible;
use crate::new_file::{self, Temporary};
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
    state: Arc<Mutex<State>>,
    /// The values that each line has in addition to those of the event.
    context: Arc<Context>,
}

#[derive(Debug, Default)]
struct State {
    /// The file, or `None` if it could not be opened.
    file: Option<File>,
    /// Whether this program created the file.
    created: bool,
    /// The temporary name of a file that this program created, until it is put in place.
    temporary: Option<Temporary>,
    /// The length of the file at the last sync, or when it was opened.
    synced: u64,
    /// Whether the file ends within a line, so that the next line needs a line break before it.
    cut: bool,
    /// The number of lines since the last sync.
    unsynced: u64,
    /// The first error of opening or writing. No further line is written after it.
    error: Option<io::Error>,
    /// The lines that could not be written.
    unwritten: Vec<String>,
    /// The number of events that never reached this sink, because more were emitted than it received in time.
    lost: u64,
    /// The results in the events since the last message about unwritten ones.
    results: Results,
}

/// The results of operations, as their events have them.
#[derive(Debug, Default, Clone, Copy)]
struct Results {
    changed: bool,
    failed: bool,
}

#[derive(Debug)]
struct Context {
    operator: Option<String>,
    by: Option<String>,
}

impl EventsFile {
    /// Opens the file. A file that is missing is created under a temporary name for the user of this program
    /// alone, until it is put in place. `by` is for events that have no such field.
    pub(crate) fn open(path: &Path, by: Option<String>) -> io::Result<Self> {
        Ok(Self::new(path, by, State::open(path)?))
    }

    /// Returns an events file that shows all its events at the end, because opening it failed.
    pub(crate) fn unopened(path: &Path, by: Option<String>, error: io::Error) -> Self {
        Self::new(path, by, State { error: Some(error), ..State::default() })
    }

    fn new(path: &Path, by: Option<String>, state: State) -> Self {
        let context = Context { operator: operator(), by };
        let state = Arc::new(Mutex::new(state));
        Self { path: path.to_owned(), state, context: Arc::new(context) }
    }

    /// Gives a file that this program created the owner, the group and the mode of the token file, and then its
    /// name. Returns whether it did.
    ///
    /// A user who cannot give files away may share the token file with its owner through the group. Then the
    /// events file gets the group and the mode, so that no user of the group is locked out.
    pub(crate) fn put_in_place(&self, tokens: &Path) -> io::Result<bool> {
        let mut state = self.lock();
        let State { file: Some(file), temporary: Some(temporary), .. } = &*state else {
            return Ok(false);
        };
        let not_given = file_kind::share_access(tokens, file).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("it cannot have the owner, group and mode of the token file: {error}"),
            )
        })?;
        match temporary.put_in_place(&self.path) {
            // Another program created it at the same time.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                *state = State::open_existing(&self.path)?;
                return Ok(false);
            }
            placed => placed?,
        }
        state.temporary = None;
        if let Some(error) = not_given {
            note(format_args!(
                "warning: the events file {} has the group and mode of the token file, but could not be given \
                 its owner: {error}",
                self.path.display()
            ));
        }
        Ok(true)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the lines so far. Writes those that cannot be in the file to standard error. `delivered` says
    /// whether the sink has received all events.
    pub(crate) fn settle(&self, delivered: bool) {
        if !delivered && self.state.try_lock().is_err() {
            // A write hangs, for example on a network file system, and it would block this one too.
            UNWRITTEN.store(true, Ordering::Relaxed);
            note(format_args!(
                "service-tokens: writing the events of this command to {} hangs",
                self.path.display(),
            ));
            return;
        }
        let mut state = self.lock();
        state.sync(&self.path);
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
        let subject = match std::mem::take(&mut state.results) {
            _ if lost > 0 => "the events of this command",
            Results { changed: true, failed: false } => {
                "the changes are in effect, but their events"
            }
            Results { changed: true, failed: true } => {
                "some changes are in effect and others failed, and their events"
            }
            Results { changed: false, .. } => "the events of this command",
        };
        note(format_args!(
            "service-tokens: {subject} could not be written to {}: {reason}\n\
             hint: append these lines to your event log:",
            self.path.display(),
        ));
        for line in std::mem::take(&mut state.unwritten) {
            note(line);
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
        state.results.add(event);
        state.append(line, &self.path);
    }
}

impl Results {
    fn add(&mut self, event: &Event) {
        let (changed, failed) = match event {
            // Looking up a token is no change. `import` does it to find its own ids.
            Event::Failed {
                operation: Operation::Get | Operation::List | Operation::Count,
                ..
            }
            | Event::AlreadyRevoked { .. }
            | Event::AlreadySuspended { .. }
            | Event::NotSuspended { .. }
            | Event::AlreadyImported { .. }
            | Event::LeakReported { .. } => (false, false),
            Event::Failed { .. } | Event::Repeated { operation: Some(_), .. } => (false, true),
            Event::RevokedAll { revoked: done, failed, stopped, .. }
            | Event::SuspendedAll { suspended: done, failed, stopped, .. }
            | Event::ResumedAll { resumed: done, failed, stopped, .. }
            | Event::Purged { purged: done, failed, stopped, .. } => {
                (*done > 0, *failed > 0 || stopped.is_some())
            }
            _ => (true, false),
        };
        self.changed |= changed;
        self.failed |= failed;
    }
}

impl State {
    fn open(path: &Path) -> io::Result<Self> {
        // Opening a pipe would wait for a reader, and a device retains nothing.
        match file_kind::of(path)? {
            Kind::File => Self::open_existing(path),
            Kind::Missing => {
                let mut options = OpenOptions::new();
                options.read(true).append(true);
                let (file, temporary) = new_file::create_near(path, &mut options)?;
                let (file, temporary) = (Some(file), Some(Temporary(temporary)));
                Ok(Self { file, temporary, created: true, ..Self::default() })
            }
            other => Err(io::Error::other(format!("it is {other} and not a regular file"))),
        }
    }

    fn open_existing(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        // A link that replaced the file after the check leads to another one.
        if !file_kind::is_same(&file, path)? {
            return Err(io::Error::other("it was replaced while it was opened"));
        }
        let synced = file.metadata()?.len();
        let cut = ends_within_line(&file, synced)?;
        Ok(Self { file: Some(file), synced, cut, ..Self::default() })
    }

    /// Appends the line, or adds it to the unwritten ones.
    fn append(&mut self, line: String, path: &Path) {
        if let (Some(file), None) = (&mut self.file, &self.error) {
            let text = format!("{}{line}\n", if self.cut { "\n" } else { "" });
            match file.write_all(text.as_bytes()) {
                Ok(()) => {
                    self.cut = false;
                    self.unsynced += 1;
                }
                Err(error) => {
                    // Lines that were written before are not lost, but a sync may fail too.
                    self.sync(path);
                    self.error.get_or_insert(error);
                }
            }
            if self.unsynced >= MAX_UNSYNCED {
                self.sync(path);
                return;
            }
        }
        if self.error.is_some() {
            self.unwritten.push(line);
        }
    }

    /// Syncs the lines so far.
    fn sync(&mut self, path: &Path) {
        if self.unsynced == 0 || self.error.is_some() {
            return;
        }
        let Some(file) = &mut self.file else { return };
        self.unsynced = 0;
        match sync_file(file, path, self.created) {
            Ok(length) => self.synced = length,
            Err(error) => {
                // It is unknown which of the lines since the last sync are on the disk, so all are shown.
                let mut bytes = Vec::new();
                let _ = file.seek(SeekFrom::Start(self.synced));
                let _ = file.read_to_end(&mut bytes);
                self.unwritten =
                    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
                self.error = Some(error);
            }
        }
    }
}

/// Syncs the file, which must still have a name, and returns its length. Lines in a file that was deleted
/// are lost.
fn sync_file(file: &File, path: &Path, created: bool) -> io::Result<u64> {
    file.sync_data()?;
    if created {
        file_kind::sync_folder(path)?;
    }
    match file_kind::has_name(file)? {
        true => Ok(file.metadata()?.len()),
        false => Err(io::Error::other("the file was deleted while this command ran")),
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
