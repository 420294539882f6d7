//! JSON bodies of a limited size.

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use service_tokens::record::InvalidField;

use super::failure::Failure;
use super::json::{Broken, Json};
use crate::announced::{is_of, longer_than};

/// The longest body of a request, in bytes.
pub(super) const BODY_MAX: usize = 64 * 1024;

/// A body that must be there.
pub(super) struct Body<T>(pub(super) T);

/// A body that may be left out, for which the default stands.
pub(super) struct Optional<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(unsupported());
        }
        parse(&read(&parts.headers, body).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for Optional<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json(&parts.headers) {
            return Err(unsupported());
        }
        parse(&bytes).map(Self)
    }
}

/// Reads no more than the limit, whatever length was announced.
async fn read(headers: &HeaderMap, body: axum::body::Body) -> Result<Vec<u8>, Failure> {
    if longer_than(BODY_MAX, headers, &body) {
        return Err(too_large());
    }
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(malformed("The body was cut short.")),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    is_of(b"application/json", headers)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let json: Json = serde_json::from_slice(bytes).map_err(|error| {
        // Its own words may repeat what was sent.
        let (line, column) = (error.line(), error.column());
        malformed(format!("The body is not JSON: see line {line}, column {column}."))
    })?;
    if !matches!(json, Json::Object(_)) {
        return Err(malformed("The body is not a JSON object."));
    }
    T::deserialize(json).map_err(|Broken { field, rule }| match field {
        Some(field) => broken(field, rule),
        None => malformed(format!("The body {rule}.")),
    })
}

/// A field of the body that breaks a rule.
pub(super) fn broken(field: impl Into<String>, rule: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid-field", "A field of the request breaks a rule")
        .field(field, rule)
}

/// The same for what the service refuses, by the name that the client knows the field by.
pub(super) fn invalid(invalid: InvalidField, name: &str) -> Failure {
    broken(name, invalid.rule.to_string())
}

fn malformed(detail: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "malformed-body", "The body cannot be read")
        .detail(detail)
}

fn too_large() -> Failure {
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
        .detail(format!("It has at most {BODY_MAX} bytes."))
}

fn unsupported() -> Failure {
    Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body is of another type",
    )
    .detail("Send application/json, without Content-Encoding.")
}
