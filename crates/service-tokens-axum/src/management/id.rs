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
        let Ok(Path(text)) = Path::<String>::from_request_parts(parts, state).await else {
            return Err(not_found());
        };
        text.parse().map(Self).map_err(|_| not_found())
    }
}
