//! `tokens revoke-all`

use futures_lite::future::block_on;

use crate::args::Words;
use crate::descendants;
use crate::filters::{Filters, filters_help};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::prompt::{ask, cancelled};
use crate::revoke::request;
use crate::settings::Access;
use crate::stop::{Stop, note, print};
use crate::value;

pub(crate) const HELP: &str = concat!(
    "\
Revokes every live token that the filters select, for good; without a filter,
every live token of every owner. Shows how many they are and asks for that
number to be typed. If it is interrupted, running it again goes on from there.
Then the file is written anew, so that it gets smaller.

  tokens revoke-all [FILTERS] [OPTIONS]

",
    filters_help!(),
    "
  --with-descendants        with everything that was issued below them, also
                            below those that are dead already
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
    let (mut by, mut reason, mut expected) = (None, None, None);
    let (mut dry_run, mut with_descendants) = (false, false);
    while let Some(option) = words.next_option()? {
        match &*option {
            "by" => words.set(&mut by, value::text)?,
            "reason" => words.set(&mut reason, value::text)?,
            "with-descendants" => words.flag(&mut with_descendants)?,
            "dry-run" => words.flag(&mut dry_run)?,
            "yes-revoke" => words.set(&mut expected, value::number)?,
            _ if filters.take(&option, &mut words)? => {}
            _ => return Err(words.unknown(&option)),
        }
    }
    let [] = words.operands([])?;

    let access = if dry_run { Access::Read } else { Access::Change };
    let service = words.settings.open(access)?;
    let view = service.all_owners();
    let request = request(by, reason);
    let family = match with_descendants {
        true => Some(descendants::find(view, &filters.filter())?),
        false => None,
    };
    let count = match &family {
        Some(family) => family.live,
        None => block_on(view.revoke_all(filters.filter(), request.clone()).count())?,
    };
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
    let outcome = match family {
        Some(family) => descendants::revoke(view, &filters.filter(), &request, family),
        None => {
            let mut progress = Progress::new("revoking");
            let revocations = view.revoke_all(filters.filter(), request);
            let revocations = revocations.on_progress(|at| progress.show(at.found, count));
            let mut outcome = Outcome::default();
            outcome.add(block_on(revocations.run()));
            outcome
        }
    };
    outcome.tell("Revoked", "tokens", &service)
}
