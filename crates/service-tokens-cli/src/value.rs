//! Values of options. What is wrong with one is said as it follows the option's name.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use service_tokens::steps::Prefix;
use service_tokens::{IssueRequest, RotateRequest, TokenId, TokenType};

/// Any text.
pub(crate) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

pub(crate) fn prefix(text: &str) -> Result<Prefix, String> {
    Prefix::new(text).map_err(|error| format!("is no prefix: {error}"))
}

/// `NAME=SCOPE,SCOPE`.
pub(crate) fn type_def(text: &str) -> Result<TokenType, String> {
    let form = "must have the form NAME=SCOPE,SCOPE";
    let (name, scopes) = text.split_once('=').ok_or(form)?;
    TokenType::new(name, scopes.split(',')).map_err(|error| format!("{form}: {error}"))
}

/// `KEY=VALUE`.
pub(crate) fn entry(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must have the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) fn id(text: &str) -> Result<TokenId, String> {
    text.parse().map_err(|error| format!("is no id: {error}"))
}

/// At least one.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a number above zero".into()),
        Ok(number) => Ok(number),
    }
}

/// A number and a unit, above zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    try_duration(text)
        .ok_or_else(|| "must be a number above zero and s, m, h, d or w, such as 90d".into())
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
    // Above some hundred thousand million years the clock's arithmetic would end.
    let within = 1..=i64::MAX.unsigned_abs() / 1_000_000;
    within.contains(&seconds).then(|| Duration::from_secs(seconds))
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc))
}

/// A time, or a duration ahead of now.
pub(crate) fn ahead(text: &str) -> Result<DateTime<Utc>, String> {
    let no_time = "must be a time such as 2027-01-01T00:00:00Z, or a duration from now such as 90d";
    Ok(time(text).or_else(|| now().checked_add_signed(delta(text)?)).ok_or(no_time)?)
}

/// A time, or a duration before now.
pub(crate) fn ago(text: &str) -> Result<DateTime<Utc>, String> {
    let no_time = "must be a time such as 2027-01-01T00:00:00Z, or as long ago as 90d";
    Ok(time(text).or_else(|| now().checked_sub_signed(delta(text)?)).ok_or(no_time)?)
}

fn delta(text: &str) -> Option<TimeDelta> {
    TimeDelta::from_std(try_duration(text)?).ok()
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// When a token is to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    In(Duration),
    At(DateTime<Utc>),
    Never,
}

impl End {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let end = try_duration(text).map(Self::In).or_else(|| time(text).map(Self::At));
        Ok(end.ok_or(
            "must be a duration such as 90d, a time such as 2027-01-01T00:00:00Z, or never",
        )?)
    }

    pub(crate) fn of_issue(self, request: IssueRequest) -> IssueRequest {
        match self {
            Self::In(lifetime) => request.expires_in(lifetime),
            Self::At(end) => request.expires_at(end),
            Self::Never => request.never_expires(),
        }
    }

    pub(crate) fn of_rotation(self, request: RotateRequest) -> RotateRequest {
        match self {
            Self::In(lifetime) => request.expires_in(lifetime),
            Self::At(end) => request.expires_at(end),
            Self::Never => request.never_expires(),
        }
    }
}
