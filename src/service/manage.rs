//! Views on the tokens: one owner's, or everybody's.

use std::fmt;

use chrono::{DateTime, Utc};

use super::TokenService;
use super::act::{Issued, Revoked};
use super::actor::Actor;
use super::changes::owned;
use super::request::{RevokeRequest, RotateRequest};
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::record::{Field, Rule};
use crate::store::{MAX_PAGE_LEN, Page, Query, StoreError, StoredRecord, TokenStore};
use crate::token::TokenId;

impl<S: TokenStore> TokenService<S> {
    /// The tokens of one owner. Another owner's tokens do not exist in this view.
    pub fn owner<'s>(&'s self, owner: &'s str) -> Tokens<'s, S> {
        Tokens { service: self, owner: Some(owner) }
    }

    /// The tokens of all owners: for operators, never for a request on behalf of one owner.
    pub fn all_owners(&self) -> Tokens<'_, S> {
        Tokens { service: self, owner: None }
    }
}

/// A view on the tokens of one owner ([`TokenService::owner`]) or of all
/// ([`TokenService::all_owners`]).
///
/// ```
/// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
/// use service_tokens::{ManageError, Query};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
/// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
/// let id = service.issue(IssueRequest::new("acme", "connector", "backup")).await?.record.id();
///
/// let page = service.owner("acme").list(Query::new()).await?;
/// assert_eq!(page.items[0].record.issued_to(), "backup");
///
/// let foreign = service.owner("globex").get(id).await;
/// assert!(matches!(foreign, Err(ManageError::NotFound { .. })));
/// # Ok(()) }
/// ```
pub struct Tokens<'s, S> {
    pub(super) service: &'s TokenService<S>,
    pub(super) owner: Option<&'s str>,
}

impl<'s, S: TokenStore> Tokens<'s, S> {
    /// The record of one token. Its last use is the later of what the store has and what this process
    /// has not [flushed](TokenService::flush_last_used) yet.
    ///
    /// # Errors
    ///
    /// [`ManageError::NotFound`] if there is none in this view, [`ManageError::Store`] if the store
    /// failed.
    pub async fn get(&self, id: TokenId) -> Result<StoredRecord, ManageError> {
        let act = self.service.begin(Operation::Get, Some(id));
        let outcome = self.try_get(id).await;
        act.end(outcome, |_| Event::Read { id, on_behalf_of: None })
    }

    pub(super) async fn try_get(&self, id: TokenId) -> Result<StoredRecord, ManageError> {
        let uses = self.service.view_of_uses();
        let mut stored = owned(self.service.find(id).await?, self.owner, id)?;
        uses.show(&mut stored);
        Ok(stored)
    }

    /// One page of records. In the view of one owner, a query for another gives an empty page.
    ///
    /// Last uses include what this process has not [flushed](TokenService::flush_last_used) yet; each
    /// may be up to a step later than it says. [`Query::unused_since`] is careful about that: no token
    /// that this process knows to be used since is on the page, and one that was last used less than a
    /// step before that time may be missing. What other processes have not flushed is not known here:
    /// leave them the time to, before you act on it.
    ///
    /// All pages, with the same filters for each:
    ///
    /// ```
    /// # use service_tokens::{MemoryStore, Query, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let mut query = Query::new().token_type("connector");
    /// loop {
    ///     let page = service.owner("acme").list(query.clone()).await?;
    ///     for stored in &page.items {
    ///         println!("{}", stored.record.id());
    ///     }
    ///     match page.next {
    ///         Some(next) => query = query.after(next),
    ///         None => break,
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ManageError::Invalid`] for a limit of zero or above [`MAX_PAGE_LEN`], [`ManageError::Store`] if
    /// the store failed, or if the query asks for last use and the store does not track it or this
    /// service [records none](super::TokenServiceBuilder::disable_last_used).
    pub async fn list(&self, query: Query) -> Result<Page, ManageError> {
        let act = self.service.begin(Operation::List, None);
        let outcome = self.try_list(query).await;
        act.end(outcome, |page| Event::Listed {
            owner: self.owner.map(str::to_owned),
            records: page.items.len(),
            on_behalf_of: None,
        })
    }

    pub(super) async fn try_list(&self, query: Query) -> Result<Page, ManageError> {
        self.page(query, self.service.now()).await
    }

    /// One page as of this time, to be shown or acted on.
    pub(super) async fn page(
        &self,
        mut query: Query,
        now: DateTime<Utc>,
    ) -> Result<Page, ManageError> {
        if !(1..=MAX_PAGE_LEN).contains(&query.given_limit()) {
            return Err(Field::Limit.breaks(Rule::Bounds { max: MAX_PAGE_LEN }).into());
        }
        query.check_texts()?;
        if let Some(owner) = self.owner {
            if query.owner_filter().is_some_and(|asked| asked != owner) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            query = query.owner(owner);
        }
        let uses = self.service.view_of_uses();
        if query.unused_since_filter().is_some() && !uses.knows() {
            return Err(StoreError::last_use_not_tracked().into());
        }
        let mut page = self.service.store.list(&query, now).await?;
        // What a store lets slip, a filter that it does not know, or a use that it was not told must not
        // widen what is seen or done.
        page.items.retain_mut(|stored| {
            uses.show(stored);
            query.matches(&stored.record, uses.latest(stored.last_used), now)
        });
        Ok(page)
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
    pub async fn rotate(&self, id: TokenId, request: RotateRequest) -> Result<Issued, ManageError> {
        let act = self.service.begin(Operation::Rotate, Some(id));
        let outcome = self.service.try_rotate(&Actor::Embedder(self.owner), id, &request).await;
        act.end(outcome, |issued| request.rotated(issued, None))
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
    pub async fn revoke(
        &self,
        id: TokenId,
        request: RevokeRequest,
    ) -> Result<Revoked, ManageError> {
        let act = self.service.begin(Operation::Revoke, Some(id));
        let outcome = self.service.try_revoke(&Actor::Embedder(self.owner), id, &request).await;
        act.end(outcome, |revoked| request.revoked(revoked, None))
    }
}

impl<S> Clone for Tokens<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Tokens<'_, S> {}

impl<S> fmt::Debug for Tokens<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("owner", &self.owner).finish_non_exhaustive()
    }
}
