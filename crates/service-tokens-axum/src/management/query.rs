//! Query strings, each parameter once and each of them known.

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::json::{Broken, Json, shown};

/// The query string as a `T` whose fields are its parameters.
pub(super) struct Parameters<T>(pub(super) T);

/// No parameters at all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Refuses a query string where there is nothing to ask for.
pub(super) type NoQuery = Parameters<Nothing>;

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let mut members = Vec::new();
        let query = parts.uri.query().filter(|query| !query.is_empty());
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).filter(|name| !name.is_empty()).ok_or_else(|| {
                failure().detail("The name of a parameter is empty or wrongly encoded.")
            })?;
            match decode(value) {
                None => return Err(refused(&name, "is wrongly encoded")),
                Some(value) if value.is_empty() => return Err(refused(&name, "must not be empty")),
                Some(value) => members.push((name, Json::Text(value))),
            }
        }
        T::deserialize(Json::Object(members)).map(Self).map_err(
            |Broken { field, rule }| match field {
                Some(name) => refused(&name, rule),
                None => failure().detail(format!("The query {rule}.")),
            },
        )
    }
}

/// A parameter that breaks a rule.
pub(super) fn refused(name: &str, rule: impl Into<String>) -> Failure {
    failure().field(shown(name), rule)
}

fn failure() -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid-parameter", "A query parameter breaks a rule")
}

/// As the URL standard decodes forms, but what is no escape and no UTF-8 is refused.
fn decode(text: &str) -> Option<String> {
    let bytes = text.replace('+', " ").into_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        bytes.get(at + 1..at + 3).filter(|two| two.iter().all(u8::is_ascii_hexdigit))?;
    }
    percent_decode(&bytes).decode_utf8().ok().map(Into::into)
}
