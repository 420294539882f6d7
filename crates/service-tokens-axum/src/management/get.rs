//! `GET /tokens/{id}`, which returns a token.

use axum::response::Response;
use http::StatusCode;
use service_tokens::record::InvalidField;
use service_tokens::{ManageError, StoredRecord, TokenStore};

use super::caller::{Caller, Read};
use super::failure::{Failure, refused};
use super::json_body::invalid;
use super::openapi_responses::{Credentials, One, Unknown};
use super::parameters::{IdParam, NoQuery, PathId};
use super::response::json;
use super::token_json::TokenJson;

/// Returns a token.
///
/// Requires `service-tokens:read`, also for the calling token's own id. `/tokens/self` requires no scope.
#[utoipa::path(
    get, path = "/tokens/{id}", operation_id = "getToken", tag = "tokens",
    params(IdParam), responses(One, Credentials, Unknown), security(("bearer" = [])),
)]
pub(super) async fn get<S: TokenStore + 'static>(
    caller: Caller<Read, S>,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Response, Failure> {
    let found = caller.operations().get(id).await;
    respond(&caller, found)
}

/// Creates the response with a token.
pub(super) fn respond<A, S: TokenStore>(
    caller: &Caller<A, S>,
    found: Result<StoredRecord, ManageError>,
) -> Result<Response, Failure> {
    let named = |wrong: InvalidField| invalid(wrong, &wrong.field.to_string());
    let stored = found.map_err(|error| refused(error, named))?;
    json(StatusCode::OK, &TokenJson::from_stored(caller.service(), &stored))
}
