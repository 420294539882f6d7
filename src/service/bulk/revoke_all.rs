//! Revoking all tokens that a filter selects, or a token with its descendants.

use std::fmt;

use super::super::records::{Batch, Target};
use super::super::request::RevokeRequest;
use super::super::tokens::{Tokens, View};
use super::driver::{Scan, used_since_found};
use super::outcome::{BulkError, BulkOutcome, BulkProgress};
use super::progress::{BulkOperation, OnProgress};
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::store::{Filter, States, StoredRecord, TokenStore};
use crate::token::TokenId;

impl<'s, S: TokenStore, V> Tokens<'s, S, V> {
    /// Revokes every live token of this view that the filter selects, when it is
    /// [run](RevokeAll::run). [`RevokeAll::count`] is the dry run.
    ///
    /// The states of the filter have no effect, because only live tokens can be revoked. A token is
    /// live if it has not ended by the earlier of the service's time and the clock's. If the clock ran
    /// ahead and was corrected, other processes accept tokens that have expired here. While a [clock
    /// jump](crate::TokenService::has_clock_jumped) is not acknowledged, every token that is not
    /// revoked counts as live.
    ///
    /// A token that the filter does not select any more, after it was found, may still be revoked. The
    /// exception is [`Filter::unused_since`]. If this process has seen a use since the token was found,
    /// the token is not revoked. Uses in other processes are unknown here until those are
    /// [flushed](crate::TokenService::flush_last_used).
    ///
    /// Tokens that are issued while it runs are found too, by the last pass at the latest. If they are
    /// issued faster than they are revoked, it does not end. Then
    /// [pause issuing](crate::TokenService::pause_issuing) first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{Filter, RevokeRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # for _ in 0..3 { let _ = service.owner("acme").issue(IssueRequest::new("connector", "build farm")).await?; }
    /// let filter = Filter::new().token_type("connector").issued_to("build farm");
    /// let request = RevokeRequest::new().by("alice").reason("INC-42");
    ///
    /// let acme = service.owner("acme");
    /// let outcome = acme.revoke_all(filter, request).run().await?;
    /// assert_eq!((outcome.done, outcome.failed), (3, 0));
    /// # Ok(()) }
    /// ```
    pub fn revoke_all(self, filter: Filter, request: RevokeRequest) -> RevokeAll<'s, S> {
        RevokeAll::new(self.view(), filter, request, None)
    }

    /// Revokes as [`revoke_all`](Self::revoke_all) does, because a text was reported.
    pub(in super::super) fn revoke_all_reported(
        self,
        filter: Filter,
        request: RevokeRequest,
    ) -> RevokeAll<'s, S> {
        let revoke_all = self.revoke_all(filter, request);
        RevokeAll { scan: revoke_all.scan.reported(), ..revoke_all }
    }

    /// Revokes a token of this view and its descendants, when it is [run](RevokeAll::run). Descendants
    /// are the tokens that it issued, directly or through others, even if a token between them was
    /// revoked or purged.
    ///
    /// When it has returned, no descendant in this view is live. A token that a live descendant issues
    /// while it runs is either found or not issued. The record of a [draft](crate::IssueDraft) that is stored
    /// later has a secret that was never returned, and its confirmation revokes it. A token is live as for
    /// [`revoke_all`](Self::revoke_all), also after a clock error.
    ///
    /// An id without a record is not an error, because its descendants may still exist.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, ReservedScope, TokenService, TokenType};
    /// use service_tokens::RevokeRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("deployer", ["files:*", ReservedScope::Issue.as_str()])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let deployer = service.owner("acme").issue(IssueRequest::new("deployer", "CI")).await?;
    /// # let verified = service.verify(deployer.token.expose_secret(), &Requirement::any_token()).await?;
    /// let issued = service.on_behalf_of(&verified).issue(IssueRequest::new("connector", "staging")).await?;
    ///
    /// let request = RevokeRequest::new().reason("INC-42");
    /// let outcome =
    ///     service.owner("acme").revoke_with_descendants(verified.id(), request).run().await?;
    /// assert_eq!(outcome.done, 2);
    /// # assert!(service.verify(issued.token.expose_secret(), &Requirement::any_token()).await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn revoke_with_descendants(self, id: TokenId, request: RevokeRequest) -> RevokeAll<'s, S> {
        RevokeAll::new(self.view(), Filter::new().issuer(id), request, Some(id))
    }
}

/// A bulk revocation, from [`Tokens::revoke_all`] or [`Tokens::revoke_with_descendants`]. No token is
/// revoked before [`run`](Self::run).
#[must_use = "nothing is revoked before `run`"]
pub struct RevokeAll<'t, S> {
    scan: Scan<'t, S>,
    operation: Revocation<'t, S>,
    on_progress: OnProgress<'t>,
}

