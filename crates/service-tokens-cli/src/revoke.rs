//! `service-tokens revoke`

use futures_lite::future::block_on;
use service_tokens::{AllOwners, FileStore, RevokeRequest, TokenId, Tokens};

use crate::args::Args;
use crate::exit::Exit;
use crate::output::{description, note, time};
use crate::prompt::confirm;
use crate::session::Session;
use crate::settings::Access;
use crate::several::{self, MAX_WAITING};
use crate::value;

pub(crate) const HELP: &str = "\
Revokes tokens permanently; a revoked token cannot be recovered. The command
shows the tokens and asks for a confirmation, which is y or yes on standard
input. Revoking a revoked token succeeds and changes nothing, but its event is
written again, in case that an interrupted command could not write it.

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
    let ids = several::ids(&args, yes)?;
    let request = revoke_request(by, reason);
    let service = args.settings.open(Access::Revoke)?;
    match ids[..] {
        [id] => revoke_one(&service, id, request, yes),
        _ => revoke_several(&service, &ids, &request, yes),
    }
}

fn revoke_one(
    service: &Session,
    id: TokenId,
    request: RevokeRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let record = block_on(view.get(id))?.record;
    if let Some(revocation) = record.revocation() {
        write_event_again(view, id, request);
        service.settle();
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
    service.settle();
    note(format_args!("Revoked {}.", description(&record)));
    Ok(())
}

fn revoke_several(
    service: &Session,
    ids: &[TokenId],
    request: &RevokeRequest,
    yes: bool,
) -> Result<(), Exit> {
    let view = service.all_owners();
    let mut found = several::find(view, ids)?;
    let revoked_before: Vec<TokenId> = found
        .records
        .extract_if(.., |record| record.revocation().is_some())
        .map(|record| record.id())
        .collect();
    if !yes && !found.records.is_empty() {
        found.describe();
        note("A revoked service token cannot be recovered.");
        confirm(&format!("Revoke these {} tokens?", found.records.len()))?;
    }
    let outcome = found.each("revoking", service, |id| {
        let revoked = block_on(view.revoke(id, request.clone()))?;
        Ok(!revoked.already_revoked)
    });
    for (id, at) in revoked_before.into_iter().zip(1_u64..) {
        write_event_again(view, id, request.clone());
        if at % MAX_WAITING == 0 {
            service.deliver();
        }
    }
    outcome.report("Revoked", "tokens", service)?;
    found.expect_known(ids)
}

/// Revokes a token that is revoked already. That changes nothing, but it writes an event. The event of the first
/// revocation is missing if that command was killed.
fn write_event_again(view: Tokens<'_, FileStore, AllOwners>, id: TokenId, request: RevokeRequest) {
    // Its failure, for example at a record of a newer version, has an event too and changes nothing.
    let _ = block_on(view.revoke(id, request));
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
