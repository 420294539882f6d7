//! The parts that the bulk verbs have in common, which are options, the confirmation and the progress.

use service_tokens::bulk::{BulkError, BulkOutcome, BulkProgress};
use service_tokens::{FileStore, TokenId, TokenService};

use crate::args::Args;
use crate::clock_check::{self, MAX_QUIET};
use crate::exit::Exit;
use crate::filters::Filters;
use crate::outcome::Outcome;
use crate::output::{note, print};
use crate::progress::Progress;
use crate::prompt::{ask, cancelled};
use crate::session::Session;
use crate::settings::{Access, Settings};
use crate::stdio;
use crate::value;

/// The words of a bulk verb that changes all tokens that match filters.
pub(crate) struct Words {
    /// The verb in the question and in the option `--yes-VERB`.
    pub(crate) verb: &'static str,
    /// What is counted, after the number.
    pub(crate) found: &'static str,
    /// The same if the command line has no filter.
    pub(crate) found_without_filter: &'static str,
    /// The answer if no token is found.
    pub(crate) none: &'static str,
    /// The access to the file that the change needs.
    pub(crate) access: Access,
}

/// The options of a bulk verb that changes all tokens that match filters.
pub(crate) struct BulkArgs {
    pub(crate) filters: Filters,
    pub(crate) by: Option<String>,
    words: Words,
    dry_run: bool,
    expected: Option<u64>,
    clock_is_right: bool,
}

impl BulkArgs {
    pub(crate) fn new(words: Words) -> Self {
        let (filters, by, expected) = (Filters::default(), None, None);
        Self { filters, by, words, dry_run: false, expected, clock_is_right: false }
    }

    /// Reads an option that every bulk verb has. Returns `false` if the option is not one.
    pub(crate) fn take(&mut self, option: &str, args: &mut Args) -> Result<bool, Exit> {
        match option {
            "by" => args.set(&mut self.by, value::text)?,
            "dry-run" => args.flag(&mut self.dry_run)?,
            "clock-is-right" => args.flag(&mut self.clock_is_right)?,
            _ if option.strip_prefix("yes-") == Some(self.words.verb) => {
                args.set(&mut self.expected, value::number)?;
            }
            _ => return self.filters.take(option, args),
        }
        Ok(true)
    }

    /// Opens the file with the access that the verb needs.
    pub(crate) fn open(&self, settings: Settings) -> Result<Session, Exit> {
        match self.dry_run {
            true => {
                stdio::require_stdout()?;
                settings.open(Access::Read)
            }
            false => settings.open(self.words.access),
        }
    }

    /// Confirms that this number of tokens shall be changed. The notes are shown before the question.
    ///
    /// Returns `false` if the verb ends here, because this is a dry run or because there are no tokens.
    pub(crate) fn confirm(
        &self,
        service: &TokenService<FileStore>,
        count: u64,
        notes: &str,
    ) -> Result<bool, Exit> {
        let Words { verb, found, found_without_filter, none, .. } = self.words;
        let doubt = match count > 0 && self.filters.is_by_clock() {
            true => clock_check::ahead_of_uses(service, MAX_QUIET)?,
            false => None,
        };
        if self.dry_run {
            clock_check::show(doubt);
            print(count)?;
        }
        if count == 0 {
            self.filters.expect_known(service)?;
        }
        if self.dry_run {
            return Ok(false);
        }
        if count == 0 {
            note(none);
            return Ok(false);
        }
        let is_all = self.filters.is_empty();
        let found = if is_all { found_without_filter } else { found };
        let filters = if is_all { String::new() } else { format!(": {}", self.filters.text()) };
        if let Some(expected) = self.expected.filter(|expected| *expected != count) {
            return Err(Exit::Failed(format!(
                "--yes-{verb} is {expected}, but {count} {found}{filters}: nothing was changed"
            )));
        }
        clock_check::confirm_clock(doubt, self.clock_is_right, self.expected.is_some())?;
        if self.expected.is_some() {
            return Ok(true);
        }
        note(format_args!("{count} {found}{}\n{notes}", if is_all { "." } else { &filters }));
        match ask(&format!("Type {count} to {verb} them:"))? == count.to_string() {
            true => Ok(true),
            false => Err(cancelled()),
        }
    }
}

/// The function that a running bulk operation calls with its progress.
pub(crate) type Update<'u> = &'u mut (dyn FnMut(&BulkProgress) + Send);

/// Runs a bulk operation with a progress bar.
pub(crate) fn run(
    doing: &'static str,
    total: u64,
    operation: impl FnOnce(Update<'_>) -> Result<BulkOutcome, BulkError>,
) -> Outcome {
    let (mut progress, mut outcome) = (Progress::new(doing), Outcome::default());
    outcome.add(operation(&mut |at| progress.update(at.found, total)));
    outcome
}

/// Runs a bulk operation for each id with one progress bar. It ends early if one of them stops before its
/// end.
pub(crate) fn run_each(
    doing: &'static str,
    total: u64,
    ids: &[TokenId],
    operation: impl Fn(TokenId, Update<'_>) -> Result<BulkOutcome, BulkError>,
) -> Outcome {
    let (mut progress, mut outcome) = (Progress::new(doing), Outcome::default());
    for id in ids {
        let before = outcome.done;
        if !outcome.add(operation(*id, &mut |at| progress.update(before + at.done, total))) {
            break;
        }
    }
    outcome
}
