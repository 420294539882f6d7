//! `POST /tokens/{id}/revoke`, which revokes a token.

use axum::response::Response;
use http::StatusCode;
use service_tokens::{ManageError, RevokeRequest, Revoked, TokenId, TokenStore};
use utoipa::ToSchema;

use super::caller::{Caller, Revoke};
use super::failure::{Failure, refused};
use super::json_body::{Optional, invalid};
use super::openapi_responses::{Bodies, Credentials, RevokedToken, Unknown};
use super::parameters::{IdParam, NoQuery, PathId};
use super::response::json;
use super::token_json::RevokedJson;

/// A request to revoke a token.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeBody {
    /// The reason, for people who read the record later. Its length counts in bytes of UTF-8. The default
    /// policy allows 1,000.
    #[schema(nullable = false, min_length = 1, max_length = 1024, example = "INC-42: leaked")]
    pub(super) reason: Option<String>,
}

/// Revokes a token permanently.
///
/// Requires `service-tokens:revoke`. Revoking a token again does not change the first revocation.
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
    let revoked = caller.operations().revoke(id, request(body, caller.token().id())).await;
    respond(&caller, revoked)
}

/// Creates the revocation by the calling token, which has the id `by`.
pub(super) fn request(body: RevokeBody, by: TokenId) -> RevokeRequest {
    let request = RevokeRequest::new().by(by.to_string());
    match body.reason {
        Some(reason) => request.reason(reason),
        None => request,
    }
}

/// Creates the response to a revocation.
pub(super) fn respond<A, S: TokenStore>(
    caller: &Caller<A, S>,
    revoked: Result<Revoked, ManageError>,
) -> Result<Response, Failure> {
    let named =
        |wrong: service_tokens::record::InvalidField| invalid(wrong, &wrong.field.to_string());
    let revoked = revoked.map_err(|error| refused(error, named))?;
    json(StatusCode::OK, &RevokedJson::new(caller.service(), &revoked))
}
