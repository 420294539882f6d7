//! Preparing drafts for transactions of the embedder.

use super::super::caller::{Caller, Issuer};
use super::super::draft::{IssueDraft, RevokeDraft};
use super::super::request::{IssueRequest, RevokeRequest};
use super::{OneOwner, Tokens, View};
use crate::error::ManageError;
use crate::event::Operation;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore> Tokens<'_, S, OneOwner> {
    /// Prepares a token that you store in a transaction of your own. This call does not write.
    ///
    /// Insert [`IssueDraft::record`] in the transaction, commit it, and call [`IssueDraft::confirm`], which
    /// returns the token. [The manual](crate::manual::choosing_a_store#in-your-own-transaction) leads through
    /// the steps and their failures.
    ///
    /// The draft has a place in the [limit of live tokens](crate::Policy::max_active_per_owner()) until it is
    /// confirmed, for at most 60 seconds. A transaction that commits later may exceed the limit.
    ///
    /// A draft does not count as an issue in progress, so a [pause of issuing](crate::TokenService::pause_issuing) does not
    /// wait for it. The pause ends it instead: the confirmation revokes the token if it was stored.
    ///
    /// # Errors
    ///
    /// All errors of [`issue`](Self::issue), except for [`ManageError::Indeterminate`]. With a chosen id,
    /// [`ManageError::Exists`] is returned if a token with it exists now. One that is inserted later makes the
    /// confirmation fail.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenStore, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let acme = service.owner("acme");
    /// let mut draft = acme.prepare_issue(IssueRequest::new("connector", "nightly backup")).await?;
    /// service.store().insert(draft.record()).await?; // Your transaction.
    /// let issued = draft.confirm().await?;
    /// assert_eq!(issued.record.owner(), "acme");
    /// # Ok(()) }
    /// ```
    pub async fn prepare_issue(self, request: IssueRequest) -> Result<IssueDraft, ManageError> {
        let View { service, owner } = self.view;
        let issuer = Issuer::Embedder { owner: owner.unwrap_or_default() };
        let audit = service.audit(Operation::PrepareIssue, request.id);
        let outcome = service.try_prepare_issue(&issuer, request, None).await;
        audit.end(outcome, IssueDraft::prepared_event)
    }
}

impl<S: TokenStore, V> Tokens<'_, S, V> {
    /// Prepares a revocation that you store in a transaction of your own. This call does not write.
    ///
    /// Replace the record of the version [`RevokeDraft::expected`] with [`RevokeDraft::record`] in the
    /// transaction, commit it, and call [`RevokeDraft::confirm`]. [The
    /// manual](crate::manual::choosing_a_store#in-your-own-transaction) leads through the steps and their
    /// failures.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if the view does not contain the token.
    /// - [`ManageError::Invalid`] if a text is empty or too long.
    /// - [`ManageError::Ended`] if the token is revoked already, so no write is needed.
    /// - [`ManageError::Store`] if the store failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenStore, TokenType};
    /// use service_tokens::RevokeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let mut draft = acme.prepare_revoke(id, RevokeRequest::new().reason("account closed")).await?;
    /// service.store().replace(draft.record(), draft.expected()).await?; // Your transaction.
    /// assert!(draft.confirm().await?.record.revocation().is_some());
    /// # Ok(()) }
    /// ```
    pub async fn prepare_revoke(
        self,
        id: TokenId,
        request: RevokeRequest,
    ) -> Result<RevokeDraft, ManageError> {
        let View { service, owner } = self.view;
        let audit = service.audit(Operation::PrepareRevoke, Some(id));
        let outcome = service.try_prepare_revoke(&Caller::Embedder(owner), id, &request).await;
        audit.end(outcome, RevokeDraft::prepared_event)
    }
}
