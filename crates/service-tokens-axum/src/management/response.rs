//! Responses in JSON, and the `Cache-Control` of every response of the API.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::failure::{Failure, unavailable};
use crate::problem::NO_STORE;

/// Creates a response with this status and this JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Failure> {
    let bytes = serde_json::to_vec(value).map_err(|_| unavailable())?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// Forbids caching, because every response depends on the caller.
pub(super) async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}
