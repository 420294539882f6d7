//! `POST /tokens/{id}/rotate`

use axum::response::Response;
use http::StatusCode;
use service_tokens::record::{Field, InvalidField};
use service_tokens::{ManageError, RotateRequest, TokenId, TokenStore};

use super::access::{Caller, Rotate};
use super::answer::{json, refused};
use super::body::{Optional, broken, invalid};
use super::described::{Bodies, Credentials, IdParam, Refused, Rotated, Unknown};
use super::failure::Failure;
use super::id::PathId;
use super::query::NoQuery;
use super::token::IssuedJson;
use super::types::{End, RotateBody, Time};

/// Gives a token a new secret.
///
/// Needs `service-tokens:rotate`, and for the acting token's own id `service-tokens:rotate-self` too.
/// The token's scopes must be contained in the acting one's, and it must not end later. Without an
/// overlap the old secret ends at once.
#[utoipa::path(
    post, path = "/tokens/{id}/rotate", operation_id = "rotateToken", tag = "tokens",
    params(IdParam), request_body = Option<RotateBody>,
    responses(Rotated, Credentials, Unknown, Refused, Bodies), security(("bearer" = [])),
)]
pub(super) async fn rotate<S: TokenStore + 'static>(
    caller: Caller<Rotate, S>,
    _: NoQuery,
    PathId(id): PathId,
    Optional(body): Optional<RotateBody>,
) -> Result<Response, Failure> {
    let rotation = Rotation::of(body, caller.token().id())?;
    let rotated = caller.acts().rotate(id, rotation.request.clone()).await;
    let rotated = rotated.map_err(|error| rotation.refused(error))?;
    json(StatusCode::OK, &IssuedJson::new(&rotated, caller.service().now()))
}

/// A rotation as it was asked for.
pub(super) struct Rotation {
    pub(super) request: RotateRequest,
    overlap: &'static str,
    end: Option<End>,
}

impl Rotation {
    /// By the acting token of this id.
    pub(super) fn of(body: RotateBody, by: TokenId) -> Result<Self, Failure> {
        let on_first_use = body.overlap_ends_on_first_use.unwrap_or(false);
        let (request, overlap) = match (body.overlap_for, body.overlap_until) {
            (Some(_), Some(_)) => {
                let rule = "must be the only one of overlap_for and overlap_until";
                return Err(broken("overlap_for", rule));
            }
            (Some(overlap), None) if on_first_use => {
                (RotateRequest::until_first_use(overlap.into()), "overlap_for")
            }
            (Some(overlap), None) => (RotateRequest::with_overlap(overlap.into()), "overlap_for"),
            (None, Some(Time(end))) if on_first_use => {
                (RotateRequest::until_first_use_or(end), "overlap_until")
            }
            (None, Some(Time(end))) => (RotateRequest::with_overlap_until(end), "overlap_until"),
            (None, None) if on_first_use => {
                let rule = "needs overlap_for or overlap_until";
                return Err(broken("overlap_ends_on_first_use", rule));
            }
            (None, None) => (RotateRequest::at_once(), "overlap_for"),
        };
        let mut request = request.by(by.to_string());
        if let Some(which) = body.replacing {
            request = request.replacing(which.into());
        }
        if let Some(Time(time)) = body.if_secret_created_at {
            request = request.if_secret_created_at(time);
        }
        let end = End::of(body.expires_in, body.expires_at, body.never_expires)?;
        request = match end {
            Some(End::In(lifetime)) => request.expires_in(lifetime),
            Some(End::At(end)) => request.expires_at(end),
            Some(End::Never) => request.never_expires(),
            None => request,
        };
        Ok(Self { request, overlap, end })
    }

    pub(super) fn refused(&self, error: ManageError) -> Failure {
        refused(error, |wrong: InvalidField| match wrong.field {
            Field::OlderEnds => invalid(wrong, self.overlap),
            Field::ExpiresAt => End::refused(self.end, wrong),
            field => invalid(wrong, &field.to_string()),
        })
    }
}
