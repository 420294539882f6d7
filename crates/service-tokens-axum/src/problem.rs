//! Problem details: what the body of an error says (RFC 9457).

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// The media type of a problem (RFC 9457 §6.1).
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Whatever answers an error is about the one who asked.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What went wrong, for programs by its name and for people in a sentence. As an answer it is
/// `application/problem+json` with `Cache-Control: no-store`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    status: StatusCode,
    /// In `urn:service-tokens:problem:<name>`.
    name: &'static str,
    title: &'static str,
    detail: Option<Cow<'static, str>>,
    members: Vec<(&'static str, Value)>,
}

impl Problem {
    /// A problem of this kind: the name and the title are the same whenever it occurs.
    pub(crate) fn new(status: StatusCode, name: &'static str, title: &'static str) -> Self {
        Self { status, name, title, detail: None, members: Vec::new() }
    }

    /// What is to be said of this occurrence.
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// An extension member, such as `field` (RFC 9457 §3.2).
    pub(crate) fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((member, value.into()));
        self
    }

    /// The body by itself, for an answer that has other headers.
    pub(crate) fn body(&self) -> Body {
        // A map of texts and values always has a JSON.
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
