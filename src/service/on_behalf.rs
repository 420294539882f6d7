//! The operations that a token may do on tokens, including itself.

mod amend;
mod count;
mod end_older_secret;
mod own_token;
mod prepare;
mod suspend;

use std::fmt;

use super::audit::Audit;
use super::caller::{Caller, Issuer};
use super::core::TokenService;
use super::issue::Issued;
use super::request::{IssueRequest, RevokeRequest, RotateRequest};
use super::revoke::Revoked;
use super::tokens::View;
use crate::check::VerifiedToken;
use crate::error::{ManageError, NotPermitted};
use crate::event::{Event, Operation};
use crate::refusal::Refusal;
use crate::scope::ReservedScope;
use crate::store::{ListRequest, Page, StoreError, StoredRecord, TokenStore};
use crate::token::TokenId;

/// The reason of the revocation of a new token whose secret is not returned.
const OVERTAKEN: &str = "the token that issued it could not be confirmed after the issue";

impl<S: TokenStore> TokenService<S> {
    /// Returns the operations that this token may do on the tokens of its owner and on itself.
    ///
    /// It is for endpoints through which tokens manage tokens. The verification says which token is
    /// calling. Each operation decides again whether the token may do it.
    ///
    /// The token must have been verified by this service. A token of another service over the same store, with
    /// another prefix or another import form, is not refused for that.
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
    /// assert_eq!(stored.record.issued_to(), "console");
    /// # Ok(()) }
    /// ```
    pub fn on_behalf_of<'s>(&'s self, token: &'s VerifiedToken) -> OnBehalf<'s, S> {
        OnBehalf { service: self, token }
    }
}

/// The operations of a verified token, from [`TokenService::on_behalf_of`]. This token is the
/// calling token.
///
/// **Each operation reads the record of the calling token again**, from the store and never from
/// the cache, and before it reads any other token. It is refused with [`ManageError::NotPermitted`]
/// in these cases:
///
/// - The calling token was revoked, suspended or removed, it has expired, or its owner is closed.
/// - The secret that was verified has been replaced and has ended.
/// - The calling token, or its type, lacks the scope by now.
///
/// A key that left the key ring after the verification is not noticed. It matters only at the next
/// verification.
///
/// **Each operation requires the scope** that [`ReservedScope`] lists for it, and `*` is not
/// enough. If the given id is the calling token's own, the operation is on the token itself. Then
/// reading, suspending and revoking require no scope, and rotating requires
/// `service-tokens:rotate-self` and not `service-tokens:rotate`.
///
/// **Issuing and rotating wait for room in the queue of an [event sink](crate::EventSink)** before they
/// act, so that their events are not lost. So a sink that hangs holds them up. This also holds for drafts of
/// tokens, when they are prepared and when they are confirmed. Revoking does not wait.
///
/// **All operations are limited to the owner of the calling token.** They do not find the tokens of
/// other owners.
///
/// **A token cannot obtain a token that may do more than itself.** The scopes of a token that it
/// issues or rotates are contained in its own current scopes. The end is not later than its own
/// end, unless [`Policy::allow_outliving_issuer`](method@crate::Policy::allow_outliving_issuer)
/// permits it. The calling token and its own issuers are among the
/// [issuers](crate::Record::issuers) of the token.
/// [`Tokens::revoke_with_descendants`](crate::Tokens::revoke_with_descendants) revokes a token and
/// every token that it may have obtained.
///
/// # Examples
///
/// ```
/// use service_tokens::error::NotPermitted;
/// use service_tokens::{
///     IssueRequest, ListRequest, ManageError, MemoryStore, Requirement, ReservedScope, TokenService,
///     TokenType,
/// };
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = TokenService::builder(MemoryStore::new(), "acme_live")
///     .token_type(TokenType::new("deployer", ["files:*", ReservedScope::Issue.as_str()])?)
///     .token_type(TokenType::new("connector", ["files:upload"])?)
///     .build()?;
/// let deployer = service.owner("acme").issue(IssueRequest::new("deployer", "CI")).await?;
///
/// // In the handler of a request that came with this token:
/// let verified = service.verify(deployer.token.expose_secret(), &Requirement::any_token()).await?;
/// let caller = service.on_behalf_of(&verified);
/// let issued = caller.issue(IssueRequest::new("connector", "staging")).await?;
/// assert_eq!(issued.record.issuers(), [verified.id()]);
///
/// let refused = caller.list(ListRequest::new()).await;
/// let missing = NotPermitted::MissingScope(ReservedScope::Read);
/// assert!(matches!(refused, Err(ManageError::NotPermitted(why)) if why == missing));
/// # Ok(()) }
/// ```
pub struct OnBehalf<'s, S> {
    service: &'s TokenService<S>,
    token: &'s VerifiedToken,
}

