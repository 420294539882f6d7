//! The parts that the bulk verbs have in common, which are options, the confirmation and the progress.

use service_tokens::TokenId;
use service_tokens::bulk::{BulkError, BulkOutcome, BulkProgress};

use crate::args::Args;
use crate::exit::Exit;
use crate::filters::Filters;
use crate::outcome::Outcome;
use crate::output::{note, print};
use crate::progress::Progress;
use crate::prompt::{ask, cancelled};
use crate::settings::Access;
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
}

/// The options of a bulk verb that changes all tokens that match filters.
pub(crate) struct BulkArgs {
    pub(crate) filters: Filters,
    pub(crate) by: Option<String>,
    words: Words,
    dry_run: bool,
    expected: Option<u64>,
}

impl BulkArgs {
    pub(crate) fn new(words: Words) -> Self {
        Self { filters: Filters::default(), by: None, words, dry_run: false, expected: None }
    }

    /// Reads an option that every bulk verb has. Returns `false` if the option is not one.
    pub(crate) fn take(&mut self, option: &str, args: &mut Args) -> Result<bool, Exit> {
        match option {
            "by" => args.set(&mut self.by, value::text)?,
            "dry-run" => args.flag(&mut self.dry_run)?,
            _ if option.strip_prefix("yes-") == Some(self.words.verb) => {
                args.set(&mut self.expected, value::number)?;
            }
            _ => return self.filters.take(option, args),
        }
        Ok(true)
    }

    /// Returns the access to the file that the verb needs.
    pub(crate) fn access(&self) -> Access {
        if self.dry_run { Access::Read } else { Access::Write }
    }

    /// Confirms that this number of tokens shall be changed. The notes are shown before the question.
    ///
    /// Returns `false` if the verb ends here, because this is a dry run or because there are no tokens.
    pub(crate) fn confirm(&self, count: u64, notes: &str) -> Result<bool, Exit> {
        let Words { verb, found, found_without_filter, none } = self.words;
        if self.dry_run {
            print(count)?;
            return Ok(false);
        }
        if count == 0 {
            note(none);
            return Ok(false);
        }
        let found = if self.filters.is_empty() { found_without_filter } else { found };
        match self.expected {
            Some(expected) if expected != count => Err(Exit::Failed(format!(
                "--yes-{verb} is {expected}, but {count} {found}: nothing was changed"
            ))),
            Some(_) => Ok(true),
            None => {
                note(format_args!("{count} {found}.\n{notes}"));
                match ask(&format!("Type {count} to {verb} them:"))? == count.to_string() {
                    true => Ok(true),
                    false => Err(cancelled()),
                }
            }
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
