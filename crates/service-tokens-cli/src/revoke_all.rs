//! `service-tokens revoke-all`

use futures_lite::future::block_on;

use crate::args::Args;
use crate::bulk::{self, BulkArgs, Words};
use crate::clock_check::clock_help;
use crate::descendants;
use crate::exit::Exit;
use crate::filters::filters_help;
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
",
    clock_help!(),
    "
`service-tokens --help` lists the options for every verb.
"
);

const WORDS: Words = Words {
    verb: "revoke",
    found: "live tokens match",
    found_without_filter: "live tokens match, which are all tokens of every owner",
    none: "No live tokens match. Nothing changed.",
    access: Access::Revoke,
};

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let mut bulk = BulkArgs::new(WORDS);
    let (mut reason, mut with_descendants) = (None, false);
    while let Some(option) = args.next_option()? {
        match &*option {
            "reason" => args.set(&mut reason, value::text)?,
            "with-descendants" => args.flag(&mut with_descendants)?,
            _ if bulk.take(&option, &mut args)? => {}
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let [] = args.operands([])?;

    let service = bulk.open(args.settings)?;
    let view = service.all_owners();
    let (filter, request) = (bulk.filters.filter(), revoke_request(bulk.by.clone(), reason));
    let selection = match with_descendants {
        true => Some(descendants::find(view, &filter)?),
        false => None,
    };
    let count = match &selection {
        Some(selection) => selection.live,
        None => block_on(view.revoke_all(filter.clone(), request.clone()).count())?,
    };
    if !bulk.confirm(&service, count, "A revoked service token cannot be recovered.")? {
        return Ok(());
    }
    let outcome = match selection {
        Some(selection) => descendants::revoke(view, &filter, &request, selection),
        None => bulk::run("revoking", count, |update| {
            block_on(view.revoke_all(filter, request).on_progress(update).run())
        }),
    };
    outcome.report("Revoked", "tokens", &service)
}
