//! Suspensions by a token, of another one and of itself.

use super::super::caller::Caller;
use super::super::request::SuspendRequest;
use super::super::suspend::Suspended;
use super::{OnBehalf, gone};
use crate::error::ManageError;
use crate::event::Operation;
use crate::scope::ReservedScope;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore> OnBehalf<'_, S> {
    /// Suspends a token, even one that may do more than the calling token. Requires
    /// `service-tokens:suspend`. With the own id of the calling token it is
    /// [`suspend_self`](Self::suspend_self).
    ///
    /// No token can resume a token. That belongs to the embedder, with
    /// [`Tokens::resume`](crate::Tokens::resume).
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists.
    /// - [`ManageError::NotFound`] if the owner has no such token.
    /// - [`ManageError::Invalid`] also if the token has 8 suspensions that have not passed. A calling token
    ///   cannot take the place of one, because an operator may have made it.
    /// - All other errors of [`Tokens::suspend`](crate::Tokens::suspend).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use service_tokens::{State, SuspendRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// # let id = backup.record.id();
    /// let suspended = service.on_behalf_of(&verified).suspend(id, SuspendRequest::new()).await?;
    /// assert_eq!(suspended.record.state(service.now()), State::Suspended);
    /// # Ok(()) }
    /// ```
    pub async fn suspend(
        self,
        id: TokenId,
        request: SuspendRequest,
    ) -> Result<Suspended, ManageError> {
        if id == self.token.id() {
            return self.suspend_self(request).await;
        }
        let audit = self.audit(Operation::Suspend, Some(id));
        let outcome = match self.service.calling_token(self.token, ReservedScope::Suspend).await {
            Ok(calling) => self.service.try_suspend(&Caller::Token(&calling), id, &request).await,
            Err(error) => Err(error),
        };
        audit.end(outcome, |suspended| request.suspended_event(suspended, self.calling_id()))
    }

    /// Suspends the calling token. Requires no scope, because a token without a scope can also
    /// [revoke itself](Self::revoke_self), and a suspension takes away less.
    ///
    /// From then on the token is refused, so it cannot undo or lengthen the suspension.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] if the token would be refused now, for example because it is
    ///   suspended already.
    /// - All other errors of [`Tokens::suspend`](crate::Tokens::suspend).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use service_tokens::SuspendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// let verified = service.verify(backup.token.expose_secret(), &Requirement::any_token()).await?;
    /// let caller = service.on_behalf_of(&verified);
    /// assert!(!caller.suspend_self(SuspendRequest::new()).await?.already_suspended);
    /// assert!(caller.get_self().await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn suspend_self(self, request: SuspendRequest) -> Result<Suspended, ManageError> {
        let audit = self.audit(Operation::Suspend, Some(self.token.id()));
        let caller = Caller::Itself(self.token, None);
        let outcome = self.service.try_suspend(&caller, self.token.id(), &request).await;
        audit.end(outcome.map_err(gone), |suspended| {
            request.suspended_event(suspended, self.calling_id())
        })
    }
}
