//! `tokens revoke-all`

use futures_lite::future::block_on;
use service_tokens::{BulkError, BulkOutcome};

use crate::args::Words;
use crate::filters::{Filters, filters_help};
use crate::progress::Progress;
use crate::prompt::{ask, cancelled};
use crate::revoke::request;
use crate::settings::Access;
use crate::stop::{Stop, chain, note, print};
use crate::text::visible;
use crate::value;

pub(crate) const HELP: &str = concat!(
    "\
Revokes every live token that the filters select, for good; without a filter,
every live token of every owner. Shows how many they are and asks for that
number to be typed. If it is interrupted, running it again goes on from there.

  tokens revoke-all [FILTERS] [OPTIONS]

",
    filters_help!(),
    "
  --by TEXT                 who revokes them
  --reason TEXT             why
  --dry-run                 print how many they are, and change nothing
  --yes-revoke NUMBER       do not ask: revoke them if they are exactly so many,
                            otherwise none

`tokens --help` lists the options for every verb.
"
);

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    let mut filters = Filters::default();
    let (mut by, mut reason, mut dry_run, mut expected) = (None, None, false, None);
    while let Some(option) = words.next_option()? {
        match &*option {
            "by" => words.set(&mut by, value::text)?,
            "reason" => words.set(&mut reason, value::text)?,
            "dry-run" => words.flag(&mut dry_run)?,
            "yes-revoke" => words.set(&mut expected, value::number)?,
            _ if filters.take(&option, &mut words)? => {}
            _ => return Err(words.unknown(&option)),
        }
    }
    let [] = words.operands([])?;

    let access = if dry_run { Access::Read } else { Access::Change };
    let service = words.settings.open(access)?;
    let view = service.every_owner();
    let request = request(by, reason);
    let count = block_on(view.revoke_all(filters.query(), request.clone()).count())?;
    if dry_run {
        return print(count);
    }
    if count == 0 {
        note("No such tokens. Nothing changed.");
        return Ok(());
    }
    let of_whom = if filters.is_empty() { ", all that there are, of every owner" } else { "" };
    match expected {
        Some(expected) if expected != count => {
            return Err(Stop::Failed(format!(
                "it would be {count} live tokens{of_whom}, not {expected}: nothing was changed"
            )));
        }
        Some(_) => {}
        None => {
            note(format_args!(
                "{count} live tokens{of_whom}.\nA revoked service token cannot be recovered."
            ));
            if ask(&format!("Type {count} to revoke them:"))? != count.to_string() {
                return Err(cancelled());
            }
        }
    }
    let mut progress = Progress::new("revoking");
    let revocations =
        view.revoke_all(filters.query(), request).on_progress(|at| progress.show(at.found, count));
    let outcome = block_on(revocations.run());
    drop(progress);
    tell(outcome, "Revoked", "tokens")
}

/// What a bulk act has done, and what withstood.
pub(crate) fn tell(
    outcome: Result<BulkOutcome, BulkError>,
    verb: &str,
    what: &str,
) -> Result<(), Stop> {
    let (outcome, cause) = match outcome {
        Ok(outcome) => (outcome, None),
        Err(BulkError { so_far, cause, .. }) => (so_far, Some(cause)),
    };
    note(format_args!("{verb} {} {what}.", outcome.done));
    for failure in &outcome.failures {
        note(format_args!("{}: {}", failure.id, visible(&chain(&failure.error))));
    }
    match (cause, outcome.failed) {
        (Some(cause), _) => Err(Stop::from(cause)),
        (None, 0) => Ok(()),
        (None, failed) => Err(Stop::Failed(format!("{failed} {what} withstood"))),
    }
}
