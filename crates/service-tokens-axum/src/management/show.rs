//! `GET /tokens/{id}`

use axum::response::Response;
use http::StatusCode;
use service_tokens::{InvalidField, ManageError, Stored, TokenStore};

use super::access::{Caller, NoQuery, Read};
use super::answer::{json, refused};
use super::body::invalid;
use super::failure::Failure;
use super::id::PathId;
use super::token::TokenJson;

/// One token.
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
    found: Result<Stored, ManageError>,
) -> Result<Response, Failure> {
    let named = |wrong: InvalidField| invalid(wrong, &wrong.field.to_string());
    let stored = found.map_err(|error| refused(error, named))?;
    json(StatusCode::OK, &TokenJson::stored(&stored, caller.service().now()))
}
