//! The reasons why a layer or an endpoint rejects a request, and the answer to each.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use service_tokens::error::NotPermitted;
use service_tokens::{Refusal, Requirement, VerifyError};

use crate::credentials::NoBearer;
use crate::problem::{NO_STORE, Problem};
use crate::realm::Realm;
use crate::retry_after;

/// The reason why a request is rejected (RFC 6750 §3.1).
///
/// As a response it has the status below, `Cache-Control: no-store` and a body of type
/// `application/problem+json`. The statuses 400, 401 and 403 come with a challenge in `WWW-Authenticate`,
/// and 503 comes with `Retry-After`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The request has no credentials, or credentials of another scheme. The answer is 401 with a
    /// challenge that names no error.
    NoCredentials,
    /// The request has several credentials, or `Bearer` without exactly one b64token. The answer is 400
    /// `invalid_request`.
    MalformedCredentials,
    /// The token is not an active token of this service. The answer is 401 `invalid_token`, the same for
    /// every reason.
    InvalidToken,
    /// The token is active but lacks a scope. The answer is 403 `insufficient_scope` and names the scopes
    /// that the request requires.
    InsufficientScope(Box<Requirement>),
    /// The store is unavailable, or it is not known whether the owner is open. The answer is 503.
    Unavailable,
    /// An extractor or a [`RequireLayer`](crate::RequireLayer) has no
    /// [`BearerLayer`](crate::BearerLayer) above it. The answer is 500.
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
            VerifyError::Unavailable(_) | VerifyError::OwnerUnknown => Self::Unavailable,
            // All refusals get the same answer, also those that later versions add.
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
            // No single scope would be enough, so the answer names none.
            NotPermitted::ExceedsCaller => {
                Self::InsufficientScope(Box::new(Requirement::any_token()))
            }
            NotPermitted::NotActive(Refusal::OwnerUnknown) => Self::Unavailable,
            _ => Self::InvalidToken,
        }
    }
}

impl Rejection {
    /// Returns the status of the answer.
    ///
    /// ```
    /// use service_tokens_axum::Rejection;
    ///
    /// assert_eq!(Rejection::InvalidToken.status(), 401);
    /// assert_eq!(Rejection::Unavailable.status(), 503);
    /// ```
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoCredentials | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::MalformedCredentials => StatusCode::BAD_REQUEST,
            Self::InsufficientScope(_) => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoLayer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Sets the status and the headers of a rejection on a response, with the default realm.
    pub(crate) fn apply_to<B>(&self, response: &mut Response<B>) {
        self.apply_with_realm(&Realm::default(), response);
    }

    /// Sets the status and the headers of a rejection on a response, with this realm.
    pub(crate) fn apply_with_realm<B>(&self, realm: &Realm, response: &mut Response<B>) {
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, NO_STORE);
        if let Some(challenge) = self.challenge(realm) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if *self == Self::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after::STORE_UNAVAILABLE));
        }
    }

    fn challenge(&self, realm: &Realm) -> Option<HeaderValue> {
        match self {
            Self::NoCredentials => realm.challenge(""),
            Self::MalformedCredentials => realm.challenge(", error=\"invalid_request\""),
            Self::InvalidToken => realm.challenge(", error=\"invalid_token\""),
            Self::InsufficientScope(requirement) => {
                let scopes = requirement.scopes();
                // A `scope` parameter must not be empty (RFC 6749 §3.3).
                let scopes = match &*scopes {
                    "" => String::new(),
                    scopes => format!(", scope=\"{scopes}\""),
                };
                realm.challenge(&format!(", error=\"insufficient_scope\"{scopes}"))
            }
            Self::Unavailable | Self::NoLayer => None,
        }
    }

    /// Returns the problem for the body.
    pub(crate) fn problem(&self) -> Problem {
        let (name, title) = match self {
            Self::NoCredentials => ("no-credentials", "A bearer token is required"),
            Self::MalformedCredentials => {
                ("malformed-credentials", "The credentials are malformed")
            }
            Self::InvalidToken => ("invalid-token", "The token is not accepted"),
            Self::InsufficientScope(_) => ("insufficient-scope", "The token lacks a scope"),
            Self::Unavailable => ("unavailable", "Tokens cannot be verified at the moment"),
            Self::NoLayer => ("internal", "The service is misconfigured"),
        };
        let problem = Problem::new(self.status(), name, title);
        match self {
            Self::NoCredentials => {
                problem.detail("Send the token as `Authorization: Bearer <token>`.")
            }
            Self::MalformedCredentials => {
                problem.detail("Send one `Authorization` header with `Bearer` and one token.")
            }
            Self::InvalidToken => problem.detail("It is not an active token of this service."),
            Self::InsufficientScope(requirement) if requirement.scopes().is_empty() => {
                problem.detail("The request requires a scope that the token does not have.")
            }
            Self::InsufficientScope(requirement) => problem
                .detail(format!("The request requires the scope {requirement}."))
                .with("scope", requirement.scopes()),
            Self::Unavailable => problem.detail("Repeat the request later."),
            Self::NoLayer => problem,
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let mut response = self.problem().into_response();
        self.apply_to(&mut response);
        response
    }
}
