//! `POST /tokens`, which issues a token.

use std::collections::BTreeMap;

use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use service_tokens::record::{Field, InvalidField};
use service_tokens::{InvalidScope, IssueRequest, ManageError, ScopeSet, TokenId, TokenStore};
use utoipa::ToSchema;
use uuid::Uuid;

use super::caller::{Caller, Issue};
use super::failure::{Failure, refused};
use super::fields::{End, Seconds, Time, True, only_true};
use super::json_body::{Body, broken, invalid};
use super::openapi_responses::{Bodies, Credentials, IssuedToken, Refused};
use super::parameters::NoQuery;
use super::response::json;
use super::token_json::IssuedJson;

/// The header that makes a request safe to repeat.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A request to issue a token of the calling token's owner. Unknown members are refused.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IssueBody {
    /// The name of a token type of the service.
    #[serde(rename = "type")]
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9_.-]+$",
        example = "connector"
    )]
    pub(super) token_type: String,
    /// A text for people that names the program which gets the token. Its length counts in bytes of UTF-8.
    /// The default policy allows 255.
    #[schema(min_length = 1, max_length = 1024, example = "nightly backup")]
    pub(super) issued_to: String,
    /// A subset of the type's scopes. Without it the token gets all of them.
    #[schema(nullable = false, min_items = 1, max_items = 64)]
    pub(super) scopes: Option<Vec<ScopeText>>,
    /// The lifetime in seconds from the issue.
    #[schema(nullable = false, value_type = Option<u64>, minimum = 1, maximum = 253_402_300_799_u64)]
    pub(super) expires_in: Option<Seconds>,
    /// The expiry time (exclusive). Without `expires_in`, `expires_at` and `never_expires` the policy's
    /// default lifetime applies.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) expires_at: Option<Time>,
    /// Issues a token that never expires. The policy must allow this.
    #[schema(schema_with = only_true, required = false)]
    pub(super) never_expires: Option<True>,
    /// The time from which the token is accepted.
    #[schema(nullable = false, value_type = Option<String>, format = DateTime)]
    pub(super) not_before: Option<Time>,
    /// Your own notes. The policy limits their number and length.
    #[schema(nullable = false, example = json!({"ticket": "OPS-1234"}))]
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

/// A scope, with segments of `A-Z a-z 0-9 _ . -` separated by `:`. The last segment may be `*`.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    as = Scope,
    value_type = String,
    max_length = 256,
    pattern = r"^(\*|[A-Za-z0-9_.\-]+(:[A-Za-z0-9_.\-]+)*(:\*)?)$",
    example = "files:upload"
)]
pub(super) struct ScopeText(pub(super) String);

impl AsRef<str> for ScopeText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Issues a token of the calling token's owner.
///
/// Requires `service-tokens:issue`. The new token cannot have scopes that the calling token lacks. It
/// cannot expire later than the calling token, unless the policy allows that.
///
/// The `Idempotency-Key` is a UUID of version 7 created within an hour of now. It becomes the id of the
/// token. Repeat the request with the same key, on any node, if the answer was lost. If the token exists
/// by then, the answer is 409 with its id, so a second token is never issued. Rotate that id to get a
/// secret, which requires `service-tokens:rotate` and an active token. Otherwise revoke it and issue with
/// another key.
#[utoipa::path(
    post, path = "/tokens", operation_id = "issueToken", tag = "tokens",
    params(("Idempotency-Key" = Option<String>, Header, format = "uuid", nullable = false,
        pattern = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$",
        description = "A UUID of version 7 created within an hour of now. It becomes the id of the new token.")),
    request_body = IssueBody,
    responses(IssuedToken, Credentials, Refused, Bodies), security(("bearer" = [])),
)]
pub(super) async fn issue<S: TokenStore + 'static>(
    caller: Caller<Issue, S>,
    _: NoQuery,
    headers: HeaderMap,
    Body(body): Body<IssueBody>,
) -> Result<Response, Failure> {
    let end = End::from_fields(body.expires_in, body.expires_at, body.never_expires)?;
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
        let set = ScopeSet::new(&scopes).map_err(|error| invalid_scopes(&scopes, error))?;
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
        Field::Id => invalid_key(wrong.rule.to_string()),
        Field::ExpiresAt => End::refused(end, wrong),
        field => invalid(wrong, &field.to_string()),
    };
    let issued = caller.operations().issue(request).await.map_err(|error| match error {
        // The store may hold a token whose issuer could not be confirmed. It is revoked, and its secret
        // was never sent.
        error @ ManageError::Store(_) => {
            refused(error, named).detail("No usable token was issued. Try again.")
        }
        error => refused(error, named),
    })?;
    let mut response = json(StatusCode::CREATED, &IssuedJson::new(caller.service(), &issued))?;
    if let Ok(location) = HeaderValue::try_from(format!("tokens/{}", issued.record.id())) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Returns the id from the only `Idempotency-Key`, a UUID in the text form of RFC 9562. The service
/// checks the version and the time of the UUID.
fn chosen_id(headers: &HeaderMap) -> Result<Option<TokenId>, Failure> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(invalid_key("must not be repeated"));
    }
    let text = key.to_str().ok().filter(|text| text.len() == uuid::fmt::Hyphenated::LENGTH);
    let uuid = text.and_then(|text| Uuid::try_parse(text).ok());
    uuid.map(TokenId::from_uuid).map(Some).ok_or_else(|| invalid_key("must be a UUID of version 7"))
}

fn invalid_key(rule: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "invalid-header", "A header of the request breaks a rule")
        .field(IDEMPOTENCY_KEY, rule)
}

fn rule(error: InvalidScope) -> String {
    format!("must be valid: {error}")
}

/// Creates the failure of an invalid list of scopes, with the index of the first invalid entry.
fn invalid_scopes(scopes: &[ScopeText], error: InvalidScope) -> Failure {
    let failure = broken("scopes", rule(error));
    match scopes.iter().position(|scope| ScopeSet::new([scope]).is_err()) {
        Some(index) => failure.index(index),
        // The list as a whole is too long.
        None => failure,
    }
}
