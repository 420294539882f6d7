//! `tokens revoke`

use futures_lite::future::block_on;
use service_tokens::RevokeRequest;

use crate::args::Words;
use crate::prompt::agree;
use crate::settings::Access;
use crate::stop::{Stop, note};
use crate::text::{time, which};
use crate::value;

pub(crate) const HELP: &str = "\
Revokes a token, for good: a revoked token cannot be recovered. Shows which it
is and asks; only y or yes on standard input revokes it. Revoking it again is a
success that changes nothing.

  tokens revoke ID [OPTIONS]

  --by TEXT         who revokes it
  --reason TEXT     why
  --yes             do not ask

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
    let id = words.id()?;

    let service = words.settings.open(Access::Change)?;
    let view = service.every_owner();
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
    block_on(view.revoke(id, request(by, reason)))?;
    note(format_args!("Revoked {}.", which(&record)));
    Ok(())
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
