//! Verification in two steps, for whoever learns only later what a request needs.

use super::super::TokenService;
use super::{Freshness, Use, whole};
use crate::check::VerifiedToken;
use crate::error::VerifyError;
use crate::refusal::Refusal;
use crate::scope::Requirement;
use crate::store::TokenStore;

/// What a first step asks for; it outlives every future.
static ANY: Requirement = Requirement::any_token();

impl<S: TokenStore> TokenService<S> {
    /// The first of two steps: whose token this is. As [`verify`](Self::verify) for any active token,
    /// and an acceptance is no use: nothing is noted and no overlap ends before
    /// [`authorize`](Self::authorize).
    ///
    /// For middleware that stands above the place where it is known what a request needs. Wherever it
    /// is known at once, `verify` is the shorter way.
    ///
    /// ```
    /// use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType, VerifyError};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .token_type(TokenType::new("connector", ["files:upload"])?)
    ///     .build()?;
    /// let issued = service.owner("acme").issue(IssueRequest::new("connector", "nightly backup")).await?;
    ///
    /// let token = service.authenticate(issued.token.expose_secret()).await?;
    /// // … the request finds its route, and the route says what it needs.
    /// let refused = service.authorize(&token, &Requirement::scope("files:delete")?).await.unwrap_err();
    /// assert!(matches!(refused, VerifyError::MissingScope(_)));
    /// service.authorize(&token, &Requirement::scope("files:upload")?).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`VerifyError::Refused`] and [`VerifyError::Unavailable`], each with its event.
    pub async fn authenticate<T>(&self, token: &T) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        match self.verify_now(token.as_ref(), &ANY, Freshness::Kept, Use::WhenPermitted) {
            Ok(Ok(verified)) => Ok(verified),
            Ok(refused) => whole(refused),
            Err(later) => later.await,
        }
    }

    /// As [`authenticate`](Self::authenticate), and the store is asked in any case, as by
    /// [`verify_uncached`](Self::verify_uncached).
    ///
    /// # Errors
    ///
    /// As [`authenticate`](Self::authenticate).
    pub async fn authenticate_uncached<T>(&self, token: &T) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        match self.verify_now(token.as_ref(), &ANY, Freshness::Uncached, Use::WhenPermitted) {
            Ok(Ok(verified)) => Ok(verified),
            Ok(refused) => whole(refused),
            Err(later) => later.await,
        }
    }

    /// The second step: whether the token that this service has just
    /// [authenticated](Self::authenticate) may do what `requirement` says.
    ///
    /// An acceptance is a use, with all that [`verify`](Self::verify) says of one. A refusal is none,
    /// and it is an [event](crate::Event::MissingScope). A request with several needs may ask for
    /// each; that is one use. After `verify` nothing is noted again.
    ///
    /// The token is not verified anew: ask within the request that authenticated it.
    ///
    /// # Errors
    ///
    /// [`VerifyError::MissingScope`], and no other.
    pub async fn authorize(
        &self,
        token: &VerifiedToken,
        requirement: &Requirement,
    ) -> Result<(), VerifyError> {
        let id = token.id();
        if !token.permits(requirement) {
            let missing = VerifyError::refused(Refusal::MissingScope, id, requirement);
            return Err(self.refuse(Some(id), missing, Freshness::Kept));
        }
        let follows = token.follows();
        if follows.due {
            self.note_use(id, self.now_coarse().time);
        }
        if let Some(first) = &follows.first_use {
            // Boxed, because hardly any use is one.
            Box::pin(self.end_overlap(id, **first, self.now_coarse().time)).await;
        }
        Ok(())
    }
}
