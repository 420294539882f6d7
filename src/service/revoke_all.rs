//! Revoking many tokens.

use std::fmt;

use super::bulk::{BulkError, BulkOutcome, BulkProgress, Deed, OnProgress, Walk};
use super::manage::{Tokens, View};
use super::request::RevokeRequest;
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::store::{Filter, States, StoredRecord, TokenStore};
use crate::token::TokenId;

impl<'s, S: TokenStore, V> Tokens<'s, S, V> {
    /// Revokes every token of this view that a filter selects. [`RevokeAll::count`] is the dry run.
    ///
    /// It touches only what can still work: whatever states the filter asks for, it is the live ones.
    /// Live is what has not ended by the earlier of the service's time and what the clock reads: after
    /// it ran ahead and was corrected, other processes accept what has expired here. While a
    /// [clock jump](crate::TokenService::has_clock_jumped) is unacknowledged, every token counts as live that
    /// is not revoked.
    ///
    /// A token that stops being selected after it
    /// was found may be revoked all the same, but for one: with [`Filter::unused_since`] it is left alone
    /// if this process has seen it used meanwhile. Other processes' uses are known only once they are
    /// [flushed](crate::TokenService::flush_last_used).
    ///
    /// Tokens that are issued while it runs are found too, by the last pass at the latest. Where they
    /// are issued faster than they are revoked it finds no end:
    /// [pause issuing](crate::TokenService::pause_issuing) first.
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{Filter, RevokeRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # for _ in 0..3 { let _ = service.owner("acme").issue(IssueRequest::new("connector", "build farm")).await?; }
    /// let which = || Filter::new().token_type("connector").issued_to("build farm");
    /// let leaked = RevokeRequest::new().by("alice").reason("INC-42");
    /// let acme = service.owner("acme");
    ///
    /// assert_eq!(acme.revoke_all(which(), leaked.clone()).count().await?, 3);
    /// let outcome = acme
    ///     .revoke_all(which(), leaked)
    ///     .on_progress(|progress| println!("{} revoked", progress.done))
    ///     .run()
    ///     .await?;
    /// assert_eq!((outcome.done, outcome.failed), (3, 0));
    /// # Ok(()) }
    /// ```
    pub fn revoke_all(self, filter: Filter, request: RevokeRequest) -> RevokeAll<'s, S> {
        RevokeAll::new(self.view(), filter, request, None)
    }

    /// Revokes a token of this view and everything that was issued below it, directly or through
    /// others, also below what was revoked or purged before. When it has returned, nothing issued
    /// below the token remains in this view: what its live descendants issue while it runs is found or
    /// never comes into being. What is live is decided as for [`revoke_all`](Self::revoke_all), also
    /// after a clock error.
    ///
    /// An id without a record is no error: its descendants may still be there.
    pub fn revoke_with_descendants(self, id: TokenId, request: RevokeRequest) -> RevokeAll<'s, S> {
        RevokeAll::new(self.view(), Filter::new().issuer(id), request, Some(id))
    }
}

/// Many revocations: from [`Tokens::revoke_all`] and [`Tokens::revoke_with_descendants`]. Nothing
/// happens before [`run`](Self::run).
#[must_use = "nothing is revoked before `run`"]
pub struct RevokeAll<'t, S> {
    walk: Walk<'t, S>,
    deed: Revocations<'t, S>,
    on_progress: OnProgress<'t>,
}

impl<'t, S: TokenStore> RevokeAll<'t, S> {
    pub(super) fn new(
        view: View<'t, S>,
        filter: Filter,
        request: RevokeRequest,
        first: Option<TokenId>,
    ) -> Self {
        let walk = Walk::new(view, filter.states(States::LIVE), first);
        let deed = Revocations { view, filter: walk.filter().clone(), first, request };
        Self { walk, deed, on_progress: None }
    }

    /// Calls this after every page of records, on the task that drives [`run`](Self::run).
    pub fn on_progress(mut self, tell: impl FnMut(&BulkProgress) + Send + 't) -> Self {
        self.on_progress = Some(Box::new(tell));
        self
    }

    /// How many tokens [`run`](Self::run) would find now. One pass that changes nothing.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn count(self) -> Result<u64, ManageError> {
        let act = self.deed.view.service.begin(Operation::Count, None);
        let outcome = self.walk.count(&self.deed).await;
        let owner = self.deed.view.owner.map(str::to_owned);
        act.end(outcome, |count| Event::Counted { owner, records: *count })
    }

    /// Revokes them, oldest first, in passes until a whole pass finds nothing.
    ///
    /// When this has returned `Ok`, every token that was selected when the last pass began has been
    /// revoked, but for the [failed](BulkOutcome::failed) ones: look at those. A token that withstands
    /// stops no other; a store that fails does, and so does a row that is no record among those it lists.
    ///
    /// It may be dropped, or killed with its process, at any time: each revocation has then happened
    /// wholly or not at all. What is revoked is not found again, so running it again goes on from
    /// there.
    ///
    /// Each revocation is its own [`Event::Revoked`], and the whole is one [`Event::RevokedAll`], also
    /// when it failed or was dropped. It goes no faster than the event sink, so that none of them is
    /// lost.
    ///
    /// # Errors
    ///
    /// [`BulkError`] says what was done before and what stopped it: [`ManageError::Invalid`] if a text
    /// is empty or too long and [`StoreError::Unsupported`](crate::store::StoreError::Unsupported) for
    /// [`Filter::unused_since`] on a store that does not track last use, both before anything was done;
    /// [`ManageError::Store`] if the store failed or holds what is no record.
    pub async fn run(self) -> Result<BulkOutcome, BulkError> {
        self.walk.run(&self.deed, self.on_progress).await
    }
}

struct Revocations<'t, S> {
    view: View<'t, S>,
    filter: Filter,
    first: Option<TokenId>,
    request: RevokeRequest,
}

impl<S: TokenStore> Revocations<'_, S> {
    fn used_since_found(&self, found: &mut StoredRecord) -> bool {
        let uses = self.view.service.view_of_uses();
        uses.show(found);
        !self.filter.is_unused(&found.record, uses.latest(found.last_used))
    }
}

impl<S: TokenStore> Deed for Revocations<'_, S> {
    fn may_go_on(&self) -> Result<(), ManageError> {
        self.view.service.check_revocation(&self.request)
    }

    async fn act(&self, mut found: StoredRecord) -> Result<bool, ManageError> {
        if self.used_since_found(&mut found) {
            return Ok(false);
        }
        let tokens: Tokens<'_, S> = self.view.into();
        match tokens.revoke(found.record.id(), self.request.clone()).await {
            Ok(revoked) => Ok(!revoked.already_revoked),
            // Purged meanwhile.
            Err(ManageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn event(&self, outcome: &BulkOutcome, stopped: Option<String>) -> Event {
        Event::RevokedAll {
            owner: self.view.owner.map(str::to_owned),
            filter: Box::new(self.filter.clone()),
            with: self.first,
            revoked: outcome.done,
            failed: outcome.failed,
            by: self.request.by.clone(),
            reason: self.request.reason.clone(),
            stopped,
        }
    }
}

impl<S> fmt::Debug for RevokeAll<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokeAll")
            .field("walk", &self.walk)
            .field("request", &self.deed.request)
            .finish_non_exhaustive()
    }
}
