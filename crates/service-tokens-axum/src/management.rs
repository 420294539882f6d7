//! The management API, through which tokens manage the tokens of their owner over HTTP.
//!
//! ```
//! use std::sync::Arc;
//! use axum::Router;
//! use service_tokens::{MemoryStore, TokenService, TokenType};
//! use service_tokens_axum::management;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = TokenService::builder(MemoryStore::new(), "acme_live")
//!     .token_type(TokenType::new("connector", ["files:upload"])?)
//!     .token_type(TokenType::new("manager", ["service-tokens:*", "files:*"])?)
//!     .build()?;
//! let app: Router = Router::new().nest("/manage", management::router(Arc::new(service)));
//! # Ok(()) }
//! ```
//!
//! | request | requirement | answer |
//! | --- | --- | --- |
//! | `POST /tokens` | `service-tokens:issue` | 201, the token with its secret, `Location` |
//! | `GET /tokens` | `service-tokens:read` | one page of tokens, and the cursor of the next page |
//! | `GET /tokens/{id}` | `service-tokens:read` | the token |
//! | `POST /tokens/{id}/rotate` | `service-tokens:rotate` | the token with its new secret |
//! | `POST /tokens/{id}/revoke` | `service-tokens:revoke` | the token, and whether it was already revoked |
//! | `GET /token-types` | `service-tokens:read` or `service-tokens:issue` | the types, the policy, and whether issuing is paused |
//! | `GET /tokens/self` | any active token | the calling token |
//! | `POST /tokens/self/revoke` | any active token | the same as for `/tokens/{id}/revoke` |
//! | `POST /tokens/self/rotate` | `service-tokens:rotate-self` | the same as for `/tokens/{id}/rotate` |
//! | `GET /openapi.json` | no token | the OpenAPI 3.1 description of this API |
//!
//! The description lists every parameter, field and answer. It is generated from the types that the code
//! parses and writes. It is the same for every service and reveals no data of your service.
//!
//! # Authentication
//!
//! The router authenticates every request itself, and this cannot be turned off. Do not put a layer above
//! it. Each request verifies its bearer token uncached, and checks the scope before it reads an id, a query
//! or a body. Each operation then runs through [`TokenService::on_behalf_of`]. So it stays within the
//! owner of the calling token, and cannot grant scopes that the calling token lacks.
//!
//! A managing token may have any type that you define. Give a lifetime to one that people sign in with. To
//! issue or rotate Connectors it must have their scopes, such as `files:*` above. A token with only
//! `service-tokens:*` can list and revoke, but can only issue tokens with these management scopes.
//!
//! `self` is not an id. A token may also be addressed by its own id, which requires the scope of that
//! endpoint. To rotate itself by its id a token also requires `service-tokens:rotate-self`.
//!
//! # Tokens
//!
//! Times are RFC 3339 in UTC. Requests may use another offset, whose `+` must be written `%2B` in a query.
//! `expires_at: null` means that the token never expires. `last_used_at: null` means that it was never used,
//! and the field is absent if uses are not tracked. The answers to issue and rotate contain the secret as
//! `token`, and no other answer does. A request may leave optional fields out. Null, unknown fields and
//! repeated fields are refused. A body has at most 65,536 bytes. `issued_by`, and `by` of a revocation, are
//! the id of the token that made the request.
//!
//! `usable` is false if the service refuses every request with the token. If the state does not say why,
//! `unusable_reason` does: `unknown_type` if the service does not know the type of the token, or
//! `newer_record` if a newer version wrote it.
//!
//! # Repeating a request
//!
//! Every request except issuing can be repeated unchanged. Revoking again gives 200 with `already_revoked`.
//! A rotation whose answer was lost is repeated with `"replacing": "newest"`.
//!
//! To repeat an issue safely, send an `Idempotency-Key`. It is a UUID of version 7 (RFC 9562) that you
//! create for this token within an hour of now, and it becomes the token's id. If the answer was lost,
//! repeat the request with the same key, also on another node or after a restart. If the token exists, the
//! answer is 409 with its `id`. A second token is never issued. **A secret in a lost answer cannot be
//! recovered, so rotate that id** to get a new one. This requires `service-tokens:rotate` and an active
//! token, so it is not possible before `not_before`. Otherwise revoke the token and issue with another key.
//! A key may also exist because the token belongs to another owner. With random keys this does not happen.
//!
//! # Lists
//!
//! `next` is the cursor of the next page, or null at the end. A page may be short or empty although there is
//! a next one. A cursor is valid for the owner, the filters and the order that it was created with. `limit`
//! may change. A cursor is valid on every node and after a restart. It is not secret and not signed. Its
//! digest only prevents use with another list by mistake, because a forged cursor returns a page of the
//! caller's own list.
//!
//! # Errors
//!
//! Errors are problem details (RFC 9457). `type` is `urn:service-tokens:problem:` followed by a name:
//!
//! | status | name | further members and headers |
//! | --- | --- | --- |
//! | 400 | `invalid-field`, `invalid-parameter`, `invalid-header` | `field`, the `rule` that it breaks, and for an entry of an array its `index` |
//! | 400 | `unsupported-filter` | `field`, `rule`. The store does not track last use |
//! | 400 | `malformed-body` | |
//! | 400 | `malformed-credentials` | `WWW-Authenticate` |
//! | 401 | `no-credentials`, `invalid-token` | `WWW-Authenticate`, and `id` if the token ended during the operation |
//! | 403 | `insufficient-scope` | `scope`, `WWW-Authenticate` |
//! | 403 | `exceeds-caller` | `WWW-Authenticate` |
//! | 404 | `not-found` | the same for malformed ids, unknown ids and ids of other owners |
//! | 405 | `method-not-allowed` | `Allow` |
//! | 409 | `exists` | `id` |
//! | 409 | `not-active`, `too-many-active` | |
//! | 409 | `overlap-runs` | `field`, `rule`. The request must say which secret it is `replacing` |
//! | 409 | `rotated-since` | `field`, `rule`. `if_secret_created_at` is outdated |
//! | 413, 415 | `body-too-large`, `unsupported-media-type` | |
//! | 503 | `unavailable` | `Retry-After`. Nothing was changed, except that an issue may leave a revoked token |
//! | 503 | `indeterminate` | `Retry-After`, `id`. The token may have changed |
//! | 503 | `issuing-paused` | `Retry-After`, `reason` |
//!
//! Answers and logs never repeat the values of a request, because a value could be a token.
//!
//! # Duties of your server
//!
//! Every answer has `Cache-Control: no-store`. After a panic or a timeout your server answers instead, so add
//! the header there too. The router adds no CORS and does not limit how long a slow client may take, so set
//! timeouts in your server. It has no fallback and can be merged with other routers.

