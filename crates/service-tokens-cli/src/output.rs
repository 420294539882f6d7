//! Writes notes to standard error and results to standard output, and formats times, labels and tokens.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, SecondsFormat, Utc};
use service_tokens::store::LastUsed;
use service_tokens::{Issued, Record, Refusal, TokenService};

use crate::exit::Exit;
use crate::out_file::{NotWritten, OutFile};
use crate::stdio;

/// Whether a line for standard error was lost.
static NOTES_LOST: AtomicBool = AtomicBool::new(false);

/// Returns whether a line for standard error was lost.
pub(crate) fn are_notes_lost() -> bool {
    NOTES_LOST.load(Ordering::Relaxed)
}

/// Writes a line to standard error. A failure does not stop the work, but the status is then not that of a
/// success.
pub(crate) fn note(text: impl Display) {
    // In one write, so that lines of several programs do not mix.
    let line = format!("{text}\n");
    if io::stderr().write_all(line.as_bytes()).is_err() {
        NOTES_LOST.store(true, Ordering::Relaxed);
    }
}

/// Writes a line to standard output.
pub(crate) fn print(line: impl Display) -> Result<(), Exit> {
    writeln!(io::stdout(), "{line}").map_err(Exit::output)
}

/// Writes a new token to the file of `--out`, or alone on a line of standard output. No other function shows a
/// token. The note is written before it.
pub(crate) fn hand_over(issued: &Issued, out: Option<OutFile>, about: &str) -> Result<(), Exit> {
    let Some(out) = out else {
        note(format_args!("{about} It is shown only once:"));
        return print_token(issued);
    };
    let path = out.path().display().to_string();
    match out.finish(issued.token.expose_secret()) {
        Ok(()) => {
            note(format_args!("{about} It is in {path}."));
            Ok(())
        }
        Err(NotWritten { error, token_in: Some(file) }) => Err(Exit::Failed(format!(
            "the token could not be put into {path}: {error}\nhint: it is in {}",
            file.display()
        ))),
        // The token is the only copy, so standard output is better than losing it.
        Err(NotWritten { error, token_in: None }) => {
            note(format_args!(
                "{about} It could not be written to {path}: {error}\nIt is shown only once, on standard output:"
            ));
            stdio::require_stdout_for_token().map_err(|_| lost(issued, &error))?;
            print_token(issued).and(Err(Exit::Silent))
        }
    }
}

fn print_token(issued: &Issued) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", issued.token.expose_secret()).and_then(|()| out.flush());
    // A closed pipe is a failure here, because the secret is lost.
    written.map_err(|error| lost(issued, &error))
}

fn lost(issued: &Issued, error: &io::Error) -> Exit {
    Exit::Failed(format!(
        "the token could not be written to standard output, and it cannot be shown again: {error}\n\
         hint: `service-tokens rotate {} --at-once --replacing newest` gives it a new secret",
        issued.record.id()
    ))
}

/// Escapes a text that another person wrote, so that a terminal can show it. Line breaks, escape
/// sequences, direction marks and other invisible characters are written as escapes.
pub(crate) fn visible(text: &str) -> String {
    // Quotes are harmless. `escape_debug` puts one backslash before each of them.
    text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// Returns a time in UTC to the second, in a form that options accept.
pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns a time in UTC with all its digits, for times that name a secret or a suspension.
pub(crate) fn exact_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Returns an expiry time, or `never`.
pub(crate) fn expiry(end: Option<DateTime<Utc>>) -> String {
    end.map_or_else(|| "never".into(), time)
}

/// Returns the time of the last use, `never`, or `-` if it is not tracked.
pub(crate) fn last_used(used: LastUsed) -> String {
    match used {
        LastUsed::NotTracked => "-".into(),
        LastUsed::Never => "never".into(),
        LastUsed::At(used) => time(used),
    }
}

/// Returns the state of a token, or `unusable` with the reason for which the tool's service refuses it in
/// spite of its state.
pub(crate) fn state<S>(service: &TokenService<S>, record: &Record) -> String {
    match unusable_reason(service, record) {
        Some(reason) => format!("unusable ({})", reason.replace('_', " ")),
        None => record.state(service.now()).to_string(),
    }
}

/// Returns the reason for which the service refuses the token, as a name for programs. It is `None` if the
/// service accepts the token or if its state is the reason.
pub(crate) fn unusable_reason<S>(
    service: &TokenService<S>,
    record: &Record,
) -> Option<&'static str> {
    match service.refusal_of(record)? {
        Refusal::Revoked | Refusal::Expired | Refusal::NotYetActive | Refusal::Suspended => None,
        Refusal::UnknownType => Some("unknown_type"),
        Refusal::NewerRecord => Some("newer_record"),
        _ => Some("other"),
    }
}

/// The hint about tokens of an unknown type, because the tool and the service may have different types.
pub(crate) const TYPE_HINT: &str =
    "hint: if the service has other types than this tool, --type-def NAME=SCOPE,SCOPE defines them";

/// Returns the id, label, owner and type of a token, for use in a sentence.
pub(crate) fn description(record: &Record) -> String {
    format!(
        "{}, issued to \"{}\" (owner {}, type {})",
        record.id(),
        visible(record.issued_to()),
        visible(record.owner()),
        record.token_type(),
    )
}
