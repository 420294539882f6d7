//! A reverse proxy asks before it lets a request through: configuration for nginx, Traefik and Envoy.
//!
//! The proxy asks `/authorize/<scope>` of [`standards::router`](super::router) (Envoy:
//! `/ext-authz/<scope>`) with the client's `Authorization` header, and lets the request through or not.
//! So programs that know nothing of tokens are protected, in whatever language they are written.
//!
//! # The question
//!
//! Any method. What the token must be permitted is **that one segment of the path**, percent-decoded
//! once, and nothing else: not what stands below it, not the query, not a header, not the body. So
//! write it into the proxy's configuration, never build it from anything that a client sends.
//!
//! # The answer
//!
//! | status | when |
//! | --- | --- |
//! | 204; 200 below `/ext-authz` | the token may do this. With the identity headers |
//! | 401, `WWW-Authenticate: Bearer realm="service-tokens"` | no `Authorization` header, or one of another scheme |
//! | 401, also `error="invalid_token"` | no active token; also several credentials or malformed ones, because a 400 would become a 500 of nginx |
//! | 403, `error="insufficient_scope"` and the scope | an active token that may not do this |
//! | 403, `error="insufficient_scope"` without a scope | the segment is no need (a typing error, a wildcard): nobody passes, and a warning is traced |
//! | 503, `Retry-After` | the store gave no answer: closed, never open |
//!
//! None has a body, and each has `Cache-Control: no-store`. That the request passes is a use of the
//! token; a refusal is none. Records that the service
//! [keeps](service_tokens::TokenServiceBuilder::cache_records) are used, as by any layer.
//!
//! What the server around the router cannot read, it refuses before this endpoint is asked: control
//! characters in a header, or more headers than it takes. So ask with the `Authorization` header and no
//! other, as below. A 400 would be a 500 of nginx: in place of credentials with a control character it asks
//! with malformed ones. Traefik and Envoy refuse such requests themselves.
//!
//! **503 becomes 500 in nginx**, which knows 2xx, 401 and 403 only, and whatever
//! `status_on_error` says in Envoy (403 if it says nothing). Traefik passes it on. All of them are closed.
//!
//! # Identity headers
//!
//! | header | |
//! | --- | --- |
//! | `Service-Token-Id` | the token's id |
//! | `Service-Token-Owner` | its owner |
//! | `Service-Token-Type` | its type's name |
//! | `Service-Token-Issued-To` | whom it was issued to |
//! | `Service-Token-Scopes` | its effective scopes, with single spaces between before they were encoded |
//!
//! **All five are set whenever a request passes**, so that a proxy which replaces what a client sent
//! replaces all of it. Values are percent-encoded: ASCII letters, digits and `-` `.` `_` `~` `:` `*` stay as
//! they are, and every other byte of the UTF-8 is `%` and two digits (a space is `%20`). Decode each once.
//! Together they have at most 23 KiB; the longest comes from a token with 64 long scopes. Give the
//! proxy and the backend room for it, or use shorter ones.
//!
//! # What the proxy must do
//!
//! - **Overwrite the identity headers** on every path where it asks, and **remove them** on every path
//!   where it does not. Otherwise whoever writes `Service-Token-Owner: acme` is acme. A backend that
//!   reads headers as CGI, WSGI or PHP do cannot tell `Service_Token_Owner` from `Service-Token-Owner`,
//!   some cannot tell dots either: what does not drop such names (Traefik drops neither, Envoy not the
//!   dots) needs a backend that can.
//! - **Be the only way to the backend**: bind it to loopback, a private network or a socket.
//! - **Keep `/authorize` and `/ext-authz` from the outside.** They tell nobody more than a protected
//!   path does, but strangers could fill the log with warnings.
//! - **Cache nothing.** A cached answer is neither a use nor up to date. nginx writes the keys of its cache
//!   to disk, and the key would have to contain the token. Where the store is far away, let the service
//!   [keep records](service_tokens::TokenServiceBuilder::cache_records): that is bounded, and revocations
//!   come in at once.
//! - **Decide and forward by the same path.** Where the backend reads `/a/../b` otherwise than the proxy
//!   does, a path that is open in one is closed in the other. Safest is to close `/` and to open paths.
//!
//! # nginx
//!
//! Belongs into `http { … }`, and is run by `tests/nginx.rs` in front of an upload service.
//!
#![doc = "```nginx"]
#![doc = include_str!("proxies/nginx.conf")]
#![doc = "```"]
//!
//! A 403 reaches the client without the challenge: nginx passes it on for 401 only. Several
//! `Authorization` headers it refuses itself, with 400.
//!
//! # Traefik
//!
//! The dynamic configuration, run by `tests/traefik.rs`.
//!
#![doc = "```yaml"]
#![doc = include_str!("proxies/traefik.yaml")]
#![doc = "```"]
//!
//! # Envoy
//!
//! Envoy's filter asks by HTTP, takes **200 and nothing else** for a yes, and would give any other status
//! to the client as the answer, a 204 too, as if the backend had done what was asked. Hence
//! `/ext-authz/<scope>`, which differs from `/authorize/<scope>` in this status alone. Envoy appends the
//! client's path to `path_prefix`; it stands below the segment and is ignored. Run by `tests/envoy.rs`.
//!
#![doc = "```yaml"]
#![doc = include_str!("proxies/envoy.yaml")]
#![doc = "```"]
