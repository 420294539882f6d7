//! The four steps of a verification, one by one.
//!
//! [`TokenService::verify`](crate::TokenService::verify) takes all four steps, so a service does not need
//! them one by one. Use them in a program that has a record at hand and no service. Examples are a tool
//! that checks one token, a test, and a gateway with its own look-up.
//!
//! 1. [`ParsedToken::parse`] refuses a malformed token without a look-up.
//! 2. The program finds the record of [`ParsedToken::id`], for example with
//!    [`TokenStore::find`](crate::TokenStore::find).
//! 3. [`Record::matches`](crate::Record::matches) compares the secret with the record and returns a
//!    proof, [`Matched`]. [`Digests`] says how digests are made.
//! 4. [`Matched::authorize`] decides with the time, the requirement, the request and the
//!    [`AccessRules`] of the program, and returns a [`VerifiedToken`](crate::VerifiedToken) or a
//!    [`Refusal`](crate::Refusal).
//!
//! The steps do less than the service: they emit no event, note no use and end no overlap.
//!
//! ```
//! use service_tokens::chrono::{DateTime, Utc};
//! use service_tokens::steps::{AccessRules, Digests, ParsedToken, Prefix};
//! use service_tokens::{Refusal, RequestContext, Requirement, TokenStore, VerifiedToken};
//!
//! async fn verify(
//!     store: &dyn TokenStore,
//!     token: &str,
//!     ours: &[Prefix],
//!     context: &RequestContext,
//!     rules: &AccessRules,
//!     now: DateTime<Utc>,
//! ) -> Result<VerifiedToken, Box<dyn std::error::Error>> {
//!     let parsed = ParsedToken::parse(token, ours)?;
//!     let stored = store.find(parsed.id()).await?.ok_or(Refusal::UnknownId)?;
//!     let digests = Digests::plain();
//!     let matched = stored.record.matches(&parsed, &digests)?;
//!     Ok(matched.authorize(now, &Requirement::any_token(), context, rules)?)
//! }
//! ```
//!
//! # A step cannot be left out
//!
//! The compiler checks this. A record that was not compared cannot be authorized:
//!
//! ```compile_fail,E0599
//! use service_tokens::steps::AccessRules;
//! use service_tokens::{Record, RequestContext, Requirement, VerifiedToken};
//!
//! fn verify(record: &Record, rules: &AccessRules) -> Option<VerifiedToken> {
//!     let now = service_tokens::chrono::DateTime::UNIX_EPOCH;
//!     record.authorize(now, &Requirement::any_token(), &RequestContext::new(), rules).ok()
//! }
//! ```
//!
//! Another value cannot take the place of the proof:
//!
//! ```compile_fail,E0308
//! use service_tokens::steps::{AccessRules, Matched};
//! use service_tokens::{Record, RequestContext, Requirement, VerifiedToken};
//!
//! fn verify(record: &Record, rules: &AccessRules) -> Option<VerifiedToken> {
//!     let now = service_tokens::chrono::DateTime::UNIX_EPOCH;
//!     Matched::authorize(record, now, &Requirement::any_token(), &RequestContext::new(), rules).ok()
//! }
//! ```
//!
//! A program cannot make a proof by hand:
//!
//! ```compile_fail,E0451
//! use service_tokens::Record;
//! use service_tokens::steps::Matched;
//!
//! fn forge(record: &Record) -> Matched<'_> {
//!     Matched { record, ..todo!() }
//! }
//! ```
//!
//! The record cannot be exchanged between the comparison and the decision:
//!
//! ```compile_fail,E0506
//! use service_tokens::steps::{AccessRules, Digests, ParsedToken};
//! use service_tokens::{Record, RequestContext, Requirement, VerifiedToken};
//!
//! fn verify(token: &ParsedToken<'_>, mut record: Record, other: Record, rules: &AccessRules)
//!     -> Option<VerifiedToken>
//! {
//!     let digests = Digests::plain();
//!     let matched = record.matches(token, &digests).ok()?;
//!     record = other;
//!     let now = service_tokens::chrono::DateTime::UNIX_EPOCH;
//!     matched.authorize(now, &Requirement::any_token(), &RequestContext::new(), rules).ok()
//! }
//! ```
//!
//! One proof serves one decision:
//!
//! ```compile_fail,E0382
//! use service_tokens::{RequestContext, Requirement};
//! use service_tokens::steps::{AccessRules, Matched};
//!
//! fn twice(matched: Matched<'_>, rules: &AccessRules) {
//!     let now = service_tokens::chrono::DateTime::UNIX_EPOCH;
//!     let _ = matched.authorize(now, &Requirement::any_token(), &RequestContext::new(), rules);
//!     let _ = matched.authorize(now, &Requirement::any_token(), &RequestContext::new(), rules);
//! }
//! ```

pub use crate::check::AccessRules;
pub use crate::digest::Digests;
pub use crate::record::Matched;
pub use crate::scope::TokenTypes;
pub use crate::token::{ParsedToken, Prefix};
