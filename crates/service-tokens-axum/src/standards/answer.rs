//! Answers in the JSON of RFC 6749.

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::form::BadForm;
use crate::rejection::Rejection;

/// RFC 6749 §5.2.
#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    not_stored(response)
}

/// 200 with this JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    // Structs of texts and numbers do not fail; if one did, nobody must take the answer for a verdict.
    let Ok(body) = serde_json::to_vec(value) else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    not_stored(response)
}

pub(super) fn bad_form(bad: BadForm) -> Response {
    error(StatusCode::BAD_REQUEST, "invalid_request", &bad.to_string())
}

/// The rejection's status and challenge, with the same error in the body.
pub(super) fn rejected(rejection: &Rejection) -> Response {
    let status = rejection.status();
    let mut response = match rejection {
        // Who sent no credentials is told of no error (RFC 6750 §3.1).
        Rejection::NoCredentials => empty(status),
        Rejection::MalformedCredentials => {
            error(status, "invalid_request", "the credentials are not one bearer token")
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
    rejection.mark(&mut response);
    response
}

/// 405, for a router of one method.
pub(super) async fn only_post() -> Response {
    let mut response =
        error(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "the method must be POST");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

pub(super) fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn error(status: StatusCode, error: &str, error_description: &str) -> Response {
    let mut response = json(&Error { error, error_description });
    *response.status_mut() = status;
    response
}
