//! `service-tokens issue`

use std::path::Path;

use futures_lite::future::block_on;
use service_tokens::{IssueRequest, MemoryStore, ScopeSet, TokenType};

use crate::args::Args;
use crate::clock_check;
use crate::exit::Exit;
use crate::out_file::OutFile;
use crate::output::{description, expiry, hand_over, time};
use crate::settings::{Access, Settings};
use crate::stdio;
use crate::value::{self, Expiry};

pub(crate) const HELP: &str = "\
Creates a token and prints it once, alone on standard output. Creates the file
if there is none.

  service-tokens issue --type TYPE --owner OWNER --issued-to TEXT [OPTIONS]

  --type TYPE           the token type, which sets the scopes of the token
  --owner OWNER         the tenant or account to which the token belongs
  --issued-to TEXT      the service that receives the token, as a label for
                        people
  --expires WHEN        a duration (30d), a time (2027-01-01T00:00:00Z), or
                        never, which needs --allow-never (default: 90d)
  --not-before TIME     refuse the token before this time, or for this duration
                        (12h)
  --scope SCOPE         a scope that replaces the scopes of the type; repeatable
  --metadata KEY=VALUE  a note; repeatable, each key once
  --by TEXT             the person or program that issues the token; also
                        --issued-by
  --out FILE            write the token to this file, as described in
                        `service-tokens rotate --help`

  service-tokens issue --type connector --owner acme \\
      --issued-to 'nightly backup' --out token

`service-tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut token_type, mut owner, mut issued_to, mut issued_by) = (None, None, None, None);
    let (mut expires, mut not_before) = (None, None);
    let mut out = None;
    let (mut scopes, mut metadata) = (Vec::new(), Vec::new());
    while let Some(option) = args.next_option()? {
        match &*option {
            "type" => args.set(&mut token_type, value::text)?,
            "owner" => args.set(&mut owner, value::text)?,
            "issued-to" => args.set(&mut issued_to, value::text)?,
            "by" | "issued-by" => args.set(&mut issued_by, value::text)?,
            "out" => args.set_path(&mut out)?,
            "expires" => args.set(&mut expires, Expiry::parse)?,
            "not-before" => args.set(&mut not_before, value::time_ahead)?,
            "scope" => args.push(&mut scopes, value::text)?,
            "metadata" => args.push(&mut metadata, value::metadata_entry)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let [] = args.operands([])?;
    let token_type = args.required(token_type, "type")?;
    let owner = args.required(owner, "owner")?;
    let issued_to = args.required(issued_to, "issued-to")?;
    let types = args.settings.types()?;
    let names: Vec<&str> = types.iter().map(TokenType::name).collect();
    if !names.contains(&&*token_type) {
        let names = names.join(", ");
        let error = format!("--type must be one of {names}; --type-def defines other types");
        return Err(args.usage_error(&error));
    }

    let mut request = IssueRequest::new(token_type, issued_to);
    if let Some(expires) = expires {
        request = expires.set_in_issue(request);
    }
    if let Some(start) = not_before {
        request = request.not_before(start);
    }
    if !scopes.is_empty() {
        let set = ScopeSet::new(&scopes)
            .map_err(|error| args.usage_error(&value::scope_error("--scope", &scopes, error)))?;
        request = request.scopes(set);
    }
    for (i, (key, _)) in metadata.iter().enumerate() {
        if metadata[..i].iter().any(|(earlier, _)| earlier == key) {
            return Err(args.usage_error("--metadata is given twice with the same key"));
        }
    }
    for (key, value) in metadata {
        request = request.metadata(key, value);
    }
    if let Some(by) = issued_by {
        request = request.issued_by(by);
    }

    // The request is tried in memory first, so that a refused request creates no file.
    let _ =
        block_on(args.settings.build(MemoryStore::new())?.owner(&owner).issue(request.clone()))?;
    let out = prepare_output(out.as_deref(), &args.settings)?;
    let service = args.settings.open(Access::WriteOrCreate)?;
    if let Some(out) = &out {
        out.expect_no_other(&service, None)?;
    }
    clock_check::warn(&service)?;
    let issued = block_on(service.owner(&owner).issue(request))?;
    // The program that reads the token from a pipe may open the file at once. This also writes the event.
    drop(service);
    let record = &issued.record;
    let start = record.not_before().map(|start| format!("Accepted from {}. ", time(start)));
    let about = format!(
        "Issued {}.\n{}Expires: {}.",
        description(record),
        start.unwrap_or_default(),
        expiry(record.expires_at()),
    );
    hand_over(&issued, out, &about)
}

/// Prepares the file of `--out`, or checks standard output, before a token is made.
pub(crate) fn prepare_output(
    out: Option<&Path>,
    settings: &Settings,
) -> Result<Option<OutFile>, Exit> {
    match out {
        Some(path) => OutFile::prepare(path, settings).map(Some),
        None => stdio::require_stdout_for_token().map(|()| None),
    }
}
