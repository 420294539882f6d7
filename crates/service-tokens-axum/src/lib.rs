//! Bearer tokens for axum, tower and tonic. Add one layer, and every request needs an active token with
//! the required scope.
//!
//! ```
//! use axum::{Router, routing::post};
//! use service_tokens::{MemoryStore, TokenService, TokenType};
//! use service_tokens_axum::{BearerLayer, RequireLayer};
//!
//! let tokens = TokenService::builder(MemoryStore::new(), "acme_live")
//!     .token_type(TokenType::new("connector", ["files:upload"])?)
//!     .build()?;
//! let upload = post(|| async { "stored" }).layer(RequireLayer::scope("files:upload")?);
//! let app: Router = Router::new().route("/upload", upload).layer(BearerLayer::new(tokens.into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parts
//!
//! | part | purpose |
//! | --- | --- |
//! | [`BearerLayer`] | verifies the token of each request with a [`TokenService`](service_tokens::TokenService) and rejects requests without an active token |
//! | [`RequireLayer`] | sets the scopes that a route or a router requires, below a `BearerLayer` |
//! | [`Bearer`] | gives a handler the verified token |
//! | [`Rejection`] | lists the reasons for a rejection and their answers, by RFC 6750 |
//! | [`standards::router`] | serves `POST /introspect` (RFC 7662), `POST /revoke` (RFC 7009), and `/authorize/<scope>` and `/ext-authz/<scope>` for reverse proxies. Each endpoint authenticates as its standard requires |
//! | [`management::router`] | issues, lists, rotates and revokes tokens as JSON at `/tokens` and `/token-types`. It requires a token with the [reserved scopes](service_tokens::ReservedScope) and stays within that token's owner |
//! | [`page::router`] | serves the Service Tokens page at `/service-tokens`, where people manage tokens. The page is public and contains no secrets. People sign in with a manager token |
//!
//! Merge each router into your router, or nest it under a prefix. Mount the page and the management API at
//! the same place, because the page calls the API with relative paths. The routers authenticate
//! themselves, so do not put a `BearerLayer` around them.
//!
//! The package starts no server, sets no timeouts and adds no CORS. It reads no token from a query, a
//! cookie or a form, and has no sessions. Your program issues the first token, as the example service
//! does at its first start.
//!
//! # Examples
//!
//! `cargo run -p service-tokens-axum --example layer` runs the layer alone, and `--example old_keys` a middleware
//! for keys of an older system that the layer refuses. `cargo run -p
//! service-tokens-example` runs a small upload service with the file store, all of these routers, and the
//! timeouts and the shutdown that a service on a network needs. You can copy its files.
//!
//! # Duties of your program
//!
//! - **Logging.** An answer never says why a token was refused. The event does, with the token's id.
//!   Events go to `tracing` under the target `service_tokens`, at level `WARN` if an operator should act. They
//!   are lost unless you install a subscriber such as `tracing_subscriber::fmt().init()`. Wrong requests of
//!   a reverse proxy are logged under `service_tokens_axum`.
//! - **Last uses.** Call [`flush_last_used`](service_tokens::TokenService::flush_last_used) every few
//!   seconds and before the process ends. Uses that were not flushed are lost with the process.
//! - **Shutdown.** Stop serving, flush, and then close the store, as `main.rs` of the example service does.
//! - **TLS.** Use TLS or a proxy with TLS, because everyone who can read the connection can read tokens.
//!
//! # Several customers
//!
//! Each token has one owner, which is set at issue and never changes. Use the customer as the owner. A
//! handler then serves only data of [`token.owner()`](service_tokens::VerifiedToken::owner). Management, the
//! page and introspection never show the tokens of another owner. Your program issues the first token of a
//! new customer:
//!
//! ```
//! # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = TokenService::builder(MemoryStore::new(), "acme_live")
//!     .token_type(TokenType::new("connector", ["files:upload"])?)
//!     .token_type(TokenType::new("manager", ["service-tokens:*", "files:*"])?)
//!     .build()?;
//! let manager = tokens.owner("globex").issue(IssueRequest::new("manager", "Globex, first manager")).await?;
//! // Give `manager.token.expose_secret()` to the customer, who signs in on the page with it.
//! # Ok(()) }
//! ```
//!
//! A manager can only issue tokens with scopes that it has itself, and they must not outlive it. A manager
//! for people who issue tokens of 90 days must therefore live longer, unless the policy has
//! [`allow_outliving_issuer`](service_tokens::Policy::allow_outliving_issuer).
//!
//! # Tests
//!
//! A test calls a router without a socket and sets the time itself:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{sync::Arc, time::Duration};
//!
//! use axum::{Router, body::Body, http::{Request, StatusCode, header::AUTHORIZATION}, routing::get};
//! use service_tokens::clock::ManualClock;
//! use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
//! use service_tokens_axum::BearerLayer;
//! use tower::ServiceExt; // tower's feature `util`
//!
//! let clock = Arc::new(ManualClock::default());
//! let tokens = TokenService::builder(MemoryStore::new(), "acme_test")
//!     .token_type(TokenType::new("connector", ["files:upload"])?)
//!     .clock(clock.clone())
//!     .build()?;
//! let tokens = Arc::new(tokens);
//! let hour = Duration::from_secs(3_600);
//! let request = IssueRequest::new("connector", "a test").expires_in(hour);
//! let issued = tokens.owner("acme").issue(request).await?;
//! let app: Router = Router::new().route("/", get(|| async {})).layer(BearerLayer::new(tokens));
//!
//! let bearer = format!("Bearer {}", issued.token.expose_secret());
//! let request = || Request::get("/").header(AUTHORIZATION, &bearer).body(Body::empty());
//! assert_eq!(app.clone().oneshot(request()?).await?.status(), StatusCode::OK);
//! clock.advance(hour);
//! assert_eq!(app.oneshot(request()?).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(()) }
//! ```
//!
//! # Defaults and limits
//!
//! The service's [policy](service_tokens::Policy) limits which tokens may be issued. This package adds the
//! following.
//!
//! | setting | default | reason | change |
//! | --- | --- | --- | --- |
//! | requirement of a request | any active token | only a route knows which scopes it requires | [`RequireLayer`], [`BearerLayer::requirement`] |
//! | request without a token | rejected | access must be allowed explicitly | [`BearerLayer::optional`] |
//! | cached records | used by the layer, `/authorize` and `/ext-authz`. Never used by management, introspection and revocation | requests need speed, and management operations need current records | [`BearerLayer::uncached`]. The service has [no cache](service_tokens::TokenServiceBuilder::cache_records) by default |
//! | realm | `service-tokens`, at most 256 characters of visible ASCII and spaces | a challenge must have one parameter (RFC 6750 §3) | [`BearerLayer::realm`], for the answers of the layers |
//! | `Retry-After` | 1 second, or 60 while issuing is paused | a store may return at once, but people resume issuing | fixed |
//! | body of a management request | 65,536 bytes | the size of the largest record | fixed |
//! | form of `/introspect` and `/revoke` | 16,384 bytes | a token has at most 105 bytes, and other parameters are ignored | fixed |
//! | page of a list | 50 tokens, at most 1,000 | fills a screen, and bounds the memory of one request | `limit` |
//! | age of a cursor | unlimited | a cursor is a position in a list and holds no state | fixed |
//! | `Idempotency-Key` | optional, a UUID of version 7 within an hour of now | it becomes the id, ids sort by time, and clocks may differ by an hour | fixed |
//! | memory of a key | until the token's record is purged | the record itself is the memory, so no second store is needed | fixed |
//! | identity headers | at most 23 KiB together | 64 scopes of 256 bytes and a few texts, percent-encoded | shorter texts, fewer scopes |
//! | lifetimes on the page | 7, 30, 90 and 365 days or a date, up to the limits of the policy and the manager's own expiry | one click for common lifetimes | the policy |
//! | time that the page waits for an answer | 30 seconds | after that it says that the outcome is unknown, and how to continue | fixed |
//! | sign-in on the page | until sign-out, reload or the expiry of the token | the token is only in the memory of the page | a manager token with a short lifetime |
//! | timeouts, connection limit, CORS, rate limits | none | your server sets them | the example service has the first two |
//!
//! # Features
//!
//! | feature | contents |
//! | --- | --- |
//! | `standards` (default) | [`standards`] |
//! | `management` (default) | [`management`] with its OpenAPI description |
//! | `page` (default) | [`page`], which enables `management` |
//!
//! Without these features the package contains the layers, the extractor and their answers.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(doctest, feature = "page"))]
#[doc = include_str!("../README.md")]
mod readme {}

mod admission;
mod credentials;
mod extract;
mod layer;
#[cfg(feature = "management")]
pub mod management;
#[cfg(feature = "page")]
pub mod page;
mod problem;
mod realm;
mod rejection;
mod rejection_response;
#[cfg(any(feature = "management", feature = "standards"))]
mod request_body;
mod require;
mod response_future;
mod retry_after;
#[cfg(feature = "standards")]
pub mod standards;

pub use extract::Bearer;
pub use layer::{BearerLayer, BearerService};
pub use realm::InvalidRealm;
pub use rejection::Rejection;
pub use rejection_response::RejectionResponse;
pub use require::{RequireLayer, RequireService};
pub use response_future::ResponseFuture;
