//! `POST /tokens/{id}/revoke`

use axum::response::Response;
use http::StatusCode;
use service_tokens::{ManageError, RevokeRequest, Revoked, TokenId, TokenStore};

use super::access::{Caller, Revoke};
use super::answer::{json, refused};
use super::body::{Optional, invalid};
use super::described::{Bodies, Credentials, IdParam, RevokedToken, Unknown};
use super::failure::Failure;
use super::id::PathId;
use super::query::NoQuery;
use super::token::RevokedJson;
use super::types::RevokeBody;

/// Revokes a token, for good.
///
/// Needs `service-tokens:revoke`. Revoking again changes nothing: the first revocation stands.
#[utoipa::path(
    post, path = "/tokens/{id}/revoke", operation_id = "revokeToken", tag = "tokens",
    params(IdParam), request_body = Option<RevokeBody>,
    responses(RevokedToken, Credentials, Unknown, Bodies), security(("bearer" = [])),
)]
pub(super) async fn revoke<S: TokenStore + 'static>(
    caller: Caller<Revoke, S>,
    _: NoQuery,
    PathId(id): PathId,
    Optional(body): Optional<RevokeBody>,
) -> Result<Response, Failure> {
    let revoked = caller.acts().revoke(id, request(body, caller.token().id())).await;
    answer(&caller, revoked)
}

/// A revocation by the acting token of this id.
pub(super) fn request(body: RevokeBody, by: TokenId) -> RevokeRequest {
    let request = RevokeRequest::new().by(by.to_string());
    match body.reason {
        Some(reason) => request.reason(reason),
        None => request,
    }
}

pub(super) fn answer<A, S: TokenStore>(
    caller: &Caller<A, S>,
    revoked: Result<Revoked, ManageError>,
) -> Result<Response, Failure> {
    let named =
        |wrong: service_tokens::record::InvalidField| invalid(wrong, &wrong.field.to_string());
    let revoked = revoked.map_err(|error| refused(error, named))?;
    json(StatusCode::OK, &RevokedJson::new(&revoked, caller.service().now()))
}
