//! How texts and times are shown to people.

use chrono::{DateTime, Utc};
use service_tokens::Record;
use service_tokens::store::LastUsed;

/// A text that somebody else has written, fit for a terminal: line breaks, escapes, marks that turn
/// the direction of writing, and whatever else does not show, are spelled out.
pub(crate) fn visible(text: &str) -> String {
    // Quotes are harmless. Every quote in the escaped text has a backslash of its own.
    text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// UTC to the second, in a form that options take.
pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn end(end: Option<DateTime<Utc>>) -> String {
    end.map_or_else(|| "never".into(), time)
}

pub(crate) fn last_used(used: LastUsed) -> String {
    match used {
        LastUsed::NotTracked => "-".into(),
        LastUsed::Never => "never".into(),
        LastUsed::At(used) => time(used),
    }
}

/// Which token it is, for a sentence.
pub(crate) fn which(record: &Record) -> String {
    format!(
        "{}, issued to \"{}\" (owner {}, type {})",
        record.id(),
        visible(record.issued_to()),
        visible(record.owner()),
        record.token_type(),
    )
}
