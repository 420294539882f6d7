//! Why a request did not succeed, as an answer.

use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::problem::Problem;
use crate::rejection::Rejection;

/// Problem details, and the headers that are due with them.
#[derive(Debug, Clone)]
// One allocation, so that a `Result` with it stays small.
pub(super) struct Failure(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    problem: Problem,
    /// The refusal of the credentials, if it is one: it has its own headers.
    rejection: Option<Rejection>,
    retry_after: Option<u16>,
}

impl Failure {
    /// The problem of this name.
    pub(super) fn new(status: StatusCode, name: &'static str, title: &'static str) -> Self {
        Self::of(Problem::new(status, name, title))
    }

    fn of(problem: Problem) -> Self {
        Self(Box::new(Inner { problem, rejection: None, retry_after: None }))
    }

    fn map(mut self, change: impl FnOnce(Problem) -> Problem) -> Self {
        self.0.problem = change(self.0.problem);
        self
    }

    /// What is to be said of this occurrence.
    pub(super) fn detail(self, detail: impl Into<String>) -> Self {
        self.map(|problem| problem.detail(detail.into()))
    }

    /// The field of the body, the parameter or the header that breaks a rule, and the rule.
    pub(super) fn field(self, field: impl Into<String>, rule: impl Into<String>) -> Self {
        self.map(|problem| problem.with("field", field.into()).with("rule", rule.into()))
    }

    /// The token that it is about.
    pub(super) fn id(self, id: service_tokens::TokenId) -> Self {
        self.map(|problem| problem.with("id", id.to_string()))
    }

    /// An operator's reason.
    pub(super) fn reason(self, reason: String) -> Self {
        self.map(|problem| problem.with("reason", reason))
    }

    /// With `Retry-After`, in seconds.
    pub(super) fn retry_after(mut self, seconds: u16) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// With the status and the headers of this refusal.
    pub(super) fn refused_by(mut self, rejection: Rejection) -> Self {
        self.0.rejection = Some(rejection);
        self
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::of(rejection.problem()).refused_by(rejection)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Inner { problem, rejection, retry_after } = *self.0;
        let mut response = problem.into_response();
        if let Some(rejection) = rejection {
            rejection.mark(&mut response);
        }
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
