//! API keys and machine tokens for your own service.
//!
//! This crate issues a token once, shows it once, verifies it on every request and revokes it for
//! good. It uses the storage that you already run. The defaults are safe:
//!
//! - The store has only digests of secrets, so a copy of the store contains no usable token.
//! - A revocation cannot be undone, because no operation removes it from the record.
//! - A refused client does not learn the reason, so that it cannot test which part of a token was
//!   right. The exception is a valid token without a required scope (403 `insufficient_scope`).
//! - No token is accepted without its record. If the store fails, requests are refused. With
//!   [`cache_records`](TokenServiceBuilder::cache_records), a cached record may be up to `max_age`
//!   old.
//!
//! # Example
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
//! let text = issued.token.expose_secret(); // Show it once. Only a digest is stored.
//! let verified = service.verify(text, &requirement!("files:upload")).await?;
//! assert_eq!((verified.owner(), verified.token_type()), ("acme", "connector"));
//! # Ok(()) }
//! ```
//!
//! # Overview
//!
//! - [`TokenService`] issues, verifies, lists, rotates and revokes tokens. [`Tokens`] is its view of
//!   one owner or of all owners. [`OnBehalf`] lets one token manage others.
//! - [`TokenType`] is a named set of scopes. [`Requirement`] is the scopes that a request needs.
//!   [`requirement!`] rejects a malformed scope at compile time. Whether the token has the scope is
//!   checked for each request.
//! - [`TokenStore`] is the storage. Use [`MemoryStore`], `FileStore` or an implementation of your
//!   own, for example over the database of your application.
//! - [`Event`] reports every operation and every refusal, to `tracing` or to your [`EventSink`].
//! - [`VerifyError`] and [`ManageError`] name the HTTP status that fits. [`Refusal`] is the reason
//!   for your logs.
//!
//! # What it does and does not do
//!
//! A verification usually costs one look-up and one hash, as the [measurements](manual::measured)
//! show. It costs more in three cases. The first use of a new secret may write to the store, because
//! it can end an overlap. A refusal by a cached record may read the store again. With a
//! [key ring](KeyRing), each of the up to three digests in a record may need a hash of its own.
//!
//! A rotation can have an overlap in which both secrets are accepted, so clients can change over
//! without a gap. If the write that ends an overlap fails, the new secret is still accepted, and the
//! older one stays valid until a later use or the end of the overlap. The crate records the last use
//! of each token and revokes many tokens at once. A token that issues others cannot give them more
//! than its own scopes.
//!
//! It opens no socket, spawns no async task and does not need an async runtime. An [`EventSink`] and
//! a `FileStore` that writes each start a thread, and a compaction starts another one. So a slow sink
//! or disk does not block your tasks. It has
//! no passwords, no sessions and no tokens that verify without a store. For HTTP, the package
//! [`service-tokens-axum`](https://docs.rs/service-tokens-axum/latest/service_tokens_axum/index.html)
//! has a layer for axum, tower and tonic, the standard endpoints, a management API and its page.
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | token | a credential with a fixed id, whose secret can be rotated |
//! | token text | the plaintext string that a client sends ([`Token`]) |
//! | id | the public part of a token, which never changes ([`TokenId`]) |
//! | secret | the private part of a token, which each rotation replaces |
//! | digest | the stored form of a secret |
//! | record | the stored data of a token, with digests and without a secret ([`Record`]) |
//! | type | a named set of scopes ([`TokenType`]) |
//! | scopes | the permissions of a token ([`ScopeSet`]) |
//! | requirement | the scopes that a request needs ([`Requirement`]) |
//! | embedder | your application, which uses this crate |
//! | owner | the tenant or account that a record belongs to |
//! | issued to | a label for people, which names the person or program that received the token |
//! | live | active, pending or suspended, so the token works now or can work later |
//! | ended | expired or revoked, so the token will never work again |
//!
//! # Manual
//!
//! The [manual] has a page for each subject, and a [table of words](manual#find-a-word):
//!
//! - [The token format](manual::token_format) has the parts of a token and their reasons, a parser in
//!   another language, and secret scanners.
//! - [The life of a token](manual::life) has states, verification, rotation, last use, expiry notices,
//!   purge, events and clocks.
//! - [Scopes and types](manual::scopes_and_types) says which scope permits which, and covers tokens
//!   that issue tokens.
//! - [What belongs where](manual::what_belongs_where) says which facts are owner, type, scope, network,
//!   metadata or prefix, and which belong outside.
//! - [Choosing a store](manual::choosing_a_store) compares memory, one file and a store of your own,
//!   and covers several nodes, a transaction [of your
//!   own](manual::choosing_a_store#in-your-own-transaction), backups and the cache.
//! - [Writing a store](manual::writing_a_store) leads from the schema to the conformance suite.
//! - [Rotation and incidents](manual::rotation_and_incidents) has instructions to follow step by
//!   step.
//! - [Keys and digests](manual::keys_and_digests) has the stored form of a secret and the life of a
//!   key.
//! - [Bringing existing keys](manual::bringing_existing_keys) leads through the move of API keys from an
//!   older system, whose holders keep their texts.
//! - [Defaults](manual::defaults) lists every default and limit, its reason, and how to change it.
//! - [Measurements](manual::measured) has targets and figures, and how to repeat them.
//!
//! # Modules
//!
//! The root has the names that most programs need. The rest is in modules:
//!
//! | module | content |
//! | --- | --- |
//! | [`store`] | the contract of a store, its errors, and the change feed |
//! | [`record`] | the fields of a record, the rules for them, and the overlap of two secrets |
//! | [`event`] | the operations that events name |
//! | [`clock`], [`random`] | the clock and the source of random bytes |
//! | [`digest`] | the key ring |
//! | [`scope`], [`token`] | the grammar of scopes and tokens, and their limits |
//! | [`import`] | the forms of credentials of an older system |
//! | [`network`] | client networks, from which a token may be used |
//! | [`leak`] | reports of leaked tokens |
//! | `file` | the options of the file store, and the report of its opening |
//! | [`bulk`] | purging, revoking, suspending and resuming many tokens; notices of those that expire soon |
//! | [`policy`], [`error`] | the errors of a policy and of permissions |
//! | [`steps`] | the four steps of a verification, one by one |
//! | `conformance` | the suite that every store must pass |
//!
//! [`async_trait`](macro@async_trait), [`chrono`] and [`uuid`] are re-exported, because they are part
//! of the API.
//!
//! # Recipes
//!
//! ## Types for uploads, for all APIs and for managers
//!
//! The scope `*` does not cover the reserved scopes `service-tokens:…`, so a leaked developer token
//! cannot issue other tokens:
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
//! A token that a manager issues [on its own behalf](TokenService::on_behalf_of) may do no more than
//! the manager. To issue connectors, a manager also needs `files:upload` or `*`.
//!
//! ## Idempotent issuance
//!
//! The caller chooses the id, so a repeated request cannot create a second token. The repeated
//! request returns [`Exists`](ManageError::Exists) without the token text, because the store does not
//! have the secret. If the first response was lost, rotate that id to get a usable token:
//!
//! ```
//! # use service_tokens::{IssueRequest, ManageError, MemoryStore, Requirement, TokenService, TokenType};
//! use service_tokens::RotateRequest;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let service = TokenService::builder(MemoryStore::new(), "acme_live")
//! #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
//! let id = service.new_id()?; // Or a UUID of version 7 with `TokenId::from_uuid`.
//! let request = IssueRequest::new("connector", "nightly backup").id(id);
//! let acme = service.owner("acme");
//!
//! let _lost = acme.issue(request.clone()).await?;
//! let issued = match acme.issue(request).await {
//!     Err(ManageError::Exists { id }) => acme.rotate(id, RotateRequest::at_once()).await?,
//!     issued => issued?,
//! };
//! assert_eq!(issued.record.id(), id);
//! # service.verify(issued.token.expose_secret(), &Requirement::any_token()).await?;
//! # Ok(()) }
//! ```
//!
//! ## A rotation with an overlap
//!
//! The old secret is accepted for one more day, so that clients have time to change over:
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
//! ## A test with a clock of its own
//!
//! The clock moves only when the test moves it, so the test does not wait:
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
//! | `file` | `FileStore`, a journal in one file with every record in memory |
//! | `conformance` | the suite that every [`TokenStore`] must pass |
//! | `serde` | ids, scopes and states as text, and events as a map |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(doctest, feature = "memory", feature = "conformance"))]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod bulk;
mod check;
pub mod clock;
mod concurrency;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod digest;
pub mod error;
pub mod event;
#[cfg(feature = "file")]
pub mod file;
pub mod import;
// Like the README, the examples of its pages need every feature.
pub mod leak;
#[cfg(any(
    all(doc, not(doctest)),
    all(doctest, feature = "memory", feature = "file", feature = "conformance")
))]
pub mod manual;
pub mod network;
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
mod sync;
pub mod token;
mod visible;

pub use {async_trait::async_trait, chrono, uuid};

pub use check::{OwnerGate, OwnerStatus, RequestContext, VerifiedToken};
pub use refusal::Refusal;
pub use service::{
    AllOwners, AmendRequest, Amended, BuildError, CheckedRecords, EndOlderRequest, EndedOlder,
    FlushTimeout, Flushed, ImportRequest, Imported, InContext, IssueDraft, IssueRequest, Issued,
    LeakRequest, OnBehalf, OneOwner, ResumeRequest, Resumed, ResumedIssuing, RevokeDraft,
    RevokeRequest, Revoked, RotateRequest, ShutDown, SuspendRequest, Suspended, TokenService,
    TokenServiceBuilder, Tokens,
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
