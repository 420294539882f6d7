//! Endpoints of OAuth standards and for reverse proxies, through which other programs check and revoke
//! tokens.
//!
//! | endpoint | standard | caller |
//! | --- | --- | --- |
//! | `POST /introspect` | RFC 7662, token introspection | a token with `service-tokens:introspect` |
//! | `POST /revoke` | RFC 7009, token revocation | anyone who has the token to revoke |
//! | any method, `/authorize/<scope>` and all paths below | nginx's `auth_request`, Traefik's `forwardAuth` | your reverse proxy, see [`proxies`] |
//! | any method, `/ext-authz/<scope>` and all paths below | Envoy's `ext_authz` | your reverse proxy |
//!
//! ```
//! use std::sync::Arc;
//! use axum::Router;
//! use service_tokens::{MemoryStore, TokenService, TokenType};
//! use service_tokens_axum::standards;
//!
//! let service = TokenService::builder(MemoryStore::new(), "acme_live")
//!     .token_type(TokenType::new("connector", ["files:upload"])?)
//!     .token_type(TokenType::new("resource-server", ["service-tokens:introspect"])?)
//!     .build()?;
//! let app: Router = Router::new().merge(standards::router(Arc::new(service)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Merge the routers at the root, or nest them under a prefix. Each of their answers has
//! `Cache-Control: no-store`. After a panic or a timeout your server answers instead, so add the header
//! there too, as `server.rs` of the example service does. The routers add no CORS and set no timeouts. Set
//! timeouts in your server, also for bodies.
//!
//! # Introspection
//!
//! The caller sends its own token as `Authorization: Bearer`, and the token to introspect as the form
//! parameter `token`:
//!
//! ```text
//! POST /introspect HTTP/1.1
//! Authorization: Bearer acme_live_1…
//! Content-Type: application/x-www-form-urlencoded
//!
//! token=acme_live_1…
//! ```
//!
//! | answer | condition |
//! | --- | --- |
//! | 200 and the members below | the token is active and belongs to the caller's owner |
//! | 200 `{"active":false}`, always these bytes | the token is not active, for any reason, or belongs to another owner |
//! | 400 `invalid_request` | the caller's credentials or the [form](#forms) are malformed |
//! | 401 or 403 with a challenge | the caller's token is missing, not active, or lacks the scope |
//! | 503 with `Retry-After` | the store is unavailable |
//!
//! | member | value |
//! | --- | --- |
//! | `active` | `true` |
//! | `scope` | the token's effective scopes, separated by single spaces. Empty if it has none |
//! | `exp` | its expiry in whole seconds since 1970, rounded down. Absent if it never expires |
//! | `iat` | its time of issue in whole seconds |
//! | `nbf` | its start in whole seconds. Absent if it was issued without a start |
//! | `sub` | its owner |
//! | `jti` | its id |
//! | `token_type` | `Bearer` |
//!
//! A scope may end in a wildcard. `files:*` stands for every longer scope that begins with `files:`, and
//! `*` stands for every scope except those that begin with `service-tokens:`.
//!
//! Both tokens are read from the store, never from the cache, so a revocation takes effect at once. An
//! answer with `"active":true` counts as a use of both tokens. It moves their last use, and ends an overlap
//! until first use. `{"active":false}` does not count as a use of the introspected token.
//!
//! # Revocation
//!
//! The endpoint permanently revokes the token in the form parameter `token`, with all secrets of the same
//! id. Everyone who has a token may revoke it. No other credentials are needed, and the endpoint ignores an
//! `Authorization` header.
//!
//! | answer | condition |
//! | --- | --- |
//! | 200, empty | the token is revoked, or the text could not be revoked because it is unknown or malformed, has a wrong secret, or has a secret that a rotation ended. Then nothing changed |
//! | 400 `invalid_request` | the [form](#forms) is malformed, or the token contains a control character |
//! | 503 with `Retry-After` | the result is unknown, so send the request again |
//!
//! The right secret is enough. A token that is not active yet, suspended, expired or restricted to other
//! networks, or whose type is unknown or whose owner is closed, is revoked like an active one. The service cannot verify a record that a newer version wrote or
//! whose key is not in its key ring. Then the answer is 503 and not 200, because another node may still
//! accept the token. A revocation does not count as a use of the token, and repeating it is harmless.
//!
//! **200 does not prove that the token existed** (RFC 7009 §2.2). Check afterwards that it is refused. A
//! token with the line end of its file would be unknown, and the real token would stay active. So the
//! endpoint answers 400 in this case. Remove the line end in a shell as follows:
//!
//! ```text
//! printf 'token=%s' "$(cat token)" | curl -i --data-binary @- https://acme.example/revoke
//! ```
//!
//! # Forms
//!
//! Both endpoints require exactly one parameter `token` with a value. The body must have the type
//! `application/x-www-form-urlencoded`, no `Content-Encoding`, and at most 16 KiB of UTF-8. Every other body
//! is answered with 400 and the JSON of RFC 6749 §5.2,
//! `{"error":"invalid_request","error_description":"…"}`. The endpoints ignore other parameters, such as
//! `token_type_hint`, and the query, because a token must not be in a URL.

