//! Extractors for JSON bodies with a limited size.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use service_tokens::record::InvalidField;

use super::failure::Failure;
use super::strict_json::{BrokenRule, Json};
use crate::request_body::{self, ReadError, has_media_type};

/// The maximum length of a body, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// A required body.
pub(super) struct Body<T>(pub(super) T);

/// An optional body. The default replaces an absent one.
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

async fn read(headers: &HeaderMap, body: axum::body::Body) -> Result<Bytes, Failure> {
    request_body::read(MAX_BODY_BYTES, headers, body).await.map_err(|error| match error {
        ReadError::TooLong => too_large(),
        ReadError::Incomplete => malformed("The body ended early."),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    has_media_type(b"application/json", headers)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let json: Json = serde_json::from_slice(bytes).map_err(|error| {
        // The text of serde_json's error may repeat a part of the body.
        let (line, column) = (error.line(), error.column());
        malformed(format!("The body is not valid JSON at line {line}, column {column}."))
    })?;
    if !matches!(json, Json::Object(_)) {
        return Err(malformed("The body must be a JSON object."));
    }
    T::deserialize(json).map_err(|BrokenRule { field, index, rule }| match (field, index) {
        (Some(field), Some(index)) => broken(field, rule).index(index),
        (Some(field), None) => broken(field, rule),
        (None, _) => malformed(format!("The body {rule}.")),
    })
}

/// Creates the failure of a field that breaks a rule.
pub(super) fn broken(field: impl Into<String>, rule: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid-field", "A field of the request breaks a rule")
        .field(field, rule)
}

/// Creates the failure of a field that the service refuses, with the name that the client used.
pub(super) fn invalid(invalid: InvalidField, name: &str) -> Failure {
    broken(name, invalid.rule.to_string())
}

fn malformed(detail: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "malformed-body", "The body cannot be read")
        .detail(detail)
}

fn too_large() -> Failure {
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
        .detail(format!("A body must have at most {MAX_BODY_BYTES} bytes."))
}

fn unsupported() -> Failure {
    Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The media type is not supported",
    )
    .detail("Send application/json, without Content-Encoding.")
}
