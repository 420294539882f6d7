//! `/tokens/self`: what any token does with itself.

use axum::response::Response;
use http::StatusCode;
use service_tokens::TokenStore;

use super::access::{Active, Caller, NoQuery, RotateSelf};
use super::answer::json;
use super::body::Optional;
use super::failure::Failure;
use super::rotate::Rotation;
use super::token::IssuedJson;
use super::types::{RevokeBody, RotateBody};
use super::{revoke, show};

/// The acting token.
pub(super) async fn show_self<S: TokenStore + 'static>(
    caller: Caller<Active, S>,
    _: NoQuery,
) -> Result<Response, Failure> {
    let found = caller.acts().get_self().await;
    show::answer(&caller, found)
}

/// Revokes the acting token, for good.
pub(super) async fn revoke_self<S: TokenStore + 'static>(
    caller: Caller<Active, S>,
    _: NoQuery,
    Optional(body): Optional<RevokeBody>,
) -> Result<Response, Failure> {
    let request = revoke::request(body, caller.token().id());
    let revoked = caller.acts().revoke_self(request).await;
    revoke::answer(&caller, revoked)
}

/// Gives the acting token a new secret.
pub(super) async fn rotate_self<S: TokenStore + 'static>(
    caller: Caller<RotateSelf, S>,
    _: NoQuery,
    Optional(body): Optional<RotateBody>,
) -> Result<Response, Failure> {
    let rotation = Rotation::of(body, caller.token().id())?;
    let rotated = caller.acts().rotate_self(rotation.request.clone()).await;
    let rotated = rotated.map_err(|error| rotation.refused(error))?;
    json(StatusCode::OK, &IssuedJson::new(&rotated, caller.service().now()))
}
