//! Removing what has been dead for long.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::bulk::{BulkError, BulkOutcome, BulkProgress, Deed, OnProgress, Walk};
use super::changes::{ATTEMPTS, exhausted, unresolved};
use super::manage::{Tokens, View};
use crate::clock::{Earlier, from_micros, micros};
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::record::{Field, Rule};
use crate::store::{Filter, StoreError, StoredRecord, TokenStore};

/// The shortest retention: whoever comes back after a bad night still finds what happened.
const SHORTEST: Duration = Duration::from_secs(86_400);

impl<'s, S: TokenStore, V> Tokens<'s, S, V> {
    /// Removes the records of this view whose tokens have been dead, expired or revoked, for longer
    /// than `retention`, which is at least a day. [`Purge::count`] is the dry run.
    ///
    /// Lost with them is who revoked them, when and why, and the trace of secrets that have ended: who
    /// presents such a token afterwards looks like one who invents ids. So this is for keeping house
    /// and never for an incident: no token is deader for being purged. Choose a retention that outlasts
    /// your investigations; months are usual.
    ///
    /// It refuses while a clock jump is unacknowledged ([`ManageError::ClockJumped`]): what a wrong
    /// clock calls long dead may have died today. And it goes by the earlier of the service's time and
    /// what the clock reads: after it ran ahead and was corrected, nothing goes by the wrong time.
    ///
    /// ```
    /// # use service_tokens::{MemoryStore, TokenService};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let half_a_year = Duration::from_secs(180 * 86_400);
    /// let outcome = service.all_owners().purge(half_a_year).run().await?;
    /// println!("{} records removed", outcome.done);
    /// # Ok(()) }
    /// ```
    pub fn purge(self, retention: Duration) -> Purge<'s, S> {
        Purge::new(self.view(), retention)
    }
}

/// The removal of records whose tokens have been dead for long: from [`Tokens::purge`]. Nothing
/// happens before [`run`](Self::run).
#[must_use = "nothing is removed before `run`"]
pub struct Purge<'t, S> {
    view: View<'t, S>,
    retention: Duration,
    on_progress: OnProgress<'t>,
}

impl<'t, S: TokenStore> Purge<'t, S> {
    pub(super) fn new(view: View<'t, S>, retention: Duration) -> Self {
        Self { view, retention, on_progress: None }
    }

    /// Calls this after every page of records, on the task that drives [`run`](Self::run).
    pub fn on_progress(mut self, tell: impl FnMut(&BulkProgress) + Send + 't) -> Self {
        self.on_progress = Some(Box::new(tell));
        self
    }

    /// How many records [`run`](Self::run) would find now. One pass that changes nothing.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn count(self) -> Result<u64, ManageError> {
        let act = self.view.service.begin(Operation::Count, None);
        let (walk, deed) = self.parts();
        let outcome = walk.count(&deed).await;
        let owner = self.view.owner.map(str::to_owned);
        act.end(outcome, |count| Event::Counted { owner, records: *count })
    }

    /// Removes them, oldest first, in passes until a whole pass finds nothing.
    ///
    /// What counts is the clock at its beginning. Each record is removed only as it was found: one that
    /// changes meanwhile is looked at again. One that a newer program wrote stays and is
    /// [named](BulkOutcome::failures); use that program. It may be dropped at any time and run again.
    /// The whole is one [`Event::Purged`], also when it failed or was dropped.
    ///
    /// # Errors
    ///
    /// [`BulkError`] says what was done before and what stopped it:
    ///
    /// - [`ManageError::Invalid`] for a retention of less than a day.
    /// - [`ManageError::ClockJumped`] if the clock has jumped and nobody has
    ///   [acknowledged](crate::TokenService::acknowledge_clock_jump) it. It is asked before every page.
    /// - [`ManageError::Store`] if the store failed or holds what is no record.
    pub async fn run(self) -> Result<BulkOutcome, BulkError> {
        let (walk, deed) = self.parts();
        walk.run(&deed, self.on_progress).await
    }

    fn parts(&self) -> (Walk<'t, S>, Removals<'t, S>) {
        let began = self.view.service.earlier();
        let ended_before = ago(began.time, self.retention);
        let walk = Walk::new(self.view, Filter::new().ended_before(ended_before), None);
        let deed = Removals {
            view: self.view,
            filter: walk.filter().clone(),
            retention: self.retention,
            began,
        };
        (walk, deed)
    }
}

/// Before all of time if there is no such time.
fn ago(now: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    from_micros(now.timestamp_micros().saturating_sub(micros(span)))
}

struct Removals<'t, S> {
    view: View<'t, S>,
    filter: Filter,
    retention: Duration,
    began: Earlier,
}

impl<S: TokenStore> Deed for Removals<'_, S> {
    fn may_go_on(&self) -> Result<(), ManageError> {
        if self.retention < SHORTEST {
            return Err(Field::Retention.breaks(Rule::TooShort { min: SHORTEST }).into());
        }
        if self.began.doubted || self.view.service.has_clock_jumped() {
            return Err(ManageError::ClockJumped);
        }
        Ok(())
    }

    async fn act(&self, mut found: StoredRecord) -> Result<bool, ManageError> {
        let service = self.view.service;
        let id = found.record.id();
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            // It may be kept for a reason that this program cannot read.
            if found.record.is_newer() {
                return Err(StoreError::NewerFormat.into());
            }
            match service.remove(id, found.version).await {
                Ok(()) => return Ok(true),
                Err(StoreError::Conflict) => {}
                Err(error @ StoreError::Indeterminate { .. }) => lost = Some(error),
                Err(error) => return Err(unresolved(id, lost, error)),
            }
            match service.find(id).await {
                // Gone: after a lost answer most likely by this very act.
                Ok(None) => return Ok(lost.is_some()),
                Ok(Some(present)) => found = present,
                Err(error) => return Err(unresolved(id, lost, error)),
            }
            if !self.filter.matches(&found.record, found.last_used, service.earlier().time) {
                return Ok(false);
            }
        }
        Err(exhausted(id, lost))
    }

    fn event(&self, outcome: &BulkOutcome, stopped: Option<String>) -> Event {
        Event::Purged {
            owner: self.view.owner.map(str::to_owned),
            retention: self.retention,
            purged: outcome.done,
            failed: outcome.failed,
            stopped,
        }
    }
}

impl<S> fmt::Debug for Purge<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purge")
            .field("view", &self.view)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}
