//! `tokens issue`

use futures_lite::future::block_on;
use service_tokens::{IssueRequest, MemoryStore, ScopeSet, TokenType};

use crate::args::Words;
use crate::handover::hand_over;
use crate::settings::Access;
use crate::stop::{Stop, note};
use crate::text::{end, time, which};
use crate::value::{self, End};

pub(crate) const HELP: &str = "\
Makes a token and prints it, this once, alone on standard output. Creates the
file if there is none.

  tokens issue --type TYPE --owner OWNER --issued-to TEXT [OPTIONS]

  --type TYPE           what it may do: a type of the service
  --owner OWNER         the tenant or account that it belongs to
  --issued-to TEXT      which service it is given to, for people
  --expires WHEN        a duration (30d), a time (2027-01-01T00:00:00Z), or
                        never, which needs --allow-never; 90d unless given
  --not-before TIME     not accepted before this time, or for so long (12h)
  --scope SCOPE         this scope instead of all of the type's; repeatable
  --metadata KEY=VALUE  a note; repeatable, each key once
  --issued-by TEXT      who issues it

Into a file that only you can read:

  (umask 077; tokens issue --type connector --owner acme \\
      --issued-to 'nightly backup' > token)

`tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    let (mut token_type, mut owner, mut issued_to, mut issued_by) = (None, None, None, None);
    let (mut expires, mut not_before) = (None, None);
    let (mut scopes, mut metadata) = (Vec::new(), Vec::new());
    while let Some(option) = words.next_option()? {
        match &*option {
            "type" => words.set(&mut token_type, value::text)?,
            "owner" => words.set(&mut owner, value::text)?,
            "issued-to" => words.set(&mut issued_to, value::text)?,
            "issued-by" => words.set(&mut issued_by, value::text)?,
            "expires" => words.set(&mut expires, End::read)?,
            "not-before" => words.set(&mut not_before, value::ahead)?,
            "scope" => words.push(&mut scopes, value::text)?,
            "metadata" => words.push(&mut metadata, value::entry)?,
            _ => return Err(words.unknown(&option)),
        }
    }
    let [] = words.operands([])?;
    let token_type = words.required(token_type, "type")?;
    let owner = words.required(owner, "owner")?;
    let issued_to = words.required(issued_to, "issued-to")?;
    let types = words.settings.types()?;
    let names: Vec<&str> = types.iter().map(TokenType::name).collect();
    if !names.contains(&&*token_type) {
        let names = names.join(", ");
        let mistake = format!("--type must be one of {names}; --type-def tells of further types");
        return Err(words.mistake(&mistake));
    }

    let mut request = IssueRequest::new(token_type, issued_to);
    if let Some(expires) = expires {
        request = expires.of_issue(request);
    }
    if let Some(start) = not_before {
        request = request.not_before(start);
    }
    if !scopes.is_empty() {
        let scopes = ScopeSet::new(scopes);
        request = request.scopes(scopes.map_err(|e| words.mistake(&format!("--scope: {e}")))?);
    }
    for (i, (key, _)) in metadata.iter().enumerate() {
        if metadata[..i].iter().any(|(earlier, _)| earlier == key) {
            return Err(words.mistake("--metadata is given twice with the same key"));
        }
    }
    for (key, value) in metadata {
        request = request.metadata(key, value);
    }
    if let Some(by) = issued_by {
        request = request.issued_by(by);
    }

    // What is refused must not leave a new file.
    let _ =
        block_on(words.settings.over(MemoryStore::new())?.owner(&owner).issue(request.clone()))?;
    let service = words.settings.open(Access::ChangeOrCreate)?;
    let issued = block_on(service.owner(&owner).issue(request))?;
    // Whoever reads the token from a pipe may want the file.
    drop(service);
    let record = &issued.record;
    let start = record.not_before().map(|start| format!("Accepted from {}. ", time(start)));
    note(format_args!(
        "Issued {}.\n{}Expires: {}. The token is shown this once:",
        which(record),
        start.unwrap_or_default(),
        end(record.expires_at()),
    ));
    hand_over(&issued)
}
