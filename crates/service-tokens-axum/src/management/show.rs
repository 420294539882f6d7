//! `GET /tokens/{id}`

use axum::response::Response;
use http::StatusCode;
use service_tokens::record::InvalidField;
use service_tokens::{ManageError, StoredRecord, TokenStore};

use super::access::{Caller, Read};
use super::answer::{json, refused};
use super::body::invalid;
use super::described::{Credentials, IdParam, One, Unknown};
use super::failure::Failure;
use super::id::PathId;
use super::query::NoQuery;
use super::token::TokenJson;

/// Looks a token up.
///
/// Needs `service-tokens:read`, also for the acting token's own id; `/tokens/self` needs no scope.
#[utoipa::path(
    get, path = "/tokens/{id}", operation_id = "getToken", tag = "tokens",
    params(IdParam), responses(One, Credentials, Unknown), security(("bearer" = [])),
)]
pub(super) async fn show<S: TokenStore + 'static>(
    caller: Caller<Read, S>,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Response, Failure> {
    let found = caller.acts().get(id).await;
    answer(&caller, found)
}

pub(super) fn answer<A, S: TokenStore>(
    caller: &Caller<A, S>,
    found: Result<StoredRecord, ManageError>,
) -> Result<Response, Failure> {
    let named = |wrong: InvalidField| invalid(wrong, &wrong.field.to_string());
    let stored = found.map_err(|error| refused(error, named))?;
    json(StatusCode::OK, &TokenJson::stored(&stored, caller.service().now()))
}
