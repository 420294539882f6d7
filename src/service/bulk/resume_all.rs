//! Resuming the tokens of one suspension.

use std::fmt;

use super::super::records::{Batch, Target};
use super::super::request::ResumeRequest;
use super::super::tokens::{Tokens, View};
use super::driver::Scan;
use super::outcome::{BulkError, BulkOutcome, BulkProgress};
use super::progress::{BulkOperation, OnProgress};
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::record::{ChangeDenied, State, SuspensionMatch};
use crate::store::{Filter, StoredRecord, TokenStore};
use crate::token::TokenId;

impl<'s, S: TokenStore, V> Tokens<'s, S, V> {
    /// Resumes every suspended token of this view that the filter selects and whose suspension matches,
    /// when it is [run](ResumeAll::run). [`ResumeAll::count`] is the dry run.
    ///
    /// The match names the suspension to end, and a token with others stays suspended by these. It is checked
    /// again when a token is written.
    ///
    /// The states of the filter have no effect, because only suspended tokens can be resumed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, SuspendRequest, TokenService, TokenType};
    /// use service_tokens::record::SuspensionMatch;
    /// use service_tokens::{Filter, ResumeRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # for reason in ["INC-42", "INC-42", "INC-43"] {
    /// #     let id = acme.issue(IssueRequest::new("connector", "build farm")).await?.record.id();
    /// #     acme.suspend(id, SuspendRequest::new().by("alice").reason(reason)).await?;
    /// # }
    /// // Two tokens are suspended because of INC-42, and one because of INC-43.
    /// let which = SuspensionMatch::ByAndReason {
    ///     by: Some("alice".to_owned()),
    ///     reason: Some("INC-42".to_owned()),
    /// };
    /// let request = ResumeRequest::new().by("bob");
    /// let outcome = acme.resume_all(Filter::new(), which, request).run().await?;
    /// assert_eq!((outcome.done, outcome.failed), (2, 0));
    /// # Ok(()) }
    /// ```
    pub fn resume_all(
        self,
        filter: Filter,
        which: SuspensionMatch,
        request: ResumeRequest,
    ) -> ResumeAll<'s, S> {
        ResumeAll::new(self.view(), filter, which, request, None)
    }

    /// Resumes a token of this view and its descendants, as far as their suspension matches, when it is
    /// [run](ResumeAll::run). It ends a [suspension of the same tokens](Self::suspend_with_descendants).
    ///
    /// An id without a record is not an error, because its descendants may still exist.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, ReservedScope, TokenService, TokenType};
    /// use service_tokens::record::SuspensionMatch;
    /// use service_tokens::{ResumeRequest, SuspendRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("deployer", ["files:*", ReservedScope::Issue.as_str()])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let deployer = acme.issue(IssueRequest::new("deployer", "CI")).await?;
    /// # let verified = service.verify(deployer.token.expose_secret(), &Requirement::any_token()).await?;
    /// # service.on_behalf_of(&verified).issue(IssueRequest::new("connector", "staging")).await?;
    /// let request = SuspendRequest::new().reason("INC-42");
    /// acme.suspend_with_descendants(verified.id(), request).run().await?;
    ///
    /// let which = SuspensionMatch::ByAndReason { by: None, reason: Some("INC-42".to_owned()) };
    /// let request = ResumeRequest::new().by("alice");
    /// let outcome = acme.resume_with_descendants(verified.id(), which, request).run().await?;
    /// assert_eq!(outcome.done, 2);
    /// # Ok(()) }
    /// ```
    pub fn resume_with_descendants(
        self,
        id: TokenId,
        which: SuspensionMatch,
        request: ResumeRequest,
    ) -> ResumeAll<'s, S> {
        ResumeAll::new(self.view(), Filter::new().issuer(id), which, request, Some(id))
    }
}

/// A bulk resumption, from [`Tokens::resume_all`] or [`Tokens::resume_with_descendants`]. No token is resumed
/// before [`run`](Self::run).
#[must_use = "nothing is resumed before `run`"]
pub struct ResumeAll<'t, S> {
    scan: Scan<'t, S>,
    operation: Resumption<'t, S>,
    on_progress: OnProgress<'t>,
}

impl<'t, S: TokenStore> ResumeAll<'t, S> {
    fn new(
        view: View<'t, S>,
        filter: Filter,
        which: SuspensionMatch,
        request: ResumeRequest,
        first: Option<TokenId>,
    ) -> Self {
        let scan = Scan::new(view, filter.states(State::Suspended), first);
        let operation = Resumption { view, filter: scan.filter().clone(), first, which, request };
        Self { scan, operation, on_progress: None }
    }

