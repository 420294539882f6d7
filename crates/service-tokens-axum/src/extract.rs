//! The token as an argument of a handler.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use service_tokens::VerifiedToken;

use crate::gate::Gate;
use crate::rejected::Rejected;
use crate::rejection::Rejection;

/// The token of a request, below a [`BearerLayer`](crate::BearerLayer).
///
/// ```
/// use service_tokens_axum::Bearer;
///
/// async fn whoami(Bearer(token): Bearer) -> String {
///     format!("{} of {}", token.issued_to(), token.owner())
/// }
///
/// /// Below a layer that is `optional()`.
/// async fn greet(token: Option<Bearer>) -> String {
///     token.map_or("hello".into(), |Bearer(token)| format!("hello, {}", token.owner()))
/// }
/// # axum::Router::<()>::new()
/// #     .route("/", axum::routing::get(whoami)).route("/greet", axum::routing::get(greet));
/// ```
///
/// `Option<Bearer>` is `None` only if there was no `Authorization` header and the layer is
/// [optional](crate::BearerLayer::optional); `Bearer` is refused then, with 401. A header that is wrong
/// never gets as far as here.
///
/// Without a layer above it, either is refused: the answer is 500, and an error is logged with `tracing`
/// under the target `service_tokens`.
#[derive(Debug, Clone)]
pub struct Bearer(pub VerifiedToken);

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = Rejected;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejected> {
        let gate = Gate::above(&parts.extensions, &parts.headers, "Bearer")?;
        let token = gate.token().cloned().map(Self);
        token.ok_or_else(|| gate.reject(Rejection::NoCredentials, &parts.headers))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Bearer {
    type Rejection = Rejected;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejected> {
        let gate = Gate::above(&parts.extensions, &parts.headers, "Option<Bearer>")?;
        Ok(gate.token().cloned().map(Self))
    }
}
