//! The id in a path.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use service_tokens::TokenId;

/// The id of no token: what is issued has one of version 7.
const NOBODY: TokenId = TokenId::from_bytes([0; 16]);

/// A token's id from the path. What is none is taken for the id of no token: so the request goes the way
/// of all that are about unknown ids, and is answered like them, whatever else is wrong with it.
pub(super) struct PathId(pub(super) TokenId);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let parameters = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        // The last one is ours: others are of the prefix below which the router is nested.
        let last = parameters.ok().and_then(|Path(mut all)| all.pop());
        Ok(Self(last.and_then(|(_, text)| text.parse().ok()).unwrap_or(NOBODY)))
    }
}
