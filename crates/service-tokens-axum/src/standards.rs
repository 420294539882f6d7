//! Endpoints by which other programs ask about tokens, in the standards they already speak.
//!
//! | endpoint | standard | who may call it |
//! | --- | --- | --- |
//! | `POST /introspect` | RFC 7662, token introspection | a token with `service-tokens:introspect` |
//! | `POST /revoke` | RFC 7009, token revocation | whoever holds the token that is to be revoked |
//! | any method, `/authorize/<scope>` and everything below | nginx's `auth_request`, Traefik's `forwardAuth` | your reverse proxy, see [`proxies`] |
//! | any method, `/ext-authz/<scope>` and everything below | Envoy's `ext_authz` | the same |
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
//! The routers can be merged at the root or nested under a prefix. Every answer of theirs has
//! `Cache-Control: no-store`. What your server answers in their place, after a panic or when its time is
//! up, is the server's: let that say so too, as `server.rs` of the example `service` does. There is no
//! CORS unless you add it, and there are no timeouts: set those of your server, for bodies too.
//!
//! # Introspection
//!
//! The caller sends its own token as `Authorization: Bearer`, and the token it asks about as the form
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
//! | answer | when |
//! | --- | --- |
//! | 200 and the members below | the token is active, and of the caller's owner |
//! | 200 `{"active":false}`, byte for byte | it is not, for whatever reason; or it is another owner's |
//! | 400 `invalid_request` | the caller's credentials or the [form](#forms) are malformed |
//! | 401, 403 with a challenge | the caller's token is missing, not active, or lacks the scope |
//! | 503 with `Retry-After` | the store could not decide |
//!
//! | member | |
//! | --- | --- |
//! | `active` | `true` |
//! | `scope` | the token's effective scopes with single spaces between; empty if it may do nothing |
//! | `exp` | its end, in whole seconds since 1970, rounded down; absent if it has none |
//! | `iat` | when it was issued, in whole seconds |
//! | `nbf` | its start, in whole seconds; absent if it was not given one |
//! | `sub` | its owner |
//! | `jti` | its id |
//! | `token_type` | `Bearer` |
//!
//! A scope may end in a wildcard: `files:*` is every scope that begins with `files:` and goes on, and
//! `*` is every scope but those of `service-tokens:`.
//!
//! Both tokens are read from the store itself, never from kept records: a revocation shows at once. An
//! active answer is a use of both tokens: last-used moves, and an overlap until first use ends.
//! `{"active":false}` is no use of the token that was asked about.
//!
//! # Revocation
//!
//! The form parameter `token` is revoked, for good, and with it every secret of the same id. Whoever
//! holds a token may revoke it: no other credentials are needed, and an `Authorization` header is not
//! looked at.
//!
//! | answer | when |
//! | --- | --- |
//! | 200, empty | the token is revoked by now; or it was none that could be: unknown, malformed, dead, with a wrong secret or one that a rotation has ended. Then nothing changed |
//! | 400 `invalid_request` | the [form](#forms) is malformed, or the token holds a control character |
//! | 503 with `Retry-After` | it is not known to be revoked: ask again |
//!
//! A token that is not active yet, or whose type this service does not know, is revoked like an active
//! one: whoever sent it holds it. A record that this service cannot judge, because a newer program wrote
//! it or its key is not in this service's key ring, is answered with 503 and not with 200: another node
//! may accept the token still. It is no use of the token, and asking twice does no harm.
//!
//! **200 does not say that there was such a token** (RFC 7009 §2.2): see that it is refused afterwards. One
//! that comes with the line end of its file would be none, and the right one would live on; it is refused
//! with 400. From a shell, take it off:
//!
//! ```text
//! printf 'token=%s' "$(cat token)" | curl -i --data-binary @- https://acme.example/revoke
//! ```
//!
//! # Forms
//!
//! Both take exactly one parameter `token`, not empty, in a body of type
//! `application/x-www-form-urlencoded` without `Content-Encoding` and with at most 16 KiB of UTF-8.
//! Anything else is 400 with the JSON of RFC 6749 §5.2,
//! `{"error":"invalid_request","error_description":"…"}`. Other parameters, `token_type_hint` among them,
//! are ignored, and so is the query: a token does not belong in a URL.

mod answer;
mod authorize;
mod form;
mod introspect;
pub mod proxies;
mod revoke;

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, post};
use service_tokens::{TokenService, TokenStore};

/// All of these endpoints.
pub fn router<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    introspection(service.clone()).merge(revocation(service.clone())).merge(authorization(service))
}

/// `POST /introspect` alone: [introspection](self#introspection).
pub fn introspection<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    let route = post(introspect::introspect::<S>).fallback(answer::only_post);
    Router::new().route("/introspect", route).with_state(service)
}

/// `POST /revoke` alone: [revocation](self#revocation).
pub fn revocation<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    let route = post(revoke::revoke::<S>).fallback(answer::only_post);
    Router::new().route("/revoke", route).with_state(service)
}

/// `/authorize/<scope>` and `/ext-authz/<scope>` alone, for [reverse proxies](proxies).
pub fn authorization<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    // Not `{scope}/{*below}`: what stands below must not be decoded, as it may be no UTF-8.
    Router::new()
        .route("/authorize", any(authorize::authorize::<S>))
        .route("/authorize/", any(authorize::authorize::<S>))
        .route("/authorize/{*path}", any(authorize::authorize::<S>))
        .route("/ext-authz", any(authorize::ext_authz::<S>))
        .route("/ext-authz/", any(authorize::ext_authz::<S>))
        .route("/ext-authz/{*path}", any(authorize::ext_authz::<S>))
        .with_state(service)
}
