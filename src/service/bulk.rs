//! One act on every token that a query selects, again and again until a whole pass finds nothing.

use std::fmt;
use std::future::{Future, poll_fn};
use std::task::Poll;

use super::changes::owned;
use super::manage::View;
use super::side_by_side::{Boxed, SideBySide};
use super::underway::GIVEN_UP;
use crate::error::ManageError;
use crate::event::{Event, Events, with_sources};
use crate::store::{
    Filter, ListRequest, MAX_PAGE_LEN, Order, States, StoreError, StoredRecord, TokenStore,
};
use crate::token::TokenId;

/// Acts at a time, so that a store which commits in groups, or is far away, is fast all the same.
const AT_A_TIME: usize = 64;

/// Failures that are named; all are counted.
const NAMED: usize = 100;

/// How far a bulk act has come. Told after every page.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkProgress {
    /// The pass over the store, from one.
    pub pass: u64,
    /// How many records were found to act on, in all passes.
    pub found: u64,
    /// How many tokens were revoked, or records removed, by this act.
    pub done: u64,
    /// How many of those found in this pass withstood: see [`BulkOutcome::failed`].
    pub failed: u64,
    /// Up to where this pass has come; `None` at its end.
    pub cursor: Option<TokenId>,
}

/// What a bulk act did.
#[derive(Debug)]
#[must_use = "some may have failed"]
#[non_exhaustive]
pub struct BulkOutcome {
    /// How many tokens were revoked, or records removed. What others had done before is not counted.
    pub done: u64,
    /// How many passes were made or begun.
    pub passes: u64,
    /// How many withstood in the last pass: written by a newer program, damaged, changed by others
    /// again and again, or the store's answer was lost and it is not known. They may be as they were;
    /// all others were done.
    pub failed: u64,
    /// The first hundred of those.
    pub failures: Vec<BulkFailure>,
}

/// A token that withstood a bulk act.
#[derive(Debug)]
#[non_exhaustive]
pub struct BulkFailure {
    /// Its id.
    pub id: TokenId,
    /// Why.
    pub error: ManageError,
}

/// A bulk act that did not come to its end. What was done is done; running it again goes on from there.
#[derive(Debug, thiserror::Error)]
#[error("the act stopped after {} tokens", so_far.done)]
#[non_exhaustive]
pub struct BulkError {
    /// What was done before.
    pub so_far: BulkOutcome,
    /// What stopped it.
    #[source]
    pub cause: ManageError,
}

/// What is done to each record.
pub(super) trait Deed: Send + Sync {
    /// Whether the act is allowed, still: asked before every page.
    fn may_go_on(&self) -> Result<(), ManageError>;

    /// Does it; `false` if there was nothing to do any more.
    fn act(&self, found: StoredRecord) -> impl Future<Output = Result<bool, ManageError>> + Send;

    /// The one event of the whole act.
    fn event(&self, outcome: &BulkOutcome, stopped: Option<String>) -> Event;
}

/// The caller's ear.
pub(super) type OnProgress<'t> = Option<Box<dyn FnMut(&BulkProgress) + Send + 't>>;

/// The way over the records.
pub(super) struct Walk<'t, S> {
    view: View<'t, S>,
    filter: Filter,
    /// A token that every pass begins with, if it lives.
    first: Option<TokenId>,
}

impl<'t, S: TokenStore> Walk<'t, S> {
    pub(super) fn new(view: View<'t, S>, filter: Filter, first: Option<TokenId>) -> Self {
        Self { view, filter, first }
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// One pass that only counts.
    pub(super) async fn count(&self, deed: &impl Deed) -> Result<u64, ManageError> {
        deed.may_go_on()?;
        let mut count = match self.first {
            Some(id) => self.first(id).await?.iter().count() as u64,
            None => 0,
        };
        let mut cursor = None;
        loop {
            deed.may_go_on()?;
            let (found, next) = self.page(cursor).await?;
            count += found.len() as u64;
            if next.is_none() {
                return Ok(count);
            }
            cursor = next;
            yield_once().await;
        }
    }

    /// Passes until one finds nothing that can be done.
    pub(super) async fn run(
        &self,
        deed: &impl Deed,
        on_progress: OnProgress<'_>,
    ) -> Result<BulkOutcome, BulkError> {
        let mut tally = Tally::new(&self.view.service.events, deed, on_progress);
        let ended = self.passes(deed, &mut tally).await;
        tally.end(ended)
    }

    async fn passes<D: Deed>(&self, deed: &D, tally: &mut Tally<'_, D>) -> Result<(), ManageError> {
        loop {
            tally.begin_pass();
            if let Some(id) = self.first {
                deed.may_go_on()?;
                match self.first(id).await {
                    Ok(found) => self.act_on(found.into_iter().collect(), deed, tally).await?,
                    Err(error) => tally.take(id, Err(error))?,
                }
            }
            let mut cursor = None;
            loop {
                deed.may_go_on()?;
                // What is used from now on stays known until the page is done.
                let _uses = self.view.service.view_of_uses();
                let (found, next) = self.page(cursor).await?;
                self.act_on(found, deed, tally).await?;
                tally.end_page(next);
                yield_once().await;
                if next.is_none() {
                    break;
                }
                cursor = next;
            }
            if !tally.pass_found_work() {
                return Ok(());
            }
        }
    }

    async fn page(
        &self,
        cursor: Option<TokenId>,
    ) -> Result<(Vec<StoredRecord>, Option<TokenId>), ManageError> {
        let request = ListRequest {
            after: cursor,
            ..ListRequest::from(self.filter.clone()).order(Order::OldestFirst).limit(MAX_PAGE_LEN)
        };
        let page = self.view.page(request, self.view.service.earlier().time).await?;
        Ok((page.items, page.next))
    }

    async fn first(&self, id: TokenId) -> Result<Option<StoredRecord>, ManageError> {
        let service = self.view.service;
        let found = service.find(id).await?;
        let now = service.earlier().time;
        let found = owned(found, self.view.owner, id).ok();
        Ok(found.filter(|stored| States::LIVE.contains(stored.record.state(now))))
    }

    fn acts<'a, D: Deed>(
        &'a self,
        found: Vec<StoredRecord>,
        deed: &'a D,
    ) -> SideBySide<'a, (TokenId, Result<bool, ManageError>)> {
        let events = &self.view.service.events;
        let acts = found.into_iter().map(move |stored| -> Boxed<'a, _> {
            Box::pin(async move {
                let id = stored.record.id();
                events.room().await;
                (id, deed.act(stored).await)
            })
        });
        SideBySide::new(AT_A_TIME, acts)
    }

    /// Acts on these records. What was begun is brought to its end, also when the store fails.
    async fn act_on<D: Deed>(
        &self,
        found: Vec<StoredRecord>,
        deed: &D,
        tally: &mut Tally<'_, D>,
    ) -> Result<(), ManageError> {
        let mut acts = self.acts(found, deed);
        let mut ended = Ok(());
        while let Some((id, outcome)) = acts.next().await {
            if let Err(error) = tally.take(id, outcome)
                && ended.is_ok()
            {
                ended = Err(error);
                acts.start_no_more();
            }
        }
        ended
    }
}

