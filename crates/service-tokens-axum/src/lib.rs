//! Bearer tokens for axum, tower and tonic: add one layer, and no request gets past it without an
//! active token that may do what it asks for.
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
//! # What it does, and what not
//!
//! [`BearerLayer`] reads the one `Authorization: Bearer` header of a request, verifies the token with a
//! [`TokenService`](service_tokens::TokenService) over any store, and refuses with the answers of
//! [RFC 6750](Rejection). [`RequireLayer`] below it says what a route or a router needs, and the
//! extractor [`Bearer`] tells a handler who asks. Around that are routers for other programs and for
//! people:
//!
//! | router | what it answers | who is let in |
//! | --- | --- | --- |
//! | [`standards::router`] | `POST /introspect` (RFC 7662), `POST /revoke` (RFC 7009), `/authorize/<scope>` and `/ext-authz/<scope>` for reverse proxies | each as its standard says |
//! | [`management::router`] | `/tokens`, `/token-types`: issue, list, rotate and revoke, as JSON | tokens with the [reserved scopes](service_tokens::ReservedScope), within their owner |
//! | [`page::router`] | `/service-tokens`: the page on which people do this | everybody; it holds nothing, and signs in with a manager token |
//!
//! Each can be merged into a router of yours or nested under a prefix; the page finds the management
//! API beside it. The routers authenticate by themselves: put no `BearerLayer` around them.
//!
//! It serves nothing by itself, sets no timeouts and adds no CORS: those are your server's. It issues
//! nobody's first token: your program does, as the example `service` does at its first start. It knows
//! no sessions and no cookies, and reads no token from a query, a cookie or a form.
//!
//! # Where to begin
//!
//! `cargo run -p service-tokens-axum --example layer` is the layer alone. `--example service` is a small
//! upload service on the file store with everything on this page, with the timeouts and the stop that a
//! service on a network needs; its files are meant to be copied.
//!
//! # What is left to your program
//!
//! - **A log.** An answer never says why a token was refused; the event does, with the token's id. Events
//!   go to `tracing` under the target `service_tokens`, as a warning where an operator should look, and
//!   are lost unless you install a subscriber such as `tracing_subscriber::fmt().init()`. What a reverse
//!   proxy asks wrongly is warned of under `service_tokens_axum`.
//! - **Last uses.** Call [`flush_last_used`](service_tokens::TokenService::flush_last_used) every few
//!   seconds and at the end, or they are forgotten with the process.
//! - **An end.** Stop serving, flush, then close the store: `main.rs` of the example `service`.
//! - **TLS**, or a proxy that has it: whoever reads the connection reads tokens.
//!
//! # Several customers
//!
//! Each token has one owner, given when it is issued and never changed. Make that the customer. A
//! handler then serves the files, the orders or the machines of
//! [`token.owner()`](service_tokens::VerifiedToken::owner) alone, and management, the page and
//! introspection show nobody another owner's tokens. A new customer begins with one token, from your
//! program:
//!
//! ```
//! # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = TokenService::builder(MemoryStore::new(), "acme_live")
//!     .token_type(TokenType::new("connector", ["files:upload"])?)
//!     .token_type(TokenType::new("manager", ["service-tokens:*", "files:*"])?)
//!     .build()?;
//! let manager = tokens.owner("globex").issue(IssueRequest::new("manager", "Globex, its first")).await?;
//! // With this they sign in on the page. It is shown this once: `manager.token.expose_secret()`.
//! # Ok(()) }
//! ```
//!
//! What a manager issues may do no more than it may, and ends no later: a manager for people who issue
//! tokens of 90 days lives longer than that, or the policy has
//! [`allow_outliving_issuer`](service_tokens::Policy::allow_outliving_issuer).
//!
//! # In tests
//!
//! A router is called without a socket, and time passes when you say so:
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
//! let ask = || Request::get("/").header(AUTHORIZATION, &bearer).body(Body::empty());
//! assert_eq!(app.clone().oneshot(ask()?).await?.status(), StatusCode::OK);
//! clock.advance(hour);
//! assert_eq!(app.oneshot(ask()?).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(()) }
//! ```
//!
//! # Defaults and limits
//!
//! What may be issued, for how long and with which texts is the service's
//! [policy](service_tokens::Policy). What this package adds:
//!
//! | | default | why | change |
//! | --- | --- | --- | --- |
//! | what a request needs | an active token, whatever it may do | types differ; a route says what it needs | [`RequireLayer`], [`BearerLayer::requirement`] |
//! | no token | refused | closed unless somebody has said otherwise | [`BearerLayer::optional`] |
//! | kept records | used by the layer and by `/authorize` and `/ext-authz`; never by management, introspection or revocation | speed for every request; acts on tokens want the truth | [`BearerLayer::uncached`]; [none are kept](service_tokens::TokenServiceBuilder::cache_records) by default |
//! | realm | `service-tokens`; at most 256 characters of visible ASCII | a challenge needs one parameter (RFC 6750 §3) | [`BearerLayer::realm`], for what the layers refuse |
//! | `Retry-After` | 1 second; 60 while issuing is stopped | a store is back soon or late, and nobody waits long in vain; people resume issuing | fixed |
//! | body of a management request | 65,536 bytes | the size of the largest record | fixed |
//! | form of `/introspect` and `/revoke` | 16,384 bytes | a token has at most 105; the rest is ignored | fixed |
//! | page of a list | 50 tokens, at most 1,000 | a screen; bounds the memory that one caller can ask for | `limit` |
//! | age of a cursor | none | it is a place in a list and holds nothing | |
//! | `Idempotency-Key` | none; a UUID of version 7 within an hour of now | it becomes the id, and ids sort by time; an hour of clock difference is forgiven | fixed |
//! | how long a key is remembered | as long as the token's record, until it is purged | the record is the memory; no second store | |
//! | identity headers | 23 KiB together, at most | 64 scopes of 256 bytes, a few texts, percent-encoded | shorter texts, fewer scopes |
//! | lifetimes that the page offers | 7, 30, 90 and 365 days as far as the policy and the manager's own end allow, or a date | one click for the usual ones | the policy |
//! | an answer that the page waits for | 30 seconds | then it says that the outcome is unknown, and what to do | fixed |
//! | sign-in on the page | until signing out, a reload or the token's end | it is in the memory of the page alone | a manager token that ends soon |
//! | timeouts, a limit of connections, CORS, rate limits | none | your server's; the example `service` has the first two | |
//!
//! # Features
//!
//! | feature | |
//! | --- | --- |
//! | `standards` (default) | [`standards`] |
//! | `management` (default) | [`management`], with its OpenAPI description |
//! | `page` (default) | [`page`]; brings `management` |
//!
//! Without them are left the layers, the extractor and their answers.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(doctest, feature = "page"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(any(feature = "management", feature = "standards"))]
mod announced;
mod at_once;
mod credentials;
mod extract;
mod gate;
mod grpc;
mod layer;
#[cfg(feature = "management")]
pub mod management;
#[cfg(feature = "page")]
pub mod page;
mod problem;
mod realm;
mod rejected;
mod rejection;
mod require;
mod response_future;
#[cfg(feature = "standards")]
pub mod standards;

pub use extract::Bearer;
pub use layer::{BearerLayer, BearerService};
pub use realm::InvalidRealm;
pub use rejected::Rejected;
pub use rejection::Rejection;
pub use require::{RequireLayer, RequireService};
pub use response_future::ResponseFuture;
