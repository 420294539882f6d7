//! The error response of an endpoint, and the mapping from the service's errors to it.

use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use service_tokens::error::NotPermitted;
use service_tokens::record::{InvalidField, RotateDenied};
use service_tokens::store::StoreError;
use service_tokens::{ManageError, TokenId};

use crate::problem::Problem;
use crate::rejection::Rejection;
use crate::retry_after;

/// Problem details with their headers. It is boxed to keep the size of a `Result` small.
#[derive(Debug, Clone)]
pub(super) struct Failure(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    problem: Problem,
    /// The rejection of the credentials, if this is one. It adds its own headers.
    rejection: Option<Rejection>,
    retry_after: Option<u16>,
}

impl Failure {
    /// Creates a failure with the problem of this name.
    pub(super) fn new(status: StatusCode, name: &'static str, title: &'static str) -> Self {
        Self::from_problem(Problem::new(status, name, title))
    }

    fn from_problem(problem: Problem) -> Self {
        Self(Box::new(Inner { problem, rejection: None, retry_after: None }))
    }

    fn map(mut self, change: impl FnOnce(Problem) -> Problem) -> Self {
        self.0.problem = change(self.0.problem);
        self
    }

    /// Sets the sentence about this occurrence.
    pub(super) fn detail(self, detail: impl Into<String>) -> Self {
        self.map(|problem| problem.detail(detail.into()))
    }

    /// Names the field, parameter or header that breaks a rule, and the rule.
    pub(super) fn field(self, field: impl Into<String>, rule: impl Into<String>) -> Self {
        self.map(|problem| problem.with("field", field.into()).with("rule", rule.into()))
    }

    /// Gives the index of the entry that breaks the rule, counted from 0.
    pub(super) fn index(self, index: usize) -> Self {
        self.map(|problem| problem.with("index", index))
    }

    /// Names the token that the problem is about.
    pub(super) fn id(self, id: TokenId) -> Self {
        self.map(|problem| problem.with("id", id.to_string()))
    }

    /// Adds the reason that an operator gave.
    pub(super) fn reason(self, reason: String) -> Self {
        self.map(|problem| problem.with("reason", reason))
    }

    /// Adds `Retry-After`, in seconds.
    pub(super) fn retry_after(mut self, seconds: u16) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Adds the status and the headers of this rejection.
    pub(super) fn rejection(mut self, rejection: Rejection) -> Self {
        self.0.rejection = Some(rejection);
        self
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::from_problem(rejection.problem()).rejection(rejection)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Inner { problem, rejection, retry_after } = *self.0;
        let mut response = problem.into_response();
        if let Some(rejection) = rejection {
            rejection.apply_to(&mut response);
        }
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Answers 405. The router adds `Allow`.
pub(super) async fn method_not_allowed() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed")
        .detail("The header Allow lists the methods of this path.")
}

/// Creates the same failure for ids that are malformed, unknown or belong to another owner.
pub(super) fn not_found() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "not-found", "The token was not found")
}

/// Creates the failure of a store that is unavailable.
pub(super) fn unavailable() -> Failure {
    Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "Tokens cannot be managed at the moment",
    )
    .detail("Nothing was changed. Try again.")
    .retry_after(retry_after::STORE_UNAVAILABLE)
}

/// Creates the failure of a refused or failed operation. `invalid` maps the field names of the service to
/// those of the request.
pub(super) fn refused(
    error: ManageError,
    invalid: impl FnOnce(InvalidField) -> Failure,
) -> Failure {
    match error {
        ManageError::Invalid(field) => invalid(field),
        ManageError::TooManyActive { max } => conflict("too-many-active", "Too many active tokens")
            .detail(format!(
                "An owner may have at most {max} active tokens. Revoke one before issuing another."
            )),
        ManageError::Exists { id } => conflict("exists", "The token exists")
            .detail(
                "An earlier request with this Idempotency-Key issued it. If the answer was lost, rotate \
                 the token to get a secret. This requires service-tokens:rotate and an active token. \
                 Otherwise revoke it, if it is not revoked, and issue with another key.",
            )
            .id(id),
        ManageError::NotFound { .. } => not_found(),
        ManageError::IssuingPaused { reason } => Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "issuing-paused",
            "Issuing is paused",
        )
        .detail("An operator has paused issuing. All other requests still work.")
        .reason(reason)
        .retry_after(retry_after::ISSUING_PAUSED),
        ManageError::ClockJumped => conflict("clock-jumped", "The service's clock jumped")
            .detail("Tokens are not removed until an operator acknowledges the clock jump."),
        ManageError::NotRotated(denied) => not_rotated(denied),
        ManageError::NotPermitted(cause) => not_permitted(cause),
        ManageError::Overtaken { id, cause } => not_permitted(cause)
            .detail("The calling token ended during the operation. The new secret was discarded.")
            .id(id),
        ManageError::Contended { id } => unavailable()
            .detail("Concurrent requests changed the token repeatedly. Nothing was changed. Try again.")
            .id(id),
        ManageError::Indeterminate { id, .. } => indeterminate(id),
        ManageError::Store(StoreError::Unsupported { .. }) => Failure::new(
            StatusCode::BAD_REQUEST,
            "unsupported-filter",
            "The store cannot filter by this",
        )
        .field("unused_since", "is not supported because the store does not track last use"),
        ManageError::Random(_) | ManageError::Store(_) => unavailable(),
        // An error that a later version adds is not a success, and may have changed something.
        _ => unavailable().detail("It is unknown whether anything was changed."),
    }
}

fn conflict(name: &'static str, title: &'static str) -> Failure {
    Failure::new(StatusCode::CONFLICT, name, title)
}

fn indeterminate(id: TokenId) -> Failure {
    Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "indeterminate",
        "It is unknown whether the token was changed",
    )
    .detail(
        "Read the token with this id, or repeat the request. Rotating again gives a new secret, and \
         revoking again is harmless.",
    )
    .id(id)
    .retry_after(retry_after::STORE_UNAVAILABLE)
}

fn not_permitted(cause: NotPermitted) -> Failure {
    match cause {
        NotPermitted::ExceedsCaller => Failure::new(
            StatusCode::FORBIDDEN,
            "exceeds-caller",
            "The token has scopes that the calling token lacks",
        )
        .detail("A rotation reveals a usable secret, so the calling token must have all scopes of the token.")
        .rejection(cause.into()),
        cause => Rejection::from(cause).into(),
    }
}

fn not_rotated(denied: RotateDenied) -> Failure {
    match denied {
        RotateDenied::NotActive(state) => conflict("not-active", "The token is not active")
            .detail(format!("Only an active token can be rotated, and this one is {state}.")),
        RotateDenied::OverlapRuns => conflict("overlap-runs", "Two secrets are already accepted")
            .field("replacing", "is required during an overlap")
            .detail("Set replacing to newest if the answer with the newest secret was lost, or to oldest."),
        RotateDenied::RotatedSince => conflict("rotated-since", "The token was rotated in the meantime")
            .field("if_secret_created_at", "must be the time when the newest secret was created")
            .detail("Read the token again and decide whether to rotate it."),
        // The service reports the other reasons as other errors.
        _ => conflict("not-rotated", "The token was not rotated"),
    }
}
