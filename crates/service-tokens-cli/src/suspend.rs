//! `service-tokens suspend`

use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::record::Suspension;
use service_tokens::{SuspendRequest, TokenId};

use crate::args::Args;
use crate::bulk;
use crate::clock_check;
use crate::exit::Exit;
use crate::output::{description, note, time};
use crate::prompt::confirm;
use crate::session::Session;
use crate::settings::Access;
use crate::several;
use crate::suspensions::{count_of_others, running};
use crate::value;

pub(crate) const HELP: &str = "\
Suspends tokens. A suspended token is refused until its suspension ends, or
until `service-tokens resume` ends it earlier. The command shows the tokens and
asks for a confirmation, which is y or yes on standard input. A token can have
several suspensions, which author and reason name. A token that has one with the
same name for as long or longer is not changed.

  service-tokens suspend ID... [OPTIONS]
  service-tokens suspend - --yes [OPTIONS] < ids
                      reads the ids from standard input, one per line

  --until TIME        the end of the suspension: a time, or a duration from now
                      (default: until the token is resumed)
  --with-descendants  also suspend the tokens that were issued by these tokens,
                      directly or through other tokens
  --by TEXT           the person or program that suspends them
  --reason TEXT       the reason
  --yes               do not ask for a confirmation

With several ids, an unknown id does not stop the others, but the exit status is
then 1. After several ids the command compacts the file.

`service-tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut by, mut reason, mut until) = (None, None, None);
    let (mut yes, mut with_descendants) = (false, false);
    while let Some(option) = args.next_option()? {
        match &*option {
            "by" => args.set(&mut by, value::text)?,
            "reason" => args.set(&mut reason, value::text)?,
            "until" => args.set(&mut until, value::time_ahead)?,
            "with-descendants" => args.flag(&mut with_descendants)?,
            "yes" => args.flag(&mut yes)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let ids = several::ids(&args, yes)?;
    let request = suspend_request(until, by.clone(), reason.clone());
    let service = args.settings.open(Access::Revoke)?;
    if until.is_some() {
        clock_check::warn(&service)?;
    }
    if with_descendants {
        return suspend_with_descendants(&service, &ids, &request, yes);
    }
    match ids[..] {
        [id] => {
            let is_this = |suspension: &Suspension| {
                suspension.by.as_deref() == by.as_deref()
                    && suspension.reason.as_deref() == reason.as_deref()
            };
            suspend_one(&service, id, request, is_this, yes)
        }
        _ => suspend_several(&service, &ids, &request, yes),
    }
}

/// Returns a request with the values of `--until`, `--by` and `--reason`.
pub(crate) fn suspend_request(
    until: Option<DateTime<Utc>>,
    by: Option<String>,
    reason: Option<String>,
) -> SuspendRequest {
    let mut request = SuspendRequest::new();
    if let Some(until) = until {
        request = request.until(until);
    }
    if let Some(by) = by {
        request = request.by(by);
    }
    if let Some(reason) = reason {
        request = request.reason(reason);
    }
    request
}

fn suspend_one(
    service: &Session,
    id: TokenId,
    request: SuspendRequest,
    is_this: impl Fn(&Suspension) -> bool,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let record = block_on(view.get(id))?.record;
    if !yes {
        note(description(&record));
        confirm("Suspend this token?")?;
    }
    let suspended = block_on(view.suspend(id, request))?;
    service.settle();
    let (this, others): (Vec<_>, Vec<_>) = running(suspended.record.suspensions(), service.now())
        .partition(|suspension| is_this(suspension));
    let end = this.first().and_then(|suspension| suspension.until);
    let end = end.map_or("it is resumed".to_owned(), time);
    let others = match others.len() {
        0 => String::new(),
        count => format!(" It has {}.", count_of_others(count)),
    };
    let token = description(&record);
    match suspended.already_suspended {
        true => note(format_args!(
            "{token} was already suspended until {end}. Nothing changed.{others}"
        )),
        false => note(format_args!("Suspended {token} until {end}.{others}")),
    }
    Ok(())
}

fn suspend_several(
    service: &Session,
    ids: &[TokenId],
    request: &SuspendRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let found = several::find(view, ids)?;
    if !yes && !found.records.is_empty() {
        found.describe();
        confirm(&format!("Suspend these {} tokens?", found.records.len()))?;
    }
    let outcome = found.each("suspending", service, |id| {
        let suspended = block_on(view.suspend(id, request.clone()))?;
        Ok(!suspended.already_suspended)
    });
    outcome.report("Suspended", "tokens", service)?;
    found.expect_known(ids)
}

fn suspend_with_descendants(
    service: &Session,
    ids: &[TokenId],
    request: &SuspendRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let found = several::find(view, ids)?;
    let mut total = 0;
    for id in ids {
        total += block_on(view.suspend_with_descendants(*id, request.clone()).count())?;
    }
    if !yes {
        found.describe();
        confirm(&format!("Suspend these tokens and all below them, at most {total} tokens?"))?;
    }
    let outcome = bulk::run_each("suspending", total, ids, |id, update| {
        let run = view.suspend_with_descendants(id, request.clone());
        block_on(run.on_progress(update).run())
    });
    outcome.report("Suspended", "tokens", service)?;
    found.expect_known(ids)
}
