//! Preparing drafts on behalf of a token.

use super::super::caller::{Caller, Issuer};
use super::super::draft::{IssueDraft, RevokeDraft};
use super::super::request::{IssueRequest, RevokeRequest};
use super::{OnBehalf, gone};
use crate::error::ManageError;
use crate::event::Operation;
use crate::scope::ReservedScope;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore> OnBehalf<'_, S> {
    /// Prepares a token for the owner of the calling token, to be stored in a transaction of your own, as
    /// [`Tokens::prepare_issue`](crate::Tokens::prepare_issue) does. Requires `service-tokens:issue`.
    ///
    /// The limits are those of [`issue`](Self::issue). The second reading of the calling token is part of
    /// [`IssueDraft::confirm`], so a token that ends or is narrowed before the confirmation leaves no token
    /// behind.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists.
    /// - [`ManageError::Invalid`] also for scopes, an end or networks beyond those of the calling token, as for
    ///   [`issue`](Self::issue).
    /// - All other errors of [`Tokens::prepare_issue`](crate::Tokens::prepare_issue).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenStore, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// let request = IssueRequest::new("connector", "staging");
    /// let mut draft = service.on_behalf_of(&verified).prepare_issue(request).await?;
    /// service.store().insert(draft.record()).await?; // Your transaction.
    /// assert_eq!(draft.confirm().await?.record.issuers(), [verified.id()]);
    /// # Ok(()) }
    /// ```
    pub async fn prepare_issue(self, request: IssueRequest) -> Result<IssueDraft, ManageError> {
        let audit = self.audit_act(Operation::PrepareIssue, request.id).await;
        let outcome = async {
            let calling = self.service.calling_token(self.token, ReservedScope::Issue).await?;
            let issuer = Issuer::Token(&calling);
            self.service.try_prepare_issue(&issuer, request, Some(self.token.clone())).await
        };
        audit.end(outcome.await, IssueDraft::prepared_event)
    }

    /// Prepares a revocation, to be stored in a transaction of your own, as
    /// [`Tokens::prepare_revoke`](crate::Tokens::prepare_revoke) does. Requires `service-tokens:revoke`, and no
    /// scope with the own id of the calling token.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists.
    /// - [`ManageError::NotFound`] if the owner has no such token.
    /// - All other errors of [`Tokens::prepare_revoke`](crate::Tokens::prepare_revoke).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenStore, TokenType};
    /// use service_tokens::RevokeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let id = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// let request = RevokeRequest::new().reason("project closed");
    /// let mut draft = service.on_behalf_of(&verified).prepare_revoke(id, request).await?;
    /// service.store().replace(draft.record(), draft.expected()).await?; // Your transaction.
    /// assert!(!draft.confirm().await?.already_revoked);
    /// # Ok(()) }
    /// ```
    pub async fn prepare_revoke(
        self,
        id: TokenId,
        request: RevokeRequest,
    ) -> Result<RevokeDraft, ManageError> {
        let audit = self.audit(Operation::PrepareRevoke, Some(id));
        let outcome = async {
            if id == self.token.id() {
                let caller = Caller::Itself(self.token, None);
                return self.service.try_prepare_revoke(&caller, id, &request).await.map_err(gone);
            }
            let calling = self.service.calling_token(self.token, ReservedScope::Revoke).await?;
            self.service.try_prepare_revoke(&Caller::Token(&calling), id, &request).await
        };
        audit.end(outcome.await, RevokeDraft::prepared_event)
    }
}
