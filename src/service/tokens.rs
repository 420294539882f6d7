//! Views on the tokens of one owner or of all owners.

mod amend;
mod end_older_secret;
mod prepare;
mod suspend;

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};

use super::caller::{Caller, Issuer};
use super::core::TokenService;
use super::issue::Issued;
use super::records::owned;
use super::request::{IssueRequest, RevokeRequest, RotateRequest};
use super::revoke::Revoked;
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::record::{Field, InvalidField, Rule};
use crate::store::{Filter, ListRequest, MAX_PAGE_LEN, Page, StoreError, StoredRecord, TokenStore};
use crate::token::TokenId;

impl<S: TokenStore> TokenService<S> {
    /// Returns a view on the tokens of one owner. The view does not contain the tokens of other
    /// owners.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::ManageError;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let issued = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// let id = issued.record.id();
    /// assert!(service.owner("acme").get(id).await.is_ok());
    /// assert!(matches!(service.owner("globex").get(id).await, Err(ManageError::NotFound { .. })));
    /// # Ok(()) }
    /// ```
    pub fn owner<'s>(&'s self, owner: &'s str) -> Tokens<'s, S, OneOwner> {
        View::of(self, Some(owner)).into()
    }

    /// Returns a view on the tokens of this owner, or of all owners for `None`.
    ///
    /// It is for tools in which the owner is an option. The view cannot issue tokens.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::ListRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let _ = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// for (owner, records) in [(Some("acme"), 1), (Some("globex"), 0), (None, 1)] {
    ///     let page = service.owner_or_all(owner).list(ListRequest::new()).await?;
    ///     assert_eq!(page.items.len(), records);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn owner_or_all<'s>(&'s self, owner: Option<&'s str>) -> Tokens<'s, S, AllOwners> {
        View::of(self, owner).into()
    }

    /// Returns a view on the tokens of all owners.
    ///
    /// It is for operators. Never use it for a request on behalf of one owner. The view cannot
    /// issue tokens.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::ListRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// for owner in ["acme", "globex"] {
    ///     let _ = service.owner(owner).issue(IssueRequest::new("connector", "backup")).await?;
    /// }
    /// let page = service.all_owners().list(ListRequest::new()).await?;
    /// assert_eq!(page.items.len(), 2);
    /// # Ok(()) }
    /// ```
    pub fn all_owners(&self) -> Tokens<'_, S, AllOwners> {
        View::of(self, None).into()
    }
}

/// The marker of a view on the tokens of one owner. Only such a view can issue tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneOwner {}

/// The marker of a view on the tokens of all owners, or of an optional owner.
///
/// Such a view cannot issue tokens, because it may have no owner to issue them for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllOwners {}

/// A view on the tokens of one owner ([`TokenService::owner`]) or of all owners
/// ([`TokenService::all_owners`]).
///
/// The marker `V` is [`OneOwner`] or [`AllOwners`]. A view is a small reference that can be copied.
///
/// # Examples
///
/// ```
/// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
/// use service_tokens::{ListRequest, ManageError};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
/// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
/// let acme = service.owner("acme");
/// let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
///
/// let page = acme.list(ListRequest::new()).await?;
/// assert_eq!(page.items[0].record.issued_to(), "backup");
///
/// let foreign = service.owner("globex").get(id).await;
/// assert!(matches!(foreign, Err(ManageError::NotFound { .. })));
/// # Ok(()) }
/// ```
///
/// A view on all owners cannot issue, so this does not compile:
///
/// ```compile_fail,E0599
/// # use service_tokens::{IssueRequest, MemoryStore, TokenService};
/// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build().unwrap();
/// let issuing = service.all_owners().issue(IssueRequest::new("connector", "backup"));
/// ```
pub struct Tokens<'s, S, V = OneOwner> {
    view: View<'s, S>,
    marker: PhantomData<V>,
}

