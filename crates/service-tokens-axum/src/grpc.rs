//! Refusals as gRPC clients read them.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::rejection::Rejection;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether who sent this expects a gRPC answer.
pub(crate) fn expected(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(CONTENT_TYPE) else { return false };
    let prefix = b"application/grpc";
    let start = media_type.as_bytes().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A refusal without a message: only the status, in the headers, where a call that is refused before
/// it began has its trailers.
pub(crate) fn refusal(rejection: &Rejection) -> Response {
    let (code, message) = match rejection {
        Rejection::NoCredentials => ("16", "a bearer token is needed".into()),
        Rejection::MalformedCredentials => ("16", "the credentials are malformed".into()),
        Rejection::InvalidToken => ("16", "the token is not accepted".into()),
        Rejection::InsufficientScope(requirement) => {
            ("7", format!("the token lacks the scope for this: {requirement}"))
        }
        Rejection::Unavailable => ("14", "tokens cannot be verified at the moment".into()),
        Rejection::NoLayer => ("13", "the service is set up wrongly".into()),
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(code));
    // Scopes have no character that would have to be encoded.
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}
