//! Verification.
//!
//! Each verification takes the same steps. It parses the text, finds the record, compares the secret,
//! decides, and notes the use. With a store that answers at once ([`TokenStore::find_now`]) they run in
//! [`verify_now`](TokenService::verify_now) without a future. Otherwise [`from_store`] continues in a
//! boxed future, from the cache or from the store. [`verdict`] has the steps that both share.

mod from_store;
mod in_context;
mod still_active;
mod two_step;
mod verdict;

use super::core::TokenService;
use crate::check::{RequestContext, VerifiedToken};
use crate::digest::HashedSecret;
use crate::error::VerifyError;
use crate::refusal::Refusal;
use crate::scope::Requirement;
use crate::store::{StoreError, TokenStore};
use crate::token::{MalformedToken, ParsedToken};
use verdict::{Freshness, Later, Outcome, Use, whole};

pub use in_context::InContext;

/// The context of a verification that was called without one. It is static, so that it outlives every
/// future.
static WITHOUT_FACTS: RequestContext = RequestContext::new();

impl<S: TokenStore> TokenService<S> {
    /// Verifies a token, and that it may do what the requirement says.
    ///
    /// The call has no client address, so a token that is restricted to [networks](crate::network) is
    /// refused. Use [`in_context`](Self::in_context) to pass the address.
    ///
    /// `token` is the token of an `Authorization: Bearer` header, without `Bearer` and without white
    /// space around it. A malformed token is refused before the store is asked. Every refusal emits one
    /// event.
    ///
    /// An accepted verification is a use of the token, which is [noted](Self::flush_last_used). It may
    /// also end an overlap of two secrets, if the token was rotated [until first
    /// use](crate::RotateRequest::until_first_use) and this is the first use of the new secret. Then
    /// the older secret ends before this returns. That takes one write to the store, by the first
    /// verification with the new secret. Concurrent verifications do not wait for it. If the write
    /// fails, the token is still accepted, and the event is
    /// [`OverlapNotEnded`](crate::Event::OverlapNotEnded).
    ///
    /// # Errors
    ///
    /// - [`VerifyError::Refused`] if it is not an active token of this service.
    /// - [`VerifyError::MissingScope`] if it is active and lacks a required scope.
    /// - [`VerifyError::Unavailable`] if the store gave no answer. The token is not accepted then.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType, VerifyError, requirement};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .build()?;
    /// let issued = service.owner("acme").issue(IssueRequest::new("connector", "nightly backup")).await?;
    /// let token = issued.token.expose_secret();
    ///
    /// let verified = service.verify(token, &requirement!("files:upload")).await?;
    /// assert_eq!(verified.owner(), "acme");
    ///
    /// let refused = service.verify(token, &requirement!("files:delete")).await;
    /// assert!(matches!(refused, Err(VerifyError::MissingScope(_))));
    /// # Ok(()) }
    /// ```
    pub async fn verify<T>(
        &self,
        token: &T,
        requirement: &Requirement,
    ) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        // In this function and in `verify_uncached`, `authenticate` and `authenticate_uncached`, an
        // acceptance is moved in the two parts in which it was written, and a refusal as one value.
        // Other moves read memory with another width than it was written with, which causes a
        // store-forwarding stall.
        match self.verify_now(
            token.as_ref(),
            requirement,
            &WITHOUT_FACTS,
            Freshness::Cached,
            Use::Now,
        ) {
            Ok(Ok(verified)) => Ok(verified),
            Ok(refused) => whole(refused),
            Err(later) => later.await,
        }
    }

    /// Verifies a token as [`verify`](Self::verify) does, with the record from the store and never from
    /// the [cache](crate::TokenServiceBuilder::cache_records).
    ///
    /// Use it before an action for which a revocation in another process must count at once.
    ///
    /// # Errors
    ///
    /// The errors of [`verify`](Self::verify).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, TokenType};
    /// use std::time::Duration;
    /// use service_tokens::{MemoryStore, TokenService, requirement};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = MemoryStore::new();
    /// let service = TokenService::builder(store, "acme_live")
    ///     .cache_records(Duration::from_secs(60), 100_000)
    /// #   .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .build()?;
    /// # let issued = service.owner("acme").issue(IssueRequest::new("connector", "nightly backup")).await?;
    /// # let token = issued.token.expose_secret();
    /// let verified = service.verify_uncached(token, &requirement!("files:upload")).await?;
    /// # assert_eq!(verified.owner(), "acme");
    /// # Ok(()) }
    /// ```
    pub async fn verify_uncached<T>(
        &self,
        token: &T,
        requirement: &Requirement,
    ) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        match self.verify_now(
            token.as_ref(),
            requirement,
            &WITHOUT_FACTS,
            Freshness::Uncached,
            Use::Now,
        ) {
            Ok(Ok(verified)) => Ok(verified),
            Ok(refused) => whole(refused),
            Err(later) => later.await,
        }
    }

    /// Returns the outcome, or a future of it if the store does not answer at once.
    // Inlined into every caller, because moving the outcome through memory costs as much as a decision.
    #[inline(always)]
    fn verify_now<'f>(
        &'f self,
        token: &'f [u8],
        requirement: &'f Requirement,
        context: &'f RequestContext,
        freshness: Freshness,
        usage: Use,
    ) -> Result<Outcome, Later<'f>> {
        match ParsedToken::parse(token, &self.core.prefixes) {
            Ok(token) => self.verify_hashed(
                self.core.digests.hash(&token),
                requirement,
                context,
                freshness,
                usage,
            ),
            Err(malformed) if self.core.import_forms.is_empty() => {
                let malformed = VerifyError::Refused(Refusal::Malformed(malformed));
                Ok(Err(self.refuse(None, malformed, freshness)))
            }
            Err(malformed) => {
                self.verify_imported(token, malformed, requirement, context, freshness, usage)
            }
        }
    }

    /// Continues with a text that is not a native token. It may have the form of an older system.
    ///
    /// The function has its own copy of the steps that follow, so that a native token is not slowed down
    /// by a value that could come from two places.
    #[cold]
    #[inline(never)]
    fn verify_imported<'f>(
        &'f self,
        text: &[u8],
        malformed: MalformedToken,
        requirement: &'f Requirement,
        context: &'f RequestContext,
        freshness: Freshness,
        usage: Use,
    ) -> Result<Outcome, Later<'f>> {
        let Some(hashed) = self.present_imported(text) else {
            let malformed = VerifyError::Refused(Refusal::Malformed(malformed));
            return Ok(Err(self.refuse(None, malformed, freshness)));
        };
        self.verify_hashed(hashed, requirement, context, freshness, usage)
    }

    #[inline(always)]
    fn verify_hashed<'f>(
        &'f self,
        token: HashedSecret<'f>,
        requirement: &'f Requirement,
        context: &'f RequestContext,
        freshness: Freshness,
        usage: Use,
    ) -> Result<Outcome, Later<'f>> {
        let (id, now) = (token.id(), self.now_coarse());
        let mut verdict = None;
        let answered = self.core.records.store.find_now(id, &mut |found| {
            let found = found.map(|found| (found.record, found.used_micros()));
            verdict = Some(self.judge(&token, found, now, requirement, context));
        });
        if !answered {
            return Err(self.verify_later(token, requirement, context, freshness, usage));
        }
        match verdict {
            Some(Ok(accepted)) if accepted.is_all() => Ok(Ok(accepted.verified)),
            Some(Ok(accepted)) => self.conclude(id, accepted, now, usage),
            Some(Err(rejected)) => {
                Ok(Err(self.refuse(Some(id), rejected.into_denied(id, requirement), freshness)))
            }
            // The store returned `true` and did not call the function. That is not an answer.
            None => {
                let silent = StoreError::corrupt("the store answered without a record");
                Ok(Err(self.refuse(Some(id), silent, freshness)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
