//! Configuration of nginx, Traefik and Envoy, which ask this service before they pass a request on.
//!
//! The proxy sends the client's `Authorization` header to `/authorize/<scope>` of
//! [`standards::router`](super::router), or to `/ext-authz/<scope>` in the case of Envoy. The answer decides
//! whether the request passes. This protects backends in any language, without code for tokens.
//!
//! # Request
//!
//! The request may have any method. **The first path segment after `/authorize/` or `/ext-authz/` is the
//! required scope**, percent-decoded once. The path below it, the query, other headers and the body have
//! no influence. So write the scope into the proxy's configuration. Never build it from input of a client.
//!
//! # Answer
//!
//! | status | condition |
//! | --- | --- |
//! | 204, or 200 below `/ext-authz` | the token has the scope. The answer has the identity headers |
//! | 401, `WWW-Authenticate: Bearer realm="service-tokens"` | the `Authorization` header is missing or has another scheme |
//! | 401, also `error="invalid_token"` | the token is not active, or the credentials are malformed or repeated. nginx would turn a 400 into 500 |
//! | 403, `error="insufficient_scope"` and the scope | the token is active but lacks the scope |
//! | 403, `error="insufficient_scope"` without a scope | the segment is not a valid requirement, such as a typing error or a wildcard. Every request is rejected, and a warning is logged |
//! | 503, `Retry-After` | the store is unavailable, so every request is rejected |
//!
//! Answers have no body, and each has `Cache-Control: no-store`. A request that passes counts as a use of
//! the token, and a rejected one does not. [Cached
//! records](service_tokens::TokenServiceBuilder::cache_records) are used, as in a layer.
//!
//! The server around the router rejects a request that it cannot read, with control characters in a header
//! or with too many headers, before this endpoint sees it. So send only the `Authorization` header, as
//! shown below. nginx would turn the server's 400 into 500, so its configuration replaces credentials with
//! a control character by malformed ones. Traefik and Envoy reject such requests themselves.
//!
//! **nginx answers 500 instead of 503**, because it only knows 2xx, 401 and 403. Envoy answers with
//! `status_on_error`, or 403 without that setting. Traefik passes the 503 on. All three reject the request.
//!
//! # Identity headers
//!
//! | header | value |
//! | --- | --- |
//! | `Service-Token-Id` | the token's id |
//! | `Service-Token-Owner` | its owner |
//! | `Service-Token-Type` | the name of its type |
//! | `Service-Token-Issued-To` | the text of its *Issued To* |
//! | `Service-Token-Scopes` | its effective scopes, separated by single spaces before encoding |
//!
//! **All five are set on every request that passes**, so a proxy that overwrites them overwrites all headers
//! that a client sent. Values are percent-encoded. ASCII letters, digits and `-` `.` `_` `~` `:` `*` are
//! unchanged, and every other byte of the UTF-8 becomes `%` and two digits (a space is `%20`). Decode each
//! value once. Together they have at most 23 KiB, in the case of a token with 64 long scopes. Configure the
//! proxy and the backend for this size, or use shorter scopes.
//!
//! # Duties of the proxy
//!
//! - **Overwrite the identity headers** on every path where the proxy asks, and **remove them** on every
//!   other path. Otherwise a client can send `Service-Token-Owner: acme` and act as acme. A backend that
//!   reads headers like CGI, WSGI or PHP cannot distinguish `Service_Token_Owner` from
//!   `Service-Token-Owner`, and some cannot distinguish dots either. Traefik drops neither spelling, and
//!   Envoy does not drop dots. Behind these two, use a backend that distinguishes the names.
//! - **Be the only way to the backend.** Bind the backend to loopback, a private network or a socket.
//! - **Block `/authorize` and `/ext-authz` for clients.** They reveal no more than a protected path, but
//!   strangers could fill the log with warnings.
//! - **Do not cache answers.** A cached answer is not current and does not count as a use. nginx writes
//!   its cache keys to disk, and the key would have to contain the token. If the store is far away, let
//!   the service [cache records](service_tokens::TokenServiceBuilder::cache_records). That cache has a
//!   maximum age, and the change feed brings revocations in at once.
//! - **Decide and forward by the same path.** If the backend resolves `/a/../b` differently from the proxy,
//!   a protected path can be reached through an open one. It is safest to protect `/` and to open single
//!   paths.
//!
//! # nginx
//!
//! Put this into `http { … }`. `tests/nginx.rs` runs it in front of an upload service.
//!
#![doc = "```nginx"]
#![doc = include_str!("proxies/nginx.conf")]
#![doc = "```"]
//!
//! A 403 reaches the client without the challenge, because nginx passes the challenge on for 401 only.
//! nginx itself rejects several `Authorization` headers with 400.
//!
//! # Traefik
//!
//! This is the dynamic configuration. `tests/traefik.rs` runs it.
//!
#![doc = "```yaml"]
#![doc = include_str!("proxies/traefik.yaml")]
#![doc = "```"]
//!
//! # Envoy
//!
//! Envoy's HTTP filter lets a request pass on **status 200 only**. It sends every other status to the client
//! as the answer, also a 204, as if the backend had answered. So `/ext-authz/<scope>` exists. It differs
//! from `/authorize/<scope>` only in this status. Envoy appends the client's path to `path_prefix`, and the
//! endpoint ignores it. `tests/envoy.rs` runs this configuration.
//!
#![doc = "```yaml"]
#![doc = include_str!("proxies/envoy.yaml")]
#![doc = "```"]
