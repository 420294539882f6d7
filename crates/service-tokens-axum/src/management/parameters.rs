//! The parameters in the query and in the path.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use http::StatusCode;
use http::request::Parts;
use percent_encoding::percent_decode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use service_tokens::TokenId;
use utoipa::IntoParams;

use super::failure::Failure;
use super::strict_json::{BrokenRule, Json, shown_name};

/// An id that no token has, because issued tokens have a UUID of version 7.
const UNUSED_ID: TokenId = TokenId::from_bytes([0; 16]);

/// The id in a path, for the OpenAPI description.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "PathId reads the id, and this type describes it")]
pub(super) struct IdParam {
    /// The id of a token. An id that is malformed, unknown or of another owner's token gets the same 404.
    #[param(pattern = "^[0-9A-Za-z]{22}$", example = "05Swf3OEdIgE2bQlsPJ8wB")]
    id: String,
}

/// A token's id from the path.
///
/// A malformed id becomes an unused one. So the request takes the same path as a request for an unknown
/// id, and gets the same answer even if other parts of it are wrong.
pub(super) struct PathId(pub(super) TokenId);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let parameters = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        // The id is the last parameter. Earlier ones belong to the prefix under which the router is nested.
        let last = parameters.ok().and_then(|Path(mut all)| all.pop());
        Ok(Self(last.and_then(|(_, text)| text.parse().ok()).unwrap_or(UNUSED_ID)))
    }
}

/// The query string as a `T` whose fields are the parameters. Unknown and repeated parameters are refused.
pub(super) struct Parameters<T>(pub(super) T);

/// The empty set of parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

/// An extractor that refuses every parameter.
pub(super) type NoQuery = Parameters<Empty>;

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let mut members = Vec::new();
        let query = parts.uri.query().filter(|query| !query.is_empty());
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).filter(|name| !name.is_empty()).ok_or_else(|| {
                failure().detail("A parameter name is empty or has an invalid percent-encoding.")
            })?;
            match decode(value) {
                None => return Err(refused(&name, "must be valid percent-encoded UTF-8")),
                Some(value) if value.is_empty() => return Err(refused(&name, "must not be empty")),
                Some(value) => members.push((name, Json::Text(value))),
            }
        }
        T::deserialize(Json::Object(members)).map(Self).map_err(
            |BrokenRule { field, rule, .. }| match field {
                Some(name) => refused(&name, rule),
                None => failure().detail(format!("The query {rule}.")),
            },
        )
    }
}

/// Creates the failure of a parameter that breaks a rule.
pub(super) fn refused(name: &str, rule: impl Into<String>) -> Failure {
    failure().field(shown_name(name), rule)
}

fn failure() -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid-parameter", "A query parameter breaks a rule")
}

/// Decodes a text as the URL standard decodes forms, but refuses invalid escapes and invalid UTF-8.
fn decode(text: &str) -> Option<String> {
    let bytes = text.replace('+', " ").into_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        bytes.get(at + 1..at + 3).filter(|two| two.iter().all(u8::is_ascii_hexdigit))?;
    }
    percent_decode(&bytes).decode_utf8().ok().map(Into::into)
}