impl<'s, S: TokenStore> OnBehalf<'s, S> {
    /// Issues a token for the owner of the calling token. Requires `service-tokens:issue`.
    ///
    /// The scopes of the new token are those of the request, or all scopes of its type. They must
    /// be contained in the current scopes of the calling token. Otherwise the request is refused,
    /// and scopes are never dropped.
    ///
    /// A default end is cut to the end of the calling token. A later end that the request names is
    /// refused. The chain of issuers has at most 16 entries.
    ///
    /// Once the new token is stored, the service reads the record of the calling token again and compares
    /// the bounds again. If the calling token was revoked, suspended or narrowed in the meantime, the
    /// service revokes the new token and does not return its secret. So a revocation or a suspension of
    /// the calling token with its descendants leaves no token behind.
    ///
    /// If the future is dropped after the token was stored, this comparison does not happen. Then a token may
    /// remain whose secret was not returned, also after such a revocation. [`Event::Failed`] has its id.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists.
    /// - [`ManageError::Invalid`] also for scopes beyond those of the calling token
    ///   ([`Rule::ExceedsCallerScopes`](crate::record::Rule::ExceedsCallerScopes)), for an end
    ///   after its end ([`Rule::OutlivesCaller`](crate::record::Rule::OutlivesCaller)), and for a
    ///   chain of issuers that would be too long.
    /// - [`ManageError::Overtaken`] if the calling token ended during the operation. The new token
    ///   is revoked.
    /// - [`ManageError::Store`] also if the record of the calling token could not be read again.
    ///   The new token is revoked.
    /// - [`ManageError::Indeterminate`] also if that revocation failed. A token may remain whose
    ///   secret was not returned.
    /// - All other errors of [`Tokens::issue`](crate::Tokens::issue).
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
    /// let request = IssueRequest::new("connector", "staging");
    /// let issued = service.on_behalf_of(&verified).issue(request).await?;
    /// assert_eq!(issued.record.owner(), "acme");
    /// assert_eq!(issued.record.expires_at(), verified.expires_at());
    /// # Ok(()) }
    /// ```
    pub async fn issue(self, request: IssueRequest) -> Result<Issued, ManageError> {
        let mut audit = self.audit_act(Operation::Issue, request.id).await;
        let outcome = self.try_issue(&request, &mut audit).await;
        audit.end(outcome, |issued| request.issued_event(issued, self.calling_id()))
    }

    async fn try_issue(
        &self,
        request: &IssueRequest,
        audit: &mut Audit<'_>,
    ) -> Result<Issued, ManageError> {
        let scope = ReservedScope::Issue;
        let calling = self.service.calling_token(self.token, scope).await?;
        // The permit is held until the end, so a pause of issuing also waits for the second reading.
        let (issued, _permit) =
            self.service.try_issue(&Issuer::Token(&calling), request, audit).await?;
        // The second reading closes a race with a revocation of the calling token, or of one of its issuers,
        // together with all descendants. That revocation first revokes the token itself and then makes
        // passes over its descendants until one finds none. There are two cases. If this reading comes
        // after the token was revoked, it sees that, and the new token is revoked here. If it comes
        // before, then so did the insert, and a later pass finds the new token. The same holds for a
        // suspension with all descendants. A new token that this reading stops is revoked and not
        // suspended, because its secret was never returned.
        //
        // The calling token may also have been amended in the meantime, so the bounds are compared again.
        let bounded = self.service.calling_token(self.token, scope).await.and_then(|calling| {
            Ok(calling.expect_bounded(&issued.record, &self.service.core.policy)?)
        });
        match bounded {
            Ok(()) => Ok(issued),
            Err(error) => Err(self.revoke_new(&issued, error).await),
        }
    }

