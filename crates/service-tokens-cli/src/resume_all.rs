//! `service-tokens resume-all`

use futures_lite::future::block_on;
use service_tokens::State;

use crate::args::Args;
use crate::bulk::{self, BulkArgs, Words};
use crate::clock_check::clock_help;
use crate::descendants;
use crate::exit::Exit;
use crate::filters::filters_help;
use crate::output::note;
use crate::resume::resume_request;
use crate::settings::Access;
use crate::suspensions::{Matching, NO_SUCH, Named, named_help};

pub(crate) const HELP: &str = concat!(
    "\
Ends one suspension of every token that matches the filters. A token with others
stays suspended. Without a filter it ends that suspension of every owner. The
command shows the suspensions and their number, and you confirm by typing that
number. If it is interrupted, run it again to resume the rest. At the end it
compacts the file.

  service-tokens resume-all [FILTERS] --suspended-by TEXT --suspended-for TEXT
                            [OPTIONS]
  service-tokens resume-all [FILTERS] --suspended-since TIME [OPTIONS]

",
    filters_help!(),
    "\n",
    named_help!(),
    "  --by TEXT                 the person or program that resumes them
  --dry-run                 print the number of tokens and change nothing
  --yes-resume NUMBER       do not ask for a confirmation: end the suspension if
                            exactly this many tokens have it, otherwise none
",
    clock_help!(),
    "
The suspension must be named, so that ending one incident does not end another.
`service-tokens show` shows the suspensions of a token.

`service-tokens --help` lists the options for every verb.
"
);

const WORDS: Words = Words {
    verb: "resume",
    found: "tokens match and have this suspension",
    found_without_filter: "tokens of all owners have this suspension",
    none: NO_SUCH,
    access: Access::Write,
};

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut bulk, mut named) = (BulkArgs::new(WORDS), Named::default());
    while let Some(option) = args.next_option()? {
        if !bulk.take(&option, &mut args)? && !named.take(&option, &mut args)? {
            return Err(args.unknown_option(&option));
        }
    }
    let [] = args.operands([])?;
    let which = named.required(&args, "the command")?;

    let service = bulk.open(args.settings)?;
    let view = service.all_owners();
    let filter = bulk.filters.filter();
    let resumptions =
        || view.resume_all(filter.clone(), which.clone(), resume_request(bulk.by.clone()));
    let count = block_on(resumptions().count())?;
    let mut matching = Matching::new(Some(which.clone()), service.now());
    let suspended = filter.clone().states(State::Suspended);
    descendants::for_each(view, suspended, |record| matching.add(record))?;
    matching.hint().into_iter().for_each(note);
    if !bulk.confirm(&service, count, &matching.notes())? {
        return Ok(());
    }
    let outcome =
        bulk::run("resuming", count, |update| block_on(resumptions().on_progress(update).run()));
    matching.report(outcome, &service)
}