/// A view without its marker, for the code that is the same for both.
pub(super) struct View<'s, S> {
    pub(super) service: &'s TokenService<S>,
    /// The only owner whose tokens exist, or `None` for all owners.
    pub(super) owner: Option<&'s str>,
}

impl<'s, S> View<'s, S> {
    pub(super) fn of(service: &'s TokenService<S>, owner: Option<&'s str>) -> Self {
        Self { service, owner }
    }
}

impl<'s, S, V> From<View<'s, S>> for Tokens<'s, S, V> {
    fn from(view: View<'s, S>) -> Self {
        Self { view, marker: PhantomData }
    }
}

impl<S: TokenStore> Tokens<'_, S, OneOwner> {
    /// Issues a token and returns it. It is shown this once, because the store has only a digest of
    /// its secret.
    ///
    /// If the answer of the store is lost, the service reads the record again. So after an error, a
    /// new token does not exist. The exception is [`ManageError::Indeterminate`], which names the
    /// id.
    ///
    /// # Errors
    ///
    /// - [`ManageError::Invalid`] if a field breaks a rule. The error names the field and the rule.
    ///   Examples are an unknown type, scopes beyond those of the type, and a text that is empty or
    ///   too long. Others are an end that is not after now and after not-before, an end that exceeds
    ///   the policy, and a chosen id that is not a recent UUID of version 7.
    /// - [`ManageError::TooManyActive`] if the policy allows the owner no further token.
    /// - [`ManageError::Exists`] if a token with the chosen id exists. If it belongs to this owner,
    ///   this error takes precedence over all others. So a repeated request learns that the first
    ///   one succeeded, even if it would be refused by now.
    /// - [`ManageError::IssuingPaused`] while [issuing is paused](TokenService::pause_issuing).
    /// - [`ManageError::Random`] if the random source failed.
    /// - [`ManageError::Store`] if the store failed.
    /// - [`ManageError::Indeterminate`] if the answer of the store was lost and reading again did
    ///   not show the result.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::requirement;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let issued = service.owner("acme").issue(IssueRequest::new("connector", "nightly backup")).await?;
    /// let text = issued.token.expose_secret(); // Show it to the person who asked for it.
    /// let verified = service.verify(text, &requirement!("files:upload")).await?;
    /// assert_eq!(verified.id(), issued.record.id());
    /// # Ok(()) }
    /// ```
    pub async fn issue(self, request: IssueRequest) -> Result<Issued, ManageError> {
        let View { service, owner } = self.view;
        let issuer = Issuer::Embedder { owner: owner.unwrap_or_default() };
        let mut audit = service.audit(Operation::Issue, request.id);
        let outcome = service.try_issue(&issuer, &request, &mut audit).await;
        audit.end(outcome.map(|(issued, _)| issued), |issued| request.issued_event(issued, None))
    }
}

