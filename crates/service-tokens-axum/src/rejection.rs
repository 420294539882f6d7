//! Why a request with bearer credentials does not get through, as an answer.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use service_tokens::{Need, NotPermitted, VerifyError};

use crate::credentials::NoBearer;

/// Why a request does not get through (RFC 6750 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// No credentials, or those of another scheme: 401 with a challenge and no error.
    NoCredentials,
    /// Several credentials, or `Bearer` without exactly one b64token: 400 `invalid_request`.
    MalformedCredentials,
    /// No active token of this service, for whatever reason: 401 `invalid_token`.
    InvalidToken,
    /// An active token that may not do this: 403 `insufficient_scope`.
    InsufficientScope(Box<Need>),
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
            VerifyError::MissingScope(missing) => Self::InsufficientScope(Box::new(missing.need)),
            VerifyError::Unavailable(_) => Self::Unavailable,
            // A refusal, and whatever will be added to it.
            _ => Self::InvalidToken,
        }
    }
}

impl From<NotPermitted> for Rejection {
    fn from(not: NotPermitted) -> Self {
        match not {
            NotPermitted::MissingScope(scope) => Self::InsufficientScope(Box::new(scope.need())),
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

    /// The value of `WWW-Authenticate`, if the answer has one.
    pub(crate) fn challenge(&self) -> Option<HeaderValue> {
        let error = match self {
            Self::NoCredentials => "",
            Self::MalformedCredentials => ", error=\"invalid_request\"",
            Self::InvalidToken => ", error=\"invalid_token\"",
            Self::InsufficientScope(need) => {
                let scopes = need.scopes();
                let value = format!(
                    "Bearer realm=\"service-tokens\", error=\"insufficient_scope\", scope=\"{scopes}\""
                );
                return HeaderValue::try_from(value).ok();
            }
            Self::Unavailable | Self::NoLayer => return None,
        };
        HeaderValue::try_from(format!("Bearer realm=\"service-tokens\"{error}")).ok()
    }

    /// Adds `WWW-Authenticate` or `Retry-After` to an answer of any body.
    pub(crate) fn mark<B>(&self, response: &mut Response<B>) {
        *response.status_mut() = self.status();
        if let Some(challenge) = self.challenge() {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if *self == Self::Unavailable {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        self.mark(&mut response);
        response
    }
}
