//! The response to a rejected request, as problem details or as a gRPC status.

use std::fmt;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::realm::Realm;
use crate::rejection::Rejection;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A [`Rejection`] as the response to one request.
///
/// It has the realm of the layer above. A gRPC call gets a gRPC status, and every other request gets
/// problem details.
#[derive(Clone)]
pub struct RejectionResponse {
    rejection: Rejection,
    realm: Realm,
    grpc: bool,
}

impl RejectionResponse {
    /// Creates the response to a request with these headers.
    pub(crate) fn new(rejection: Rejection, realm: &Realm, headers: &HeaderMap) -> Self {
        Self { rejection, realm: realm.clone(), grpc: is_grpc(headers) }
    }

    /// Returns the reason why the request was rejected.
    pub fn rejection(&self) -> &Rejection {
        &self.rejection
    }
}

impl IntoResponse for RejectionResponse {
    fn into_response(self) -> Response {
        let mut response = match self.grpc {
            true => grpc_response(&self.rejection),
            false => self.rejection.problem().into_response(),
        };
        self.rejection.apply_with_realm(&self.realm, &mut response);
        response
    }
}

impl fmt::Debug for RejectionResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RejectionResponse").field(&self.rejection).finish()
    }
}

/// Returns whether the client expects a gRPC response.
fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(CONTENT_TYPE) else { return false };
    let prefix = b"application/grpc";
    let start = media_type.as_bytes().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Creates a response of the kind that the gRPC protocol calls *Trailers-Only*. It has no message, and its
/// status is in the headers.
fn grpc_response(rejection: &Rejection) -> Response {
    let (code, message) = match rejection {
        Rejection::NoCredentials => ("16", "a bearer token is required".into()),
        Rejection::MalformedCredentials => ("16", "the credentials are malformed".into()),
        Rejection::InvalidToken => ("16", "the token is not accepted".into()),
        Rejection::InsufficientScope(requirement) => {
            ("7", format!("the request requires the scope {requirement}"))
        }
        Rejection::Unavailable => ("14", "tokens cannot be verified at the moment".into()),
        Rejection::NoLayer => ("13", "the service is misconfigured".into()),
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(code));
    // No character of a scope needs percent-encoding in a gRPC message.
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}
