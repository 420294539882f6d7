//! `service-tokens revoke`

use std::io::{self, BufRead};

use futures_lite::future::block_on;
use service_tokens::{
    AllOwners, FileStore, ManageError, Record, RevokeRequest, TokenId, TokenService, Tokens,
};

use crate::args::Args;
use crate::exit::Exit;
use crate::outcome::Outcome;
use crate::output::{description, note, time};
use crate::progress::Progress;
use crate::prompt::confirm;
use crate::settings::Access;
use crate::value;

pub(crate) const HELP: &str = "\
Revokes tokens permanently; a revoked token cannot be recovered. The command
shows the tokens and asks for a confirmation, which is y or yes on standard
input. Revoking a revoked token succeeds and changes nothing.

  service-tokens revoke ID... [OPTIONS]
  service-tokens revoke - --yes [OPTIONS] < ids
                    reads the ids from standard input, one per line

  --by TEXT         the person or program that revokes them
  --reason TEXT     the reason
  --yes             do not ask for a confirmation

With several ids, an unknown id does not stop the others, but the exit status is
then 1. After several ids the command compacts the file.

`service-tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut by, mut reason, mut yes) = (None, None, false);
    while let Some(option) = args.next_option()? {
        match &*option {
            "by" => args.set(&mut by, value::text)?,
            "reason" => args.set(&mut reason, value::text)?,
            "yes" => args.flag(&mut yes)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let ids = match args.ids()? {
        Some(ids) => ids,
        None if yes => read_ids()?,
        None => {
            return Err(args
                .usage_error("- needs --yes, because standard input holds the ids and no answer"));
        }
    };
    let request = revoke_request(by, reason);
    let service = args.settings.open(Access::Write)?;
    match ids[..] {
        [id] => revoke_one(&service, id, request, yes),
        _ => revoke_several(&service, &ids, &request, yes),
    }
}

/// Reads all ids before the first token is changed, so that a wrong line changes nothing.
pub(crate) fn read_ids() -> Result<Vec<TokenId>, Exit> {
    let mut ids = Vec::new();
    for (i, line) in io::stdin().lock().lines().enumerate() {
        let line = line.map_err(Exit::input)?;
        match line.trim() {
            "" => {}
            id => ids.push(value::id(id).map_err(|error| {
                Exit::Failed(format!("line {} {error}: nothing was changed", i + 1))
            })?),
        }
    }
    match ids.is_empty() {
        true => Err(Exit::Failed("standard input contains no id".into())),
        false => Ok(ids),
    }
}

fn revoke_one(
    service: &TokenService<FileStore>,
    id: TokenId,
    request: RevokeRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let record = block_on(view.get(id))?.record;
    if let Some(revocation) = record.revocation() {
        let at = time(revocation.at);
        note(format_args!(
            "{} was already revoked at {at}. Nothing changed.",
            description(&record)
        ));
        return Ok(());
    }
    if !yes {
        note(format_args!(
            "{}\nA revoked service token cannot be recovered.",
            description(&record)
        ));
        confirm("Revoke this token?")?;
    }
    block_on(view.revoke(id, request))?;
    note(format_args!("Revoked {}.", description(&record)));
    Ok(())
}

fn revoke_several(
    service: &TokenService<FileStore>,
    ids: &[TokenId],
    request: &RevokeRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let mut found = find_all(view, ids)?;
    found.records.retain(|record| record.revocation().is_none());
    if !yes && !found.records.is_empty() {
        found.records.iter().for_each(|record| note(description(record)));
        note("A revoked service token cannot be recovered.");
        confirm(&format!("Revoke these {} tokens?", found.records.len()))?;
    }
    let mut progress = Progress::new("revoking");
    let (mut outcome, total) = (Outcome::default(), found.records.len() as u64);
    for (id, at) in found.records.iter().map(|record| record.id()).zip(1..) {
        let revoked = block_on(view.revoke(id, request.clone()));
        if !outcome.add_one(id, revoked.map(|revoked| !revoked.already_revoked)) {
            break;
        }
        progress.update(at, total);
    }
    drop(progress);
    outcome.report("Revoked", "tokens", service)?;
    found.expect_known(ids)
}

/// The records of several ids.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) records: Vec<Record>,
    unknown: u64,
}

/// Reads the records, and reports each id that is unknown.
pub(crate) fn find_all(
    view: Tokens<'_, FileStore, AllOwners>,
    ids: &[TokenId],
) -> Result<Found, Exit> {
    let mut found = Found::default();
    for id in ids {
        match block_on(view.get(*id)) {
            Ok(stored) => found.records.push(stored.record),
            Err(error @ ManageError::NotFound { .. }) => {
                note(error);
                found.unknown += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

impl Found {
    /// Returns an error if one of the ids is unknown.
    pub(crate) fn expect_known(&self, ids: &[TokenId]) -> Result<(), Exit> {
        match self.unknown {
            0 => Ok(()),
            unknown => Err(Exit::Failed(format!("{unknown} of {} ids are unknown", ids.len()))),
        }
    }
}

/// Returns a request with the values of `--by` and `--reason`.
pub(crate) fn revoke_request(by: Option<String>, reason: Option<String>) -> RevokeRequest {
    let mut request = RevokeRequest::new();
    if let Some(by) = by {
        request = request.by(by);
    }
    if let Some(reason) = reason {
        request = request.reason(reason);
    }
    request
}