impl<'s, S: TokenStore, V> Tokens<'s, S, V> {
    pub(super) fn view(self) -> View<'s, S> {
        self.view
    }

    /// Returns the record of one token.
    ///
    /// Its last use is the later of the time in the store and the time that this process has not
    /// [flushed](TokenService::flush_last_used) yet.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if the view does not contain the token.
    /// - [`ManageError::Store`] if the store failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let stored = acme.get(id).await?;
    /// assert_eq!(stored.record.issued_to(), "backup");
    /// # Ok(()) }
    /// ```
    pub async fn get(self, id: TokenId) -> Result<StoredRecord, ManageError> {
        let audit = self.view.service.audit(Operation::Get, Some(id));
        let outcome = self.view.try_get(id).await;
        audit.end(outcome, |_| Event::Read { id, on_behalf_of: None })
    }

    /// Returns one page of records. In the view of one owner, a filter for another owner gives an
    /// empty page.
    ///
    /// The last uses include those that this process has not
    /// [flushed](TokenService::flush_last_used) yet. Each may be up to one
    /// [resolution](super::TokenServiceBuilder::last_used_resolution) later than shown.
    ///
    /// [`Filter::unused_since`](method@crate::Filter::unused_since) allows for that. The page
    /// contains no token that this process knows to be used since the given time. A token that was
    /// last used less than one resolution before that time may be missing from the page. This
    /// process does not know the uses that other processes have not flushed. Wait until they have
    /// flushed before you act on the page.
    ///
    /// # Errors
    ///
    /// - [`ManageError::Invalid`] if the limit is zero or above [`MAX_PAGE_LEN`], or if a text of
    ///   the filter is too long for any record.
    /// - [`ManageError::Store`] if the store failed. It is also returned for a filter by last use,
    ///   if the store does not track it or this service [does not record
    ///   it](super::TokenServiceBuilder::disable_last_used).
    ///
    /// # Examples
    ///
    /// This reads all pages, with the same filter for each:
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{Filter, ListRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let _ = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let mut labels = Vec::new();
    /// let mut request = ListRequest::from(Filter::new().token_type("connector"));
    /// loop {
    ///     let page = acme.list(request.clone()).await?;
    ///     labels.extend(page.items.iter().map(|stored| stored.record.issued_to().to_owned()));
    ///     let Some(next) = page.next else { break };
    ///     request = request.after(next);
    /// }
    /// assert_eq!(labels, ["backup"]);
    /// # Ok(()) }
    /// ```
    pub async fn list(self, request: ListRequest) -> Result<Page, ManageError> {
        let audit = self.view.service.audit(Operation::List, None);
        let outcome = self.view.try_list(request).await;
        audit.end(outcome, |page| Event::Listed {
            owner: self.view.owner.map(str::to_owned),
            records: page.items.len(),
            on_behalf_of: None,
        })
    }

    /// Rotates a token: gives it a new secret and returns the new token, which is shown this once.
    /// The id stays.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if the view does not contain the token.
    /// - [`ManageError::NotRotated`] if the token is not active. It is also returned if two secrets
    ///   overlap and the request does not say which one it replaces, and if the condition of the
    ///   request is not met.
    /// - [`ManageError::Invalid`] if a text is empty or too long, if an end breaks a rule of the policy
    ///   or of the token's type, or if the service does not know that type
    ///   ([`Rule::Unknown`]).
    /// - [`ManageError::Contended`] if other operations wrote the same record again and again, or
    ///   if the token is being revoked or suspended at this moment, or if a first use is ending its older
    ///   secret.
    /// - [`ManageError::Random`] if the random source failed.
    /// - [`ManageError::Store`] if the store failed.
    /// - [`ManageError::Indeterminate`] if the answer of the store was lost and reading again did
    ///   not show the result.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use service_tokens::Requirement;
    /// use std::time::Duration;
    /// use service_tokens::RotateRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let id = acme.issue(IssueRequest::new("connector", "backup")).await?.record.id();
    /// let week = Duration::from_secs(7 * 86_400);
    /// let new = acme.rotate(id, RotateRequest::until_first_use(week)).await?;
    /// assert_eq!(new.record.id(), id);
    /// # assert!(service.verify(new.token.expose_secret(), &Requirement::any_token()).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub async fn rotate(self, id: TokenId, request: RotateRequest) -> Result<Issued, ManageError> {
        let audit = self.view.service.audit(Operation::Rotate, Some(id));
        let outcome =
            self.view.service.try_rotate(&Caller::Embedder(self.view.owner), id, &request).await;
        audit.end(outcome, |issued| request.rotated_event(issued, None))
    }

    /// Revokes a token for good. Revoking it again succeeds and has no effect.
    ///
    /// A revocation takes precedence over rotations and first uses of the same token. While it
    /// runs, this service refuses rotations of the token with [`ManageError::Contended`] and does
    /// not write first uses. If other processes write the same record, the revocation is tried up
    /// to 10,000 times.
    ///
    /// When this method has returned, a service in the same process no longer accepts the token,
    /// and neither does any service that reads the store for every verification.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if the view does not contain the token.
    /// - [`ManageError::Invalid`] if a text is empty or too long.
    /// - [`ManageError::Contended`] if other processes wrote the same record at every attempt.
    /// - [`ManageError::Store`] if the store failed.
    /// - [`ManageError::Indeterminate`] if the answer of the store was lost and reading again did
    ///   not show the result.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use service_tokens::Requirement;
    /// use service_tokens::{Refusal, RevokeRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let issued = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// # let (id, text) = (issued.record.id(), issued.token.expose_secret());
    /// acme.revoke(id, RevokeRequest::new().by("alice@acme.example").reason("INC-42")).await?;
    /// assert!(acme.revoke(id, RevokeRequest::new()).await?.already_revoked);
    ///
    /// let refused = service.verify(text, &Requirement::any_token()).await.unwrap_err();
    /// assert_eq!(refused.refusal(), Some(Refusal::Revoked));
    /// # Ok(()) }
    /// ```
    pub async fn revoke(self, id: TokenId, request: RevokeRequest) -> Result<Revoked, ManageError> {
        let audit = self.view.service.audit(Operation::Revoke, Some(id));
        let outcome =
            self.view.service.try_revoke(&Caller::Embedder(self.view.owner), id, &request).await;
        audit.end(outcome, |revoked| request.revoked_event(revoked, None))
    }
}

