//! `service-tokens list`

use std::io::{self, BufWriter, Write};

use futures_lite::future::block_on;
use service_tokens::store::{MAX_PAGE_LEN, Order, States};
use service_tokens::{ListRequest, State};

use crate::args::Args;
use crate::exit::Exit;
use crate::filters::{Filters, filters_help};
use crate::output::{TYPE_HINT, note, unusable_reason};
use crate::settings::Access;
use crate::stdio;
use crate::table::Table;
use crate::{json, value};

pub(crate) const HELP: &str = concat!(
    "\
Lists tokens, newest first. Without --state it lists the live tokens, which are
the active, the pending and the suspended ones.

  service-tokens list [FILTERS] [OPTIONS]

",
    filters_help!(),
    "  --state STATE             pending, active, suspended, expired, revoked, live
                            (the first three), ended (expired and revoked) or
                            all; repeatable (default: live)
  --ended-before TIME       tokens that expired or were revoked before this
                            time, or longer ago than this duration (30d)

  --oldest-first            list the oldest token first
  --limit NUMBER            list at most this number of tokens
  --json                    print one JSON object per line instead of a table

The table cuts texts at 40 characters and escapes invisible characters, so a
line break is \\n. Times are UTC.

A token is unusable if the service refuses it although its state is active, for
example because the service does not know its type.

Members of a JSON object; those with a ? only if the token has such a value:
  id, type, issued_to, owner, scopes, created_at, not_before?, expires_at?,
  last_used_at?, secret_created_at, state, usable, unusable_reason?,
  suspensions?, imported, imported_secret, networks, metadata

unusable_reason is unknown_type, newer_record or other. It is absent if the
token is usable or if its state is the reason. suspensions is a list of objects
with since, until, by and reason, of which the last three can be null. One that
has passed stays in the list until the token is resumed.
imported says whether the token comes from an older system, and imported_secret
is true while the text of that system is still one of the token's secrets.
networks is empty if any address may use the token.

`service-tokens --help` lists the options for every verb.
"
);

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let mut filters = Filters::default();
    let mut states = Vec::new();
    let (mut oldest_first, mut as_json, mut limit, mut ended_before) = (false, false, None, None);
    while let Some(option) = args.next_option()? {
        match &*option {
            "state" => args.push(&mut states, self::states)?,
            "ended-before" => args.set(&mut ended_before, value::time_ago)?,
            "oldest-first" => args.flag(&mut oldest_first)?,
            "json" => args.flag(&mut as_json)?,
            "limit" => args.set(&mut limit, value::number)?,
            _ if filters.take(&option, &mut args)? => {}
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let [] = args.operands([])?;
    let mut filter = filters.filter();
    if let Some(time) = ended_before {
        filter = filter.ended_before(time);
    }
    if !states.is_empty() {
        filter = filter.states(states.concat().into_iter().collect::<States>());
    }
    let mut request = ListRequest::from(filter);
    if oldest_first {
        request = request.order(Order::OldestFirst);
    }

    stdio::require_stdout()?;
    let service = args.settings.open(Access::Read)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut table = Table::default();
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (mut left, mut listed, mut unknown_type) = (limit, 0, false);
    while left > 0 {
        let page =
            block_on(service.all_owners().list(request.clone().limit(left.min(MAX_PAGE_LEN))))?;
        left -= page.items.len().min(left);
        listed += page.items.len();
        unknown_type |= page
            .items
            .iter()
            .any(|stored| unusable_reason(&service, &stored.record) == Some("unknown_type"));
        if as_json {
            for stored in &page.items {
                writeln!(out, "{}", json::summary(stored, &service)).map_err(Exit::output)?;
            }
        } else if !page.items.is_empty() {
            table.write_page(&mut out, &page.items, &service).map_err(Exit::output)?;
        }
        match page.next {
            Some(next) => request = request.after(next),
            None => break,
        }
    }
    out.flush().map_err(Exit::output)?;
    if listed == 0 {
        note("No tokens match.");
        for unknown in filters.unknown(&service)? {
            note(format_args!("warning: {unknown}"));
        }
    }
    if unknown_type && !as_json {
        note(TYPE_HINT);
    }
    Ok(())
}

fn states(text: &str) -> Result<&'static [State], String> {
    Ok(match text {
        "pending" => &[State::Pending],
        "active" => &[State::Active],
        "suspended" => &[State::Suspended],
        "expired" => &[State::Expired],
        "revoked" => &[State::Revoked],
        "live" => &[State::Pending, State::Active, State::Suspended],
        "ended" => &[State::Expired, State::Revoked],
        "all" => &State::ALL,
        _ => {
            return Err(
                "must be pending, active, suspended, expired, revoked, live, ended or all".into()
            );
        }
    })
}
