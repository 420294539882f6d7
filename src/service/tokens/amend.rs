//! Amending a token of a view.

use super::super::amend::Amended;
use super::super::caller::Caller;
use super::super::request::AmendRequest;
use super::Tokens;
use crate::error::ManageError;
use crate::event::Operation;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore, V> Tokens<'_, S, V> {
    /// Amends a token, which changes its label, metadata or end, or narrows its scopes and networks. Its
    /// secrets stay, so its holder notices at most that it may do less.
    ///
    /// A token never gets more scopes or networks by an amendment, and an ended token is never changed. A
    /// suspended or pending token can be amended. If the record has all the values already, nothing is
    /// written and the version stays.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if the view does not contain the token.
    /// - [`ManageError::VersionChanged`] if the record does not have the expected version.
    /// - [`ManageError::Ended`] if the token was revoked or has expired.
    /// - [`ManageError::Invalid`] if a text is empty or too long, if the metadata exceeds a limit after the
    ///   change, if an end is not after now and after not-before, or if a later end exceeds the policy or its type is unknown. It
    ///   is also returned for scopes and networks that are not contained in the present ones
    ///   ([`Rule::Widens`](crate::record::Rule::Widens)).
    /// - [`ManageError::Contended`] if other operations wrote the same record again and again, or if the
    ///   token is being revoked or suspended at this moment, or if a first use is ending its older secret.
    /// - [`ManageError::Store`] if the store failed.
    /// - [`ManageError::Indeterminate`] if the answer of the store was lost and reading again did not show
    ///   the result.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use service_tokens::Requirement;
    /// use service_tokens::{AmendRequest, ScopeSet};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("developer", ["*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let issued = acme.issue(IssueRequest::new("developer", "CI")).await?;
    /// let builds = ScopeSet::new(["builds:*"])?;
    /// let request = AmendRequest::new().scopes(builds).metadata("ticket", "OPS-1234");
    /// acme.amend(issued.record.id(), request).await?;
    ///
    /// let text = issued.token.expose_secret();
    /// assert!(service.verify(text, &Requirement::scope("builds:start")?).await.is_ok());
    /// assert!(service.verify(text, &Requirement::scope("files:upload")?).await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn amend(self, id: TokenId, request: AmendRequest) -> Result<Amended, ManageError> {
        let service = self.view.service;
        let audit = service.audit(Operation::Amend, Some(id));
        let outcome = service.try_amend(&Caller::Embedder(self.view.owner), id, &request).await;
        audit.end(outcome, |amended| request.amended_event(amended, None))
    }
}
