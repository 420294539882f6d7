//! Suspending and resuming a token of a view.

use super::super::caller::Caller;
use super::super::request::{ResumeRequest, SuspendRequest};
use super::super::suspend::{Resumed, Suspended};
use super::Tokens;
use crate::error::ManageError;
use crate::event::Operation;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore, V> Tokens<'_, S, V> {
    /// Suspends a token. It is refused until the suspension passes or the token is [resumed](Self::resume).
    ///
    /// A suspension can be lengthened and never shortened. If the token is suspended for as long or longer,
    /// this succeeds and has no effect. Otherwise the new suspension takes the place of the one before,
    /// with its own start, name and reason, so resuming the token then ends both.
    ///
    /// A suspended token expires as usual, and it can be revoked. Suspending it is no rotation, so the
    /// same token text works again afterwards.
    ///
    /// A suspension takes precedence over rotations and first uses of the same token, as a
    /// [revocation](Self::revoke) does. When this method has returned, a service in the same process no
    /// longer accepts the token, and neither does any service that reads the store for every verification.
    ///
    /// The suspension passes when the earlier of the service's time and the clock's reaches its end. It
    /// does not pass while a [clock jump](crate::TokenService::has_clock_jumped) is not acknowledged.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if the view does not contain the token.
    /// - [`ManageError::Ended`] if the token was revoked or has expired.
    /// - [`ManageError::Invalid`] if a text is empty or too long, or if the end is not after now.
    /// - [`ManageError::Contended`] if other processes wrote the same record at every attempt.
    /// - [`ManageError::Store`] if the store failed.
    /// - [`ManageError::Indeterminate`] if the answer of the store was lost and reading again did
    ///   not show the result.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use service_tokens::Requirement;
    /// use std::time::Duration;
    /// use service_tokens::{Refusal, SuspendRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let issued = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// # let (id, text) = (issued.record.id(), issued.token.expose_secret());
    /// let week = Duration::from_secs(7 * 86_400);
    /// acme.suspend(id, SuspendRequest::new().lasting(week).reason("INC-42")).await?;
    ///
    /// let shorter = SuspendRequest::new().lasting(week / 7);
    /// assert!(acme.suspend(id, shorter).await?.already_suspended);
    ///
    /// let refused = service.verify(text, &Requirement::any_token()).await.unwrap_err();
    /// assert_eq!(refused.refusal(), Some(Refusal::Suspended));
    /// # Ok(()) }
    /// ```
    pub async fn suspend(
        self,
        id: TokenId,
        request: SuspendRequest,
    ) -> Result<Suspended, ManageError> {
        let service = self.view.service;
        let audit = service.audit(Operation::Suspend, Some(id));
        let outcome = service.try_suspend(&Caller::Embedder(self.view.owner), id, &request).await;
        audit.end(outcome, |suspended| request.suspended_event(suspended, None))
    }

    /// Resumes a suspended token, which is accepted again with the secrets that it had. Resuming a token
    /// that is not suspended succeeds and has no effect.
    ///
    /// A token can never resume a token, so [`OnBehalf`](crate::OnBehalf) has no such operation.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if the view does not contain the token.
    /// - [`ManageError::Ended`] if the token was revoked or has expired.
    /// - [`ManageError::Invalid`] if a text is empty or too long.
    /// - [`ManageError::Contended`] if the token is being suspended or revoked at this moment, if another
    ///   suspension took the place of the one that this call found, or if other operations wrote the same
    ///   record again and again.
    /// - [`ManageError::Store`] if the store failed.
    /// - [`ManageError::Indeterminate`] if the answer of the store was lost and reading again did
    ///   not show the result.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, SuspendRequest, TokenService, TokenType};
    /// # use service_tokens::Requirement;
    /// use service_tokens::ResumeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let issued = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// # let (id, text) = (issued.record.id(), issued.token.expose_secret());
    /// # acme.suspend(id, SuspendRequest::new()).await?;
    /// assert!(acme.resume(id, ResumeRequest::new().by("alice")).await?.was_suspended);
    /// assert!(service.verify(text, &Requirement::any_token()).await.is_ok());
    /// assert!(!acme.resume(id, ResumeRequest::new()).await?.was_suspended);
    /// # Ok(()) }
    /// ```
    pub async fn resume(self, id: TokenId, request: ResumeRequest) -> Result<Resumed, ManageError> {
        let audit = self.view.service.audit(Operation::Resume, Some(id));
        let outcome = self.view.service.try_resume(self.view.owner, id, &request).await;
        audit.end(outcome, |resumed| request.resumed_event(resumed))
    }
}
