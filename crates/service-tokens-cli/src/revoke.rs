//! `tokens revoke`

use std::io::{self, BufRead};

use futures_lite::future::block_on;
use service_tokens::{FileStore, ManageError, RevokeRequest, TokenId, TokenService};

use crate::args::Words;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::prompt::agree;
use crate::settings::Access;
use crate::stop::{Stop, note};
use crate::text::{time, which};
use crate::value;

pub(crate) const HELP: &str = "\
Revokes tokens, for good: a revoked token cannot be recovered. Shows which they
are and asks; only y or yes on standard input revokes them. Revoking one again
is a success that changes nothing.

  tokens revoke ID... [OPTIONS]
  tokens revoke - --yes [OPTIONS] < ids
                    the ids are on standard input, one a line

  --by TEXT         who revokes them
  --reason TEXT     why
  --yes             do not ask

Of several ids, one that is no token's stops no other, and the status is 1. In
the end the file is written anew, so that it gets smaller.

`tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    let (mut by, mut reason, mut yes) = (None, None, false);
    while let Some(option) = words.next_option()? {
        match &*option {
            "by" => words.set(&mut by, value::text)?,
            "reason" => words.set(&mut reason, value::text)?,
            "yes" => words.flag(&mut yes)?,
            _ => return Err(words.unknown(&option)),
        }
    }
    let ids = match words.ids()? {
        Some(ids) => ids,
        None if yes => read_ids()?,
        None => return Err(words.mistake("- needs --yes: the answer cannot stand there as well")),
    };
    let request = request(by, reason);
    let service = words.settings.open(Access::Change)?;
    match ids[..] {
        [id] => one(&service, id, request, yes),
        _ => several(&service, &ids, &request, yes),
    }
}

/// All of them before the first is revoked, so that a mistake changes nothing.
fn read_ids() -> Result<Vec<TokenId>, Stop> {
    let mut ids = Vec::new();
    for (i, line) in io::stdin().lock().lines().enumerate() {
        let line = line.map_err(Stop::input)?;
        match line.trim() {
            "" => {}
            id => ids.push(value::id(id).map_err(|why| {
                Stop::Failed(format!("line {} {why}: nothing was changed", i + 1))
            })?),
        }
    }
    match ids.is_empty() {
        true => Err(Stop::Failed("there was no id on standard input".into())),
        false => Ok(ids),
    }
}

fn one(
    service: &TokenService<FileStore>,
    id: TokenId,
    request: RevokeRequest,
    yes: bool,
) -> Result<(), Stop> {
    let view = service.all_owners();
    let record = block_on(view.get(id))?.record;
    if let Some(revocation) = record.revocation() {
        let at = time(revocation.at);
        note(format_args!("{} was revoked already, at {at}. Nothing changed.", which(&record)));
        return Ok(());
    }
    if !yes {
        note(format_args!("{}\nA revoked service token cannot be recovered.", which(&record)));
        agree("Revoke it?")?;
    }
    block_on(view.revoke(id, request))?;
    note(format_args!("Revoked {}.", which(&record)));
    Ok(())
}

fn several(
    service: &TokenService<FileStore>,
    ids: &[TokenId],
    request: &RevokeRequest,
    yes: bool,
) -> Result<(), Stop> {
    let view = service.all_owners();
    let (mut found, mut unknown) = (Vec::new(), 0_u64);
    for id in ids {
        match block_on(view.get(*id)) {
            Ok(stored) => found.push(stored.record),
            Err(error @ ManageError::NotFound { .. }) => {
                note(error);
                unknown += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    found.retain(|record| record.revocation().is_none());
    if !yes && !found.is_empty() {
        found.iter().for_each(|record| note(which(record)));
        note("A revoked service token cannot be recovered.");
        agree(&format!("Revoke these {}?", found.len()))?;
    }
    let mut progress = Progress::new("revoking");
    let (mut outcome, total) = (Outcome::default(), found.len() as u64);
    for (id, at) in found.iter().map(|record| record.id()).zip(1..) {
        let revoked = block_on(view.revoke(id, request.clone()));
        if !outcome.add_one(id, revoked.map(|revoked| !revoked.already_revoked)) {
            break;
        }
        progress.show(at, total);
    }
    drop(progress);
    outcome.tell("Revoked", "tokens", service)?;
    match unknown {
        0 => Ok(()),
        _ => Err(Stop::Failed(format!("{unknown} of {} ids are no token's", ids.len()))),
    }
}

/// By whom and why, as far as it was said.
pub(crate) fn request(by: Option<String>, reason: Option<String>) -> RevokeRequest {
    let mut request = RevokeRequest::new();
    if let Some(by) = by {
        request = request.by(by);
    }
    if let Some(reason) = reason {
        request = request.reason(reason);
    }
    request
}