impl<S: TokenStore> View<'_, S> {
    pub(super) async fn try_get(&self, id: TokenId) -> Result<StoredRecord, ManageError> {
        let merge = self.service.merge_last_used();
        let mut stored = owned(self.service.core.records.find(id).await?, self.owner, id)?;
        merge.apply(&mut stored);
        Ok(stored)
    }

    pub(super) async fn try_list(&self, request: ListRequest) -> Result<Page, ManageError> {
        self.page(request, self.service.now()).await
    }

    /// Returns the filter for the records of this view, or `None` if it selects those of another owner.
    pub(super) fn within(&self, mut filter: Filter) -> Result<Option<Filter>, InvalidField> {
        filter.check_texts()?;
        if let Some(owner) = self.owner {
            if filter.owner.as_deref().is_some_and(|asked| asked != owner) {
                return Ok(None);
            }
            filter.owner = Some(owner.to_owned());
        }
        Ok(Some(filter))
    }

    /// Returns one page as of this time, to be shown or acted on.
    pub(super) async fn page(
        &self,
        mut request: ListRequest,
        now: DateTime<Utc>,
    ) -> Result<Page, ManageError> {
        if !(1..=MAX_PAGE_LEN).contains(&request.limit) {
            return Err(Field::Limit.breaks(Rule::Bounds { max: MAX_PAGE_LEN }).into());
        }
        match self.within(request.filter)? {
            Some(filter) => request.filter = filter,
            None => return Ok(Page { items: Vec::new(), next: None }),
        }
        let merge = self.service.merge_last_used();
        if request.filter.unused_since.is_some() && !merge.is_tracked() {
            return Err(StoreError::last_use_not_tracked().into());
        }
        let mut page = self.service.core.records.store.list(&request, now).await?;
        // The store may not know a filter, may apply one wrongly, or may not have a pending use yet. None of
        // these may add a record to the page.
        page.items.retain_mut(|stored| {
            merge.apply(stored);
            request.filter.matches(&stored.record, merge.latest_possible(stored.last_used), now)
        });
        Ok(page)
    }
}

impl<S> Clone for View<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for View<'_, S> {}

impl<S> fmt::Debug for View<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl<S, V> Clone for Tokens<'_, S, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, V> Copy for Tokens<'_, S, V> {}

impl<S, V> fmt::Debug for Tokens<'_, S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("owner", &self.view.owner).finish_non_exhaustive()
    }
}
