//! Operations of a token on itself.

use super::super::caller::Caller;
use super::super::issue::Issued;
use super::super::request::{RevokeRequest, RotateRequest};
use super::super::revoke::Revoked;
use super::super::tokens::View;
use super::{OnBehalf, gone};
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::scope::ReservedScope;
use crate::store::{StoredRecord, TokenStore};

impl<S: TokenStore> OnBehalf<'_, S> {
    /// Returns the current record of the calling token. Requires no scope.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] if the token would be refused now.
    /// - [`ManageError::Store`] if the store failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// let stored = service.on_behalf_of(&verified).get_self().await?;
    /// assert_eq!(stored.record.id(), verified.id());
    /// # Ok(()) }
    /// ```
    pub async fn get_self(self) -> Result<StoredRecord, ManageError> {
        let id = self.token.id();
        let audit = self.audit(Operation::Get, Some(id));
        let outcome = async {
            let stored = View::of(self.service, None).try_get(id).await.map_err(gone)?;
            self.service.admit(self.token, &stored.record, None)?;
            Ok(stored)
        };
        audit.end(outcome.await, |_| Event::Read { id, on_behalf_of: self.calling_id() })
    }

    /// Revokes the calling token for good. Requires no scope.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] if the token would be refused now, for example because
    ///   another caller has revoked it.
    /// - All other errors of [`Tokens::revoke`](crate::Tokens::revoke).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use service_tokens::RevokeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// let caller = service.on_behalf_of(&verified);
    /// assert!(!caller.revoke_self(RevokeRequest::new()).await?.already_revoked);
    /// assert!(caller.get_self().await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn revoke_self(self, request: RevokeRequest) -> Result<Revoked, ManageError> {
        let audit = self.audit(Operation::Revoke, Some(self.token.id()));
        let caller = Caller::Itself(self.token, None);
        let outcome = self.service.try_revoke(&caller, self.token.id(), &request).await;
        audit
            .end(outcome.map_err(gone), |revoked| request.revoked_event(revoked, self.calling_id()))
    }

    /// Gives the calling token a new secret. Requires `service-tokens:rotate-self`.
    ///
    /// A token cannot extend its own lifetime under any policy. Its end stays, or the request sets
    /// an earlier one. Its issuers stay.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists.
    /// - [`ManageError::Invalid`] also for an end after the current one
    ///   ([`Rule::OutlivesCaller`](crate::record::Rule::OutlivesCaller)).
    /// - All other errors of [`Tokens::rotate`](crate::Tokens::rotate).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use std::time::Duration;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// let request = RotateRequest::until_first_use(Duration::from_secs(86_400));
    /// let rotated = service.on_behalf_of(&verified).rotate_self(request).await?;
    /// assert_eq!(rotated.record.expires_at(), verified.expires_at());
    /// # Ok(()) }
    /// ```
    pub async fn rotate_self(self, request: RotateRequest) -> Result<Issued, ManageError> {
        let audit = self.audit_act(Operation::Rotate, Some(self.token.id())).await;
        let caller = Caller::Itself(self.token, Some(ReservedScope::RotateSelf));
        let outcome = self.service.try_rotate(&caller, self.token.id(), &request).await;
        audit
            .end(outcome.map_err(gone), |rotated| request.rotated_event(rotated, self.calling_id()))
    }
}
