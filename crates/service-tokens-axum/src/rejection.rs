//! Why a request with bearer credentials does not get through, as an answer.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use service_tokens::error::NotPermitted;
use service_tokens::{Requirement, VerifyError};

use crate::credentials::NoBearer;
use crate::problem::{NO_STORE, Problem};
use crate::realm::Realm;

/// Why a request does not get through (RFC 6750 §3.1).
///
/// As an answer it has the status below, `Cache-Control: no-store` and a body of
/// `application/problem+json`. 400, 401 and 403 have a challenge in `WWW-Authenticate`, and 503 has
/// `Retry-After`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// No credentials, or those of another scheme: 401 with a challenge and no error.
    NoCredentials,
    /// Several credentials, or `Bearer` without exactly one b64token: 400 `invalid_request`.
    MalformedCredentials,
    /// No active token of this service, for whatever reason: 401 `invalid_token`. The answer is the
    /// same for every reason.
    InvalidToken,
    /// An active token that may not do this: 403 `insufficient_scope`, naming what it lacks.
    InsufficientScope(Box<Requirement>),
    /// The store gave no answer: 503.
    Unavailable,
    /// An extractor or a need without the layer above it: 500.
    NoLayer,
}

impl From<NoBearer> for Rejection {
    fn from(no: NoBearer) -> Self {
        match no {
            NoBearer::Absent | NoBearer::OtherScheme => Self::NoCredentials,
            NoBearer::Malformed => Self::MalformedCredentials,
        }
    }
}

impl From<VerifyError> for Rejection {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::MissingScope(missing) => {
                Self::InsufficientScope(Box::new(missing.requirement))
            }
            VerifyError::Unavailable(_) => Self::Unavailable,
            // A refusal, and whatever will be added to it.
            _ => Self::InvalidToken,
        }
    }
}

impl From<NotPermitted> for Rejection {
    fn from(not: NotPermitted) -> Self {
        match not {
            NotPermitted::MissingScope(scope) => {
                Self::InsufficientScope(Box::new(scope.requirement()))
            }
            // There is no scope that could be named.
            NotPermitted::ExceedsCaller => {
                Self::InsufficientScope(Box::new(Requirement::any_token()))
            }
            _ => Self::InvalidToken,
        }
    }
}

impl Rejection {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoCredentials | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::MalformedCredentials => StatusCode::BAD_REQUEST,
            Self::InsufficientScope(_) => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoLayer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Gives an answer of any body the status and the headers that are due, with the usual realm.
    pub(crate) fn mark<B>(&self, response: &mut Response<B>) {
        self.mark_within(&Realm::default(), response);
    }

    /// As [`mark`](Self::mark), with a realm of one's own.
    pub(crate) fn mark_within<B>(&self, realm: &Realm, response: &mut Response<B>) {
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, NO_STORE);
        if let Some(challenge) = self.challenge(realm) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if *self == Self::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
    }

    fn challenge(&self, realm: &Realm) -> Option<HeaderValue> {
        match self {
            Self::NoCredentials => realm.challenge(""),
            Self::MalformedCredentials => realm.challenge(", error=\"invalid_request\""),
            Self::InvalidToken => realm.challenge(", error=\"invalid_token\""),
            Self::InsufficientScope(requirement) => {
                let scopes = requirement.scopes();
                // An empty list of scopes is none (RFC 6749 §3.3).
                let scopes = match &*scopes {
                    "" => String::new(),
                    scopes => format!(", scope=\"{scopes}\""),
                };
                realm.challenge(&format!(", error=\"insufficient_scope\"{scopes}"))
            }
            Self::Unavailable | Self::NoLayer => None,
        }
    }

    /// What the body says.
    pub(crate) fn problem(&self) -> Problem {
        let (name, title) = match self {
            Self::NoCredentials => ("no-credentials", "A bearer token is needed"),
            Self::MalformedCredentials => {
                ("malformed-credentials", "The credentials are malformed")
            }
            Self::InvalidToken => ("invalid-token", "The token is not accepted"),
            Self::InsufficientScope(_) => ("insufficient-scope", "The token may not do this"),
            Self::Unavailable => ("unavailable", "Tokens cannot be verified at the moment"),
            Self::NoLayer => ("internal", "The service is set up wrongly"),
        };
        let problem = Problem::new(self.status(), name, title);
        match self {
            Self::NoCredentials => problem.detail("Send it as `Authorization: Bearer <token>`."),
            Self::MalformedCredentials => {
                problem.detail("One `Authorization` header is needed, with `Bearer` and one token.")
            }
            Self::InvalidToken => problem.detail("It is no active token of this service."),
            Self::InsufficientScope(requirement) if requirement.scopes().is_empty() => {
                problem.detail("It lacks a scope.")
            }
            Self::InsufficientScope(requirement) => problem
                .detail(format!("It lacks the scope for this: {requirement}."))
                .with("scope", requirement.scopes()),
            Self::Unavailable => problem.detail("Repeat the request later."),
            Self::NoLayer => problem,
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let mut response = self.problem().into_response();
        self.mark(&mut response);
        response
    }
}