mod caller;
mod cursor;
mod failure;
mod fields;
mod get;
mod issue;
mod json_body;
#[allow(unused_qualifications, reason = "utoipa's attribute generates them for the query")]
mod list;
mod openapi;
mod openapi_responses;
mod own_token;
mod parameters;
mod response;
mod revoke;
mod rotate;
mod strict_json;
mod token_json;
mod token_types;

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::{MethodRouter, get, post};
use service_tokens::{TokenService, TokenStore};

use caller::ApiState;
use parameters::NoQuery;

/// Creates a router with the management API of this service. Merge it into a router or nest it under a
/// prefix.
///
/// ```
/// use std::sync::Arc;
/// use service_tokens::{MemoryStore, TokenService};
/// use service_tokens_axum::management;
///
/// let service = Arc::new(TokenService::builder(MemoryStore::new(), "acme_live").build()?);
/// let app: axum::Router = axum::Router::new().merge(management::router(service));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn router<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    let document = openapi::document();
    let routes: Router<ApiState<S>> = Router::new()
        .route("/tokens", endpoint(get(list::list).post(issue::issue)))
        .route("/tokens/self", endpoint(get(own_token::get_self)))
        .route("/tokens/self/revoke", endpoint(post(own_token::revoke_self)))
        .route("/tokens/self/rotate", endpoint(post(own_token::rotate_self)))
        .route("/tokens/{id}", endpoint(get(get::get)))
        .route("/tokens/{id}/revoke", endpoint(post(revoke::revoke)))
        .route("/tokens/{id}/rotate", endpoint(post(rotate::rotate)))
        .route("/token-types", endpoint(get(token_types::types)))
        .route(
            "/openapi.json",
            endpoint(get(move |_: NoQuery| ready(openapi::describe(document)))),
        );
    routes.with_state(ApiState::new(service))
}

/// Adds the answer to other methods, and `Cache-Control: no-store` to every answer.
fn endpoint<T: Clone + Send + Sync + 'static>(methods: MethodRouter<T>) -> MethodRouter<T> {
    methods.fallback(failure::method_not_allowed).layer(map_response(response::no_store))
}
