//! `/tokens/self`, the endpoints for the calling token itself.

use axum::response::Response;
use http::StatusCode;
use service_tokens::TokenStore;

use super::caller::{Active, Caller, RotateSelf};
use super::failure::Failure;
use super::json_body::Optional;
use super::openapi_responses::{Bodies, Credentials, One, Refused, RevokedToken, Rotated};
use super::parameters::NoQuery;
use super::response::json;
use super::revoke::RevokeBody;
use super::rotate::{RotateBody, Rotation};
use super::token_json::IssuedJson;
use super::{get, revoke};

/// Returns the calling token.
///
/// Requires any active token.
#[utoipa::path(
    get, path = "/tokens/self", operation_id = "getSelf", tag = "self",
    responses(One, Credentials), security(("bearer" = [])),
)]
pub(super) async fn get_self<S: TokenStore + 'static>(
    caller: Caller<Active, S>,
    _: NoQuery,
) -> Result<Response, Failure> {
    let found = caller.operations().get_self().await;
    get::respond(&caller, found)
}

/// Revokes the calling token permanently.
///
/// Requires any active token.
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
    let revoked = caller.operations().revoke_self(request).await;
    revoke::respond(&caller, revoked)
}

/// Gives the calling token a new secret.
///
/// Requires `service-tokens:rotate-self`. A token cannot extend its own lifetime, so its expiry stays or
/// becomes earlier.
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
    let rotation = Rotation::new(body, caller.token().id())?;
    let rotated = caller.operations().rotate_self(rotation.request.clone()).await;
    let rotated = rotated.map_err(|error| rotation.refused(error))?;
    json(StatusCode::OK, &IssuedJson::new(caller.service(), &rotated))
}
