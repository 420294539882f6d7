//! `POST /tokens`

use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use service_tokens::record::{Field, InvalidField};
use service_tokens::{IssueRequest, ManageError, ScopeSet, TokenId, TokenStore};
use uuid::Uuid;

use super::access::{Caller, Issue};
use super::answer::{json, refused};
use super::body::{Body, broken, invalid};
use super::described::{Bodies, Credentials, IssuedToken, Refused};
use super::failure::Failure;
use super::query::NoQuery;
use super::token::IssuedJson;
use super::types::{End, IssueBody, Time};

/// The header that makes a request repeatable.
const KEY: &str = "Idempotency-Key";

/// Issues a token of the acting token's owner.
///
/// Needs `service-tokens:issue`. What is issued may do no more than the acting token and ends no later,
/// unless the policy says otherwise.
///
/// With an `Idempotency-Key`, a UUID of version 7 made within an hour of now, the token gets that id.
/// Repeat the request with the same key if its answer was lost, on any node: if there is a token
/// already, the answer is 409 and names it, and never is there a second one. Rotating that id then
/// gives a secret, once the token is active and with `service-tokens:rotate`; otherwise revoke it, and
/// issue with another key.
#[utoipa::path(
    post, path = "/tokens", operation_id = "issueToken", tag = "tokens",
    params(("Idempotency-Key" = Option<String>, Header, format = "uuid", nullable = false,
        pattern = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$",
        description = "A UUID of version 7 made within an hour of now: the id of the new token.")),
    request_body = IssueBody,
    responses(IssuedToken, Credentials, Refused, Bodies), security(("bearer" = [])),
)]
pub(super) async fn issue<S: TokenStore + 'static>(
    caller: Caller<Issue, S>,
    _: NoQuery,
    headers: HeaderMap,
    Body(body): Body<IssueBody>,
) -> Result<Response, Failure> {
    let end = End::of(body.expires_in, body.expires_at, body.never_expires)?;
    let token = caller.token();
    let mut request =
        IssueRequest::new(body.token_type, body.issued_to).issued_by(token.id().to_string());
    request = match end {
        Some(End::In(lifetime)) => request.expires_in(lifetime),
        Some(End::At(end)) => request.expires_at(end),
        Some(End::Never) => request.never_expires(),
        None => request,
    };
    if let Some(scopes) = body.scopes {
        let set = ScopeSet::new(&scopes).map_err(|error| broken("scopes", rule(error)))?;
        request = request.scopes(set);
    }
    if let Some(Time(start)) = body.not_before {
        request = request.not_before(start);
    }
    for (key, value) in body.metadata.unwrap_or_default() {
        request = request.metadata(key, value);
    }
    if let Some(id) = chosen_id(&headers)? {
        request = request.id(id);
    }
    let named = |wrong: InvalidField| match wrong.field {
        Field::Id => bad_key(wrong.rule.to_string()),
        Field::ExpiresAt => End::refused(end, wrong),
        field => invalid(wrong, &field.to_string()),
    };
    let issued = caller.acts().issue(request).await.map_err(|error| match error {
        // A token may be there by then, whose issuer could not be confirmed: revoked, and nobody's.
        error @ ManageError::Store(_) => {
            refused(error, named).detail("No token was issued that anybody could use. Try again.")
        }
        error => refused(error, named),
    })?;
    let mut response =
        json(StatusCode::CREATED, &IssuedJson::new(&issued, caller.service().now()))?;
    if let Ok(location) = HeaderValue::try_from(format!("tokens/{}", issued.record.id())) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// The id that the client chose: the only `Idempotency-Key`, a UUID in the text form of RFC 9562. The
/// service decides whether it is of version 7 and recent.
fn chosen_id(headers: &HeaderMap) -> Result<Option<TokenId>, Failure> {
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(bad_key("must not be repeated"));
    }
    let text = key.to_str().ok().filter(|text| text.len() == uuid::fmt::Hyphenated::LENGTH);
    let uuid = text.and_then(|text| Uuid::try_parse(text).ok());
    uuid.map(TokenId::from_uuid).map(Some).ok_or_else(|| bad_key("is not a UUID of version 7"))
}

fn bad_key(rule: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid-header", "A header of the request breaks a rule")
        .field(KEY, rule)
}

fn rule(error: service_tokens::InvalidScope) -> String {
    format!("breaks a rule: {error}")
}