mod authorize;
mod form;
mod introspect;
mod oauth_response;
pub mod proxies;
mod revoke;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, post};
use service_tokens::{TokenService, TokenStore};

/// Creates a router with all of these endpoints.
///
/// ```
/// use std::sync::Arc;
/// use service_tokens::{MemoryStore, TokenService};
/// use service_tokens_axum::standards;
///
/// let service = Arc::new(TokenService::builder(MemoryStore::new(), "acme_live").build()?);
/// let app: axum::Router = axum::Router::new().merge(standards::router(service));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn router<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    introspection(service.clone()).merge(revocation(service.clone())).merge(authorization(service))
}

/// Creates a router with `POST /introspect` only. See [introspection](self#introspection).
///
/// ```
/// use std::sync::Arc;
/// use service_tokens::{MemoryStore, TokenService};
/// use service_tokens_axum::standards;
///
/// let service = Arc::new(TokenService::builder(MemoryStore::new(), "acme_live").build()?);
/// let app: axum::Router = axum::Router::new().nest("/oauth", standards::introspection(service));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn introspection<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    let route = post(introspect::introspect::<S>).fallback(oauth_response::only_post);
    Router::new().route("/introspect", route).with_state(service)
}

/// Creates a router with `POST /revoke` only. See [revocation](self#revocation).
///
/// ```
/// use std::sync::Arc;
/// use service_tokens::{MemoryStore, TokenService};
/// use service_tokens_axum::standards;
///
/// let service = Arc::new(TokenService::builder(MemoryStore::new(), "acme_live").build()?);
/// let app: axum::Router = axum::Router::new().nest("/oauth", standards::revocation(service));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn revocation<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    let route = post(revoke::revoke::<S>).fallback(oauth_response::only_post);
    Router::new().route("/revoke", route).with_state(service)
}

/// Creates a router with `/authorize/<scope>` and `/ext-authz/<scope>` only, for
/// [reverse proxies](proxies).
///
/// ```
/// use std::sync::Arc;
/// use service_tokens::{MemoryStore, TokenService};
/// use service_tokens_axum::standards;
///
/// let service = Arc::new(TokenService::builder(MemoryStore::new(), "acme_live").build()?);
/// let app: axum::Router = axum::Router::new().merge(standards::authorization(service));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn authorization<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    // The route is not `{scope}/{*below}`, because axum would decode the path below, which may not be UTF-8.
    Router::new()
        .route("/authorize", any(authorize::authorize::<S>))
        .route("/authorize/", any(authorize::authorize::<S>))
        .route("/authorize/{*path}", any(authorize::authorize::<S>))
        .route("/ext-authz", any(authorize::ext_authz::<S>))
        .route("/ext-authz/", any(authorize::ext_authz::<S>))
        .route("/ext-authz/{*path}", any(authorize::ext_authz::<S>))
        .with_state(service)
}
