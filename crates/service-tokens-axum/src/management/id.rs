//! The id in a path.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use service_tokens::{TokenId, TokenService, TokenStore};

use super::answer::not_found;
use super::failure::Failure;

/// A token's id from the path, if it is one.
pub(super) struct PathId(Option<TokenId>);

impl PathId {
    /// The id. For what is none it is a new one that no token has: so the request goes the way of all
    /// that are about unknown ids, and is answered like them, whatever else is wrong with it.
    pub(super) fn or_unknown<S: TokenStore>(
        self,
        service: &TokenService<S>,
    ) -> Result<TokenId, Failure> {
        self.0.map_or_else(|| service.new_id().map_err(|_| not_found()), Ok)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let parameters = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        // The last one is ours: others are of the prefix below which the router is nested.
        let last = parameters.ok().and_then(|Path(mut all)| all.pop());
        Ok(Self(last.and_then(|(_, text)| text.parse().ok())))
    }
}
