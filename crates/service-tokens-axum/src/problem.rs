//! Problem details, the JSON body of an error (RFC 9457).

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// The media type of a problem (RFC 9457 §6.1).
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The `Cache-Control` of answers that must not be cached, because they depend on the caller.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A description of an error, with a name for programs and sentences for people.
///
/// As a response it is `application/problem+json` with `Cache-Control: no-store`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    status: StatusCode,
    /// The last part of `urn:service-tokens:problem:<name>`.
    name: &'static str,
    title: &'static str,
    detail: Option<Cow<'static, str>>,
    members: Vec<(&'static str, Value)>,
}

impl Problem {
    /// Creates a problem. The name and the title are the same each time this problem occurs.
    pub(crate) fn new(status: StatusCode, name: &'static str, title: &'static str) -> Self {
        Self { status, name, title, detail: None, members: Vec::new() }
    }

    /// Sets the sentence about this occurrence.
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds an extension member, such as `field` (RFC 9457 §3.2).
    pub(crate) fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((member, value.into()));
        self
    }

    /// Returns the body alone, for a response with other headers.
    pub(crate) fn body(&self) -> Body {
        // A map of texts and values always serializes.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("urn:service-tokens:problem:{}", self.name))?;
        map.serialize_entry("title", self.title)?;
        map.serialize_entry("status", &self.status.as_u16())?;
        if let Some(detail) = &self.detail {
            map.serialize_entry("detail", detail)?;
        }
        for (member, value) in &self.members {
            map.serialize_entry(member, value)?;
        }
        map.end()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
        response
    }
}
