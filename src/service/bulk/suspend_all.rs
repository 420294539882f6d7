//! Suspending all tokens that a filter selects, or a token with its descendants.

use std::fmt;

use chrono::{DateTime, Utc};

use super::super::caller::Caller;
use super::super::records::{Batch, Target};
use super::super::request::SuspendRequest;
use super::super::suspend::SuspensionSpan;
use super::super::tokens::{Tokens, View};
use super::driver::{Scan, used_since_found};
use super::outcome::{BulkError, BulkOutcome, BulkProgress};
use super::progress::{BulkOperation, OnProgress};
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::record::InvalidField;
use crate::store::{Filter, States, StoredRecord, TokenStore};
use crate::token::TokenId;

impl<'s, S: TokenStore, V> Tokens<'s, S, V> {
    /// Suspends every live token of this view that the filter selects, when it is
    /// [run](SuspendAll::run). [`SuspendAll::count`] is the dry run.
    ///
    /// Every token gets the same suspension. It begins at the time of this call, which
    /// [`SuspendAll::since`] returns, and it ends at the same time for all. A token that has a suspension with
    /// the same author and reason which lasts as long or longer is left as it is.
    /// [`resume_all`](Self::resume_all) ends the suspension again.
    ///
    /// The states of the filter have no effect, because only live tokens can be suspended. A token is live
    /// as for [`revoke_all`](Self::revoke_all), also after a clock error, and
    /// [`Filter::unused_since`](method@Filter::unused_since) works as it does there. Tokens that are issued
    /// while it runs are found too, by the last pass at the latest.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{Filter, SuspendRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # for _ in 0..3 { let _ = service.owner("acme").issue(IssueRequest::new("connector", "build farm")).await?; }
    /// let filter = Filter::new().token_type("connector").issued_to("build farm");
    /// let request = SuspendRequest::new().by("alice").reason("INC-42");
    ///
    /// let acme = service.owner("acme");
    /// let outcome = acme.suspend_all(filter, request).run().await?;
    /// assert_eq!((outcome.done, outcome.failed), (3, 0));
    /// # Ok(()) }
    /// ```
    pub fn suspend_all(self, filter: Filter, request: SuspendRequest) -> SuspendAll<'s, S> {
        let since = self.view().service.start_bulk_suspension();
        SuspendAll::new(self.view(), filter, request, None, since)
    }

    /// Suspends as [`suspend_all`](Self::suspend_all) does, with this start, because a text was reported.
    pub(in super::super) fn suspend_all_reported(
        self,
        filter: Filter,
        request: SuspendRequest,
        since: DateTime<Utc>,
    ) -> SuspendAll<'s, S> {
        let suspend_all = SuspendAll::new(self.view(), filter, request, None, since);
        SuspendAll { scan: suspend_all.scan.reported(), ..suspend_all }
    }

    /// Suspends a token of this view and its descendants, when it is [run](SuspendAll::run). Descendants
    /// are the tokens that it issued or rotated, directly or through others.
    ///
    /// When it has returned, no descendant in this view is accepted until the suspension passes or the
    /// token is resumed. A token that a descendant issues while it runs is either found or revoked.
    ///
    /// An id without a record is not an error, because its descendants may still exist.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, ReservedScope, TokenService, TokenType};
    /// use service_tokens::SuspendRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("deployer", ["files:*", ReservedScope::Issue.as_str()])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let deployer = service.owner("acme").issue(IssueRequest::new("deployer", "CI")).await?;
    /// # let verified = service.verify(deployer.token.expose_secret(), &Requirement::any_token()).await?;
    /// let issued = service.on_behalf_of(&verified).issue(IssueRequest::new("connector", "staging")).await?;
    ///
    /// let request = SuspendRequest::new().reason("INC-42");
    /// let outcome =
    ///     service.owner("acme").suspend_with_descendants(verified.id(), request).run().await?;
    /// assert_eq!(outcome.done, 2);
    /// # assert!(service.verify(issued.token.expose_secret(), &Requirement::any_token()).await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn suspend_with_descendants(
        self,
        id: TokenId,
        request: SuspendRequest,
    ) -> SuspendAll<'s, S> {
        let since = self.view().service.start_bulk_suspension();
        SuspendAll::new(self.view(), Filter::new().issuer(id), request, Some(id), since)
    }
}

