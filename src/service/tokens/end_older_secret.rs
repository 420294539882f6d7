//! Ending the older secret of a token of a view.

use super::super::caller::Caller;
use super::super::end_older_secret::EndedOlder;
use super::super::request::EndOlderRequest;
use super::Tokens;
use crate::error::ManageError;
use crate::event::Operation;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore, V> Tokens<'_, S, V> {
    /// Ends the older secret of a token at once. The newest secret stays, so a client that has it is not
    /// interrupted.
    ///
    /// Use it if the older secret leaks during an overlap. It also works on a suspended or pending token.
    /// Ending the secret again succeeds and has no effect, as long as it is the one that ended last. The
    /// write is tried up to 10,000 times, so frequent first uses or other changes do not prevent it.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if the view does not contain the token.
    /// - [`ManageError::NotRotated`] with
    ///   [`RotatedSince`](crate::record::RotateDenied::RotatedSince) if the named secret is not the older
    ///   one, for example because another rotation came in between, and with
    ///   [`NotActive`](crate::record::RotateDenied::NotActive) if the token has ended.
    /// - [`ManageError::Invalid`] if the text is empty or too long.
    /// - [`ManageError::Contended`] if other processes wrote the same record at every attempt.
    /// - [`ManageError::Store`] if the store failed.
    /// - [`ManageError::Indeterminate`] if the answer of the store was lost and reading again did not show
    ///   the result.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::{EndOlderRequest, Refusal, RotateRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let any = Requirement::any_token();
    /// let old = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let week = Duration::from_secs(7 * 86_400);
    /// let new = acme.rotate(old.record.id(), RotateRequest::with_overlap(week)).await?;
    ///
    /// let request = EndOlderRequest::new(old.record.secret_created_at());
    /// acme.end_older_secret(old.record.id(), request).await?;
    /// assert!(service.verify(new.token.expose_secret(), &any).await.is_ok());
    /// let refused = service.verify(old.token.expose_secret(), &any).await.unwrap_err();
    /// assert_eq!(refused.refusal(), Some(Refusal::SecretEnded));
    /// # Ok(()) }
    /// ```
    pub async fn end_older_secret(
        self,
        id: TokenId,
        request: EndOlderRequest,
    ) -> Result<EndedOlder, ManageError> {
        let service = self.view.service;
        let audit = service.audit(Operation::EndOlderSecret, Some(id));
        let caller = Caller::Embedder(self.view.owner);
        let outcome = service.try_end_older(&caller, id, &request).await;
        audit.end(outcome, |ended| request.ended_event(ended, None))
    }
}
