//! `GET /token-types`, which returns the token types and the policy.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use service_tokens::TokenStore;
use utoipa::ToSchema;

use super::caller::{Caller, ReadOrIssue};
use super::failure::Failure;
use super::openapi_responses::{Credentials, JSON, response, responses};
use super::parameters::NoQuery;
use super::response::json;

/// The token types of the service, and the limits of its policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenTypes)]
pub(super) struct TypesJson {
    types: Vec<TypeJson>,
    policy: PolicyJson,
    /// The reason why issuing is paused. Null if it is not paused.
    #[schema(required)]
    issuing_paused: Option<String>,
}

/// A named set of scopes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenType)]
struct TypeJson {
    name: String,
    /// A description for people. It may be empty.
    description: String,
    scopes: Vec<String>,
    /// Whether the calling token has all of these scopes. Otherwise it can only issue tokens of this type
    /// with fewer scopes.
    issuable: bool,
    /// Whether the type is retired. No token of it is issued, and its tokens continue to work.
    retired: bool,
    /// The lifetime of a token of this type if the request sets none, in seconds. Null means that it never
    /// expires.
    #[schema(required)]
    default_lifetime: Option<u64>,
    /// The maximum lifetime of a token of this type that expires, in seconds. Null means no limit.
    #[schema(required)]
    max_lifetime: Option<u64>,
    /// Whether a token of this type may never expire.
    never_allowed: bool,
    /// Whether a token of this type needs client networks.
    networks_required: bool,
}

/// The limits of the service's policy, in seconds. A type may have other lifetimes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
struct PolicyJson {
    /// The lifetime of a token if the request sets none. Null means that it never expires.
    #[schema(required)]
    default_lifetime: Option<u64>,
    /// The maximum lifetime of a token that expires. Null means no limit.
    #[schema(required)]
    max_lifetime: Option<u64>,
    /// Whether a token may never expire.
    never_allowed: bool,
    /// Whether a token may expire later than the token that issues or rotates it.
    outliving_issuer_allowed: bool,
    /// The maximum overlap of two secrets after a rotation.
    max_overlap: u64,
}

responses! { Types => [(200, response(JSON, &TypesJson::name(), "The types and the policy."))]; }

/// Returns the token types of the service and the limits of its policy.
///
/// Requires `service-tokens:read` or `service-tokens:issue`.
#[utoipa::path(
    get, path = "/token-types", operation_id = "listTokenTypes", tag = "types",
    responses(Types, Credentials), security(("bearer" = [])),
)]
pub(super) async fn types<S: TokenStore + 'static>(
    caller: Caller<ReadOrIssue, S>,
    _: NoQuery,
) -> Result<Response, Failure> {
    let calling = caller.token().scopes();
    let policy = caller.service().policy();
    let types = caller.service().token_types().map(|token_type| {
        let (limits, policy) = (token_type.limits(), policy.for_type(token_type));
        TypeJson {
            name: token_type.name().to_owned(),
            description: token_type.description().to_owned(),
            scopes: token_type.scopes().iter().map(str::to_owned).collect(),
            issuable: calling.contains(token_type.scopes()),
            retired: limits.retired,
            default_lifetime: policy.default_lifetime.as_ref().map(Duration::as_secs),
            max_lifetime: policy.max_lifetime.as_ref().map(Duration::as_secs),
            never_allowed: policy.allow_never,
            networks_required: limits.require_networks,
        }
    });
    let body = TypesJson {
        types: types.collect(),
        policy: PolicyJson {
            default_lifetime: policy.default_lifetime.map(|lifetime| lifetime.as_secs()),
            max_lifetime: policy.max_lifetime.as_ref().map(Duration::as_secs),
            never_allowed: policy.allow_never,
            outliving_issuer_allowed: policy.allow_outliving_issuer,
            max_overlap: policy.max_overlap.as_secs(),
        },
        issuing_paused: caller.service().issuing_paused(),
    };
    json(StatusCode::OK, &body)
}
