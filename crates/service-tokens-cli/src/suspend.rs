//! `service-tokens suspend`

use futures_lite::future::block_on;
use service_tokens::{FileStore, SuspendRequest, TokenId, TokenService};

use crate::args::Args;
use crate::exit::Exit;
use crate::outcome::Outcome;
use crate::output::{description, note, time};
use crate::progress::Progress;
use crate::prompt::confirm;
use crate::settings::Access;
use crate::several;
use crate::value;

pub(crate) const HELP: &str = "\
Suspends tokens. A suspended token is refused until its suspension ends, or
until `service-tokens resume` ends it earlier. The command shows the tokens and
asks for a confirmation, which is y or yes on standard input. A token that is
suspended for as long or longer is not changed.

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
    let service = args.settings.open(Access::Write)?;
    if with_descendants {
        return suspend_with_descendants(&service, &ids, &request, yes);
    }
    match ids[..] {
        [id] => suspend_one(&service, id, request, yes),
        _ => suspend_several(&service, &ids, &request, yes),
    }
}

fn suspend_one(
    service: &TokenService<FileStore>,
    id: TokenId,
    request: SuspendRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let record = block_on(view.get(id))?.record;
    if !yes {
        note(description(&record));
        confirm("Suspend this token?")?;
    }
    let suspended = block_on(view.suspend(id, request))?;
    let ends = suspended.record.suspensions().iter().map(|suspension| suspension.until);
    // No end is the latest.
    let last = ends.reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)));
    let end = last.flatten().map_or("it is resumed".to_owned(), time);
    if suspended.already_suspended {
        note(format_args!(
            "{} was already suspended until {end}. Nothing changed.",
            description(&record)
        ));
    } else {
        note(format_args!("Suspended {} until {end}.", description(&record)));
    }
    Ok(())
}

fn suspend_several(
    service: &TokenService<FileStore>,
    ids: &[TokenId],
    request: &SuspendRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let found = several::find(view, ids)?;
    if !yes && !found.records.is_empty() {
        found.records.iter().for_each(|record| note(description(record)));
        confirm(&format!("Suspend these {} tokens?", found.records.len()))?;
    }
    found.each(("suspending", "Suspended"), service, |id| {
        let suspended = block_on(view.suspend(id, request.clone()))?;
        Ok(!suspended.already_suspended)
    })?;
    found.expect_known(ids)
}

fn suspend_with_descendants(
    service: &TokenService<FileStore>,
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
        found.records.iter().for_each(|record| note(description(record)));
        confirm(&format!("Suspend these tokens and all below them, at most {total} tokens?"))?;
    }
    let mut progress = Progress::new("suspending");
    let mut outcome = Outcome::default();
    for id in ids {
        let before = outcome.done;
        let run = view.suspend_with_descendants(*id, request.clone());
        let run = run.on_progress(|at| progress.update(before + at.done, total));
        if !outcome.add(block_on(run.run())) {
            break;
        }
    }
    drop(progress);
    outcome.report("Suspended", "tokens", service)?;
    found.expect_known(ids)
}
