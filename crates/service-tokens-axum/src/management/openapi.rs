//! `GET /openapi.json`

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::described::{self, NoParameters, ProblemSchema};
use super::token::{IssuedJson, RevokedJson, TokenJson};
use super::{issue, itself, kinds, list, revoke, rotate, show};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Service tokens: management",
        description = "Issues, lists, rotates and revokes the service tokens of one owner: the owner of \
            the token that asks. Errors are problem details (RFC 9457). Times are RFC 3339. Nothing \
            may be cached.",
    ),
    servers((url = "./", description = "Wherever this description was found.")),
    tags(
        (name = "tokens", description = "The tokens of the acting token's owner."),
        (name = "self", description = "What any token may do with itself."),
        (name = "types", description = "What may be issued."),
    ),
    paths(
        list::list, issue::issue, show::show, revoke::revoke, rotate::rotate,
        itself::show_self, itself::revoke_self, itself::rotate_self, kinds::types, describe,
    ),
    components(schemas(
        TokenJson, IssuedJson<'_>, RevokedJson, list::PageJson, kinds::TypesJson, ProblemSchema,
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

/// The description as JSON.
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
        problem["examples"] = json!([described::example()]);
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

/// A body that may be left out may not be null.
fn not_null(schema: &mut Value) {
    if let Some(own) = schema.pointer_mut("/oneOf/0").map(Value::take) {
        *schema = own;
    }
}

/// Every answer says that it may not be kept, and what is described of headers is always there.
fn complete(response: &mut Value) {
    let Some(response) = response.as_object_mut() else { return };
    let headers = response.entry("headers").or_insert_with(|| json!({}));
    headers["Cache-Control"] = json!({
        "description": "Nothing may be kept.",
        "schema": { "type": "string", "const": "no-store" },
    });
    for (_, header) in headers.as_object_mut().into_iter().flatten() {
        header["required"] = json!(true);
    }
}

/// Describes this API, as OpenAPI 3.1.
///
/// It needs no token: it says nothing about this service's tokens, types or policy.
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
