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
//! # Features
//!
//! | feature | |
//! | --- | --- |
//! | `standards` (default) | [`standards`] |
//! | `management` (default) | [`management`], with its OpenAPI description |
//! | `page` (default) | [`page`]; brings `management` |
//!
//! Without them are left the layers, the extractor and their answers.

#[cfg(all(doctest, feature = "page"))]
#[doc = include_str!("../README.md")]
mod readme {}

mod answering;
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
#[cfg(feature = "standards")]
pub mod standards;

pub use answering::Answering;
pub use extract::Bearer;
pub use layer::{BearerLayer, BearerService};
pub use realm::InvalidRealm;
pub use rejected::Rejected;
pub use rejection::Rejection;
pub use require::{RequireLayer, RequireService};
