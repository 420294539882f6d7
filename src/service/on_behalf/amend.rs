//! Amendments by a token, of another one and of itself.

use super::super::amend::Amended;
use super::super::caller::Caller;
use super::super::request::AmendRequest;
use super::{OnBehalf, gone};
use crate::error::ManageError;
use crate::event::Operation;
use crate::scope::ReservedScope;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore> OnBehalf<'_, S> {
    /// Amends a token, also the calling token itself. Requires `service-tokens:amend`.
    ///
    /// The scopes and networks of another token must be contained in the present ones of the calling token.
    /// A token never extends an end, also not its own, under any policy.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists, and with
    ///   [`ExceedsCaller`](crate::error::NotPermitted::ExceedsCaller) for a token that may do more.
    /// - [`ManageError::Invalid`] also for an end after the present one
    ///   ([`Rule::LaterThanPresent`](crate::record::Rule::LaterThanPresent)).
    /// - All other errors of [`Tokens::amend`](crate::Tokens::amend).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use service_tokens::AmendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// # let id = backup.record.id();
    /// let request = AmendRequest::new().issued_to("nightly backup");
    /// let amended = service.on_behalf_of(&verified).amend(id, request).await?;
    /// assert_eq!(amended.record.issued_to(), "nightly backup");
    /// # Ok(()) }
    /// ```
    pub async fn amend(self, id: TokenId, request: AmendRequest) -> Result<Amended, ManageError> {
        let audit = self.audit(Operation::Amend, Some(id));
        let outcome = if id == self.token.id() {
            let caller = Caller::Itself(self.token, Some(ReservedScope::Amend));
            self.service.try_amend(&caller, id, &request).await.map_err(gone)
        } else {
            self.try_amend(id, &request).await
        };
        audit.end(outcome, |amended| request.amended_event(amended, self.calling_id()))
    }

    async fn try_amend(&self, id: TokenId, request: &AmendRequest) -> Result<Amended, ManageError> {
        let calling = self.service.calling_token(self.token, ReservedScope::Amend).await?;
        self.service.try_amend(&Caller::Token(&calling), id, request).await
    }
}
