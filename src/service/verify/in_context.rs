//! Verification with facts about the request.

use std::fmt;

use super::super::core::TokenService;
use super::two_step::ANY;
use super::verdict::{Freshness, Use, whole};
use crate::check::{RequestContext, VerifiedToken};
use crate::error::VerifyError;
use crate::scope::Requirement;
use crate::store::TokenStore;

impl<S: TokenStore> TokenService<S> {
    /// Returns a view of the service that verifies with these facts about the request, such as the address
    /// of the client.
    ///
    /// # Examples
    ///
    /// A token that is accepted from one network only:
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use std::net::IpAddr;
    /// use service_tokens::{Refusal, RequestContext, requirement};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let request = IssueRequest::new("connector", "backup").networks(["192.0.2.0/24".parse()?]);
    /// let issued = service.owner("acme").issue(request).await?;
    /// let token = issued.token.expose_secret();
    /// let upload = requirement!("files:upload");
    ///
    /// let inside: IpAddr = "192.0.2.7".parse()?;
    /// let verified = service
    ///     .in_context(RequestContext::new().client_address(inside))
    ///     .verify(token, &upload)
    ///     .await?;
    /// assert_eq!(verified.client_address(), Some(inside));
    ///
    /// // Without an address the token is refused.
    /// let refused = service.verify(token, &upload).await.unwrap_err();
    /// assert_eq!(refused.refusal(), Some(Refusal::OutsideNetworks));
    /// # Ok(()) }
    /// ```
    pub fn in_context(&self, context: RequestContext) -> InContext<'_, S> {
        InContext { service: self, context }
    }
}

/// A view of a service that verifies with facts about one request, as returned by
/// [`TokenService::in_context`].
pub struct InContext<'s, S> {
    service: &'s TokenService<S>,
    context: RequestContext,
}

impl<S: TokenStore> InContext<'_, S> {
    /// Verifies a token as [`TokenService::verify`] does, with the facts about the request.
    ///
    /// # Errors
    ///
    /// The errors of [`TokenService::verify`].
    ///
    /// # Examples
    ///
    /// [`TokenService::in_context`] has an example.
    pub async fn verify<T>(
        self,
        token: &T,
        requirement: &Requirement,
    ) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        self.run(token.as_ref(), requirement, Freshness::Cached, Use::Now).await
    }

    /// Verifies a token as [`TokenService::verify_uncached`] does, with the facts about the request.
    ///
    /// # Errors
    ///
    /// The errors of [`TokenService::verify`].
    ///
    /// # Examples
    ///
    /// [`TokenService::in_context`] has an example of [`verify`](Self::verify).
    pub async fn verify_uncached<T>(
        self,
        token: &T,
        requirement: &Requirement,
    ) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        self.run(token.as_ref(), requirement, Freshness::Uncached, Use::Now).await
    }

    /// Authenticates a token as [`TokenService::authenticate`] does, with the facts about the request.
    ///
    /// # Errors
    ///
    /// The errors of [`TokenService::authenticate`].
    ///
    /// # Examples
    ///
    /// [`TokenService::in_context`] has an example of [`verify`](Self::verify).
    pub async fn authenticate<T>(self, token: &T) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        self.run(token.as_ref(), &ANY, Freshness::Cached, Use::WhenAuthorized).await
    }

    /// Authenticates a token as [`TokenService::authenticate_uncached`] does, with the facts about the
    /// request.
    ///
    /// # Errors
    ///
    /// The errors of [`TokenService::authenticate`].
    ///
    /// # Examples
    ///
    /// [`TokenService::in_context`] has an example of [`verify`](Self::verify).
    pub async fn authenticate_uncached<T>(self, token: &T) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        self.run(token.as_ref(), &ANY, Freshness::Uncached, Use::WhenAuthorized).await
    }

    async fn run(
        &self,
        token: &[u8],
        requirement: &Requirement,
        freshness: Freshness,
        usage: Use,
    ) -> Result<VerifiedToken, VerifyError> {
        match self.service.verify_now(token, requirement, &self.context, freshness, usage) {
            Ok(Ok(verified)) => Ok(verified),
            Ok(refused) => whole(refused),
            Err(later) => later.await,
        }
    }
}

impl<S> Clone for InContext<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for InContext<'_, S> {}

impl<S> fmt::Debug for InContext<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InContext").field("context", &self.context).finish_non_exhaustive()
    }
}
