//! API keys and machine tokens for your own service: issued once, shown once, verified on every
//! request, revoked for good, on the storage you already run.
//!
//! ```
//! use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = TokenService::builder(MemoryStore::new(), "acme_live")
//!     .token_type(TokenType::new("connector", ["files:upload"])?)
//!     .build()?;
//! let issued = service.owner("acme").issue(IssueRequest::new("connector", "nightly backup")).await?;
//! let verified = service.verify(issued.token.expose_secret(), &Requirement::scope("files:upload")?).await?;
//! assert_eq!((verified.owner(), verified.token_type()), ("acme", "connector"));
//! # Ok(()) }
//! ```
//!
//! # What it does, and what not
//!
//! It makes tokens, keeps digests of them, and answers whether a token may do something now. It gives
//! you lists of tokens, rotation with an overlap, revocation that nothing undoes, and one event for
//! everything that happens: to `tracing`, and lost unless the program installs a subscriber, such as
//! `tracing_subscriber::fmt().init()`, or [gives a sink](manual::life#events). It speaks no HTTP,
//! spawns no tasks and assumes no async runtime; it knows no passwords, no sessions and no tokens that
//! verify without a store.
//!
//! For HTTP there is a package beside it,
//! [`service-tokens-axum`](https://docs.rs/service-tokens-axum/latest/service_tokens_axum/index.html): a
//! layer for axum, tower and tonic, the standard endpoints, a management API and its page.
//!
//! # Words
//!
//! A **token** is the plaintext bearer string that a client holds ([`Token`]). Its **id** is the public
//! half ([`TokenId`]), its **secret** the private one. What is stored is a **record** ([`Record`]) with
//! a **digest** of the secret. A **type** ([`TokenType`]) is a named bundle of **scopes** ([`Scope`]);
//! what a request asks for is a **need** ([`Requirement`]). Each record belongs to an **owner**, the tenant or
//! account, and was **issued to** somebody, which is a label for people.
//!
//! # Manual
//!
//! The [manual] explains what the reference of an item cannot:
//!
//! - [the token format](manual::token_format): what stands where, and why; reading one in another
//!   language; secret scanners
//! - [the life of a token](manual::life): states, verifying, rotation, last use, purge,
//!   events, clocks
//! - [scopes and types](manual::scopes_and_types): what permits what; tokens that issue tokens
//! - [choosing a store](manual::choosing_a_store): memory, one file or your own; backups; keeping
//!   records
//! - [writing a store](manual::writing_a_store): from the schema to the conformance suite
//! - [rotation and incidents](manual::rotation_and_incidents): step by step, for two in the morning
//! - [keys and digests](manual::keys_and_digests): what is stored of a secret, and the life of a key
//! - [defaults](manual::defaults): every default and limit, its reason, and how to change it
//! - [what is measured](manual::measured): targets, figures, and how to repeat them
//!
//! # The way of a token
//!
//! [`parse`] refuses what is malformed without asking anybody. The store finds the record of the id.
//! [`Record::matches`] compares the secret and gives a proof ([`Matched`]) that borrows the record, and
//! [`check()`](check()) turns proof, time and need into a [`VerifiedToken`] or a refusal.
//! [`TokenService::verify`] is these four steps; the steps are public, and none can be skipped.
//!
//! # Recipes
//!
//! Three types: who may upload files, who may use every API, and who may manage tokens.
//! `*` does not reach the reserved scopes `service-tokens:…`, so that a leaked Developer token cannot
//! mint others:
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
//! What a manager issues [on behalf of itself](TokenService::on_behalf_of) may do no more than it may: one
//! that is to issue Connectors has `files:upload` too, or `*`.
//!
//! A request that may be repeated without making a second token, because the caller chose the id:
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
//! A new secret, while the old one is accepted for another day:
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
//! Your own tests, with a clock that moves only when told to:
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
//! | feature | |
//! | --- | --- |
//! | `memory` (default) | `MemoryStore`: for tests, and tokens made anew at each start |
//! | `file` | `FileStore`: a journal in one file, every record in memory |
//! | `conformance` | the suite that any [`TokenStore`] must pass |
//! | `serde` | ids, scopes and states to and from text |

#[cfg(all(doctest, feature = "memory", feature = "conformance"))]
#[doc = include_str!("../README.md")]
mod readme {}

mod check;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod digest;
mod error;
mod event;
// As the README: the examples of its pages need every feature.
#[cfg(any(
    all(doc, not(doctest)),
    all(doctest, feature = "memory", feature = "file", feature = "conformance")
))]
pub mod manual;
mod record;
mod scope;
mod secret;
mod service;
mod store;
mod stores;
mod token;

pub use check::{Denied, VerifiedToken, check};
pub use clock::{Clock, ClockJump, ManualClock, SystemClock};
pub use digest::{Digests, InvalidKey, KeyId, KeyRing};
pub use error::{ManageError, MissingScope, NotPermitted, Refusal, VerifyError};
pub use event::{Event, EventSink, Operation};
pub use record::{
    CorruptRecord, Field, InvalidField, MAX_RECORD_BYTES, Matched, Mismatch, Overlap,
    RECORD_FORMAT, Record, ReplacedSecret, Revocation, RotateDenied, Rule, State,
};
pub use scope::{
    InvalidScope, MAX_SCOPE_LEN, MAX_SCOPES, MAX_TYPE_NAME_LEN, Requirement, ReservedScope, Scope,
    ScopeSet, Scopes, TokenType, TokenTypes,
};
pub use secret::{OsRandom, RandomError, RandomSource};
pub use service::{
    AllOwners, BuildError, BulkError, BulkFailure, BulkOutcome, BulkProgress, FlushTimeout,
    Flushed, InvalidPolicy, IssueRequest, Issued, OnBehalf, OneOwner, Policy, Purge, Resumed,
    RevokeAll, RevokeRequest, Revoked, RotateRequest, TokenService, TokenServiceBuilder, Tokens,
};
pub use store::{
    BoxError, Change, ChangeStream, Filter, LastUsed, ListRequest, MAX_PAGE_LEN, Order, Page,
    RecordRef, States, StoreError, StoredRecord, TokenStore, Version,
};
#[cfg(feature = "memory")]
pub use stores::MemoryStore;
#[cfg(feature = "file")]
pub use stores::{
    Compacted, FileStore, FileStoreOptions, OpenError, OpenProgress, OpenReport, TruncatedTail,
};
pub use token::{
    InvalidPrefix, InvalidTokenId, MAX_PREFIX_LEN, MAX_TOKEN_LEN, MalformedToken, ParsedToken,
    Prefix, Token, TokenId, parse, scanner_regex,
};