    /// Revokes a new token whose secret is not returned, and returns the error of the operation.
    async fn revoke_new(&self, issued: &Issued, error: ManageError) -> ManageError {
        let id = issued.record.id();
        let reason = RevokeRequest::new().reason(OVERTAKEN);
        let owner = Caller::Embedder(None);
        match (self.service.revoke_with(&owner, id, &reason).await, error) {
            (Ok(_) | Err(ManageError::NotFound { .. }), ManageError::NotPermitted(cause)) => {
                ManageError::Overtaken { id, cause }
            }
            (Ok(_) | Err(ManageError::NotFound { .. }), error) => error,
            (Err(ManageError::Store(source) | ManageError::Indeterminate { source, .. }), _) => {
                ManageError::Indeterminate { id, source }
            }
            (Err(_), _) => ManageError::Indeterminate { id, source: StoreError::Conflict },
        }
    }

    /// Gives another token a new secret. Requires `service-tokens:rotate`. With the own id of the
    /// calling token it is [`rotate_self`](Self::rotate_self).
    ///
    /// A caller that rotates a token can then use it, because it gets the secret. So these rules
    /// apply:
    ///
    /// - The scopes with which the token was issued must be contained in the current scopes of the
    ///   calling token.
    /// - The end of the token must not be after the end of the calling token. If it is, request an
    ///   earlier one.
    /// - The calling token and its issuers become issuers of the token, which has at most 16.
    ///
    /// Once the rotation is stored, the service reads the record of the calling token again. It
    /// returns the secret only if the calling token is still accepted. If it is not, the rotation
    /// stays. The older secret ends as the request said, and the new secret is not returned.
    /// Clients can use the older secret until then. To repair it, rotate again and
    /// [replace](RotateRequest::replacing) the newest secret.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists, and with
    ///   [`NotPermitted::ExceedsCaller`] for a token whose scopes are not contained.
    /// - [`ManageError::NotFound`] if the owner has no such token.
    /// - [`ManageError::Invalid`] also for an end after that of the calling token
    ///   ([`Rule::OutlivesCaller`](crate::record::Rule::OutlivesCaller)), even if it is the token's
    ///   current end, and for too many issuers.
    /// - [`ManageError::Overtaken`] if the calling token ended during the operation.
    /// - [`ManageError::Indeterminate`] also if the record of the calling token could not be read
    ///   again.
    /// - All other errors of [`Tokens::rotate`](crate::Tokens::rotate).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// # let id = backup.record.id();
    /// let rotated = service.on_behalf_of(&verified).rotate(id, RotateRequest::at_once()).await?;
    /// assert_eq!(rotated.record.id(), id);
    /// assert_eq!(rotated.record.issuers(), [verified.id()]);
    /// # Ok(()) }
    /// ```
    pub async fn rotate(self, id: TokenId, request: RotateRequest) -> Result<Issued, ManageError> {
        if id == self.token.id() {
            return self.rotate_self(request).await;
        }
        let audit = self.audit_act(Operation::Rotate, Some(id)).await;
        let outcome = self.try_rotate(id, &request).await;
        audit.end(outcome, |rotated| request.rotated_event(rotated, self.calling_id()))
    }

    async fn try_rotate(
        &self,
        id: TokenId,
        request: &RotateRequest,
    ) -> Result<Issued, ManageError> {
        let scope = ReservedScope::Rotate;
        let calling = self.service.calling_token(self.token, scope).await?;
        let rotated = self.service.try_rotate(&Caller::Token(&calling), id, request).await?;
        // The second reading, as after an issue. The token is not revoked, because its client may have done
        // no wrong.
        let bounded = self.service.calling_token(self.token, scope).await.and_then(|calling| {
            Ok(calling.expect_bounded(&rotated.record, &self.service.core.policy)?)
        });
        match bounded {
            Ok(()) => Ok(rotated),
            Err(ManageError::NotPermitted(cause)) => Err(ManageError::Overtaken { id, cause }),
            Err(ManageError::Store(source)) => Err(ManageError::Indeterminate { id, source }),
            Err(error) => Err(error),
        }
    }