    /// Sets a function that is called after every page of records, on the task that drives
    /// [`run`](Self::run).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::record::SuspensionMatch;
    /// # use service_tokens::{Filter, MemoryStore, ResumeRequest, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// # let which = SuspensionMatch::Since(service.now());
    /// let outcome = service
    ///     .owner("acme")
    ///     .resume_all(Filter::new(), which, ResumeRequest::new())
    ///     .on_progress(|progress| println!("{} resumed", progress.done))
    ///     .run()
    ///     .await?;
    /// # assert_eq!(outcome.done, 0);
    /// # Ok(()) }
    /// ```
    pub fn on_progress(mut self, report: impl FnMut(&BulkProgress) + Send + 't) -> Self {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Counts the suspended tokens with such a suspension, in one pass that changes none. Those that have other
    /// suspensions too would stay suspended.
    ///
    /// # Errors
    ///
    /// The causes that [`run`](Self::run) lists.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::record::SuspensionMatch;
    /// # use service_tokens::{Filter, MemoryStore, ResumeRequest, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// # let which = SuspensionMatch::Since(service.now());
    /// let acme = service.owner("acme");
    /// let count = acme.resume_all(Filter::new(), which, ResumeRequest::new()).count().await?;
    /// println!("{count} tokens would be resumed");
    /// # Ok(()) }
    /// ```
    pub async fn count(self) -> Result<u64, ManageError> {
        self.scan.count(&self.operation).await
    }

    /// Ends the suspensions, oldest token first, in passes until one finds no token that has one.
    ///
    /// [`BulkOutcome::done`] counts the tokens of which it ended a suspension. Those that have other
    /// suspensions stay suspended, and their [`Event::Resumed`] has the number that remains.
    ///
    /// The future may be dropped, and the process may be killed, at any time. Resumed tokens are not
    /// found again, so another run continues with the rest.
    ///
    /// Each resumption emits [`Event::Resumed`], and the whole operation emits one [`Event::ResumedAll`],
    /// also if it failed or was dropped. A resumption whose result is not known, because the answer was lost
    /// or the future was dropped, emits [`Event::Failed`] with the id instead. The operation waits for a slow
    /// event sink, so that no event is lost. A token that does not match any more at its turn has no event.
    ///
    /// # Errors
    ///
    /// [`BulkError`] has the result until then and one of these causes:
    ///
    /// - [`ManageError::Invalid`] if a text of the request is empty or too long. No token has been
    ///   resumed then.
    /// - [`StoreError::Unsupported`](crate::store::StoreError::Unsupported) for
    ///   [`Filter::unused_since`] on a store that does not track last use. No token has been resumed
    ///   then.
    /// - [`ManageError::Store`] if the store failed or has a damaged record.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::record::SuspensionMatch;
    /// # use service_tokens::{Filter, MemoryStore, ResumeRequest, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// # let which = SuspensionMatch::Since(service.now());
    /// let all = service.all_owners();
    /// let outcome = all.resume_all(Filter::new(), which, ResumeRequest::new()).run().await?;
    /// for failure in &outcome.failures {
    ///     eprintln!("{}: {}", failure.id, failure.error);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn run(self) -> Result<BulkOutcome, BulkError> {
        self.scan.run(&self.operation, self.on_progress).await
    }
}

/// The resumption of each record.
struct Resumption<'t, S> {
    view: View<'t, S>,
    filter: Filter,
    first: Option<TokenId>,
    which: SuspensionMatch,
    request: ResumeRequest,
}

impl<S: TokenStore> BulkOperation for Resumption<'_, S> {
    fn check(&self) -> Result<(), ManageError> {
        Ok(self.view.service.check_resumption(&self.request)?)
    }

    /// After the clock ran ahead and was corrected, the store may list a token as suspended that has expired
    /// in this process. It cannot be resumed here, and each pass would find it again.
    fn needs(&self, found: &StoredRecord) -> bool {
        let now = self.view.service.now();
        let selects = |suspension: &_| self.which.selects(suspension);
        !matches!(found.record.resume(now, selects), Ok(None) | Err(ChangeDenied::Ended(_)))
    }

    async fn process(&self, found: StoredRecord, batch: &Batch) -> Result<bool, ManageError> {
        let View { service, owner } = self.view;
        let audit = service.audit(Operation::Resume, Some(found.record.id()));
        let target = Target::Listed(Box::new(found), batch);
        let selects = |suspension: &_| self.which.selects(suspension);
        match service.resume_selected(owner, target, selects).await {
            // The token has ended, has no such suspension any more, or was purged since it was found.
            Err(ManageError::NotFound { .. } | ManageError::Ended { .. }) => {
                audit.end_without_event();
                Ok(false)
            }
            Ok(resumed) if resumed.ended.is_empty() => {
                audit.end_without_event();
                Ok(false)
            }
            outcome => {
                audit.end(outcome, |resumed| self.request.resumed_event(resumed))?;
                Ok(true)
            }
        }
    }

    fn event(&self, outcome: &BulkOutcome, stopped: Option<String>) -> Event {
        Event::ResumedAll {
            owner: self.view.owner.map(str::to_owned),
            filter: Box::new(self.filter.clone()),
            with: self.first,
            which: self.which.clone(),
            resumed: outcome.done,
            failed: outcome.failed,
            by: self.request.by.clone(),
            stopped,
        }
    }
}

impl<S> fmt::Debug for ResumeAll<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeAll")
            .field("scan", &self.scan)
            .field("which", &self.operation.which)
            .field("request", &self.operation.request)
            .finish_non_exhaustive()
    }
}
