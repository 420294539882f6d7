//! `tokens show`

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::StoredRecord;

use crate::args::Words;
use crate::json;
use crate::settings::Access;
use crate::stop::Stop;
use crate::text::{end, last_used, time, visible};

pub(crate) const HELP: &str = "\
Shows all that is known of one token: never the token itself, which nobody
knows any more.

  tokens show ID [--json]

  --json    one JSON object: what `tokens list --json` tells, and secret_created_at,
            older_secret_ends_at, older_secret_ends_on_first_use, issued_by,
            issuers, revoked_at, revoked_by, reason and newer_format, those
            that there are; newer_format is true where a newer version wrote
            the record and some of its fields are not shown

`tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut words: Words) -> Result<(), Stop> {
    let mut as_json = false;
    while let Some(option) = words.next_option()? {
        match &*option {
            "json" => words.flag(&mut as_json)?,
            _ => return Err(words.unknown(&option)),
        }
    }
    let id = words.id()?;

    let service = words.settings.open(Access::Read)?;
    let stored = block_on(service.all_owners().get(id))?;
    let now = service.now();
    let mut out = io::stdout().lock();
    if as_json {
        return writeln!(out, "{}", json::shown(&stored, now)).map_err(Stop::output);
    }
    for (name, value) in lines(&stored, now) {
        writeln!(out, "{name:<18}  {value}").map_err(Stop::output)?;
    }
    Ok(())
}

fn lines(stored: &StoredRecord, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let record = &stored.record;
    let mut lines = vec![
        ("ID", record.id().to_string()),
        ("Type", visible(record.token_type())),
        ("Issued To", visible(record.issued_to())),
        ("Owner", visible(record.owner())),
        ("Scopes", record.scopes().as_str().to_owned()),
        ("State", record.state(now).to_string()),
        ("Created At", time(record.created_at())),
        ("Expiration", end(record.expires_at())),
        ("Last Used", last_used(stored.last_used)),
    ];
    lines.extend(record.not_before().map(|start| ("Not Before", time(start))));
    if record.secret_created_at() != record.created_at() {
        lines.push(("Rotated At", time(record.secret_created_at())));
    }
    lines.extend(record.overlap(now).map(|both| {
        let first_use =
            if both.ends_on_first_use { ", or when the new one is first used" } else { "" };
        ("Older Secret Ends", format!("{}{first_use}", time(both.ends_at)))
    }));
    lines.extend(record.issued_by().map(|by| ("Issued By", visible(by))));
    lines.extend(record.issuers().iter().map(|issuer| ("Issued By Token", issuer.to_string())));
    let entry = |(key, value)| ("Metadata", format!("{}={}", visible(key), visible(value)));
    lines.extend(record.metadata().map(entry));
    if let Some(revocation) = record.revocation() {
        lines.push(("Revoked At", time(revocation.at)));
        lines.extend(revocation.by.as_deref().map(|by| ("Revoked By", visible(by))));
        lines.extend(revocation.reason.as_deref().map(|why| ("Reason", visible(why))));
    }
    if record.is_newer() {
        lines.push(("Written By", "a newer version: some of its fields are not shown".into()));
    }
    lines
}
