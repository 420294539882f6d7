//! API keys and machine tokens for your own service.
//!
//! A token is issued once, shown once, verified on every request and revoked for good, on the storage
//! that you already run. The rules are correct by default: secrets are stored as digests, a revocation
//! cannot be undone, a refused client does not learn the reason, and a failure of the storage never
//! accepts a token.
//!
//! ```
//! use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType, requirement};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = TokenService::builder(MemoryStore::new(), "acme_live")
//!     .token_type(TokenType::new("connector", ["files:upload"])?)
//!     .build()?;
//! let acme = service.owner("acme");
//! let issued = acme.issue(IssueRequest::new("connector", "nightly backup")).await?;
//!
//! let text = issued.token.expose_secret(); // Show it once: only a digest is stored.
//! let verified = service.verify(text, &requirement!("files:upload")).await?;
//! assert_eq!((verified.owner(), verified.token_type()), ("acme", "connector"));
//! # Ok(()) }
//! ```
//!
//! # Overview
//!
//! - [`TokenService`] issues, verifies, lists, rotates and revokes tokens. [`Tokens`] is its view of one
//!   owner or of all, and [`OnBehalf`] lets one token manage others.
//! - [`TokenType`] names a bundle of scopes, and [`Requirement`] is what a request requires. The macro
//!   [`requirement!`] checks the scopes at compile time.
//! - [`TokenStore`] is the storage: [`MemoryStore`], `FileStore` or your own.
//! - [`Event`] reports every operation and every refusal, to `tracing` or to your [`EventSink`].
//! - [`VerifyError`] and [`ManageError`] say which HTTP status fits; [`Refusal`] is the reason for your
//!   logs.
//!
//! The root has the names that most programs need. The rest is in modules: [`store`], [`record`],
//! [`event`], [`clock`], [`random`], [`digest`], [`scope`], [`token`], `file`, [`bulk`], [`error`],
//! [`policy`] and [`steps`]. [`async_trait`](macro@async_trait), [`chrono`] and [`uuid`] are
//! re-exported, because they are part of the API.
//!
//! The crate opens no socket, spawns no task and needs no async runtime. It has no passwords, no sessions
//! and no tokens that verify without a store. For HTTP there is
//! [`service-tokens-axum`](https://docs.rs/service-tokens-axum/latest/service_tokens_axum/index.html):
//! a layer for axum, tower and tonic, the standard endpoints, a management API and its page.
//!
//! # Words
//!
//! A **token** is the plaintext bearer string that a client holds ([`Token`]). Its **id** is the public
//! half ([`TokenId`]), and its **secret** the private half. The store holds a **record** ([`Record`])
//! with a **digest** of the secret. A **type** ([`TokenType`]) is a named bundle of **scopes**
//! ([`ScopeSet`]). A request has a **requirement** ([`Requirement`]). Each record belongs to an
//! **owner**, which is the tenant or account, and has an **issued to**, which is a label for people.
//!
//! # Manual
//!
//! The [manual] explains what the reference of an item cannot:
//!
//! - [the token format](manual::token_format): the parts of a token and their reasons; a parser in
//!   another language; secret scanners
//! - [the life of a token](manual::life): states, verification, rotation, last use, purge, events, clocks
//! - [scopes and types](manual::scopes_and_types): which scope permits which; tokens that issue tokens
//! - [choosing a store](manual::choosing_a_store): memory, one file or your own; backups; the cache
//! - [writing a store](manual::writing_a_store): from the schema to the conformance suite
//! - [rotation and incidents](manual::rotation_and_incidents): runbooks, step by step
//! - [keys and digests](manual::keys_and_digests): how a secret is stored, and the life of a key
//! - [defaults](manual::defaults): every default and limit, its reason, and how to change it
//! - [measurements](manual::measured): targets, figures, and how to repeat them
//!
//! # Recipes
//!
//! Three types: one uploads files, one uses every API, and one manages tokens. `*` does not cover the
//! reserved scopes `service-tokens:…`, so a leaked developer token cannot issue others:
//!
//! ```
//! use service_tokens::TokenType;
//!
//! let connector = TokenType::new("connector", ["files:upload"])?.with_description("may upload files");
//! let developer = TokenType::new("developer", ["*"])?
//!     .with_description("for all available APIs. Handle it with caution");
//! let manager = TokenType::new(
//!     "manager",
//!     [
//!         "service-tokens:read",
//!         "service-tokens:issue",
//!         "service-tokens:rotate",
//!         "service-tokens:revoke",
//!         "service-tokens:introspect",
//!     ],
//! )?;
//! # Ok::<(), service_tokens::InvalidScope>(())
//! ```
//!
//! A token that a manager issues [on behalf of itself](TokenService::on_behalf_of) may do no more than
//! the manager. To issue connectors, a manager needs `files:upload` too, or `*`.
//!
//! A request that can be repeated without a second token, because the caller chooses the id:
//!
//! ```
//! # use service_tokens::{IssueRequest, ManageError, MemoryStore, TokenService, TokenType};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let service = TokenService::builder(MemoryStore::new(), "acme_live")
//! #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
//! let id = service.new_id()?; // or any UUID of version 7: `TokenId::from_uuid`
//! let request = || IssueRequest::new("connector", "nightly backup").id(id);
//!
//! service.owner("acme").issue(request()).await?;
//! assert!(matches!(service.owner("acme").issue(request()).await, Err(ManageError::Exists { .. })));
//! # Ok(()) }
//! ```
//!
//! A rotation, with the old secret accepted for one more day:
//!
//! ```
//! # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
//! use std::time::Duration;
//! use service_tokens::RotateRequest;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let service = TokenService::builder(MemoryStore::new(), "acme_live")
//! #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
//! # let old = service.owner("acme").issue(IssueRequest::new("connector", "nightly backup")).await?;
//! # let id = old.record.id();
//! let overlap = RotateRequest::with_overlap(Duration::from_secs(86_400));
//! let new = service.owner("acme").rotate(id, overlap).await?;
//! for token in [&old.token, &new.token] {
//!     service.verify(token.expose_secret(), &Requirement::any_token()).await?;
//! }
//! # Ok(()) }
//! ```
//!
//! A test of your own, with a clock that moves only when the test moves it:
//!
//! ```
//! # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
//! use std::sync::Arc;
//! use std::time::Duration;
//! use service_tokens::clock::ManualClock;
//! use service_tokens::Refusal;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Arc::new(ManualClock::default());
//! let service = TokenService::builder(MemoryStore::new(), "acme_test")
//!     .token_type(TokenType::new("connector", ["files:upload"])?)
//!     .clock(clock.clone())
//!     .build()?;
//! let minute = Duration::from_secs(60);
//! let request = IssueRequest::new("connector", "a test").expires_in(minute);
//! let token = service.owner("acme").issue(request).await?.token;
//!
//! clock.advance(minute);
//! let refused = service.verify(token.expose_secret(), &Requirement::any_token()).await.unwrap_err();
//! assert_eq!(refused.refusal(), Some(Refusal::Expired));
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! | feature | content |
//! | --- | --- |
//! | `memory` (default) | `MemoryStore`, for tests and for tokens that are issued again at each start |
//! | `file` | `FileStore`: a journal in one file, with every record in memory |
//! | `conformance` | the suite that every [`TokenStore`] must pass |
//! | `serde` | ids, scopes and states to and from text; events to a map |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(doctest, feature = "memory", feature = "conformance"))]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod bulk;
mod check;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod digest;
pub mod error;
pub mod event;
#[cfg(feature = "file")]
pub mod file;
// Like the README, the examples of its pages need every feature.
#[cfg(any(
    all(doc, not(doctest)),
    all(doctest, feature = "memory", feature = "file", feature = "conformance")
))]
pub mod manual;
pub mod policy;
pub mod random;
pub mod record;
mod refusal;
pub mod scope;
mod secret;
mod service;
pub mod steps;
pub mod store;
mod stores;
pub mod token;

pub use {async_trait::async_trait, chrono, uuid};

pub use check::VerifiedToken;
pub use refusal::Refusal;
pub use service::{
    AllOwners, BuildError, FlushTimeout, Flushed, IssueRequest, Issued, OnBehalf, OneOwner,
    Resumed, RevokeRequest, Revoked, RotateRequest, TokenService, TokenServiceBuilder, Tokens,
};
#[cfg(feature = "memory")]
pub use stores::MemoryStore;

#[doc(inline)]
pub use digest::KeyRing;
#[doc(inline)]
pub use error::{ManageError, VerifyError};
#[doc(inline)]
pub use event::{Event, EventSink};
#[cfg(feature = "file")]
#[doc(inline)]
pub use file::FileStore;
#[doc(inline)]
pub use policy::Policy;
#[doc(inline)]
pub use record::{Record, State};
#[doc(inline)]
pub use scope::{InvalidScope, Requirement, ReservedScope, ScopeSet, TokenType};
#[doc(inline)]
pub use store::{Filter, ListRequest, Page, StoredRecord, TokenStore};
#[doc(inline)]
pub use token::{Token, TokenId};
