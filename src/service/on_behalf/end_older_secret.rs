//! Ending the older secret of a token on behalf of a token.

use super::super::caller::Caller;
use super::super::end_older_secret::EndedOlder;
use super::super::request::EndOlderRequest;
use super::{OnBehalf, gone};
use crate::error::ManageError;
use crate::event::Operation;
use crate::scope::ReservedScope;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore> OnBehalf<'_, S> {
    /// Ends the older secret of a token at once, while the newest one stays. Requires
    /// `service-tokens:rotate`, and with the own id of the calling token `service-tokens:rotate-self`.
    ///
    /// The scopes and networks of the token must be contained in the present ones of the calling token. A
    /// token can end its own older secret only if it was presented with its newest one.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists, with
    ///   [`ExceedsCaller`](crate::error::NotPermitted::ExceedsCaller) for a token that may do more, and
    ///   with [`OlderSecret`](crate::error::NotPermitted::OlderSecret) for a calling token that was
    ///   presented with its older secret.
    /// - All errors of [`Tokens::end_older_secret`](crate::Tokens::end_older_secret).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::{EndOlderRequest, RotateRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// let caller = service.on_behalf_of(&verified);
    /// let (id, older) = (backup.record.id(), backup.record.secret_created_at());
    /// let day = Duration::from_secs(86_400);
    /// let _ = caller.rotate(id, RotateRequest::with_overlap(day)).await?;
    ///
    /// let ended = caller.end_older_secret(id, EndOlderRequest::new(older)).await?;
    /// assert!(ended.record.overlap(service.now()).is_none());
    /// # Ok(()) }
    /// ```
    pub async fn end_older_secret(
        self,
        id: TokenId,
        request: EndOlderRequest,
    ) -> Result<EndedOlder, ManageError> {
        let audit = self.audit(Operation::EndOlderSecret, Some(id));
        let outcome = if id == self.token.id() {
            let caller = Caller::Itself(self.token, Some(ReservedScope::RotateSelf));
            self.service.try_end_older(&caller, id, &request).await.map_err(gone)
        } else {
            self.try_end_older(id, &request).await
        };
        audit.end(outcome, |ended| request.ended_event(ended, self.calling_id()))
    }

    async fn try_end_older(
        &self,
        id: TokenId,
        request: &EndOlderRequest,
    ) -> Result<EndedOlder, ManageError> {
        let calling = self.service.calling_token(self.token, ReservedScope::Rotate).await?;
        self.service.try_end_older(&Caller::Token(&calling), id, request).await
    }
}
