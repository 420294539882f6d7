//! The extractor that gives a handler the token of its request.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use service_tokens::VerifiedToken;

use crate::admission::Admission;
use crate::rejection::Rejection;
use crate::rejection_response::RejectionResponse;

/// The token of a request, below a [`BearerLayer`](crate::BearerLayer).
///
/// ```
/// use service_tokens_axum::Bearer;
///
/// async fn whoami(Bearer(token): Bearer) -> String {
///     format!("{} of {}", token.issued_to(), token.owner())
/// }
///
/// /// Works below a layer that is `optional()`.
/// async fn greet(token: Option<Bearer>) -> String {
///     token.map_or("hello".into(), |Bearer(token)| format!("hello, {}", token.owner()))
/// }
/// # axum::Router::<()>::new()
/// #     .route("/", axum::routing::get(whoami)).route("/greet", axum::routing::get(greet));
/// ```
///
/// `Option<Bearer>` is `None` only if the request has no `Authorization` header and the layer is
/// [optional](crate::BearerLayer::optional). `Bearer` rejects such a request with 401. The layer rejects
/// every invalid header before the extractor runs.
///
/// Without a layer above it the extractor rejects every request with 500. It also logs an error with
/// `tracing` under the target `service_tokens`.
#[derive(Debug, Clone)]
pub struct Bearer(pub VerifiedToken);

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = RejectionResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, RejectionResponse> {
        let admission = Admission::find(&parts.extensions, &parts.headers, "Bearer")?;
        let token = admission.token().cloned().map(Self);
        token.ok_or_else(|| admission.reject(Rejection::NoCredentials, &parts.headers))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Bearer {
    type Rejection = RejectionResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, RejectionResponse> {
        let admission = Admission::find(&parts.extensions, &parts.headers, "Option<Bearer>")?;
        Ok(admission.token().cloned().map(Self))
    }
}