/// What was done so far. Ends with exactly one event, also if the caller drops the future.
struct Tally<'d, D: Deed> {
    events: &'d Events,
    deed: &'d D,
    on_progress: OnProgress<'d>,
    progress: BulkProgress,
    found_before_pass: u64,
    failures: Vec<BulkFailure>,
    told: bool,
}

impl<'d, D: Deed> Tally<'d, D> {
    fn new(events: &'d Events, deed: &'d D, on_progress: OnProgress<'d>) -> Self {
        let progress = BulkProgress { pass: 0, found: 0, done: 0, failed: 0, cursor: None };
        let (failures, told) = (Vec::new(), false);
        Self { events, deed, on_progress, progress, found_before_pass: 0, failures, told }
    }

    fn begin_pass(&mut self) {
        self.progress.pass += 1;
        self.progress.failed = 0;
        self.found_before_pass = self.progress.found;
        self.failures.clear();
    }

    /// Notes what became of one. An error that is not of this token alone comes back.
    fn take(&mut self, id: TokenId, outcome: Result<bool, ManageError>) -> Result<(), ManageError> {
        match outcome {
            Err(error) if is_of_all(&error) => return Err(error),
            Err(error) => {
                self.progress.failed += 1;
                if self.failures.len() < NAMED {
                    self.failures.push(BulkFailure { id, error });
                }
            }
            Ok(done) => self.progress.done += u64::from(done),
        }
        self.progress.found += 1;
        Ok(())
    }

    fn end_page(&mut self, next: Option<TokenId>) {
        self.progress.cursor = next;
        if let Some(tell) = &mut self.on_progress {
            tell(&self.progress);
        }
    }

    /// Also what others did meanwhile was work: until then it could issue tokens.
    fn pass_found_work(&self) -> bool {
        self.progress.found - self.found_before_pass > self.progress.failed
    }

    fn end(mut self, ended: Result<(), ManageError>) -> Result<BulkOutcome, BulkError> {
        let outcome = self.outcome();
        self.told = true;
        let stopped = ended.as_ref().err().map(|error| with_sources(error));
        self.events.emit(self.deed.event(&outcome, stopped));
        match ended {
            Ok(()) => Ok(outcome),
            Err(cause) => Err(BulkError { so_far: outcome, cause }),
        }
    }

    fn outcome(&mut self) -> BulkOutcome {
        let BulkProgress { pass: passes, done, failed, .. } = self.progress;
        BulkOutcome { done, passes, failed, failures: std::mem::take(&mut self.failures) }
    }
}

impl<D: Deed> Drop for Tally<'_, D> {
    fn drop(&mut self) {
        if !self.told {
            let outcome = self.outcome();
            self.events.emit(self.deed.event(&outcome, Some(GIVEN_UP.into())));
        }
    }
}

/// Whether the next token would meet the same error.
fn is_of_all(error: &ManageError) -> bool {
    match error {
        ManageError::Store(error) => matches!(
            error,
            StoreError::Unavailable { .. }
                | StoreError::Full { .. }
                | StoreError::ReadOnly
                | StoreError::Unsupported { .. }
        ),
        ManageError::Indeterminate { .. }
        | ManageError::Contended { .. }
        | ManageError::NotFound { .. } => false,
        _ => true,
    }
}

/// Lets other tasks of the thread have their turn: a store in memory never waits by itself.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<S> fmt::Debug for Walk<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("view", &self.view)
            .field("filter", &self.filter)
            .field("first", &self.first)
            .finish()
    }
}
