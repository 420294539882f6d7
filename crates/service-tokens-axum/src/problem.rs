//! Problem details (RFC 9457).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::rejection::Rejection;

/// What every `type` begins with.
pub(crate) const URN: &str = "urn:service-tokens:problem:";

/// Why a request was refused. `type` is for programs, `title` and `detail` are for people.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "management", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "management", schema(as = Problem))]
pub(crate) struct Details {
    /// The kind of problem: `urn:service-tokens:problem:` and a name. It never changes its meaning.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "management", schema(pattern = "^urn:service-tokens:problem:[a-z-]+$"))]
    kind: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The status of the answer.
    #[cfg_attr(feature = "management", schema(minimum = 400, maximum = 599))]
    status: u16,
    /// What happened, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "management", schema(nullable = false))]
    detail: Option<String>,
    /// The field of the body, the parameter of the query or the header that breaks a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "management", schema(nullable = false))]
    field: Option<String>,
    /// The rule that `field` breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "management", schema(nullable = false))]
    rule: Option<String>,
    /// The token that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "management", schema(nullable = false))]
    id: Option<String>,
    /// Why an operator has stopped issuing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "management", schema(nullable = false))]
    reason: Option<String>,
    /// The scope that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "management", schema(nullable = false))]
    scope: Option<String>,
}

/// An answer with problem details as its body.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    // Boxed, so that a `Result` with it stays small.
    details: Box<Details>,
    rejection: Option<Rejection>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// The problem of this name, which is the end of its `type`.
    pub(crate) fn new(status: StatusCode, name: &str, title: &'static str) -> Self {
        let details = Box::new(Details {
            kind: format!("{URN}{name}"),
            title,
            status: status.as_u16(),
            detail: None,
            field: None,
            rule: None,
            id: None,
            reason: None,
            scope: None,
        });
        Self { details, rejection: None, headers: Vec::new() }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.detail = Some(detail.into());
        self
    }

    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.details.field = Some(field.into());
        self
    }

    pub(crate) fn rule(mut self, rule: impl Into<String>) -> Self {
        self.details.rule = Some(rule.into());
        self
    }

    pub(crate) fn id(mut self, id: impl ToString) -> Self {
        self.details.id = Some(id.to_string());
        self
    }

    pub(crate) fn reason(mut self, reason: impl Into<String>) -> Self {
        self.details.reason = Some(reason.into());
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With `Retry-After`, in seconds.
    pub(crate) fn retry_after(self, seconds: u16) -> Self {
        self.header(RETRY_AFTER, seconds.into())
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let (name, title, detail) = match &rejection {
            Rejection::NoCredentials => (
                "no-credentials",
                "A bearer token is needed",
                "Send the header Authorization: Bearer with a token.",
            ),
            Rejection::MalformedCredentials => (
                "malformed-credentials",
                "The credentials are malformed",
                "Send one Authorization header, with Bearer and one token.",
            ),
            Rejection::InvalidToken => (
                "invalid-token",
                "The token is not accepted",
                "It is no active token of this service.",
            ),
            Rejection::InsufficientScope(_) => (
                "insufficient-scope",
                "The token may not do this",
                "It is active and lacks a scope.",
            ),
            Rejection::Unavailable => (
                "unavailable",
                "Tokens cannot be verified at the moment",
                "Nothing was changed. Try again.",
            ),
            _ => ("internal", "The service is set up wrongly", "Tell its operator."),
        };
        let mut problem = Self::new(rejection.status(), name, title).detail(detail);
        if let Rejection::InsufficientScope(need) = &rejection {
            problem.details.scope = Some(need.scopes());
        }
        Self { rejection: Some(rejection), ..problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Numbers and texts: writing them down does not fail.
        let body = serde_json::to_vec(&self.details).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.details.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        if let Some(rejection) = &self.rejection {
            rejection.mark(&mut response);
        }
        response.headers_mut().extend(self.headers);
        response
    }
}
