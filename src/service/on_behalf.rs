//! What a token does with tokens, itself among them.

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

/// Why a new token is revoked before anybody has seen it.
const OVERTAKEN: &str = "the token that issued it could not be confirmed after the issue";

impl<S: TokenStore> TokenService<S> {
    /// What this token may do with the tokens of its owner, and with itself: for endpoints through
    /// which tokens manage tokens.
    ///
    /// The verification says who asks. Whether it may is decided anew for each act.
    pub fn on_behalf_of<'s>(&'s self, token: &'s VerifiedToken) -> OnBehalf<'s, S> {
        OnBehalf { service: self, token }
    }
}

/// The acts of a verified token, from [`TokenService::on_behalf_of`].
///
/// **Each act reads the acting token's record again**, from the store and never from kept records,
/// and before it looks at any other token. If the token was revoked, has expired or is gone, if the
/// secret that was verified has been replaced and has ended, or if the token (or its type) lacks the
/// scope by now, the act is refused: [`ManageError::NotPermitted`]. What is not noticed is a key that
/// left the key ring since: that concerns the next verification.
///
/// **Each act needs the scope** that [`ReservedScope`] lists for it, and `*` is not enough. A token's
/// own id always means the token itself: for that, looking up and revoking need no scope, and
/// rotating needs `service-tokens:rotate-self` and not `service-tokens:rotate`.
///
/// **Everything stays within the token's owner**: other owners' tokens do not exist.
///
/// **Nothing that a token obtains may do more than it**: what it issues or rotates is contained in the
/// scopes that it has at that moment, ends no later than itself unless
/// [`Policy::allow_outliving_issuer`](crate::Policy::allow_outliving_issuer) says otherwise, and has
/// it, with its own issuers, among the [issuers](crate::Record::issuers).
/// [`Tokens::revoke_with_descendants`](crate::Tokens::revoke_with_descendants) gets rid of a token and of everything it may have obtained.
///
/// ```
/// use service_tokens::error::NotPermitted;
/// use service_tokens::{
///     IssueRequest, ListRequest, ManageError, MemoryStore, Requirement, ReservedScope, ScopeSet,
///     TokenService, TokenType,
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
/// let token = service.on_behalf_of(&verified);
/// let issued = token.issue(IssueRequest::new("connector", "staging")).await?;
/// assert_eq!(issued.record.issuers(), [verified.id()]);
///
/// let refused = token.list(ListRequest::new()).await;
/// let missing = NotPermitted::MissingScope(ReservedScope::Read);
/// assert!(matches!(refused, Err(ManageError::NotPermitted(why)) if why == missing));
/// # Ok(()) }
/// ```
pub struct OnBehalf<'s, S> {
    service: &'s TokenService<S>,
    token: &'s VerifiedToken,
}

impl<'s, S: TokenStore> OnBehalf<'s, S> {
    /// Issues a token, of the acting token's owner. Needs `service-tokens:issue`.
    ///
    /// The new token's scopes, which are all of its type's if the request names none, are contained
    /// in those that the acting token has now: they are refused otherwise and never cut. A default
    /// end is the acting token's if that is earlier; a later one that was asked for is refused. The
    /// chain of issuers has at most 16.
    ///
    /// Once the token is stored, the acting token's record is read another time. If it was revoked
    /// meanwhile, the new token is revoked and its secret given to nobody. A revocation of the
    /// acting token together with all that it has issued therefore leaves nothing.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] as the [type](Self) says.
    /// - [`ManageError::Invalid`] also for scopes beyond the acting token's ([`Rule::ExceedsCallerScopes`](crate::record::Rule::ExceedsCallerScopes)), an end
    ///   after its ([`Rule::OutlivesCaller`](crate::record::Rule::OutlivesCaller)) and a chain of issuers that
    ///   would be too long.
    /// - [`ManageError::Overtaken`] if the acting token ended during the act: the new one is revoked.
    /// - [`ManageError::Store`] also if the acting token could not be read another time: the new one
    ///   is revoked. If that failed too, [`ManageError::Indeterminate`]: it may be left with a secret
    ///   that nobody knows.
    /// - All others of [`Tokens::issue`](crate::Tokens::issue).
    pub async fn issue(self, request: IssueRequest) -> Result<Issued, ManageError> {
        let mut audit = self.audit(Operation::Issue, request.id);
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
        // before, then so did the insert, and a later pass finds the new token.
        match self.service.calling_token(self.token, scope).await {
            Ok(_) => Ok(issued),
            Err(error) => Err(self.take_back(&issued, error).await),
        }
    }

