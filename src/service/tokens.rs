//! Views on the tokens: one owner's, or everybody's.

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
use crate::record::{Field, Rule};
use crate::store::{ListRequest, MAX_PAGE_LEN, Page, StoreError, StoredRecord, TokenStore};
use crate::token::TokenId;

impl<S: TokenStore> TokenService<S> {
    /// Returns a view on the tokens of one owner. Another owner's tokens do not exist in this view.
    pub fn owner<'s>(&'s self, owner: &'s str) -> Tokens<'s, S, OneOwner> {
        View::of(self, Some(owner)).into()
    }

    /// Returns a view on the tokens of this owner, or of all owners for `None`: for tools in which the
    /// owner is an option. The view cannot issue.
    pub fn owner_or_all<'s>(&'s self, owner: Option<&'s str>) -> Tokens<'s, S, AllOwners> {
        View::of(self, owner).into()
    }

    /// Returns a view on the tokens of all owners. It is for operators, and never for a request on
    /// behalf of one owner.
    pub fn all_owners(&self) -> Tokens<'_, S, AllOwners> {
        View::of(self, None).into()
    }
}

/// The marker of a view on the tokens of one owner. Only such a view can issue tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneOwner {}

/// The marker of a view on the tokens of all owners, or of an optional owner. Such a view cannot issue
/// tokens, because it may have no owner to issue them for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllOwners {}

/// A view on the tokens of one owner ([`TokenService::owner`]) or of all
/// ([`TokenService::all_owners`]). The marker `V` says which: [`OneOwner`] or [`AllOwners`].
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
/// A view on all owners cannot issue:
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
    /// Issues a token.
    ///
    /// A lost answer of the store is resolved by reading again: an error means that there is no new
    /// token, but for [`ManageError::Indeterminate`], which names the id.
    ///
    /// # Errors
    ///
    /// - [`ManageError::Invalid`] names the field and the rule it breaks: a type that is unknown,
    ///   scopes beyond the type's, a text that is empty or too long, an end that is not after now
    ///   and after not-before or beyond the policy, a chosen id that is no recent version-7 UUID.
    /// - [`ManageError::TooManyActive`] if the policy allows the owner no more.
    /// - [`ManageError::Exists`] if there is a token with the chosen id. If it is this owner's, that
    ///   goes before all others: also where the request would be refused by now, its repetition says
    ///   that it was done.
    /// - [`ManageError::IssuingPaused`] while [issuing is paused](TokenService::pause_issuing).
    /// - [`ManageError::Random`] if the random source failed.
    /// - [`ManageError::Store`] if the store failed.
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

    /// The record of one token. Its last use is the later of what the store has and what this process
    /// has not [flushed](TokenService::flush_last_used) yet.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`] if there is none in this view, [`ManageError::Store`] if the store
    /// failed.
    pub async fn get(self, id: TokenId) -> Result<StoredRecord, ManageError> {
        let audit = self.view.service.audit(Operation::Get, Some(id));
        let outcome = self.view.try_get(id).await;
        audit.end(outcome, |_| Event::Read { id, on_behalf_of: None })
    }

    /// One page of records. In the view of one owner, a filter for another gives an empty page.
    ///
    /// Last uses include what this process has not [flushed](TokenService::flush_last_used) yet; each
    /// may be up to a step later than it says. [`Filter::unused_since`](crate::Filter::unused_since) is careful about that: no token
    /// that this process knows to be used since is on the page, and one that was last used less than a
    /// step before that time may be missing. What other processes have not flushed is not known here:
    /// leave them the time to, before you act on it.
    ///
    /// All pages, with the same filters for each:
    ///
    /// ```
    /// # use service_tokens::{Filter, ListRequest, MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let mut request = ListRequest::from(Filter::new().token_type("connector"));
    /// loop {
    ///     let page = service.owner("acme").list(request.clone()).await?;
    ///     for stored in &page.items {
    ///         println!("{}", stored.record.id());
    ///     }
    ///     match page.next {
    ///         Some(next) => request = request.after(next),
    ///         None => break,
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ManageError::Invalid`] for a limit of zero or above [`MAX_PAGE_LEN`], [`ManageError::Store`] if
    /// the store failed, or if the filter asks for last use and the store does not track it or this
    /// service [records none](super::TokenServiceBuilder::disable_last_used).
    pub async fn list(self, request: ListRequest) -> Result<Page, ManageError> {
        let audit = self.view.service.audit(Operation::List, None);
        let outcome = self.view.try_list(request).await;
        audit.end(outcome, |page| Event::Listed {
            owner: self.view.owner.map(str::to_owned),
            records: page.items.len(),
            on_behalf_of: None,
        })
    }

    /// Gives a token a new secret; its id stays. Returns the new token, shown once.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if there is no such token in this view.
    /// - [`ManageError::NotRotated`] if the token is not active, or if an overlap of two secrets runs
    ///   and the request does not say which one it replaces.
    /// - [`ManageError::Invalid`] if an end breaks a rule of the policy.
    /// - [`ManageError::Contended`] also if the token is being revoked at this moment.
    /// - [`ManageError::Random`], [`ManageError::Store`] and [`ManageError::Indeterminate`] as they say.
    pub async fn rotate(self, id: TokenId, request: RotateRequest) -> Result<Issued, ManageError> {
        let audit = self.view.service.audit(Operation::Rotate, Some(id));
        let outcome =
            self.view.service.try_rotate(&Caller::Embedder(self.view.owner), id, &request).await;
        audit.end(outcome, |issued| request.rotated_event(issued, None))
    }

    /// Revokes a token, for good. Revoking it again is a success that changes nothing.
    ///
    /// It wins against rotations and first uses of the same token, however many there are: this
    /// service's step aside for as long as it is under way, and against other processes' it is tried
    /// up to 10,000 times.
    ///
    /// When this has returned, a service in the same process, or one that asks the store for every
    /// verification, no longer accepts the token.
    ///
    /// # Errors
    ///
    /// - [`ManageError::NotFound`] if there is no such token in this view.
    /// - [`ManageError::Invalid`] if a text is empty or too long.
    /// - [`ManageError::Store`], [`ManageError::Contended`] and [`ManageError::Indeterminate`] as they
    ///   say.
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
        let mut stored = owned(self.service.records.find(id).await?, self.owner, id)?;
        merge.apply(&mut stored);
        Ok(stored)
    }

    pub(super) async fn try_list(&self, request: ListRequest) -> Result<Page, ManageError> {
        self.page(request, self.service.now()).await
    }

    /// One page as of this time, to be shown or acted on.
    pub(super) async fn page(
        &self,
        mut request: ListRequest,
        now: DateTime<Utc>,
    ) -> Result<Page, ManageError> {
        if !(1..=MAX_PAGE_LEN).contains(&request.limit) {
            return Err(Field::Limit.breaks(Rule::Bounds { max: MAX_PAGE_LEN }).into());
        }
        request.filter.check_texts()?;
        if let Some(owner) = self.owner {
            if request.filter.owner.as_deref().is_some_and(|asked| asked != owner) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            request.filter.owner = Some(owner.to_owned());
        }
        let merge = self.service.merge_last_used();
        if request.filter.unused_since.is_some() && !merge.is_tracked() {
            return Err(StoreError::last_use_not_tracked().into());
        }
        let mut page = self.service.records.store.list(&request, now).await?;
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
