//! `service-tokens amend`

use futures_lite::future::block_on;
use service_tokens::network::Network;
use service_tokens::{AmendRequest, ScopeSet};

use crate::args::Args;
use crate::clock_check;
use crate::exit::Exit;
use crate::output::{description, note};
use crate::settings::Access;
use crate::value::{self, Expiry};

pub(crate) const HELP: &str = "\
Changes the label, the metadata or the expiry of a token, or narrows its scopes
and networks. Its secrets stay. A token never gets more scopes or networks, and
a token that has ended is never changed.

  service-tokens amend ID [OPTIONS]

  --issued-to TEXT       the label for people
  --metadata KEY=VALUE   sets a note; repeatable, each key once
  --remove-metadata KEY  removes a note; repeatable
  --expires WHEN         a new expiry, as in `service-tokens issue`; a later one
                         than now is within --max-lifetime, counted from the
                         creation of the newest secret
  --scope SCOPE          a scope that the token has and retains, all others are
                         taken away; repeatable
  --network NETWORK      a network to which the token is restricted, such as
                         10.0.0.0/8; repeatable
  --by TEXT              the person or program that amends it

`service-tokens --help` lists the options for every verb.
";

fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|error| format!("must be a network such as 10.0.0.0/8: {error}"))
}

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut issued_to, mut expires, mut by) = (None, None, None);
    let (mut metadata, mut removed) = (Vec::new(), Vec::new());
    let (mut scopes, mut networks) = (Vec::new(), Vec::new());
    while let Some(option) = args.next_option()? {
        match &*option {
            "issued-to" => args.set(&mut issued_to, value::text)?,
            "metadata" => args.push(&mut metadata, value::metadata_entry)?,
            "remove-metadata" => args.push(&mut removed, value::text)?,
            "expires" => args.set(&mut expires, Expiry::parse)?,
            "scope" => args.push(&mut scopes, value::text)?,
            "network" => args.push(&mut networks, network)?,
            "by" => args.set(&mut by, value::text)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let id = args.id()?;
    let mut keys: Vec<&str> =
        metadata.iter().map(|(key, _)| key).chain(&removed).map(|key| &**key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(args.usage_error("--metadata and --remove-metadata name a key twice"));
    }
    let mut request = AmendRequest::new();
    if let Some(issued_to) = issued_to {
        request = request.issued_to(issued_to);
    }
    for (key, value) in metadata {
        request = request.metadata(key, value);
    }
    for key in removed {
        request = request.remove_metadata(key);
    }
    if let Some(expires) = expires {
        request = expires.set_in_amendment(request);
    }
    if !scopes.is_empty() {
        let scopes = ScopeSet::new(scopes);
        request =
            request.scopes(scopes.map_err(|error| args.usage_error(&format!("--scope: {error}")))?);
    }
    if !networks.is_empty() {
        request = request.networks(networks);
    }
    if let Some(by) = by {
        request = request.by(by);
    }

    let service = args.settings.open(Access::Write)?;
    if let Some(Expiry::In(_)) = expires {
        clock_check::warn(&service)?;
    }
    let amended = block_on(service.all_owners().amend(id, request))?;
    service.settle();
    let record = description(&amended.record);
    if amended.fields.is_empty() {
        note(format_args!("{record} has these values already. Nothing changed."));
    } else {
        let fields: Vec<String> = amended.fields.iter().map(ToString::to_string).collect();
        note(format_args!("Amended {record}: {}.", fields.join(", ")));
    }
    Ok(())
}
