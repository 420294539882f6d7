//! `/tokens/self`: what any token does with itself.

use axum::response::Response;
use http::StatusCode;
use service_tokens::TokenStore;

use super::access::{Active, Caller, RotateSelf};
use super::answer::json;
use super::body::Optional;
use super::described::{Bodies, Credentials, One, Refused, RevokedToken, Rotated};
use super::failure::Failure;
use super::query::NoQuery;
use super::rotate::Rotation;
use super::token::IssuedJson;
use super::types::{RevokeBody, RotateBody};
use super::{revoke, show};

/// Looks the acting token up.
///
/// Any active token may.
#[utoipa::path(
    get, path = "/tokens/self", operation_id = "getSelf", tag = "self",
    responses(One, Credentials), security(("bearer" = [])),
)]
pub(super) async fn show_self<S: TokenStore + 'static>(
    caller: Caller<Active, S>,
    _: NoQuery,
) -> Result<Response, Failure> {
    let found = caller.acts().get_self().await;
    show::answer(&caller, found)
}

/// Revokes the acting token, for good.
///
/// Any active token may.
#[utoipa::path(
    post, path = "/tokens/self/revoke", operation_id = "revokeSelf", tag = "self",
    request_body = Option<RevokeBody>,
    responses(RevokedToken, Credentials, Bodies), security(("bearer" = [])),
)]
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
///
/// Needs `service-tokens:rotate-self`. A token does not prolong itself: its end stays or comes earlier.
#[utoipa::path(
    post, path = "/tokens/self/rotate", operation_id = "rotateSelf", tag = "self",
    request_body = Option<RotateBody>,
    responses(Rotated, Credentials, Refused, Bodies), security(("bearer" = [])),
)]
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