/// A bulk suspension, from [`Tokens::suspend_all`] or [`Tokens::suspend_with_descendants`]. No token is
/// suspended before [`run`](Self::run).
#[must_use = "nothing is suspended before `run`"]
pub struct SuspendAll<'t, S> {
    scan: Scan<'t, S>,
    operation: BulkSuspension<'t, S>,
    on_progress: OnProgress<'t>,
}

impl<'t, S: TokenStore> SuspendAll<'t, S> {
    fn new(
        view: View<'t, S>,
        filter: Filter,
        request: SuspendRequest,
        first: Option<TokenId>,
        since: DateTime<Utc>,
    ) -> Self {
        let scan = Scan::new(view, filter.states(States::LIVE), first);
        let span = view.service.suspension_span(&request, view.service.now());
        let span = span.map(|span| SuspensionSpan { since, ..span });
        let filter = scan.filter().clone();
        let operation = BulkSuspension { view, filter, first, request, since, span };
        Self { scan, operation, on_progress: None }
    }

    /// Returns the start of the suspension, which all tokens have in common.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{Filter, MemoryStore, TokenService};
    /// use service_tokens::record::SuspensionMatch;
    /// use service_tokens::{ResumeRequest, SuspendRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let acme = service.owner("acme");
    /// let suspend_all = acme.suspend_all(Filter::new(), SuspendRequest::new());
    /// let since = suspend_all.since();
    /// let _ = suspend_all.run().await?;
    ///
    /// let which = SuspensionMatch::Since(since);
    /// let _ = acme.resume_all(Filter::new(), which, ResumeRequest::new()).run().await?;
    /// # Ok(()) }
    /// ```
    pub fn since(&self) -> DateTime<Utc> {
        self.operation.since
    }

    /// Sets a function that is called after every page of records, on the task that drives
    /// [`run`](Self::run).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{Filter, MemoryStore, SuspendRequest, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let outcome = service
    ///     .owner("acme")
    ///     .suspend_all(Filter::new(), SuspendRequest::new())
    ///     .on_progress(|progress| println!("{} suspended", progress.done))
    ///     .run()
    ///     .await?;
    /// # assert_eq!(outcome.done, 0);
    /// # Ok(()) }
    /// ```
    pub fn on_progress(mut self, report: impl FnMut(&BulkProgress) + Send + 't) -> Self {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Counts the tokens that [`run`](Self::run) would suspend now, in one pass that changes none.
    ///
    /// # Errors
    ///
    /// The causes that [`run`](Self::run) lists.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{Filter, MemoryStore, SuspendRequest, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let filter = Filter::new().issued_by("deployment");
    /// let count = service.all_owners().suspend_all(filter, SuspendRequest::new()).count().await?;
    /// println!("{count} tokens would be suspended");
    /// # Ok(()) }
    /// ```
    pub async fn count(self) -> Result<u64, ManageError> {
        self.scan.count(&self.operation).await
    }

    /// Suspends the tokens, oldest first, in passes until one finds no token that it has to suspend.
    ///
    /// When this has returned `Ok`, every token that the filter selected when the last pass began is
    /// suspended for as long as requested or longer, except for the [failed](BulkOutcome::failed) ones.
    /// Check those. A token that fails does not stop the others. A store that fails stops the operation, and
    /// so does a damaged record among those that the store lists.
    ///
    /// The future may be dropped, and the process may be killed, at any time. Each single suspension has then
    /// happened completely or not at all. Another run with the same author, reason and end, or without an end,
    /// leaves the suspended tokens as they are and continues with the rest. Those then have a later start, so
    /// resume the tokens by author and reason. Another run with [`lasting`](SuspendRequest::lasting) has a later end, so
    /// it suspends all tokens again.
    ///
    /// Each suspension emits [`Event::Suspended`], and the whole operation emits one
    /// [`Event::SuspendedAll`], also if it failed or was dropped. A suspension whose result is not known,
    /// because the answer was lost or the future was dropped, emits [`Event::Failed`] with the id instead. The
    /// operation waits for a slow event sink, so that no event is lost.
    ///
    /// # Errors
    ///
    /// [`BulkError`] has the result until then and one of these causes:
    ///
    /// - [`ManageError::Invalid`] if a text of the request is empty or too long, or if the end is not after
    ///   now. No token has been suspended then, unless the end came while this was running.
    /// - [`StoreError::Unsupported`](crate::store::StoreError::Unsupported) for
    ///   [`Filter::unused_since`] on a store that does not track last use. No token has been suspended
    ///   then.
    /// - [`ManageError::Store`] if the store failed or has a damaged record.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{Filter, MemoryStore, SuspendRequest, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let filter = Filter::new().issued_by("deployment");
    /// let outcome = service.all_owners().suspend_all(filter, SuspendRequest::new()).run().await?;
    /// for failure in &outcome.failures {
    ///     eprintln!("{}: {}", failure.id, failure.error);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn run(self) -> Result<BulkOutcome, BulkError> {
        self.scan.run(&self.operation, self.on_progress).await
    }
}

