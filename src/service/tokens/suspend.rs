//! Suspending and resuming a token of a view.

use super::super::caller::Caller;
use super::super::request::{ResumeRequest, SuspendRequest};
use super::super::suspend::{Resumed, Suspended};
use super::Tokens;
use crate::error::ManageError;
use crate::event::Operation;
use crate::record::SuspensionMatch;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore, V> Tokens<'_, S, V> {
    /// Suspends a token. It is refused until the suspension passes or the token is [resumed](Self::resume).
    ///
    /// The author and the reason name the suspension. A token can have several, and is refused until the last
    /// one has ended, so ending one incident does not end another. A suspension with the same name is
    /// lengthened and never shortened. If it lasts as long or longer, this succeeds and has no effect.
    ///
    /// A token has at most 8 suspensions, including those that have passed and were not resumed. One more
    /// replaces the one that ends first, which [`Suspended::replaced`] returns, and lasts at least as long as
    /// that one.
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
    /// let incident = SuspendRequest::new().reason("INC-42");
    /// acme.suspend(id, incident.clone().lasting(week)).await?;
    ///
    /// assert!(acme.suspend(id, incident.lasting(week / 7)).await?.already_suspended);
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

    /// Resumes a suspended token, which is accepted again with the secrets that it had. It ends all suspensions
    /// of the token, also those of other incidents, and [`resume_only`](Self::resume_only) ends those that you
    /// name. Both also remove selected suspensions that have passed. Resuming a token without a suspension
    /// succeeds and has no effect.
    ///
    /// A token can never resume a token, so [`OnBehalf`](crate::OnBehalf) has no such operation.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if the view does not contain the token.
    /// - [`ManageError::Ended`] if the token was revoked or has expired.
    /// - [`ManageError::Invalid`] if a text is empty or too long.
    /// - [`ManageError::Contended`] if the token is being suspended or revoked at this moment, if a suspension
    ///   was added since this call found the others, or if other operations wrote the same record again and
    ///   again.
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
    /// assert_eq!(acme.resume(id, ResumeRequest::new().by("alice")).await?.ended.len(), 1);
    /// assert!(service.verify(text, &Requirement::any_token()).await.is_ok());
    /// assert_eq!(acme.resume(id, ResumeRequest::new()).await?.ended, []);
    /// # Ok(()) }
    /// ```
    pub async fn resume(self, id: TokenId, request: ResumeRequest) -> Result<Resumed, ManageError> {
        self.resume_matching(id, None, request).await
    }

    /// Ends the suspensions of a token that match. If it has others, it stays suspended.
    ///
    /// [`resume_all`](Self::resume_all) does this for all tokens of an incident.
    ///
    /// # Errors
    ///
    /// The errors of [`resume`](Self::resume).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, SuspendRequest, TokenService, TokenType};
    /// use service_tokens::record::SuspensionMatch;
    /// use service_tokens::{ResumeRequest, State};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// acme.suspend(id, SuspendRequest::new().by("billing").reason("unpaid")).await?;
    /// acme.suspend(id, SuspendRequest::new().by("alice").reason("INC-42")).await?;
    ///
    /// let incident =
    ///     SuspensionMatch::ByAndReason { by: Some("alice".into()), reason: Some("INC-42".into()) };
    /// let resumed = acme.resume_only(id, incident, ResumeRequest::new()).await?;
    /// assert_eq!(resumed.ended.len(), 1);
    /// assert_eq!(resumed.record.state(service.now()), State::Suspended);
    /// # Ok(()) }
    /// ```
    pub async fn resume_only(
        self,
        id: TokenId,
        which: SuspensionMatch,
        request: ResumeRequest,
    ) -> Result<Resumed, ManageError> {
        self.resume_matching(id, Some(&which), request).await
    }

    async fn resume_matching(
        self,
        id: TokenId,
        which: Option<&SuspensionMatch>,
        request: ResumeRequest,
    ) -> Result<Resumed, ManageError> {
        let audit = self.view.service.audit(Operation::Resume, Some(id));
        let outcome = self.view.service.try_resume(self.view.owner, id, which, &request).await;
        audit.end(outcome, |resumed| request.resumed_event(resumed))
    }
}
