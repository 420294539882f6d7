//! The responses of the endpoints in the OpenAPI description.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

use super::token_json::{IssuedJson, RevokedJson, TokenJson};
use crate::problem::PROBLEM_JSON;

/// The reason why a request failed (RFC 9457). Programs read `type`, and people read the other members.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "`Problem` writes the answers, and this type describes them")]
pub(super) struct ProblemSchema {
    /// The kind of problem. Its meaning never changes.
    #[schema(pattern = "^urn:service-tokens:problem:[a-z-]+$")]
    r#type: String,
    /// The kind of problem, in words.
    title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// A sentence about this occurrence.
    #[schema(nullable = false)]
    detail: Option<String>,
    /// The field, parameter or header that breaks a rule.
    #[schema(nullable = false)]
    field: Option<String>,
    /// The rule that the field breaks.
    #[schema(nullable = false)]
    rule: Option<String>,
    /// The index of the entry that breaks the rule, counted from 0, if the field is an array.
    #[schema(nullable = false)]
    index: Option<usize>,
    /// The id of the token that the problem is about.
    #[schema(nullable = false, pattern = "^[0-9A-Za-z]{22}$")]
    id: Option<String>,
    /// The reason why an operator paused issuing.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// The missing scope, or several scopes separated by spaces of which one is required.
    #[schema(nullable = false)]
    scope: Option<String>,
}

pub(super) type Responses = BTreeMap<String, RefOr<Response>>;

/// Describes a response with a body of this schema.
pub(super) fn response(media_type: &str, schema: &str, description: &str) -> ResponseBuilder {
    let content = Content::new(Some(Ref::from_schema_name(schema)));
    ResponseBuilder::new().description(description).content(media_type, content)
}

fn problem(description: &str) -> ResponseBuilder {
    response(PROBLEM_JSON.to_str().unwrap_or_default(), "Problem", description)
}

fn header(builder: ResponseBuilder, name: &str, kind: Type, description: &str) -> ResponseBuilder {
    let schema = ObjectBuilder::new().schema_type(kind);
    let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description));
    builder.header(name, header.build())
}

pub(super) fn by_status<const N: usize>(responses: [(u16, ResponseBuilder); N]) -> Responses {
    let named = |(status, response): (u16, ResponseBuilder)| {
        (status.to_string(), RefOr::T(response.build()))
    };
    responses.into_iter().map(named).collect()
}

/// Defines groups of responses for `responses(…)` of an endpoint.
macro_rules! responses {
    ($($(#[$doc:meta])* $name:ident => $responses:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> $crate::management::openapi_responses::Responses {
                $crate::management::openapi_responses::by_status($responses)
            }
        }
    )*};
}

pub(super) use responses;

pub(super) const JSON: &str = "application/json";

responses! {
    One => [(200, response(JSON, &TokenJson::name(), "The token."))];
    RevokedToken => [(200, response(JSON, &RevokedJson::name(), "The token is revoked."))];
    Rotated => [(
        200,
        response(JSON, &IssuedJson::name(), "The token with its new secret, which no other answer contains."),
    )];
    IssuedToken => [(
        201,
        header(
            response(JSON, &IssuedJson::name(), "The token with its secret, which no other answer contains."),
            "Location",
            Type::String,
            "The path of the token, relative to this request.",
        ),
    )];
    /// The failures of every endpoint that requires a token.
    Credentials => [
        (400, problem(
            "The request breaks a rule, which `field` and `rule` name. The answer to malformed credentials \
             has a challenge in `WWW-Authenticate`.",
        )),
        (401, header(
            problem("The credentials are missing, or the token is not an active token of this service."),
            "WWW-Authenticate",
            Type::String,
            "The challenge of RFC 6750.",
        )),
        (403, header(
            problem("The token is active but lacks a scope, which `scope` names."),
            "WWW-Authenticate",
            Type::String,
            "The challenge of RFC 6750.",
        )),
        (503, header(
            problem(
                "The service is temporarily unable to do this. Nothing was changed, unless the kind of \
                 problem is `indeterminate`.",
            ),
            "Retry-After",
            Type::Integer,
            "The number of seconds to wait before the next attempt.",
        )),
    ];
    /// The failure of an endpoint without parameters and credentials.
    NoParameters => [(400, problem("This path has no query parameters. `field` names the one that was sent."))];
    Unknown => [(404, problem("The owner has no such token."))];
    Refused => [(409, problem("The request conflicts with a stored token. The kind of problem says how to continue."))];
    /// The failures of every endpoint with a body.
    Bodies => [
        (413, problem("The body has more than 65,536 bytes.")),
        (415, problem("The body is not `application/json`.")),
    ];
}

/// Returns an example of a problem for the description.
pub(super) fn example() -> serde_json::Value {
    json!({
        "type": "urn:service-tokens:problem:invalid-field",
        "title": "A field of the request breaks a rule",
        "status": 400,
        "field": "issued_to",
        "rule": "must contain a visible character",
    })
}
