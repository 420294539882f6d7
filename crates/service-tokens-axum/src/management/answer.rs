//! Answers, and what becomes of the service's errors.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use service_tokens::error::NotPermitted;
use service_tokens::record::RotateDenied;
use service_tokens::store::StoreError;
use service_tokens::{ManageError, TokenId};

use super::failure::Failure;
use crate::rejection::Rejection;

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Failure> {
    let bytes = serde_json::to_vec(value).map_err(|_| unavailable())?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// Nothing here may be kept: neither the tokens nor what was said about them.
pub(super) async fn no_store(mut response: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

/// 405; the router adds `Allow`.
pub(super) async fn method_not_allowed() -> Failure {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "There is no such method here",
    )
    .detail("The header Allow names those that there are.")
}

/// One answer for ids that are malformed, unknown or another owner's.
pub(super) fn not_found() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "not-found", "There is no such token")
}

fn unavailable() -> Failure {
    Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "Tokens cannot be managed at the moment",
    )
    .detail("Nothing was changed. Try again.")
    .retry_after(1)
}

/// What a refused or failed act answers. `invalid` names the fields as the request does.
pub(super) fn refused(
    error: ManageError,
    invalid: impl FnOnce(service_tokens::record::InvalidField) -> Failure,
) -> Failure {
    match error {
        ManageError::Invalid(field) => invalid(field),
        ManageError::TooManyActive { max: most } => conflict("too-many-active", "Too many active tokens")
            .detail(format!("This owner has {most} and may not have more: revoke one first.")),
        ManageError::Exists { id } => conflict("exists", "The token exists")
            .detail(
                "An earlier request with this Idempotency-Key has issued it. If its answer was lost, \
                 rotate the token once it is active, with service-tokens:rotate: that gives a secret. \
                 Otherwise revoke it, if it is not revoked, and issue with another key.",
            )
            .id(id),
        ManageError::NotFound { .. } => not_found(),
        ManageError::IssuingPaused { reason } => Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "issuing-stopped",
            "Issuing is stopped",
        )
        .detail("An operator has stopped it. Everything else goes on.")
        .reason(reason)
        .retry_after(60),
        ManageError::ClockJumped => conflict("clock-jumped", "The service's clock jumped")
            .detail("Nothing is removed until an operator has acknowledged that."),
        ManageError::NotRotated(denied) => not_rotated(denied),
        ManageError::NotPermitted(cause) => not_permitted(cause),
        ManageError::Overtaken { id, cause } => not_permitted(cause)
            .detail("The acting token ended during the act. Nobody gets the new secret.")
            .id(id),
        ManageError::Contended { id } => unavailable()
            .detail("Others changed the token again and again. Nothing was changed. Try again.")
            .id(id),
        ManageError::Indeterminate { id, .. } => indeterminate(id),
        ManageError::Store(StoreError::Unsupported { .. }) => Failure::new(
            StatusCode::BAD_REQUEST,
            "unsupported-filter",
            "The store cannot filter by this",
        )
        .field("unused_since", "is not possible here: last use is not tracked"),
        ManageError::Random(_) | ManageError::Store(_) => unavailable(),
        // Closed: whatever is added is no success, and may have changed something.
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
        "Look at the token with this id, or repeat: rotating gives a new secret, revoking twice does \
         no harm.",
    )
    .id(id)
    .retry_after(1)
}

fn not_permitted(cause: NotPermitted) -> Failure {
    match cause {
        NotPermitted::ExceedsCaller => Failure::new(
            StatusCode::FORBIDDEN,
            "beyond-acting-token",
            "The token may do more than the acting one",
        )
        .detail("Whoever rotates a token can use it: the acting token must contain its scopes.")
        .refused_by(cause.into()),
        cause => Rejection::from(cause).into(),
    }
}

fn not_rotated(denied: RotateDenied) -> Failure {
    match denied {
        RotateDenied::NotActive(state) => conflict("not-active", "The token is not active")
            .detail(format!("Only active tokens rotate, and this one is {state}.")),
        RotateDenied::OverlapRuns => conflict("overlap-runs", "Two secrets are accepted already")
            .field("replacing", "is required while an overlap runs")
            .detail("Say which of the two is replaced: newest if its answer was lost, or oldest."),
        RotateDenied::RotatedSince => conflict("rotated-since", "The token was rotated since")
            .field("if_secret_created_at", "is not when the newest secret was made")
            .detail("Look at the token, and decide anew whether to rotate it."),
        // Not the service's way to say these.
        _ => conflict("not-rotated", "The token was not rotated"),
    }
}
