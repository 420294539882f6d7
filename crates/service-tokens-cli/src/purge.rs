//! `service-tokens purge`

use futures_lite::future::block_on;

use crate::args::Args;
use crate::bulk;
use crate::clock_check::{self, clock_help};
use crate::exit::Exit;
use crate::filters::Filters;
use crate::output::{note, print, time, visible};
use crate::prompt::confirm;
use crate::settings::Access;
use crate::stdio;
use crate::value;

pub(crate) const HELP: &str = concat!(
    "\
Removes the records of tokens that expired or were revoked long ago. A record
also says who revoked the token, when and why, and this information is lost too.
Purging ends no token, so it is of no help in an incident. The command shows the
number of records and asks for a confirmation. At the end it compacts the file.

  service-tokens purge --retention 180d [OPTIONS]

  --retention DURATION      remove records that ended longer ago than this; at
                            least 1d
  --owner OWNER             only records of this owner
  --include-imported        also records of imported tokens; the same import
                            would make those tokens valid again
  --by TEXT                 the person or program that purges; only the events
                            file has it
  --dry-run                 print the number of records and change nothing
  --yes                     do not ask for a confirmation
",
    clock_help!(),
    "
The command asks whether the clock of this machine is right in three cases: it
is later than the newest time in the file by more than the retention or 30 days,
the command would remove every record, or a token whose record would be removed
expired in a gap between the times in the file that is longer than the
retention. Such a gap is left by a clock that ran ahead, and by a service that
was idle. With --yes the command then changes nothing.

`service-tokens --help` lists the options for every verb.
"
);

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut retention, mut filters, mut by) = (None, Filters::default(), None);
    let (mut dry_run, mut yes, mut clock_is_right) = (false, false, false);
    let mut include_imported = false;
    while let Some(option) = args.next_option()? {
        match &*option {
            "retention" => args.set(&mut retention, value::duration)?,
            "owner" => drop(filters.take("owner", &mut args)?),
            "by" => args.set(&mut by, value::text)?,
            "clock-is-right" => args.flag(&mut clock_is_right)?,
            "include-imported" => args.flag(&mut include_imported)?,
            "dry-run" => args.flag(&mut dry_run)?,
            "yes" => args.flag(&mut yes)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let [] = args.operands([])?;
    let retention = args.required(retention, "retention")?;
    let owner = filters.filter().owner;

    args.settings.events_by = by;
    let service = match dry_run {
        true => {
            stdio::require_stdout()?;
            args.settings.open(Access::Read)?
        }
        false => args.settings.open(Access::Write)?,
    };
    let view = service.owner_or_all(owner.as_deref());
    let purge = || match include_imported {
        true => view.purge(retention).include_imported(),
        false => view.purge(retention),
    };
    let count = block_on(purge().count())?;
    let doubt = match count {
        0 => None,
        _ => clock_check::before_removing(
            &service,
            owner.as_deref(),
            include_imported,
            count,
            retention,
        )?,
    };
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
        clock_check::show(doubt);
        print(count)?;
    }
    if count == 0 {
        filters.expect_known(&service)?;
    }
    if dry_run {
        return Ok(());
    }
    if count == 0 {
        note(if retained > 0 { "Nothing changed." } else { "No records match. Nothing changed." });
        return Ok(());
    }
    clock_check::confirm_clock(doubt, clock_is_right, yes)?;
    if !yes {
        let whose = match &owner {
            Some(owner) => format!("records of the owner '{}'", visible(owner)),
            None => "records of all owners".into(),
        };
        // With a wrong clock, a record that ended today can look old. So the times are shown.
        note(format_args!(
            "{count} {whose} match, which ended before {}. The clock of this machine shows {}.\n\
             A removed record cannot be recovered.",
            time(service.now() - retention),
            time(service.now())
        ));
        confirm("Remove these records?")?;
    }
    let outcome =
        bulk::run("removing", count, |update| block_on(purge().on_progress(update).run()));
    outcome.report("Removed", "records", &service)
}