/// The suspension of each record.
struct BulkSuspension<'t, S> {
    view: View<'t, S>,
    filter: Filter,
    first: Option<TokenId>,
    request: SuspendRequest,
    since: DateTime<Utc>,
    /// The span, or the error of an invalid request.
    span: Result<SuspensionSpan, InvalidField>,
}

impl<S: TokenStore> BulkOperation for BulkSuspension<'_, S> {
    fn check(&self) -> Result<(), ManageError> {
        self.span?;
        Ok(())
    }

    /// A suspended token stays live, so the store lists it again in each pass. It needs no work if it was
    /// found suspended for as long. A token that another caller suspends after it was found did need work,
    /// because it could issue tokens until then.
    fn needs(&self, found: &StoredRecord) -> bool {
        let Ok(span) = self.span else { return true };
        let now = self.view.service.earlier().time;
        !matches!(found.record.suspend(now, self.request.of(span, true)), Ok(None))
    }

    async fn process(&self, mut found: StoredRecord, batch: &Batch) -> Result<bool, ManageError> {
        let View { service, owner } = self.view;
        if used_since_found(self.view, &self.filter, &mut found) {
            return Ok(false);
        }
        let (span, id) = (self.span?, found.record.id());
        let audit = service.audit(Operation::Suspend, Some(id));
        let (caller, target) = (Caller::Embedder(owner), Target::Listed(Box::new(found), batch));
        let suspended = match service.suspend_for(&caller, target, &self.request, span).await {
            // The token has ended, or its record was purged, since it was found.
            Err(ManageError::NotFound { .. } | ManageError::Ended { .. }) => {
                audit.end_without_event();
                return Ok(false);
            }
            outcome => {
                audit.end(outcome, |suspended| self.request.suspended_event(suspended, None))?
            }
        };
        Ok(!suspended.already_suspended)
    }

    fn event(&self, outcome: &BulkOutcome, stopped: Option<String>) -> Event {
        Event::SuspendedAll {
            owner: self.view.owner.map(str::to_owned),
            filter: Box::new(self.filter.clone()),
            with: self.first,
            since: self.since,
            suspended: outcome.done,
            failed: outcome.failed,
            by: self.request.by.clone(),
            reason: self.request.reason.clone(),
            stopped,
        }
    }
}

impl<S> fmt::Debug for SuspendAll<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuspendAll")
            .field("scan", &self.scan)
            .field("request", &self.operation.request)
            .field("since", &self.operation.since)
            .finish_non_exhaustive()
    }
}
