//! `GET /openapi.json`, the OpenAPI description of the API.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::openapi_responses::{self, NoParameters, ProblemSchema};
use super::token_json::{IssuedJson, RevokedJson, TokenJson};
use super::{get, issue, list, own_token, revoke, rotate, token_types};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Service tokens: management",
        description = "Issues, lists, rotates and revokes the service tokens of the calling token's owner. \
            Errors are problem details (RFC 9457). Times are RFC 3339. Answers must not be cached.",
    ),
    servers((url = "./", description = "The place where this description was found.")),
    tags(
        (name = "tokens", description = "The tokens of the calling token's owner."),
        (name = "self", description = "Operations of a token on itself."),
        (name = "types", description = "The token types and the policy."),
    ),
    paths(
        list::list, issue::issue, get::get, revoke::revoke, rotate::rotate,
        own_token::get_self, own_token::revoke_self, own_token::rotate_self, token_types::types,
        describe,
    ),
    components(schemas(
        TokenJson, IssuedJson<'_>, RevokedJson, list::PageJson, token_types::TypesJson, ProblemSchema,
    )),
    modifiers(&Bearer),
)]
struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        api.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// Creates the description as JSON.
pub(super) fn document() -> Bytes {
    let mut api = serde_json::to_value(Api::openapi()).unwrap_or_default();
    for operation in operations(&mut api) {
        if let Some(schema) = operation.get_mut("requestBody").and_then(body_schema) {
            not_null(schema);
        }
        let statuses = operation.get_mut("responses").and_then(Value::as_object_mut);
        for (_, response) in statuses.into_iter().flatten() {
            complete(response);
        }
    }
    if let Some(problem) = api.pointer_mut("/components/schemas/Problem") {
        problem["examples"] = json!([openapi_responses::example()]);
    }
    api.to_string().into()
}

fn operations(api: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let paths = api.pointer_mut("/paths").and_then(Value::as_object_mut);
    let methods = paths.into_iter().flatten().filter_map(|(_, path)| path.as_object_mut());
    methods.flatten().filter_map(|(_, operation)| operation.as_object_mut())
}

fn body_schema(body: &mut Value) -> Option<&mut Value> {
    body.pointer_mut("/content/application~1json/schema")
}

/// Removes null from the schema of an optional body. The body may be absent, but not null.
fn not_null(schema: &mut Value) {
    if let Some(own) = schema.pointer_mut("/oneOf/0").map(Value::take) {
        *schema = own;
    }
}

/// Adds `Cache-Control` to a response and marks all its headers as required, because they are always sent.
fn complete(response: &mut Value) {
    let Some(response) = response.as_object_mut() else { return };
    let headers = response.entry("headers").or_insert_with(|| json!({}));
    headers["Cache-Control"] = json!({
        "description": "The answer must not be cached.",
        "schema": { "type": "string", "const": "no-store" },
    });
    for (_, header) in headers.as_object_mut().into_iter().flatten() {
        header["required"] = json!(true);
    }
}

/// Returns the OpenAPI 3.1 description of this API.
///
/// Requires no token, because it does not describe this service's tokens, types or policy.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "describe", tag = "types",
    responses((status = 200, description = "This description.", body = Object), NoParameters),
)]
pub(super) fn describe(document: Bytes) -> Response {
    let mut response = Response::new(Body::from(document));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
