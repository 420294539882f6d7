//! `POST /tokens/{id}/rotate`, which gives a token a new secret.

use axum::response::Response;
use http::StatusCode;
use service_tokens::record::{Field, InvalidField, ReplacedSecret};
use service_tokens::{ManageError, RotateRequest, TokenId, TokenStore};
use utoipa::ToSchema;

use super::caller::{Caller, Rotate};
use super::failure::{Failure, refused};
use super::fields::{End, Seconds, Time, True, only_true};
use super::json_body::{Optional, broken, invalid};
use super::openapi_responses::{Bodies, Credentials, Refused, Rotated, Unknown};
use super::parameters::{IdParam, NoQuery, PathId};
use super::response::json;
use super::token_json::IssuedJson;

/// A request for a new secret. Without an overlap the old secret ends immediately.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateBody {
    /// The number of seconds for which both secrets are accepted. 0 means no overlap.
    #[schema(nullable = false, value_type = Option<u64>, minimum = 0, maximum = 253_402_300_799_u64)]
    pub(super) overlap_for: Option<Seconds>,
    /// The time until which both secrets are accepted (exclusive).
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) overlap_until: Option<Time>,
    /// Ends the overlap at the first use of the new secret, or at the given end if that is earlier.
    #[schema(nullable = false)]
    pub(super) overlap_ends_on_first_use: Option<bool>,
    /// The secret to replace. Required during an overlap.
    #[schema(nullable = false)]
    pub(super) replacing: Option<Replacing>,
    /// Rotates only if the token's `secret_created_at` still has this value. It may be rounded to
    /// milliseconds.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) if_secret_created_at: Option<Time>,
    /// The new lifetime of the token, in seconds from this rotation.
    #[schema(nullable = false, value_type = Option<u64>, minimum = 1, maximum = 253_402_300_799_u64)]
    pub(super) expires_in: Option<Seconds>,
    /// The new expiry time of the token (exclusive). Without `expires_in`, `expires_at` and
    /// `never_expires` the expiry does not change.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: Option<Time>,
    /// Removes the expiry of the token. The policy must allow this.
    #[schema(schema_with = only_true, required = false)]
    pub(super) never_expires: Option<True>,
}

/// The secret that a rotation replaces while two are accepted. Choose the newest if its answer was lost,
/// and the oldest otherwise.
#[derive(Debug, Clone, Copy, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Replacing {
    Newest,
    Oldest,
}

impl From<Replacing> for ReplacedSecret {
    fn from(replacing: Replacing) -> Self {
        match replacing {
            Replacing::Newest => Self::Newest,
            Replacing::Oldest => Self::Oldest,
        }
    }
}

/// Gives a token a new secret.
///
/// Requires `service-tokens:rotate`, and also `service-tokens:rotate-self` for the calling token's own id.
/// The calling token must have all scopes of the token and must not expire earlier. Without an overlap
/// the old secret ends immediately.
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
    let rotation = Rotation::new(body, caller.token().id())?;
    let rotated = caller.operations().rotate(id, rotation.request.clone()).await;
    let rotated = rotated.map_err(|error| rotation.refused(error))?;
    json(StatusCode::OK, &IssuedJson::new(caller.service(), &rotated))
}

/// The request to the service, with the fields of the body that its errors refer to.
pub(super) struct Rotation {
    pub(super) request: RotateRequest,
    overlap: &'static str,
    end: Option<End>,
}

impl Rotation {
    /// Creates the rotation by the calling token, which has the id `by`.
    pub(super) fn new(body: RotateBody, by: TokenId) -> Result<Self, Failure> {
        let on_first_use = body.overlap_ends_on_first_use.unwrap_or(false);
        let (request, overlap) = match (body.overlap_for, body.overlap_until) {
            (Some(_), Some(_)) => {
                let rule = "must not be combined with overlap_until";
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
                let rule = "requires overlap_for or overlap_until";
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
        let end = End::from_fields(body.expires_in, body.expires_at, body.never_expires)?;
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