impl<'t, S: TokenStore> RevokeAll<'t, S> {
    fn new(
        view: View<'t, S>,
        filter: Filter,
        request: RevokeRequest,
        first: Option<TokenId>,
    ) -> Self {
        let scan = Scan::new(view, filter.states(States::LIVE), first);
        let operation = Revocation { view, filter: scan.filter().clone(), first, request };
        Self { scan, operation, on_progress: None }
    }

    /// Sets a function that is called after every page of records, on the task that drives
    /// [`run`](Self::run).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{Filter, MemoryStore, RevokeRequest, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let filter = Filter::new().token_type("connector");
    /// let outcome = service
    ///     .owner("acme")
    ///     .revoke_all(filter, RevokeRequest::new())
    ///     .on_progress(|progress| println!("{} revoked", progress.done))
    ///     .run()
    ///     .await?;
    /// # assert_eq!(outcome.done, 0);
    /// # Ok(()) }
    /// ```
    pub fn on_progress(mut self, report: impl FnMut(&BulkProgress) + Send + 't) -> Self {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Counts the tokens that [`run`](Self::run) would find now, and changes none.
    ///
    /// # Errors
    ///
    /// The causes that [`run`](Self::run) lists.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{Filter, MemoryStore, RevokeRequest, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let filter = Filter::new().issued_by("deployment");
    /// let count = service.all_owners().revoke_all(filter, RevokeRequest::new()).count().await?;
    /// println!("{count} tokens would be revoked");
    /// # Ok(()) }
    /// ```
    pub async fn count(self) -> Result<u64, ManageError> {
        self.scan.count(&self.operation).await
    }

    /// Revokes the tokens, oldest first, in passes until one finds no token that it can revoke.
    ///
    /// When this has returned `Ok`, every token that the filter selected when the last pass began has
    /// been revoked, except for the [failed](BulkOutcome::failed) ones. Check those. A token that fails
    /// does not stop the others. A store that fails stops the operation, and so does a damaged record
    /// among those that the store lists.
    ///
    /// The future may be dropped, and the process may be killed, at any time. Each single revocation
    /// has then happened completely or not at all. Revoked tokens are not found again, so another run
    /// continues with the rest.
    ///
    /// Each revocation emits [`Event::Revoked`], and the whole operation emits one
    /// [`Event::RevokedAll`], also if it failed or was dropped. A revocation whose result is not known,
    /// because the answer was lost or the future was dropped, emits [`Event::Failed`] with the id instead. It
    /// may have happened, and then a later run does not find it. The operation waits for a slow event sink, so
    /// that no event is lost.
    ///
    /// # Errors
    ///
    /// [`BulkError`] has the result until then and one of these causes:
    ///
    /// - [`ManageError::Invalid`] if a text of the request is empty or too long. No token has been
    ///   revoked then.
    /// - [`StoreError::Unsupported`](crate::store::StoreError::Unsupported) for
    ///   [`Filter::unused_since`] on a store that does not track last use. No token has been revoked
    ///   then.
    /// - [`ManageError::Store`] if the store failed or has a damaged record.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{Filter, MemoryStore, RevokeRequest, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let filter = Filter::new().issued_by("deployment");
    /// let outcome = service.all_owners().revoke_all(filter, RevokeRequest::new()).run().await?;
    /// for failure in &outcome.failures {
    ///     eprintln!("{}: {}", failure.id, failure.error);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn run(self) -> Result<BulkOutcome, BulkError> {
        self.scan.run(&self.operation, self.on_progress).await
    }
}

/// The revocation of each record.
struct Revocation<'t, S> {
    view: View<'t, S>,
    filter: Filter,
    first: Option<TokenId>,
    request: RevokeRequest,
}

impl<S: TokenStore> BulkOperation for Revocation<'_, S> {
    fn check(&self) -> Result<(), ManageError> {
        self.view.service.check_revocation(&self.request)
    }

    fn needs_all(&self) -> bool {
        true
    }

    async fn process(&self, mut found: StoredRecord, batch: &Batch) -> Result<bool, ManageError> {
        let View { service, owner } = self.view;
        if used_since_found(self.view, &self.filter, &mut found) {
            return Ok(false);
        }
        let audit = service.audit(Operation::Revoke, Some(found.record.id()));
        let target = Target::Listed(Box::new(found), batch);
        let outcome = service.revoke_if(owner, target, &self.request, |_| Ok(())).await;
        match audit.end(outcome, |revoked| self.request.revoked_event(revoked, None)) {
            Ok(revoked) => Ok(!revoked.already_revoked),
            // The record was purged since it was found.
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
            .field("scan", &self.scan)
            .field("request", &self.operation.request)
            .finish_non_exhaustive()
    }
}
