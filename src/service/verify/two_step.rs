//! Verification in two steps, for programs that learn the requirement of a request after they have to
//! know its token.

use super::super::core::TokenService;
use super::WITHOUT_FACTS;
use super::verdict::{Denied, Freshness, Owner, Use, whole};
use crate::check::VerifiedToken;
use crate::error::VerifyError;
use crate::refusal::Refusal;
use crate::scope::Requirement;
use crate::store::TokenStore;

/// The requirement of the first step. It is static, so that it outlives every future.
pub(super) static ANY: Requirement = Requirement::any_token();

impl<S: TokenStore> TokenService<S> {
    /// Authenticates a token, as the first of two steps. It accepts every active token.
    ///
    /// It works like [`verify`](Self::verify), except that an accepted token is not used yet. No use is
    /// noted and no overlap ends before [`authorize`](Self::authorize).
    ///
    /// It is for middleware that runs before the requirement of the request is known. If you know the
    /// requirement, `verify` is simpler.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Refused`] or [`VerifyError::Unavailable`], each with its event.
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
    ///
    /// let token = service.authenticate(issued.token.expose_secret()).await?;
    /// // … the router finds the route, and the route has the requirement.
    /// let refused = service.authorize(&token, &requirement!("files:delete")).await;
    /// assert!(matches!(refused, Err(VerifyError::MissingScope(_))));
    /// service.authorize(&token, &requirement!("files:upload")).await?;
    /// # Ok(()) }
    /// ```
    pub async fn authenticate<T>(&self, token: &T) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        match self.verify_now(
            token.as_ref(),
            &ANY,
            &WITHOUT_FACTS,
            Freshness::Cached,
            Use::WhenAuthorized,
        ) {
            Ok(Ok(verified)) => Ok(verified),
            Ok(refused) => whole(refused),
            Err(later) => later.await,
        }
    }

    /// Authenticates a token as [`authenticate`](Self::authenticate) does, with the record from the
    /// store and never from the cache, as [`verify_uncached`](Self::verify_uncached).
    ///
    /// # Errors
    ///
    /// The errors of [`authenticate`](Self::authenticate).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType, requirement};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let issued = service.owner("acme").issue(IssueRequest::new("connector", "nightly backup")).await?;
    /// let token = service.authenticate_uncached(issued.token.expose_secret()).await?;
    /// service.authorize(&token, &requirement!("files:upload")).await?;
    /// # Ok(()) }
    /// ```
    pub async fn authenticate_uncached<T>(&self, token: &T) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        match self.verify_now(
            token.as_ref(),
            &ANY,
            &WITHOUT_FACTS,
            Freshness::Uncached,
            Use::WhenAuthorized,
        ) {
            Ok(Ok(verified)) => Ok(verified),
            Ok(refused) => whole(refused),
            Err(later) => later.await,
        }
    }

    /// Authorizes an [authenticated](Self::authenticate) token to do what the requirement says, as the
    /// second of two steps.
    ///
    /// An authorized token is used, with all effects that [`verify`](Self::verify) describes. A refused
    /// token is not used, and the refusal is an [event](crate::Event::MissingScope). A request may
    /// authorize its token for several requirements; together they are one use. After `verify`, a
    /// second use is not noted.
    ///
    /// The token is not verified again. So call this within the request that authenticated it.
    ///
    /// # Errors
    ///
    /// [`VerifyError::MissingScope`] only.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType, requirement};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let issued = service.owner("acme").issue(IssueRequest::new("connector", "nightly backup")).await?;
    /// let token = service.authenticate(issued.token.expose_secret()).await?;
    /// service.authorize(&token, &requirement!("files:upload")).await?;
    /// assert!(service.authorize(&token, &requirement!("files:delete")).await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn authorize(
        &self,
        token: &VerifiedToken,
        requirement: &Requirement,
    ) -> Result<(), VerifyError> {
        let id = token.id();
        if !token.permits(requirement) {
            let missing = VerifyError::refused(Refusal::MissingScope, id, requirement);
            let denied = Denied { error: missing, owner: Owner::of(token.owner()) };
            return Err(self.refuse(Some(id), denied, Freshness::Cached));
        }
        let follows = token.follows();
        if follows.due {
            self.note_use(id, self.now_coarse().time);
        }
        if let Some(first) = &follows.first_use {
            // Boxed, because a first use is rare and its future is large.
            Box::pin(self.end_overlap(id, **first, self.now_coarse().time)).await;
        }
        Ok(())
    }
}
