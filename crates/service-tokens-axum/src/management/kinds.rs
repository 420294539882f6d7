//! `GET /token-types`

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use service_tokens::TokenStore;
use utoipa::ToSchema;

use super::access::{Caller, ReadOrIssue};
use super::answer::json;
use super::described::{Credentials, JSON, answer, answers};
use super::failure::Failure;
use super::query::NoQuery;

/// The types of the service, and what may be asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenTypes)]
pub(super) struct TypesJson {
    types: Vec<TypeJson>,
    policy: PolicyJson,
    /// Why issuing is stopped, if it is.
    #[schema(required)]
    issuing_stopped: Option<String>,
}

/// A named bundle of scopes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenType)]
struct TypeJson {
    name: String,
    /// A sentence for people who choose; may be empty.
    description: String,
    scopes: Vec<String>,
    /// Whether the acting token has all of these scopes. If not, it can issue a token of this type with
    /// fewer scopes at most.
    issuable: bool,
}

/// What may be asked for. Times are in seconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
struct PolicyJson {
    /// How long a token lives if the request does not say. Null is for ever.
    #[schema(required)]
    default_lifetime: Option<u64>,
    /// The longest that a token with an end may live. Null is no limit.
    #[schema(required)]
    max_lifetime: Option<u64>,
    /// Whether a token may have no end.
    never_allowed: bool,
    /// Whether a token may live longer than the one that issues or rotates it.
    outliving_issuer_allowed: bool,
    /// The longest that an older secret may live on after a rotation.
    max_overlap: u64,
}

answers! { Types => [(200, answer(JSON, &TypesJson::name(), "The types and the policy."))]; }

/// Tells the types of the service and its policy.
///
/// Needs `service-tokens:read` or `service-tokens:issue`.
#[utoipa::path(
    get, path = "/token-types", operation_id = "listTokenTypes", tag = "types",
    responses(Types, Credentials), security(("bearer" = [])),
)]
pub(super) async fn types<S: TokenStore + 'static>(
    caller: Caller<ReadOrIssue, S>,
    _: NoQuery,
) -> Result<Response, Failure> {
    let acting = caller.token().scopes();
    let types = caller.service().token_types().map(|token_type| TypeJson {
        name: token_type.name().to_owned(),
        description: token_type.description().to_owned(),
        scopes: token_type.scopes().iter().map(str::to_owned).collect(),
        issuable: acting.contains(token_type.scopes()),
    });
    let policy = caller.service().policy();
    let answer = TypesJson {
        types: types.collect(),
        policy: PolicyJson {
            default_lifetime: policy.default_lifetime.map(|lifetime| lifetime.as_secs()),
            max_lifetime: policy.max_lifetime.as_ref().map(Duration::as_secs),
            never_allowed: policy.allow_never,
            outliving_issuer_allowed: policy.allow_outliving_issuer,
            max_overlap: policy.max_overlap.as_secs(),
        },
        issuing_stopped: caller.service().issuing_paused(),
    };
    json(StatusCode::OK, &answer)
}