    /// Revokes a token for good, even one that may do more than the calling token. Requires
    /// `service-tokens:revoke`. With the own id of the calling token it is
    /// [`revoke_self`](Self::revoke_self).
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists.
    /// - [`ManageError::NotFound`] if the owner has no such token.
    /// - All other errors of [`Tokens::revoke`](crate::Tokens::revoke).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use service_tokens::{RevokeRequest, State};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// # let id = backup.record.id();
    /// let revoked = service.on_behalf_of(&verified).revoke(id, RevokeRequest::new()).await?;
    /// assert_eq!(revoked.record.state(service.now()), State::Revoked);
    /// # Ok(()) }
    /// ```
    pub async fn revoke(self, id: TokenId, request: RevokeRequest) -> Result<Revoked, ManageError> {
        if id == self.token.id() {
            return self.revoke_self(request).await;
        }
        let audit = self.audit(Operation::Revoke, Some(id));
        let outcome = match self.service.calling_token(self.token, ReservedScope::Revoke).await {
            Ok(calling) => self.service.try_revoke(&Caller::Token(&calling), id, &request).await,
            Err(error) => Err(error),
        };
        audit.end(outcome, |revoked| request.revoked_event(revoked, self.calling_id()))
    }

    /// Returns the record of one token. Requires `service-tokens:read`. With the own id of the
    /// calling token it is [`get_self`](Self::get_self).
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists.
    /// - [`ManageError::NotFound`] if the owner has no such token.
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
    /// # let id = backup.record.id();
    /// let stored = service.on_behalf_of(&verified).get(id).await?;
    /// assert_eq!(stored.record.issued_to(), "backup");
    /// # Ok(()) }
    /// ```
    pub async fn get(self, id: TokenId) -> Result<StoredRecord, ManageError> {
        if id == self.token.id() {
            return self.get_self().await;
        }
        let audit = self.audit(Operation::Get, Some(id));
        let outcome = async {
            let calling = self.service.calling_token(self.token, ReservedScope::Read).await?;
            let owner = Some(calling.token.owner());
            View::of(self.service, owner).try_get(id).await
        };
        audit.end(outcome.await, |_| Event::Read { id, on_behalf_of: self.calling_id() })
    }

    /// Returns one page of the owner's records, including that of the calling token. Requires
    /// `service-tokens:read`.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] in the cases that the [type](Self) lists.
    /// - All errors of [`Tokens::list`](crate::Tokens::list).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use service_tokens::ListRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// let page = service.on_behalf_of(&verified).list(ListRequest::new()).await?;
    /// assert_eq!(page.items.len(), 2);
    /// # Ok(()) }
    /// ```
    pub async fn list(self, request: ListRequest) -> Result<Page, ManageError> {
        let audit = self.audit(Operation::List, None);
        let outcome = async {
            let calling = self.service.calling_token(self.token, ReservedScope::Read).await?;
            let owner = Some(calling.token.owner());
            View::of(self.service, owner).try_list(request).await
        };
        audit.end(outcome.await, |page| Event::Listed {
            owner: Some(self.token.owner().to_owned()),
            records: page.items.len(),
            on_behalf_of: self.calling_id(),
        })
    }

    fn audit(self, operation: Operation, id: Option<TokenId>) -> Audit<'s> {
        self.service.audit(operation, id).on_behalf_of(self.token.id())
    }

    /// Waits for room in the queue of events before the calling token acts.
    async fn audit_act(self, operation: Operation, id: Option<TokenId>) -> Audit<'s> {
        Audit::of_act(&self.service.core.events, operation, id, self.token.id()).await
    }

    fn calling_id(self) -> Option<TokenId> {
        Some(self.token.id())
    }
}

/// Maps a missing record of the calling token to the error for a token that is not active.
fn gone(error: ManageError) -> ManageError {
    match error {
        ManageError::NotFound { .. } => NotPermitted::NotActive(Refusal::UnknownId).into(),
        error => error,
    }
}

impl<S> Clone for OnBehalf<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for OnBehalf<'_, S> {}

impl<S> fmt::Debug for OnBehalf<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnBehalf").field("token", &self.token).finish_non_exhaustive()
    }
}
