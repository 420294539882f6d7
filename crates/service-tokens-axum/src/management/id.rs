//! The id in a path.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use service_tokens::TokenId;

use super::answer::not_found;
use super::failure::Failure;

/// A token's id from the path. What is none is as unknown as any other.
pub(super) struct PathId(pub(super) TokenId);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let parameters = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        // The last one is ours: others are of the prefix below which the router is nested.
        let Some((_, text)) = parameters.ok().and_then(|Path(mut all)| all.pop()) else {
            return Err(not_found());
        };
        text.parse().map(Self).map_err(|_| not_found())
    }
}
