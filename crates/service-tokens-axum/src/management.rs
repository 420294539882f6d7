//! The management API: tokens that manage the tokens of their owner, over HTTP.
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
//! | request | needs | answers |
//! | --- | --- | --- |
//! | `POST /tokens` | `service-tokens:issue` | 201, the token with its secret, `Location` |
//! | `GET /tokens` | `service-tokens:read` | one page of tokens, and the cursor of the next |
//! | `GET /tokens/{id}` | `service-tokens:read` | the token |
//! | `POST /tokens/{id}/rotate` | `service-tokens:rotate` | the token with its new secret |
//! | `POST /tokens/{id}/revoke` | `service-tokens:revoke` | the token, and whether it had been revoked before |
//! | `GET /token-types` | `service-tokens:read` or `service-tokens:issue` | the types, the policy, and whether issuing is stopped |
//! | `GET /tokens/self` | any active token | the acting token |
//! | `POST /tokens/self/revoke` | any active token | as above |
//! | `POST /tokens/self/rotate` | `service-tokens:rotate-self` | as above |
//! | `GET /openapi.json` | nothing | the OpenAPI 3.1 description of all this |
//!
//! The description is the reference of every parameter, field and answer. It is made from the types
//! that are parsed and answered, and is the same for every service: it says nothing of yours.
//!
//! # Authentication is inside
//!
//! The router authenticates by itself, and there is no way to mount it without that: no layer is needed
//! above it. Each call verifies the bearer token anew and strictly, never from kept records, and decides
//! whether it may do this before it looks at an id, a query or a body. Each then acts through
//! [`TokenService::on_behalf_of`]: within the owner of the token, and never into more than the token has.
//! A token that manages may be of a type of yours; give one that people sign in with an end, too. To issue
//! or rotate Connectors it must have their scopes, as the `files:*` above: with `service-tokens:*` alone
//! it can list and revoke, and issue nothing that could do anything else.
//!
//! `self` is no id. A token's own id is treated like any other at first, and needs the scope of the
//! endpoint; to rotate itself by its id a token needs `service-tokens:rotate-self` as well.
//!
//! # Tokens
//!
//! Times are RFC 3339 in UTC; requests may use another offset, whose `+` is `%2B` in a query.
//! `expires_at: null` is a token without an end, `last_used_at: null` one that was never used, and where
//! uses are not tracked that is left out. The secret is in the answers to issue and rotate, as `token`,
//! and in no other. Requests may leave a field out, but null is refused, and so is a field that is
//! unknown or repeated. A body has at most 65,536 bytes. `issued_by` and the `by` of a revocation are
//! the id of the token that did it.
//!
//! # Repeating a request
//!
//! Everything but issuing can be repeated as it is: revoking twice is 200 with `already_revoked`, and a
//! rotation whose answer was lost is repeated with `"replacing": "newest"`.
//!
//! To issue, send an `Idempotency-Key`: a UUID of version 7 (RFC 9562) that you have made for this token,
//! within an hour of now. It becomes the token's id. Repeat the request with the same key if there was no
//! answer: on another node, or after a restart, it is 409 with the `id` if the token exists, and there is
//! never a second one. **If the first answer was lost, its secret is lost: rotate that id**, which yields
//! a secret. That needs `service-tokens:rotate` and an active token: before its `not_before` a token does
//! not rotate. Who cannot rotate it, or will not wait, has it revoked and issues with another key. A key
//! can be found to exist although the token is another owner's; who makes their keys at random never
//! meets that.
//!
//! # Lists
//!
//! `next` is the cursor of the next page; null is the end. A page may be short, or empty, although there
//! is a next one. A cursor holds for the owner, the filters and the direction that it was made with,
//! `limit` may change, and it is good on every node and after a restart. It is no secret and signed by
//! nobody: the digest in it only keeps a cursor from being used by mistake with another list. Whoever
//! makes one up gets a page of their own list.
//!
//! # Errors
//!
//! Problem details (RFC 9457). `type` is `urn:service-tokens:problem:` with a name:
//!
//! | status | name | further members, headers |
//! | --- | --- | --- |
//! | 400 | `invalid-field`, `invalid-parameter`, `invalid-header` | `field` and the `rule` that it breaks |
//! | 400 | `unsupported-filter` | `field`, `rule`: the store does not track last use |
//! | 400 | `malformed-body` | |
//! | 400 | `malformed-credentials` | `WWW-Authenticate` |
//! | 401 | `no-credentials`, `invalid-token` | `WWW-Authenticate`; `id` if the token ended during the act |
//! | 403 | `insufficient-scope` | `scope`, `WWW-Authenticate` |
//! | 403 | `beyond-acting-token` | `WWW-Authenticate` |
//! | 404 | `not-found` | the same for malformed, unknown and foreign ids |
//! | 405 | `method-not-allowed` | `Allow` |
//! | 409 | `exists` | `id` |
//! | 409 | `not-active`, `too-many-active` | |
//! | 409 | `overlap-runs` | `field`, `rule`: say what the rotation is `replacing` |
//! | 409 | `rotated-since` | `field`, `rule`: `if_secret_created_at` does not hold any more |
//! | 413, 415 | `body-too-large`, `unsupported-media-type` | |
//! | 503 | `unavailable` | `Retry-After`; nothing changed, but that an issue may leave a revoked token |
//! | 503 | `indeterminate` | `Retry-After`, `id`: it may have changed |
//! | 503 | `issuing-stopped` | `Retry-After`, `reason` |
//!
//! The values of a request are not repeated in an answer, nor in any log: one could be a token.
//!
//! # What is left to you
//!
//! Every answer is `Cache-Control: no-store`. One that your server gives in its place, after a panic or
//! when its time is up, is the server's: let that say so too. There is no CORS unless you add it, and
//! nothing here waits for a slow client for a limited time: set the timeouts of your server. The router
//! has no fallback: it can be merged with others.

mod access;
mod answer;
mod body;
mod cursor;
mod described;
mod failure;
mod id;
mod issue;
mod itself;
mod json;
mod kinds;
#[allow(unused_qualifications, reason = "in what utoipa's attribute makes of the query")]
mod list;
mod openapi;
mod query;
mod revoke;
mod rotate;
mod show;
mod token;
mod types;

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::{MethodRouter, get, post};
use service_tokens::{TokenService, TokenStore};

use access::Closed;
use query::NoQuery;

/// The management API of this service, to be merged into a router or nested under a prefix.
pub fn router<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    let document = openapi::document();
    let routes: Router<Closed<S>> = Router::new()
        .route("/tokens", endpoint(get(list::list).post(issue::issue)))
        .route("/tokens/self", endpoint(get(itself::show_self)))
        .route("/tokens/self/revoke", endpoint(post(itself::revoke_self)))
        .route("/tokens/self/rotate", endpoint(post(itself::rotate_self)))
        .route("/tokens/{id}", endpoint(get(show::show)))
        .route("/tokens/{id}/revoke", endpoint(post(revoke::revoke)))
        .route("/tokens/{id}/rotate", endpoint(post(rotate::rotate)))
        .route("/token-types", endpoint(get(kinds::types)))
        .route(
            "/openapi.json",
            endpoint(get(move |_: NoQuery| ready(openapi::describe(document)))),
        );
    routes.with_state(Closed::new(service))
}

/// Answers other methods too, and is kept by nobody.
fn endpoint<T: Clone + Send + Sync + 'static>(methods: MethodRouter<T>) -> MethodRouter<T> {
    methods.fallback(answer::method_not_allowed).layer(map_response(answer::no_store))
}
