//! `service-tokens replay-revocations`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use futures_lite::future::block_on;
use serde_json::Value;
use service_tokens::{ManageError, TokenId};

use crate::args::Args;
use crate::exit::Exit;
use crate::outcome::Outcome;
use crate::output::{note, print, visible};
use crate::progress::Progress;
use crate::prompt::{ask, cancelled};
use crate::revoke::revoke_request;
use crate::session::Session;
use crate::settings::Access;
use crate::several::MAX_WAITING;
use crate::stdio;
use crate::value;

pub(crate) const HELP: &str = "\
Revokes the tokens that events name as revoked, permanently. Use it after an old
copy of the token file was put into use, because the copy lacks the revocations
since it was made.

  service-tokens replay-revocations FILE... [OPTIONS]
  service-tokens replay-revocations - --yes-revoke NUMBER [OPTIONS] < FILE

A file has one event per line, in JSON, with the members event and id. These are
the events file of this tool, and a log of the service that serializes its
events. Other events are ignored. Each token is revoked with the author and the
reason of its event. The order does not matter, and a token that is revoked
already does not change, so the command can be repeated.

  --by TEXT             the author instead of that of the event
  --reason TEXT         the reason instead of that of the event
  --dry-run             print the number of tokens and change nothing
  --yes-revoke NUMBER   do not ask for a confirmation: revoke the tokens if
                        there are exactly this many, otherwise none

Ids without a record are reported, and the service refuses their tokens. They
were issued after the copy was made, or they were purged. If no id has a record,
the exit status is 5, because the events are probably of another service.

Lines that are not events are reported, and the exit status is then 1. The other
lines still count. Such a line may be a revocation that a crash has cut.

`service-tokens --help` lists the options for every verb.
";

/// The maximum number of lines and ids that are listed for one reason.
const MAX_LISTED: usize = 100;

/// The author and the reason of a revocation.
type Words = (Option<String>, Option<String>);

