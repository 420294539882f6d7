//! The answers of the endpoints, as the OpenAPI description has them.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, ToSchema};

use super::token::{IssuedJson, RevokedJson, TokenJson};
use crate::problem::PROBLEM_JSON;

/// The id in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "it is read from the path and described here")]
pub(super) struct IdParam {
    /// The id of a token. Those that are malformed, unknown or another owner's get one and the same
    /// 404.
    #[param(pattern = "^[0-9A-Za-z]{22}$", example = "05Swf3OEdIgE2bQlsPJ8wB")]
    id: String,
}

/// Why a request did not succeed (RFC 9457). `type` is for programs, the rest for people.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "answers are written by the builder of problems")]
pub(super) struct ProblemSchema {
    /// The kind of problem. It never changes its meaning.
    #[schema(pattern = "^urn:service-tokens:problem:[a-z-]+$")]
    r#type: String,
    /// The kind of problem, in words.
    title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is to be said of this occurrence.
    #[schema(nullable = false)]
    detail: Option<String>,
    /// The field of the body, the parameter or the header that breaks a rule.
    #[schema(nullable = false)]
    field: Option<String>,
    /// The rule that it breaks.
    #[schema(nullable = false)]
    rule: Option<String>,
    /// The token that it is about.
    #[schema(nullable = false, pattern = "^[0-9A-Za-z]{22}$")]
    id: Option<String>,
    /// Why an operator has stopped issuing.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// The scope that is missing, or several of which one is needed, with spaces between.
    #[schema(nullable = false)]
    scope: Option<String>,
}

pub(super) type Responses = BTreeMap<String, RefOr<Response>>;

/// An answer with a body of this schema.
pub(super) fn answer(media_type: &str, schema: &str, description: &str) -> ResponseBuilder {
    let content = Content::new(Some(Ref::from_schema_name(schema)));
    ResponseBuilder::new().description(description).content(media_type, content)
}

fn problem(description: &str) -> ResponseBuilder {
    answer(PROBLEM_JSON.to_str().unwrap_or_default(), "Problem", description)
}

fn header(response: ResponseBuilder, name: &str, kind: Type, description: &str) -> ResponseBuilder {
    let schema = ObjectBuilder::new().schema_type(kind);
    let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description));
    response.header(name, header.build())
}

pub(super) fn of<const N: usize>(responses: [(u16, ResponseBuilder); N]) -> Responses {
    let named = |(status, response): (u16, ResponseBuilder)| {
        (status.to_string(), RefOr::T(response.build()))
    };
    responses.into_iter().map(named).collect()
}

/// Groups of answers, for `responses(…)` of an endpoint.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident => $responses:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> $crate::management::described::Responses {
                $crate::management::described::of($responses)
            }
        }
    )*};
}

pub(super) use answers;

pub(super) const JSON: &str = "application/json";

answers! {
    One => [(200, answer(JSON, &TokenJson::name(), "The token."))];
    RevokedToken => [(200, answer(JSON, &RevokedJson::name(), "The token is revoked."))];
    Rotated => [(
        200,
        answer(JSON, &IssuedJson::name(), "The token with its new secret, which is shown this once."),
    )];
    IssuedToken => [(
        201,
        header(
            answer(JSON, &IssuedJson::name(), "The token with its secret, which is shown this once."),
            "Location",
            Type::String,
            "Where the token is found, relative to this request.",
        ),
    )];
    /// What every endpoint answers that asks for a token.
    Credentials => [
        (400, problem(
            "The request breaks a rule: `field` and `rule` name it. Malformed credentials have a \
             challenge in `WWW-Authenticate`.",
        )),
        (401, header(
            problem("No credentials, or no active token of this service, for whatever reason."),
            "WWW-Authenticate",
            Type::String,
            "The challenge of RFC 6750.",
        )),
        (403, header(
            problem("The token is active and may not do this: `scope` names what it lacks."),
            "WWW-Authenticate",
            Type::String,
            "The challenge of RFC 6750.",
        )),
        (503, header(
            problem(
                "It cannot be done at the moment. Nothing was changed, unless the kind of problem is \
                 `indeterminate`.",
            ),
            "Retry-After",
            Type::Integer,
            "In how many seconds to try again.",
        )),
    ];
    /// What an endpoint without parameters and credentials refuses.
    NoParameters => [(400, problem("There are no query parameters here: `field` names the one sent."))];
    Unknown => [(404, problem("The owner has no such token."))];
    Refused => [(409, problem("What is stored stands against it: the kind of problem says what to do."))];
    /// What every endpoint with a body answers.
    Bodies => [
        (413, problem("The body is longer than 65,536 bytes.")),
        (415, problem("The body is not `application/json`.")),
    ];
}

/// An example of a problem, for the description.
pub(super) fn example() -> serde_json::Value {
    json!({
        "type": "urn:service-tokens:problem:invalid-field",
        "title": "A field of the request breaks a rule",
        "status": 400,
        "field": "issued_to",
        "rule": "must not be empty",
    })
}
