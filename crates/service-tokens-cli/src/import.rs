//! `service-tokens import`

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{fs, io, thread};

use futures_lite::future::block_on;
use service_tokens::{FileStore, ManageError, MemoryStore, Record, TokenId, TokenService};

use crate::args::Args;
use crate::exit::{Exit, with_causes};
use crate::import_form::Hash;
use crate::import_rows::{Defaults, Import, Refused, Rows, read};
use crate::output::note;
use crate::progress::Progress;
use crate::settings::Access;
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
  --issued-by TEXT      the importer of rows without one
  --expires WHEN        the end of rows without one (default: 90d)
  --dry-run             check all rows and change nothing
  --skip-refused        import the other rows if some are refused

All rows are checked before the first one is imported. If a row is refused,
nothing is imported, unless --skip-refused is given. Tokens that were imported
before do not change, whatever their state is. So the command can be repeated,
for example after it was interrupted, and it never makes a revoked token valid.
If such a row differs from the record, for example in its label or its end, the
report names the row, the id and the columns.

Rows with the same digest and the same values count as one. If their values
differ, all of them are refused.

The exit status is 3 if at least one row was refused.

`service-tokens --help` lists the options for every verb.
";

/// How many rows are imported at a time. The file store writes them together.
const WORKERS: usize = 16;

/// The maximum number of rows that are listed for one reason.
const MAX_LISTED: usize = 100;

/// The result of the rows so far.
#[derive(Debug, Default)]
struct Report {
    imported: usize,
    already_imported: usize,
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
            "issued-by" => args.set(&mut defaults.issued_by, value::text)?,
            "expires" => args.set(&mut defaults.expires, Expiry::parse)?,
            "dry-run" => args.flag(&mut dry_run)?,
            "skip-refused" => args.flag(&mut skip_refused)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let [path] = args.operands(["ROWS.csv"])?;
    let hash = hash(&args)?;
    // Errors of the other options are found before the rows are read.
    let in_memory = args.settings.build(MemoryStore::new())?;
    let exists = args.settings.path()?.exists();
    let rows = read(&text(path)?, hash, &defaults).map_err(Exit::Failed)?;
    let Rows { imports: rows, repeated, refused } = rows;
    let mut report = Report { repeated, refused, ..Report::default() };

    // Each row is tried in memory, so the library itself checks it.
    let (mut checked, mut doubtful) = (Vec::new(), Vec::new());
    for row in rows {
        match block_on(in_memory.owner(&row.values.owner).import(row.request())) {
            Ok(_) => checked.push(row),
            Err(error) => doubtful.push((row, reason(&error))),
        }
    }
    drop(in_memory);
    if !exists {
        report.refused.extend(doubtful.into_iter().map(|(row, reason)| (row.line, reason)));
        if dry_run {
            report.imported = checked.len();
            return report.end("would be imported");
        }
        if !report.refused.is_empty() && !skip_refused {
            return report.end_unchanged();
        }
        let service = args.settings.open(Access::WriteOrCreate)?;
        return import_all(&service, checked, report);
    }
    let service = args.settings.open(if dry_run { Access::Read } else { Access::Write })?;
    let mut fresh = Vec::new();
    let doubtful = doubtful.into_iter().map(|(row, reason)| (row, Some(reason)));
    for (row, refusal) in checked.into_iter().map(|row| (row, None)).chain(doubtful) {
        match (find(&service, &row)?, refusal) {
            (Found::Same(record), _) => report.add_known(&row, &record),
            (Found::Other, _) => report.refused.push((row.line, EXISTS.into())),
            (Found::Missing, Some(reason)) => report.refused.push((row.line, reason)),
            (Found::Missing, None) => fresh.push(row),
        }
    }
    if dry_run {
        report.imported = fresh.len();
        return report.end("would be imported");
    }
    if !report.refused.is_empty() && !skip_refused {
        return report.end_unchanged();
    }
    import_all(&service, fresh, report)
}

const EXISTS: &str = "was imported for another owner or with another type";

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
    Other,
}

fn find(service: &TokenService<FileStore>, row: &Import) -> Result<Found, Exit> {
    match block_on(service.all_owners().get(row.id)) {
        Ok(stored) => {
            let record = stored.record;
            let is_same =
                record.owner() == row.values.owner && record.token_type() == row.values.token_type;
            Ok(if is_same { Found::Same(Box::new(record)) } else { Found::Other })
        }
        Err(ManageError::NotFound { .. }) => Ok(Found::Missing),
        Err(error) => Err(error.into()),
    }
}

/// Imports the rows, several at a time.
fn import_all(
    service: &TokenService<FileStore>,
    rows: Vec<Import>,
    report: Report,
) -> Result<(), Exit> {
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
                    report.add_known(row, &imported.record);
                }
                Ok(_) => report.imported += 1,
                Err(ManageError::Exists { .. }) => report.refused.push((row.line, EXISTS.into())),
                Err(error @ ManageError::Invalid(_)) => {
                    report.refused.push((row.line, reason(&error)));
                }
                Err(error) => {
                    stopped.store(true, Ordering::Relaxed);
                    *cause = Some(error);
                }
            }
            progress.update((report.imported + report.already_imported) as u64, rows.len() as u64);
        }
    };
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(rows.len()) {
            scope.spawn(work);
        }
    });
    let (report, progress, cause) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    drop(progress);
    match cause {
        None => report.end("imported"),
        Some(error) => {
            report.show("imported");
            note("hint: repeat the command; rows that were imported do not change");
            Err(error.into())
        }
    }
}

/// Returns the reason for which a row is refused. The names of fields are those of the columns.
fn reason(error: &ManageError) -> String {
    match error {
        ManageError::Exists { .. } => EXISTS.into(),
        error => with_causes(error),
    }
}

impl Report {
    /// Adds a row that was imported before, and compares it with its record.
    fn add_known(&mut self, row: &Import, record: &Record) {
        self.already_imported += 1;
        let columns = row.values.differences_from(record);
        if !columns.is_empty() {
            self.differing.push((row.line, row.id, columns.join(", ")));
        }
    }

    fn show(&self, done: &str) {
        let Self { imported, already_imported, differing, repeated, refused } = self;
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