/// The revocations in the files.
#[derive(Debug, Default)]
struct Found {
    revocations: BTreeMap<TokenId, Words>,
    events: u64,
    /// The places of lines that are not events.
    unreadable: Vec<String>,
}

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let (mut by, mut reason, mut expected, mut dry_run) = (None, None, None, false);
    while let Some(option) = args.next_option()? {
        match &*option {
            "by" => args.set(&mut by, value::text)?,
            "reason" => args.set(&mut reason, value::text)?,
            "dry-run" => args.flag(&mut dry_run)?,
            "yes-revoke" => args.set(&mut expected, value::number)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let files = args.files("FILE")?.to_vec();
    if files.iter().any(|file| file == "-") && expected.is_none() && !dry_run {
        return Err(args.usage_error(
            "- needs --yes-revoke, because standard input holds the events and no answer",
        ));
    }
    args.settings.reads_events = true;
    if dry_run {
        stdio::require_stdout()?;
    }
    let mut found = Found::default();
    for file in &files {
        found.read(file)?;
    }
    let service = args.settings.open(if dry_run { Access::Read } else { Access::Revoke })?;
    let (live, missing) = found.compare(&service)?;

    list(&found.unreadable, "is not an event, and may be a revocation that was cut");
    let named = found.revocations.len();
    let ids: Vec<String> = missing.iter().map(ToString::to_string).collect();
    list(&ids, "has no record");
    note(format_args!(
        "{} events name {named} revoked tokens: {} are not revoked, {} are revoked already, {} have no record.",
        found.events,
        live.len(),
        named - live.len() - missing.len(),
        missing.len()
    ));
    if dry_run {
        print(live.len())?;
    } else if !live.is_empty() {
        confirm(live.len() as u64, expected)?;
        let revoke = |id: TokenId| {
            let (of_event_by, of_event_reason) =
                found.revocations.get(&id).cloned().unwrap_or_default();
            let request =
                revoke_request(by.clone().or(of_event_by), reason.clone().or(of_event_reason));
            let revoked = block_on(service.all_owners().revoke(id, request))?;
            Ok(!revoked.already_revoked)
        };
        revoke_all(&service, &live, revoke).report("Revoked", "tokens", &service)?;
    } else {
        note("Nothing changed.");
    }
    match found.unreadable.len() {
        0 if named > 0 && missing.len() == named => Err(Exit::Unknown(
            "none of the ids has a record, so the events are probably of another service: nothing was changed"
                .into(),
        )),
        0 => Ok(()),
        lines => Err(Exit::Failed(format!("{lines} lines are not events"))),
    }
}

fn confirm(live: u64, expected: Option<u64>) -> Result<(), Exit> {
    match expected {
        Some(expected) if expected != live => Err(Exit::Failed(format!(
            "--yes-revoke is {expected}, but {live} tokens are not revoked: nothing was changed"
        ))),
        Some(_) => Ok(()),
        None => {
            note("A revoked service token cannot be recovered.");
            match ask(&format!("Type {live} to revoke them:"))? == live.to_string() {
                true => Ok(()),
                false => Err(cancelled()),
            }
        }
    }
}

fn revoke_all(
    service: &Session,
    ids: &[TokenId],
    revoke: impl Fn(TokenId) -> Result<bool, ManageError>,
) -> Outcome {
    let (mut progress, mut outcome) = (Progress::new("revoking"), Outcome::default());
    for (id, at) in ids.iter().zip(1..) {
        if !outcome.add_one(*id, revoke(*id)) {
            break;
        }
        if at % MAX_WAITING == 0 {
            service.deliver();
        }
        progress.update(at, ids.len() as u64);
    }
    outcome
}

impl Found {
    fn read(&mut self, file: &str) -> Result<(), Exit> {
        let failed = |error: io::Error| Exit::Failed(format!("reading {}: {error}", visible(file)));
        let mut input: Box<dyn BufRead> = match file {
            "-" => Box::new(io::stdin().lock()),
            _ => Box::new(BufReader::new(File::open(file).map_err(failed)?)),
        };
        let (mut line, mut number) = (Vec::new(), 0_u64);
        while input.read_until(b'\n', &mut line).map_err(failed)? > 0 {
            number += 1;
            let is_event = line.trim_ascii().is_empty() || self.add(&line);
            if !is_event {
                self.unreadable.push(format!("{}: line {number}", visible(file)));
            }
            line.clear();
        }
        Ok(())
    }

    /// Adds the event of a line. Returns `false` if the line is not an event, or is a revocation without an id.
    fn add(&mut self, line: &[u8]) -> bool {
        let Ok(Value::Object(event)) = serde_json::from_slice(line) else { return false };
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let Some(name) = text("event") else { return false };
        // The second one is written if the command of the revocation was killed before it wrote the first one.
        if name == "revoked" || name == "already_revoked" {
            let Some(id) = text("id").and_then(|id| id.parse().ok()) else { return false };
            let words = (text("by").map(str::to_owned), text("reason").map(str::to_owned));
            let known = self.revocations.entry(id).or_default();
            // The first revocation of a token is the one that its record had.
            if *known == (None, None) {
                *known = words;
            }
        }
        self.events += 1;
        true
    }

    /// Returns the ids of tokens that are not revoked, and those without a record.
    fn compare(&self, service: &Session) -> Result<(Vec<TokenId>, Vec<TokenId>), Exit> {
        let (mut live, mut missing) = (Vec::new(), Vec::new());
        for id in self.revocations.keys() {
            match block_on(service.all_owners().get(*id)) {
                Ok(stored) if stored.record.revocation().is_none() => live.push(*id),
                Ok(_) => {}
                Err(ManageError::NotFound { .. }) => missing.push(*id),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((live, missing))
    }
}

/// Lists the first of these with what is true about each, and the number of the others.
fn list(items: &[String], what: &str) {
    for item in items.iter().take(MAX_LISTED) {
        note(format_args!("{item} {what}"));
    }
    if items.len() > MAX_LISTED {
        note(format_args!("and {} more", items.len() - MAX_LISTED));
    }
}
