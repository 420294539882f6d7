//! Parses the values of options. Each error message continues a sentence that begins with the name of
//! the option.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::steps::Prefix;
use service_tokens::{
    AmendRequest, ImportRequest, InvalidScope, IssueRequest, RotateRequest, ScopeSet, TokenId,
    TokenType,
};

/// Accepts any text.
pub(crate) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// Parses a token prefix.
pub(crate) fn prefix(text: &str) -> Result<Prefix, String> {
    Prefix::new(text).map_err(|error| format!("is not a valid prefix: {error}"))
}

/// Parses a token type in the form `NAME=SCOPE,SCOPE`.
pub(crate) fn type_def(text: &str) -> Result<TokenType, String> {
    let form = "must have the form NAME=SCOPE,SCOPE";
    let (name, scopes) = text.split_once('=').ok_or(form)?;
    let scopes: Vec<&str> = scopes.split(',').collect();
    TokenType::new(name, &scopes).map_err(|error| match error {
        InvalidScope::TypeName => format!("{form}: {error}"),
        error => format!("{form}: {}", scope_error("SCOPE", &scopes, error)),
    })
}

/// Returns the error of a list of scopes. It counts to the first invalid one and does not repeat it.
pub(crate) fn scope_error(name: &str, scopes: &[impl AsRef<str>], error: InvalidScope) -> String {
    match scopes.iter().position(|scope| ScopeSet::new([scope]).is_err()) {
        Some(index) => format!("{name} number {}: {error}", index + 1),
        // There are too many of them.
        None => format!("{name}: {error}"),
    }
}

/// Parses a metadata entry in the form `KEY=VALUE`.
pub(crate) fn metadata_entry(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must have the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Parses a token id.
pub(crate) fn id(text: &str) -> Result<TokenId, String> {
    text.parse().map_err(|error| format!("is not a token id: {error}"))
}

/// Parses a number of at least 1.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a number above zero".into()),
        Ok(number) => Ok(number),
    }
}

/// Parses a duration above zero, a number with a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    try_duration(text)
        .ok_or_else(|| "must be a number above zero with s, m, h, d or w, such as 90d".into())
}

fn try_duration(text: &str) -> Option<Duration> {
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    // Durations above about 300,000 years would overflow the arithmetic of times.
    let within = 1..=i64::MAX.unsigned_abs() / 1_000_000;
    within.contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// Parses a time.
pub(crate) fn time(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc))
}

/// Parses a time in the form in which databases print it, such as `2027-01-01 00:00:00.5+00`. Without a zone
/// it is in UTC.
pub(crate) fn database_time(text: &str) -> Option<DateTime<Utc>> {
    let (date_and_time, rest) = text.split_at_checked("2027-01-01 00:00:00".len())?;
    let is_placed = |(byte, pattern): (u8, u8)| match pattern {
        b'0' => byte.is_ascii_digit(),
        b' ' => byte == b' ' || byte == b'T',
        other => byte == other,
    };
    if !date_and_time.bytes().zip(*b"0000-00-00 00:00:00").all(is_placed) {
        return None;
    }
    let fraction = rest
        .strip_prefix('.')
        .map_or(0, |digits| 1 + digits.bytes().take_while(u8::is_ascii_digit).count());
    let (fraction, zone) = rest.split_at_checked(fraction)?;
    // A zone of whole hours has no minutes in PostgreSQL.
    let zone = match zone.len() {
        0 => "Z".to_owned(),
        3 if zone != "UTC" => format!("{zone}:00"),
        _ => zone.to_owned(),
    };
    let text = format!("{}{fraction}{zone}", date_and_time.replace(' ', "T"));
    time(&text)
}

/// Parses a time that names a secret or a suspension.
pub(crate) fn exact_time(text: &str) -> Result<DateTime<Utc>, String> {
    Ok(time(text).ok_or("must be a time such as 2027-01-01T00:00:00.000001Z")?)
}

