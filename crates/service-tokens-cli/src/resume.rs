//! `service-tokens resume`

use futures_lite::future::block_on;
use service_tokens::{FileStore, Record, ResumeRequest, TokenId, TokenService};

use crate::args::Args;
use crate::exit::Exit;
use crate::output::{description, note, time, visible};
use crate::prompt::confirm;
use crate::settings::Access;
use crate::several;
use crate::value;

pub(crate) const HELP: &str = "\
Resumes suspended tokens, which are then accepted again with the secrets that
they had. The command shows the tokens with the reason of their suspension and
asks for a confirmation, which is y or yes on standard input.

  service-tokens resume ID... [OPTIONS]
  service-tokens resume - --yes [OPTIONS] < ids
                    reads the ids from standard input, one per line

  --by TEXT         the person or program that resumes them
  --yes             do not ask for a confirmation

With several ids, an unknown id does not stop the others, but the exit status is
then 1. After several ids the command compacts the file.

`service-tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut by, mut yes) = (None, false);
    while let Some(option) = args.next_option()? {
        match &*option {
            "by" => args.set(&mut by, value::text)?,
            "yes" => args.flag(&mut yes)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let ids = several::ids(&args, yes)?;
    let mut request = ResumeRequest::new();
    if let Some(by) = by {
        request = request.by(by);
    }
    let service = args.settings.open(Access::Write)?;
    match ids[..] {
        [id] => resume_one(&service, id, request, yes),
        _ => resume_several(&service, &ids, &request, yes),
    }
}

fn resume_one(
    service: &TokenService<FileStore>,
    id: TokenId,
    request: ResumeRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let record = block_on(view.get(id))?.record;
    if !yes && !record.suspensions().is_empty() {
        note_suspensions(&record);
        confirm("Resume this token?")?;
    }
    let resumed = block_on(view.resume(id, request))?;
    if !resumed.ended.is_empty() {
        note(format_args!("Resumed {}.", description(&record)));
    } else {
        note(format_args!("{} was not suspended. Nothing changed.", description(&record)));
    }
    Ok(())
}

fn resume_several(
    service: &TokenService<FileStore>,
    ids: &[TokenId],
    request: &ResumeRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let found = several::find(view, ids)?;
    if !yes && !found.records.is_empty() {
        found.records.iter().for_each(note_suspensions);
        confirm(&format!("Resume these {} tokens?", found.records.len()))?;
    }
    found.each(("resuming", "Resumed"), service, |id| {
        let resumed = block_on(view.resume(id, request.clone()))?;
        Ok(!resumed.ended.is_empty())
    })?;
    found.expect_known(ids)
}

/// Shows the token, and who suspended it, when and why.
fn note_suspensions(record: &Record) {
    note(description(record));
    for suspension in record.suspensions() {
        let by = suspension.by.as_deref().map(|by| format!(" by {}", visible(by)));
        let reason = suspension.reason.as_deref().map(|reason| format!(": {}", visible(reason)));
        note(format_args!(
            "  suspended since {}{}{}",
            time(suspension.since),
            by.unwrap_or_default(),
            reason.unwrap_or_default()
        ));
    }
}
