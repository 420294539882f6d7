//! A rejection as the answer to one request.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::HeaderMap;

use crate::grpc;
use crate::realm::Realm;
use crate::rejection::Rejection;

/// A [`Rejection`] as the answer to one request: with the realm of the layer above, and as a gRPC status
/// where the request was a gRPC call.
#[derive(Clone)]
pub struct Rejected {
    rejection: Rejection,
    realm: Realm,
    grpc: bool,
}

impl Rejected {
    /// The answer to a request with these headers.
    pub(crate) fn new(rejection: Rejection, realm: &Realm, headers: &HeaderMap) -> Self {
        Self { rejection, realm: realm.clone(), grpc: grpc::expected(headers) }
    }

    /// Why the request did not get through.
    pub fn rejection(&self) -> &Rejection {
        &self.rejection
    }
}

impl IntoResponse for Rejected {
    fn into_response(self) -> Response {
        let mut response = match self.grpc {
            true => grpc::refusal(&self.rejection),
            false => self.rejection.problem().into_response(),
        };
        self.rejection.mark_within(&self.realm, &mut response);
        response
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rejected").field(&self.rejection).finish()
    }
}
