//! `tokens list`

use std::io::{self, BufWriter, Write};

use futures_lite::future::block_on;
use service_tokens::store::{MAX_PAGE_LEN, Order, States};
use service_tokens::{ListRequest, State};

use crate::args::Words;
use crate::filters::{Filters, filters_help};
use crate::settings::Access;
use crate::stop::{Stop, note};
use crate::table::Table;
use crate::{json, value};

pub(crate) const HELP: &str = concat!(
    "\
Lists tokens, newest first: those that work or will, unless --state asks for
others.

  tokens list [OPTIONS]

",
    filters_help!(),
    "  --state STATE             pending, active, expired, revoked, live (the first
                            two), dead (the others) or all; repeatable; live
                            unless given
  --died-before TIME        only those that expired or were revoked before this
                            time, or longer ago than so long (30d)

  --oldest-first            oldest first
  --limit NUMBER            at most so many
  --json                    one JSON object a line instead of a table

The table cuts texts at 40 characters and spells out what would not show or
would act on the terminal: a line break is \\n. Times are UTC.

JSON has id, type, issued_to, owner, scopes, created_at, not_before, expires_at,
last_used_at, state and metadata. not_before, expires_at and last_used_at are
left out where there is none.

`tokens --help` lists the options for every verb.
"
);

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    let mut filters = Filters::default();
    let mut states = Vec::new();
    let (mut oldest_first, mut as_json, mut limit, mut ended_before) = (false, false, None, None);
    while let Some(option) = words.next_option()? {
        match &*option {
            "state" => words.push(&mut states, self::states)?,
            "ended-before" => words.set(&mut ended_before, value::ago)?,
            "oldest-first" => words.flag(&mut oldest_first)?,
            "json" => words.flag(&mut as_json)?,
            "limit" => words.set(&mut limit, value::number)?,
            _ if filters.take(&option, &mut words)? => {}
            _ => return Err(words.unknown(&option)),
        }
    }
    let [] = words.operands([])?;
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

    let service = words.settings.open(Access::Read)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut table = Table::default();
    let (mut left, mut listed) = (limit.map_or(usize::MAX, capped), 0);
    while left > 0 {
        let page =
            block_on(service.all_owners().list(request.clone().limit(left.min(MAX_PAGE_LEN))))?;
        left -= page.items.len().min(left);
        listed += page.items.len();
        let now = service.now();
        if as_json {
            for stored in &page.items {
                writeln!(out, "{}", json::listed(stored, now)).map_err(Stop::output)?;
            }
        } else if !page.items.is_empty() {
            table.page(&mut out, &page.items, now).map_err(Stop::output)?;
        }
        match page.next {
            Some(next) => request = request.after(next),
            None => break,
        }
    }
    out.flush().map_err(Stop::output)?;
    if listed == 0 {
        note("No such tokens.");
    }
    Ok(())
}

fn capped(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn states(text: &str) -> Result<&'static [State], String> {
    Ok(match text {
        "pending" => &[State::Pending],
        "active" => &[State::Active],
        "expired" => &[State::Expired],
        "revoked" => &[State::Revoked],
        "live" => &[State::Pending, State::Active],
        "dead" => &[State::Expired, State::Revoked],
        "all" => &[State::Pending, State::Active, State::Expired, State::Revoked],
        _ => return Err("must be pending, active, expired, revoked, live, dead or all".into()),
    })
}