/// Parses a time, or a duration that is added to the present time.
pub(crate) fn time_ahead(text: &str) -> Result<DateTime<Utc>, String> {
    let expected =
        "must be a time such as 2027-01-01T00:00:00Z, or a duration from now such as 90d";
    Ok(time(text).or_else(|| now().checked_add_signed(delta(text)?)).ok_or(expected)?)
}

/// Parses a time, or a duration that is subtracted from the present time.
pub(crate) fn time_ago(text: &str) -> Result<DateTime<Utc>, String> {
    let expected =
        "must be a time such as 2027-01-01T00:00:00Z, or a duration before now such as 90d";
    Ok(time(text).or_else(|| now().checked_sub_signed(delta(text)?)).ok_or(expected)?)
}

fn delta(text: &str) -> Option<TimeDelta> {
    TimeDelta::from_std(try_duration(text)?).ok()
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// The value of `--expires`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    In(Duration),
    At(DateTime<Utc>),
    Never,
}

impl Expiry {
    /// Parses a duration from now, a time, or `never`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let expiry = try_duration(text).map(Self::In).or_else(|| time(text).map(Self::At));
        Ok(expiry.ok_or(
            "must be a duration such as 90d, a time such as 2027-01-01T00:00:00Z, or never",
        )?)
    }

    /// Sets this expiry in a request to issue a token.
    pub(crate) fn set_in_issue(self, request: IssueRequest) -> IssueRequest {
        match self {
            Self::In(lifetime) => request.expires_in(lifetime),
            Self::At(end) => request.expires_at(end),
            Self::Never => request.never_expires(),
        }
    }

    /// Sets this expiry in a request to amend a token.
    pub(crate) fn set_in_amendment(self, request: AmendRequest) -> AmendRequest {
        match self {
            Self::In(lifetime) => request.expires_in(lifetime),
            Self::At(end) => request.expires_at(end),
            Self::Never => request.never_expires(),
        }
    }

    /// Sets this expiry in a request to import a token.
    pub(crate) fn set_in_import(self, request: ImportRequest) -> ImportRequest {
        match self {
            Self::In(lifetime) => request.expires_in(lifetime),
            Self::At(end) => request.expires_at(end),
            Self::Never => request.never_expires(),
        }
    }

    /// Sets this expiry in a request to rotate a token.
    pub(crate) fn set_in_rotation(self, request: RotateRequest) -> RotateRequest {
        match self {
            Self::In(lifetime) => request.expires_in(lifetime),
            Self::At(end) => request.expires_at(end),
            Self::Never => request.never_expires(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_time_without_zone_is_utc() {
        let expected = time("2026-01-02T03:04:05Z");
        for text in [
            "2026-01-02 03:04:05",
            "2026-01-02T03:04:05",
            "2026-01-02 03:04:05Z",
            "2026-01-02 03:04:05.000000",
            "2026-01-02 03:04:05+00",
            "2026-01-02 03:04:05.000+00:00",
            "2026-01-02 05:04:05+02",
            "2026-01-01 21:34:05-05:30",
        ] {
            assert_eq!(database_time(text), expected, "{text}");
        }
        let micros = |text| database_time(text).map(|time| time.timestamp_subsec_micros());
        assert_eq!(micros("2026-01-02 03:04:05.123456"), Some(123_456));
        assert_eq!(micros("2026-01-02 03:04:05.1+00"), Some(100_000));
        assert_eq!(micros("2026-01-02 03:04:05.123456789Z"), Some(123_456));
        for text in [
            "",
            "2026-01-02",
            "2026-01-02 03:04",
            "2026-01-02  03:04:05",
            "0000-00-00 00:00:00",
            "2026-13-02 03:04:05",
            "2026-01-02 24:04:05",
            "2026-01-02 03:04:05.",
            "2026-01-02 03:04:05 ",
            "2026-01-02 03:04:05+",
            "2026-01-02 03:04:05 UTC",
            "2026-01-02 03:04:05é",
            "+026-01-02 03:04:05",
            "02.01.2026 03:04:05",
            "1767323045",
            "infinity",
        ] {
            assert_eq!(database_time(text), None, "{text}");
        }
    }
}
