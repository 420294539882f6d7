//! `POST /tokens/{id}/revoke`

use axum::response::Response;
use http::StatusCode;
use service_tokens::{ManageError, RevokeRequest, Revoked, TokenId, TokenStore};

use super::access::{Caller, NoQuery, Revoke};
use super::answer::{json, refused};
use super::body::{Optional, invalid};
use super::failure::Failure;
use super::id::PathId;
use super::token::RevokedJson;
use super::types::RevokeBody;

/// Revokes a token, for good.
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
    let named = |wrong: service_tokens::InvalidField| invalid(wrong, &wrong.field.to_string());
    let revoked = revoked.map_err(|error| refused(error, named))?;
    json(StatusCode::OK, &RevokedJson::new(&revoked, caller.service().now()))
}
