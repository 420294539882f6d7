//! `service-tokens import`

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{fs, io, thread};

use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::{FileStore, ManageError, MemoryStore, Record, TokenId, TokenService};

use crate::args::Args;
use crate::clock_check;
use crate::exit::{Exit, with_causes};
use crate::import_form::Hash;
use crate::import_rows::{Defaults, Import, Refused, Rows, read};
use crate::output::note;
use crate::progress::Progress;
use crate::session::Session;
use crate::settings::Access;
use crate::stdio;
use crate::value::{self, Expiry};

pub(crate) const HELP: &str = "\
Imports tokens of an older system by their digests, so that their holders need
no new tokens. Creates the token file if there is none.

  service-tokens import ROWS.csv --import-form FORM [OPTIONS]
  service-tokens import - --import-form FORM [OPTIONS] < ROWS.csv

The first row of the file has the names of the columns:

  digest                the digest in hexadecimal or base64
  issued_to             the label for people
  owner, type           may be set for all rows by --owner and --type
  expires_at            a time, a duration from now, or never
  created_at            the time at which the older system created the token
  not_before            a time
  scopes, networks      several are separated by spaces
  issued_by             the person or program that imports the token
  metadata.KEY          a note under this key

An empty field means that the value is not set. A time is one of RFC 3339, or as
databases print it, such as 2026-01-02 03:04:05.5. Without a zone it is in UTC.

  --owner OWNER         the owner of rows without one
  --type TYPE           the type of rows without one
  --by TEXT             the importer of rows without one; also --issued-by
  --expires WHEN        the end of rows without one (default: 90d)
  --dry-run             check all rows and change nothing
  --skip-refused        import the other rows if some are refused

All rows are checked before the first one is imported. If a row is refused,
nothing is imported, unless --skip-refused is given. Tokens that were imported
before do not change, whatever their state is. So the command can be repeated,
for example after it was interrupted, and it never makes a revoked token valid.
If an import of such a row would store other values than the record has, for
example another label, the report names the row, the id and the columns. So an
empty field differs from a record that has a value, for example networks. Not
compared are issued_by, an empty created_at, and an end that is counted from
now. An empty end is one of those, unless the default is never.

The report also counts the imported rows without an end, and shows the date on
which the default lifetime ends their tokens.

Rows with the same digest and the same values count as one. If their values
differ, all of them are refused.

The exit status is 3 if at least one row was refused.

`service-tokens --help` lists the options for every verb.
";

/// How many rows are imported at a time. The file store writes them together.
const WORKERS: usize = 16;

/// The number of rows after which their events are delivered, so that the queue of events has room.
const MAX_WAITING: usize = 256;

/// The maximum number of rows that are listed for one reason.
const MAX_LISTED: usize = 100;

