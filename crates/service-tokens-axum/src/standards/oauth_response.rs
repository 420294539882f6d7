//! Responses in the JSON format of OAuth 2.0 (RFC 6749).

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::form::InvalidForm;
use crate::problem::NO_STORE;
use crate::rejection::Rejection;

/// The error format of RFC 6749 §5.2.
#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// Creates a response without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

/// Creates a response with status 200 and this JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    // Structs of texts and numbers always serialize. If one failed, the response must not look like a
    // verdict, so it is 500.
    let Ok(body) = serde_json::to_vec(value) else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

/// Creates the response to an invalid form.
pub(super) fn invalid_form(invalid: InvalidForm) -> Response {
    error(StatusCode::BAD_REQUEST, "invalid_request", &invalid.to_string())
}

/// Creates a response with the status and the challenge of a rejection, and the same error in the body.
pub(super) fn rejected(rejection: &Rejection) -> Response {
    let status = rejection.status();
    let mut response = match rejection {
        // The answer to a request without credentials must not contain an error (RFC 6750 §3.1).
        Rejection::NoCredentials => empty(status),
        Rejection::MalformedCredentials => {
            error(status, "invalid_request", "the credentials must be one bearer token")
        }
        Rejection::InsufficientScope(_) => {
            error(status, "insufficient_scope", "the caller's token lacks a scope")
        }
        Rejection::Unavailable => {
            error(status, "temporarily_unavailable", "tokens cannot be verified at the moment")
        }
        _ if status.is_server_error() => empty(status),
        _ => error(status, "invalid_token", "the caller's token is not accepted"),
    };
    rejection.apply_to(&mut response);
    response
}

/// Answers 405 for a route that has only `POST`.
pub(super) async fn only_post() -> Response {
    let mut response =
        error(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "the method must be POST");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

fn error(status: StatusCode, error: &str, error_description: &str) -> Response {
    let mut response = json(&Error { error, error_description });
    *response.status_mut() = status;
    response
}
