//! `service-tokens show`

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use futures_lite::future::block_on;
use service_tokens::{StoredRecord, TokenService};

use crate::args::Args;
use crate::exit::Exit;
use crate::json;
use crate::output::{
    TYPE_HINT, exact_time, expiry, last_used, note, state, time, unusable_reason, visible,
};
use crate::settings::Access;
use crate::stdio;

pub(crate) const HELP: &str = "\
Shows everything that is stored about one token. The token itself is not stored,
so it cannot be shown.

  service-tokens show ID [--json]

  --json    print one JSON object

Members of the JSON object: those of `service-tokens list --json`, and these;
those with a ? only if the token has such a value:
  secret_created_by?, secret_created_on_behalf_of?, end_set_at,
  older_secret_created_at?, older_secret_ends_at?,
  older_secret_ends_on_first_use?, issued_by?, issuers?, revoked_at?,
  revoked_by?, reason?, newer_format?

secret_created_at, secret_created_by and secret_created_on_behalf_of (the id of
a token) say when and for which caller the newest secret was made. end_set_at is
the time at which the present expires_at was set. newer_format is true if a
newer version wrote the record; some of its fields are then not shown.

`service-tokens --help` lists the options for every verb.
";

pub(crate) fn run(mut args: Args) -> Result<(), Exit> {
    let mut as_json = false;
    while let Some(option) = args.next_option()? {
        match &*option {
            "json" => args.flag(&mut as_json)?,
            _ => return Err(args.unknown_option(&option)),
        }
    }
    let id = args.id()?;

    stdio::require_stdout()?;
    let service = args.settings.open(Access::Read)?;
    let stored = block_on(service.all_owners().get(id))?;
    let mut out = io::stdout().lock();
    if as_json {
        return writeln!(out, "{}", json::details(&stored, &service)).map_err(Exit::output);
    }
    for (name, value) in lines(&stored, &service) {
        writeln!(out, "{name:<18}  {value}").map_err(Exit::output)?;
    }
    if unusable_reason(&service, &stored.record) == Some("unknown_type") {
        note(TYPE_HINT);
    }
    Ok(())
}

fn lines<S>(stored: &StoredRecord, service: &TokenService<S>) -> Vec<(&'static str, String)> {
    let (record, now) = (&stored.record, service.now());
    let mut lines = vec![
        ("ID", record.id().to_string()),
        ("Type", visible(record.token_type())),
        ("Issued To", visible(record.issued_to())),
        ("Owner", visible(record.owner())),
        ("Scopes", record.scopes().as_str().to_owned()),
        ("State", state(service, record)),
        ("Created At", time(record.created_at())),
        ("Expiration", expiry(record.expires_at())),
        ("Last Used", last_used(stored.last_used)),
    ];
    lines.extend(record.not_before().map(|start| ("Not Before", time(start))));
    if record.secret_created_at() != record.created_at() {
        lines.push(("Secret Created At", time(record.secret_created_at())));
        lines.extend(record.secret_created_by().map(|by| ("Secret Created By", visible(by))));
        let on_behalf_of = record.secret_created_on_behalf_of();
        lines.extend(on_behalf_of.map(|id| ("Secret By Token", id.to_string())));
    }
    if record.end_set_at() != record.created_at() {
        lines.push(("End Set At", time(record.end_set_at())));
    }
    if record.is_imported() {
        let text = match record.has_imported_secret(now) {
            true => "yes; the text of the older system is still a secret",
            false => "yes; the text of the older system has ended",
        };
        lines.push(("Imported", text.into()));
    }
    lines.extend(record.overlap(now).map(|overlap| {
        let first_use =
            if overlap.ends_on_first_use { ", or when the new one is first used" } else { "" };
        ("Older Secret Ends", format!("{}{first_use}", time(overlap.ends_at)))
    }));
    lines.extend(record.issued_by().map(|by| ("Issued By", visible(by))));
    lines.extend(record.issuers().iter().map(|issuer| ("Issued By Token", issuer.to_string())));
    lines.extend(record.networks().map(|network| ("Network", network.to_string())));
    let entry = |(key, value)| ("Metadata", format!("{}={}", visible(key), visible(value)));
    lines.extend(record.metadata().map(entry));
    for suspension in record.suspensions() {
        lines.push(("Suspended Since", exact_time(suspension.since)));
        lines.push((
            "Suspended Until",
            suspension.until.map_or("resumed".into(), |end| until(end, now)),
        ));
        lines.extend(suspension.by.as_deref().map(|by| ("Suspended By", visible(by))));
        lines.extend(suspension.reason.as_deref().map(|text| ("Suspended For", visible(text))));
    }
    if let Some(revocation) = record.revocation() {
        lines.push(("Revoked At", time(revocation.at)));
        lines.extend(revocation.by.as_deref().map(|by| ("Revoked By", visible(by))));
        lines.extend(revocation.reason.as_deref().map(|reason| ("Reason", visible(reason))));
    }
    if record.is_newer() {
        lines.push(("Written By", "a newer version; some of its fields are not shown".into()));
    }
    lines
}

/// Returns the end of a suspension. One that has passed stays in the record until the token is resumed.
fn until(end: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{}{}", time(end), if end <= now { " (passed)" } else { "" })
}