/// The result of the rows so far.
#[derive(Debug, Default)]
struct Report {
    imported: usize,
    already_imported: usize,
    default_ends: DefaultEnds,
    /// The rows that were imported before with other values, with their ids and columns.
    differing: Vec<(usize, TokenId, String)>,
    /// The number of rows that are equal to another row of the file.
    repeated: usize,
    refused: Refused,
}

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut defaults, mut dry_run, mut skip_refused) = (Defaults::default(), false, false);
    while let Some(option) = args.next_option()? {
        match &*option {
            "owner" => args.set(&mut defaults.owner, value::text)?,
            "type" => args.set(&mut defaults.token_type, value::text)?,
            "by" | "issued-by" => args.set(&mut defaults.issued_by, value::text)?,
            "expires" => args.set(&mut defaults.expires, Expiry::parse)?,
            "dry-run" => args.flag(&mut dry_run)?,
            "skip-refused" => args.flag(&mut skip_refused)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let [path] = args.operands(["ROWS.csv"])?.map(str::to_owned);
    args.settings.rows = Some(path.clone().into());
    let hash = hash(&args)?;
    stdio::require_stderr_for_report()?;
    // Errors of the other options are found before the rows are read.
    let in_memory = args.settings.build(MemoryStore::new())?;
    let exists = args.settings.path()?.exists();
    let rows = read(&text(&path)?, hash, &defaults).map_err(Exit::Failed)?;
    let Rows { imports: rows, repeated, refused } = rows;
    let mut report = Report { repeated, refused, ..Report::default() };

    // Each row is tried in memory, so the library itself checks it.
    let (mut checked, mut doubtful) = (Vec::new(), Vec::new());
    for row in rows {
        match block_on(in_memory.owner(&row.values.owner).import(row.request())) {
            Ok(imported) => checked.push((row, imported.record.expires_at())),
            Err(error) => doubtful.push((row, with_causes(&error))),
        }
    }
    drop(in_memory);
    if !exists {
        report.refused.extend(doubtful.into_iter().map(|(row, reason)| (row.line, reason)));
        if dry_run {
            for (row, end) in checked {
                report.add_imported(&row, end);
            }
            return report.end("would be imported");
        }
        if !report.refused.is_empty() && !skip_refused {
            return report.end_unchanged();
        }
        let service = args.settings.open(Access::WriteOrCreate)?;
        let rows = checked.into_iter().map(|(row, _)| row).collect();
        return import_all(&service, rows, report);
    }
    let service = args.settings.open(if dry_run { Access::Read } else { Access::Write })?;
    let mut fresh = Vec::new();
    let checked = checked.into_iter().map(|(row, end)| (row, Ok(end)));
    let doubtful = doubtful.into_iter().map(|(row, reason)| (row, Err(reason)));
    for (row, checked) in checked.chain(doubtful) {
        match (find(&service, &row)?, checked) {
            (Found::Same(record), _) => report.add_known(&row, &record, &service),
            (Found::Other(reason), _) | (Found::Missing, Err(reason)) => {
                report.refused.push((row.line, reason));
            }
            (Found::Missing, Ok(end)) => {
                if dry_run {
                    report.add_imported(&row, end);
                }
                fresh.push(row);
            }
        }
    }
    if dry_run {
        return report.end("would be imported");
    }
    if !report.refused.is_empty() && !skip_refused {
        return report.end_unchanged();
    }
    import_all(&service, fresh, report)
}

/// Returns the hash of the digests, which is that of every form.
fn hash(args: &Args) -> Result<Hash, Exit> {
    match &args.settings.import_forms[..] {
        [] => Err(args.usage_error("--import-form is missing")),
        [first, others @ ..] if others.iter().all(|other| other.hash == first.hash) => {
            Ok(first.hash)
        }
        _ => Err(args.usage_error(
            "the forms have different hashes: import the digests of each hash separately",
        )),
    }
}

fn text(path: &str) -> Result<String, Exit> {
    let mut bytes = Vec::new();
    if path == "-" {
        io::stdin().read_to_end(&mut bytes).map_err(Exit::input)?;
    } else {
        bytes =
            fs::read(path).map_err(|error| Exit::Failed(format!("reading the rows: {error}")))?;
    }
    String::from_utf8(bytes).map_err(|_| Exit::Failed("the rows are not valid UTF-8".into()))
}

enum Found {
    Missing,
    /// It was imported for the same owner and with the same type.
    Same(Box<Record>),
    /// It was imported for another owner or with another type. The text says which.
    Other(String),
}

fn find(service: &TokenService<FileStore>, row: &Import) -> Result<Found, Exit> {
    match block_on(service.all_owners().get(row.id)) {
        Ok(stored) => {
            let record = stored.record;
            let has_same_owner = record.owner() == row.values.owner;
            let has_same_type = record.token_type() == row.values.token_type;
            let differs = match (has_same_owner, has_same_type) {
                (true, true) => return Ok(Found::Same(Box::new(record))),
                (false, true) => "for another owner",
                (true, false) => "with another type",
                (false, false) => "for another owner and with another type",
            };
            Ok(Found::Other(format!("the token {} was imported {differs}", row.id)))
        }
        Err(ManageError::NotFound { .. }) => Ok(Found::Missing),
        Err(error) => Err(error.into()),
    }
}

/// Imports the rows, several at a time.
fn import_all(service: &Session, rows: Vec<Import>, report: Report) -> Result<(), Exit> {
    clock_check::warn(service)?;
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let shared = Mutex::new((report, Progress::new("importing"), None));
    let work = || {
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stopped.load(Ordering::Relaxed) {
                return;
            }
            let outcome = block_on(service.owner(&row.values.owner).import(row.request()));
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (report, progress, cause) = &mut *shared;
            match outcome {
                Ok(imported) if imported.already_imported => {
                    report.add_known(row, &imported.record, service);
                }
                Ok(imported) => report.add_imported(row, imported.record.expires_at()),
                Err(error @ (ManageError::Exists { .. } | ManageError::Invalid(_))) => {
                    report.refused.push((row.line, with_causes(&error)));
                }
                Err(error) => {
                    stopped.store(true, Ordering::Relaxed);
                    *cause = Some(error);
                }
            }
            let done = report.imported + report.already_imported;
            if done.is_multiple_of(MAX_WAITING) {
                service.deliver();
            }
            progress.update(done as u64, rows.len() as u64);
        }
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(rows.len()) {
            scope.spawn(work);
        }
    });
    let (report, progress, cause) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    drop(progress);
    service.settle();
    match cause {
        None => report.end("imported"),
        Some(error) => {
            report.show("imported");
            note("hint: repeat the command; rows that were imported do not change");
            Err(error.into())
        }
    }
}

