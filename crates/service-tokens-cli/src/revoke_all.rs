//! `service-tokens revoke-all`

use futures_lite::future::block_on;

use crate::args::Args;
use crate::descendants;
use crate::exit::Exit;
use crate::filters::{Filters, filters_help};
use crate::outcome::Outcome;
use crate::output::{note, print};
use crate::progress::Progress;
use crate::prompt::{ask, cancelled};
use crate::revoke::revoke_request;
use crate::settings::Access;
use crate::value;

pub(crate) const HELP: &str = concat!(
    "\
Revokes every live token that matches the filters, permanently. Without a filter
it revokes every live token of every owner. The command shows the number of
tokens, and you confirm by typing that number. If it is interrupted, run it
again to revoke the rest. At the end it compacts the file.

  service-tokens revoke-all [FILTERS] [OPTIONS]

",
    filters_help!(),
    "
  --with-descendants        also revoke the tokens that were issued by a
                            matching token, directly or through other tokens,
                            even if the matching token has ended
  --by TEXT                 the person or program that revokes them
  --reason TEXT             the reason
  --dry-run                 print the number of tokens and change nothing
  --yes-revoke NUMBER       do not ask for a confirmation: revoke the tokens if
                            there are exactly this many, otherwise none

`service-tokens --help` lists the options for every verb.
"
);

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let mut filters = Filters::default();
    let (mut by, mut reason, mut expected) = (None, None, None);
    let (mut dry_run, mut with_descendants) = (false, false);
    while let Some(option) = args.next_option()? {
        match &*option {
            "by" => args.set(&mut by, value::text)?,
            "reason" => args.set(&mut reason, value::text)?,
            "with-descendants" => args.flag(&mut with_descendants)?,
            "dry-run" => args.flag(&mut dry_run)?,
            "yes-revoke" => args.set(&mut expected, value::number)?,
            _ if filters.take(&option, &mut args)? => {}
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let [] = args.operands([])?;

    let access = if dry_run { Access::Read } else { Access::Write };
    let service = args.settings.open(access)?;
    let view = service.all_owners();
    let request = revoke_request(by, reason);
    let selection = match with_descendants {
        true => Some(descendants::find(view, &filters.filter())?),
        false => None,
    };
    let count = match &selection {
        Some(selection) => selection.live,
        None => block_on(view.revoke_all(filters.filter(), request.clone()).count())?,
    };
    if dry_run {
        return print(count);
    }
    if count == 0 {
        note("No live tokens match. Nothing changed.");
        return Ok(());
    }
    let scope = if filters.is_empty() { ", which are all tokens of every owner" } else { "" };
    match expected {
        Some(expected) if expected != count => {
            return Err(Exit::Failed(format!(
                "--yes-revoke is {expected}, but {count} live tokens match{scope}: nothing was changed"
            )));
        }
        Some(_) => {}
        None => {
            note(format_args!(
                "{count} live tokens match{scope}.\nA revoked service token cannot be recovered."
            ));
            if ask(&format!("Type {count} to revoke them:"))? != count.to_string() {
                return Err(cancelled());
            }
        }
    }
    let outcome = match selection {
        Some(selection) => descendants::revoke(view, &filters.filter(), &request, selection),
        None => {
            let mut progress = Progress::new("revoking");
            let revocations = view.revoke_all(filters.filter(), request);
            let revocations = revocations.on_progress(|at| progress.update(at.found, count));
            let mut outcome = Outcome::default();
            outcome.add(block_on(revocations.run()));
            outcome
        }
    };
    outcome.report("Revoked", "tokens", &service)
}