    /// Revokes what was issued and is not given out; the error of the act.
    async fn take_back(&self, issued: &Issued, error: ManageError) -> ManageError {
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

    /// Gives another token a new secret. Needs `service-tokens:rotate`; with the acting token's own
    /// id it is [`rotate_self`](Self::rotate_self).
    ///
    /// Whoever rotates a token can use it: so the scopes with which it was issued must be contained
    /// in those that the acting token has now, its end must not be after the acting token's (ask for
    /// an earlier one if it is), and the acting token and its issuers join its issuers, at most 16 of
    /// them.
    ///
    /// Once the change is stored, the acting token's record is read another time, and the secret is
    /// given out only if it is still accepted. If not, the rotation stands: the older secret ends as
    /// the request said, and nobody knows the new one. Whoever uses the token goes on with the older
    /// one for that long; rotating again, [replacing](RotateRequest::replacing) the newest, repairs
    /// it.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] as the [type](Self) says, and
    ///   [`NotPermitted::ExceedsCaller`] for a token whose scopes are not contained.
    /// - [`ManageError::NotFound`] if the owner has no such token.
    /// - [`ManageError::Invalid`] also for an end after the acting token's
    ///   ([`Rule::OutlivesCaller`](crate::record::Rule::OutlivesCaller)), be it the one that the token has, and
    ///   for too many issuers.
    /// - [`ManageError::Overtaken`] if the acting token ended during the act, and
    ///   [`ManageError::Indeterminate`] also if it could not be read another time.
    /// - All others of [`Tokens::rotate`](crate::Tokens::rotate).
    pub async fn rotate(self, id: TokenId, request: RotateRequest) -> Result<Issued, ManageError> {
        if id == self.token.id() {
            return self.rotate_self(request).await;
        }
        let audit = self.audit(Operation::Rotate, Some(id));
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
        match self.service.calling_token(self.token, scope).await {
            Ok(_) => Ok(rotated),
            Err(ManageError::NotPermitted(cause)) => Err(ManageError::Overtaken { id, cause }),
            Err(ManageError::Store(source)) => Err(ManageError::Indeterminate { id, source }),
            Err(error) => Err(error),
        }
    }

    /// Revokes a token, for good, also one that may do more than the acting token. Needs
    /// `service-tokens:revoke`; with the acting token's own id it is
    /// [`revoke_self`](Self::revoke_self).
    ///
    /// # Errors
    ///
    /// [`ManageError::NotPermitted`] as the [type](Self) says, [`ManageError::NotFound`] if the owner
    /// has no such token, and all others of [`Tokens::revoke`](crate::Tokens::revoke).
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

    /// The record of one token. Needs `service-tokens:read`; with the acting token's own id it is
    /// [`get_self`](Self::get_self).
    ///
    /// # Errors
    ///
    /// [`ManageError::NotPermitted`] as the [type](Self) says, [`ManageError::NotFound`] if the owner
    /// has no such token, [`ManageError::Store`] if the store failed.
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

    /// One page of the owner's records, the acting token's among them. Needs `service-tokens:read`.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotPermitted`] as the [type](Self) says, and those of [`Tokens::list`](crate::Tokens::list).
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

    /// The acting token's own record, as it is now. Needs no scope.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotPermitted`] if the token is not accepted any more, [`ManageError::Store`] if
    /// the store failed.
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

    /// Revokes the acting token, for good. Needs no scope.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] if the token is not accepted any more, be it because somebody
    ///   else has revoked it.
    /// - All others of [`Tokens::revoke`](crate::Tokens::revoke).
    pub async fn revoke_self(self, request: RevokeRequest) -> Result<Revoked, ManageError> {
        let audit = self.audit(Operation::Revoke, Some(self.token.id()));
        let caller = Caller::Itself(self.token, None);
        let outcome = self.service.try_revoke(&caller, self.token.id(), &request).await;
        audit
            .end(outcome.map_err(gone), |revoked| request.revoked_event(revoked, self.calling_id()))
    }

    /// Gives the acting token a new secret. Needs `service-tokens:rotate-self`.
    ///
    /// A token does not prolong itself, whatever the policy: its end stays, or becomes the earlier
    /// one that the request asks for. Its issuers stay.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotPermitted`] as the [type](Self) says.
    /// - [`ManageError::Invalid`] also for an end after the present one
    ///   ([`Rule::OutlivesCaller`](crate::record::Rule::OutlivesCaller)).
    /// - All others of [`Tokens::rotate`](crate::Tokens::rotate).
    pub async fn rotate_self(self, request: RotateRequest) -> Result<Issued, ManageError> {
        let audit = self.audit(Operation::Rotate, Some(self.token.id()));
        let caller = Caller::Itself(self.token, Some(ReservedScope::RotateSelf));
        let outcome = self.service.try_rotate(&caller, self.token.id(), &request).await;
        audit
            .end(outcome.map_err(gone), |rotated| request.rotated_event(rotated, self.calling_id()))
    }

    fn audit(self, operation: Operation, id: Option<TokenId>) -> Audit<'s> {
        self.service.audit(operation, id).on_behalf_of(self.token.id())
    }

    fn calling_id(self) -> Option<TokenId> {
        Some(self.token.id())
    }
}

/// An acting token without a record is none.
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