/// The dates on which the default lifetime ends the imported tokens whose rows have no end.
#[derive(Debug, Default)]
struct DefaultEnds {
    rows: usize,
    /// The first and the last one. Types can have different lifetimes.
    between: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl DefaultEnds {
    fn add(&mut self, end: DateTime<Utc>) {
        self.rows += 1;
        let (first, last) = self.between.unwrap_or((end, end));
        self.between = Some((first.min(end), last.max(end)));
    }

    fn show(&self) {
        let Some((first, last)) = self.between else { return };
        let date = |time: DateTime<Utc>| time.format("%Y-%m-%d").to_string();
        let (first, last) = (date(first), date(last));
        let ends = match first == last {
            true => format!("on {first}"),
            false => format!("between {first} and {last}"),
        };
        note(format_args!(
            "Rows without an end: {}. The default lifetime ends their tokens {ends} (UTC).",
            self.rows
        ));
    }
}

impl Report {
    /// Adds a row that was imported, or would be.
    fn add_imported(&mut self, row: &Import, end: Option<DateTime<Utc>>) {
        self.imported += 1;
        if let Some(end) = end
            && row.values.expires.is_none()
        {
            self.default_ends.add(end);
        }
    }

    /// Adds a row that was imported before, and compares it with its record.
    fn add_known<S>(&mut self, row: &Import, record: &Record, service: &TokenService<S>) {
        self.already_imported += 1;
        let columns = row.values.differences_from(record, service);
        if !columns.is_empty() {
            self.differing.push((row.line, row.id, columns.join(", ")));
        }
    }

    fn show(&self, done: &str) {
        let Self { imported, already_imported, default_ends, differing, repeated, refused } = self;
        let differ = match differing.len() {
            0 => String::new(),
            some => format!(" ({some} with other values)"),
        };
        let repeat = match repeated {
            0 => String::new(),
            some => format!(", {some} repeated"),
        };
        note(format_args!(
            "{imported} {done}, {already_imported} already imported{differ}{repeat}, {} refused.",
            refused.len()
        ));
        default_ends.show();
    }

    /// Lists the rows that need attention, and returns the exit if rows were refused.
    fn end(mut self, done: &str) -> Result<(), Exit> {
        self.differing.sort();
        list(&self.differing, |(line, id, columns)| {
            format!("line {line}: the record {id} differs in {columns} and was not changed")
        });
        self.refused.sort();
        list(&self.refused, |(line, reason)| format!("line {line}: {reason}"));
        self.show(done);
        match self.refused.len() {
            0 => Ok(()),
            refused => Err(Exit::Refused(format!("{refused} rows were refused"))),
        }
    }

    /// Ends without an import, because rows were refused.
    fn end_unchanged(self) -> Result<(), Exit> {
        let ended = self.end("imported");
        note("Nothing was changed. --skip-refused imports the other rows.");
        ended
    }
}

/// Prints the first rows, and the number of the others.
fn list<T>(rows: &[T], text: impl Fn(&T) -> String) {
    for row in rows.iter().take(MAX_LISTED) {
        note(text(row));
    }
    if rows.len() > MAX_LISTED {
        note(format_args!("and {} more", rows.len() - MAX_LISTED));
    }
}
