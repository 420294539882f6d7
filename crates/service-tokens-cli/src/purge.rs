//! `service-tokens purge`

use futures_lite::future::block_on;

use crate::args::Args;
use crate::bulk;
use crate::exit::Exit;
use crate::output::{note, print, time};
use crate::prompt::confirm;
use crate::settings::Access;
use crate::value;

pub(crate) const HELP: &str = "\
Removes the records of tokens that expired or were revoked long ago. A record
also says who revoked the token, when and why, and this information is lost too.
Purging ends no token, so it is of no help in an incident. The command shows the
number of records and asks for a confirmation. At the end it compacts the file.

  service-tokens purge --retention 180d [OPTIONS]

  --retention DURATION    remove records that ended longer ago than this; at
                          least 1d
  --owner OWNER           only records of this owner
  --include-imported      also records of imported tokens; the same import would
                          make those tokens valid again
  --dry-run               print the number of records and change nothing
  --yes                   do not ask for a confirmation

`service-tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut retention, mut owner, mut dry_run, mut yes) = (None, None, false, false);
    let mut include_imported = false;
    while let Some(option) = args.next_option()? {
        match &*option {
            "retention" => args.set(&mut retention, value::duration)?,
            "owner" => args.set(&mut owner, value::text)?,
            "include-imported" => args.flag(&mut include_imported)?,
            "dry-run" => args.flag(&mut dry_run)?,
            "yes" => args.flag(&mut yes)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let [] = args.operands([])?;
    let retention = args.required(retention, "retention")?;

    let access = if dry_run { Access::Read } else { Access::Write };
    let service = args.settings.open(access)?;
    let view = service.owner_or_all(owner.as_deref());
    let purge = || match include_imported {
        true => view.purge(retention).include_imported(),
        false => view.purge(retention),
    };
    let count = block_on(purge().count())?;
    // Without this answer, an operator would look for an error in the other options.
    let retained = match count == 0 && !include_imported {
        true => block_on(view.purge(retention).include_imported().count())?,
        false => 0,
    };
    if retained > 0 {
        note(format_args!(
            "Only records of imported tokens match, and they are retained: {retained}. \
             --include-imported removes them too."
        ));
    }
    if dry_run {
        return print(count);
    }
    if count == 0 {
        note(if retained > 0 { "Nothing changed." } else { "No records match. Nothing changed." });
        return Ok(());
    }
    if !yes {
        // With a wrong clock, a record that ended today can look old. So the time is shown.
        note(format_args!(
            "{count} records match. The clock of this machine shows {}.\nA removed record cannot be recovered.",
            time(service.now())
        ));
        confirm("Remove these records?")?;
    }
    let outcome =
        bulk::run("removing", count, |update| block_on(purge().on_progress(update).run()));
    outcome.report("Removed", "records", &service)
}
