//! `service-tokens suspend-all`

use futures_lite::future::block_on;

use crate::args::Args;
use crate::bulk::{self, BulkArgs, Words};
use crate::clock_check::{self, clock_help};
use crate::exit::Exit;
use crate::filters::filters_help;
use crate::output::exact_time;
use crate::settings::Access;
use crate::suspend::suspend_request;
use crate::value;

pub(crate) const HELP: &str = concat!(
    "\
Suspends every live token that matches the filters. Without a filter it suspends
every live token of every owner. The command shows the number of tokens, and you
confirm by typing that number. A token that has a suspension with the same
author and reason for as long or longer is not changed. If the command is
interrupted, run it again with the same author, reason and end to suspend the
rest. At the end it compacts the file.

  service-tokens suspend-all [FILTERS] [OPTIONS]

",
    filters_help!(),
    "
  --until TIME              the end of the suspension: a time, or a duration
                            from now (default: until the token is resumed)
  --by TEXT                 the person or program that suspends them
  --reason TEXT             the reason. Author and reason name the suspension,
                            and `service-tokens resume-all` ends it by its name
  --dry-run                 print the number of tokens and change nothing
  --yes-suspend NUMBER      do not ask for a confirmation: suspend the tokens if
                            there are exactly this many, otherwise none
",
    clock_help!(),
    "
`service-tokens --help` lists the options for every verb.
"
);

const WORDS: Words = Words {
    verb: "suspend",
    found: "live tokens match and do not have this suspension yet",
    found_without_filter: "live tokens of all owners do not have this suspension yet",
    none: "No live tokens match, or each has this suspension. Nothing changed.",
    access: Access::Revoke,
};

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let mut bulk = BulkArgs::new(WORDS);
    let (mut until, mut reason) = (None, None);
    while let Some(option) = args.next_option()? {
        match &*option {
            "until" => args.set(&mut until, value::time_ahead)?,
            "reason" => args.set(&mut reason, value::text)?,
            _ if bulk.take(&option, &mut args)? => {}
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let [] = args.operands([])?;

    let service = bulk.open(args.settings)?;
    if until.is_some() {
        clock_check::warn(&service)?;
    }
    let view = service.all_owners();
    let request = suspend_request(until, bulk.by.clone(), reason);
    let suspensions = || view.suspend_all(bulk.filters.filter(), request.clone());
    let count = block_on(suspensions().count())?;
    if !bulk.confirm(
        &service,
        count,
        "They are refused until the suspension ends or they are resumed.",
    )? {
        return Ok(());
    }
    let suspensions = suspensions();
    let since = exact_time(suspensions.since());
    let outcome =
        bulk::run("suspending", count, |update| block_on(suspensions.on_progress(update).run()));
    let summary = format!("Suspended {} tokens since {since}.", outcome.done);
    outcome.finish(&summary, "suspended", "tokens", &service)
}
