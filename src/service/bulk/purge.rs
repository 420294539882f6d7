//! Removing the records of tokens that ended long ago.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::records::Batch;
use super::super::tokens::{Tokens, View};
use super::driver::Scan;
use super::outcome::{BulkError, BulkOutcome, BulkProgress};
use super::progress::{BulkOperation, OnProgress};
use crate::clock::{Earlier, from_micros, micros};
use crate::error::ManageError;
use crate::event::Event;
use crate::record::{Field, Rule};
use crate::store::{Filter, StoredRecord, TokenStore};

/// The shortest retention. A mistake of today can be investigated tomorrow.
const MIN_RETENTION: Duration = Duration::from_secs(86_400);

impl<'s, S: TokenStore, V> Tokens<'s, S, V> {
    /// Removes the records of this view whose tokens expired or were revoked longer than `retention`
    /// ago, when it is [run](Purge::run). The retention is at least a day. [`Purge::count`] is the dry
    /// run.
    ///
    /// The record says who revoked the token, when and why, and which secrets have ended. That is lost
    /// with it, so a later request with such a token looks like one with an invented id. So use this to
    /// limit the size of the store, and never in an incident, because a purge does not make a token
    /// less valid. Choose a retention that is longer than your investigations. Months are usual.
    ///
    /// Records of [imported](crate::Tokens::import) tokens are retained, unless you
    /// [include](Purge::include_imported) them.
    ///
    /// It refuses while a clock jump is not acknowledged ([`ManageError::ClockJumped`]), because with a
    /// wrong clock, a token that ended today may seem to have ended long ago. And it uses the earlier
    /// of two times, the service's and the clock's, so that the wrong time has no effect after the
    /// clock ran ahead and was corrected.
    ///
    /// # Examples
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
        Purge { view: self.view(), retention, includes_imported: false, on_progress: None }
    }
}

/// A removal of the records of tokens that ended long ago, from [`Tokens::purge`]. No record is removed
/// before [`run`](Self::run).
#[must_use = "nothing is removed before `run`"]
pub struct Purge<'t, S> {
    view: View<'t, S>,
    retention: Duration,
    includes_imported: bool,
    on_progress: OnProgress<'t>,
}

impl<'t, S: TokenStore> Purge<'t, S> {
    /// Sets a function that is called after every page of records, on the task that drives
    /// [`run`](Self::run).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let outcome = service
    ///     .all_owners()
    ///     .purge(Duration::from_secs(180 * 86_400))
    ///     .on_progress(|progress| println!("{} removed", progress.done))
    ///     .run()
    ///     .await?;
    /// # assert_eq!(outcome.done, 0);
    /// # Ok(()) }
    /// ```
    pub fn on_progress(mut self, report: impl FnMut(&BulkProgress) + Send + 't) -> Self {
        self.on_progress = Some(Box::new(report));
        self
    }

    /// Also removes the records of tokens that were [imported](crate::Tokens::import).
    ///
    /// Without this call they are retained. The record of a revoked token prevents that the same import
    /// makes the token valid again. So include them only when the import will never be repeated, for
    /// example because the table of the older system was deleted and its [forms](crate::import) were removed
    /// from the service.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let half_a_year = Duration::from_secs(180 * 86_400);
    /// let outcome = service.all_owners().purge(half_a_year).include_imported().run().await?;
    /// # assert_eq!(outcome.done, 0);
    /// # Ok(()) }
    /// ```
    pub fn include_imported(mut self) -> Self {
        self.includes_imported = true;
        self
    }

    /// Counts the records that [`run`](Self::run) would find now, and removes none.
    ///
    /// # Errors
    ///
    /// The causes that [`run`](Self::run) lists.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let half_a_year = Duration::from_secs(180 * 86_400);
    /// let count = service.all_owners().purge(half_a_year).count().await?;
    /// println!("{count} records would be removed");
    /// # Ok(()) }
    /// ```
    pub async fn count(self) -> Result<u64, ManageError> {
        let (scan, operation) = self.parts();
        scan.count(&operation).await
    }

    /// Removes the records, oldest first, in passes until one finds no record that it can remove.
    ///
    /// The retention counts back from the beginning of the run. A record is removed only as it was
    /// found. If it changes before, it is checked again. A record that a newer program wrote is not
    /// removed but listed among the [failures](BulkOutcome::failures); use that program to purge it.
    /// The future may be dropped at any time, and another run continues. The whole operation emits one
    /// [`Event::Purged`], also if it failed or was dropped. Its number does not include removals whose result
    /// is not known, because the answer was lost or the future was dropped.
    ///
    /// # Errors
    ///
    /// [`BulkError`] has the result until then and one of these causes:
    ///
    /// - [`ManageError::Invalid`] for a retention of less than a day.
    /// - [`ManageError::ClockJumped`] if the clock has jumped and that was not
    ///   [acknowledged](crate::TokenService::acknowledge_clock_jump). It is checked before every page.
    /// - [`ManageError::Store`] if the store failed or has a damaged record.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use service_tokens::{MemoryStore, TokenService};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// let half_a_year = Duration::from_secs(180 * 86_400);
    /// let outcome = service.owner("acme").purge(half_a_year).run().await?;
    /// assert_eq!((outcome.done, outcome.failed), (0, 0));
    /// # Ok(()) }
    /// ```
    pub async fn run(self) -> Result<BulkOutcome, BulkError> {
        let (scan, operation) = self.parts();
        scan.run(&operation, self.on_progress).await
    }

    fn parts(&self) -> (Scan<'t, S>, Removal<'t, S>) {
        let began = self.view.service.earlier();
        let ended_before = before(began.time, self.retention);
        let scan = Scan::new(self.view, Filter::new().ended_before(ended_before), None);
        let operation = Removal {
            view: self.view,
            filter: scan.filter().clone(),
            retention: self.retention,
            includes_imported: self.includes_imported,
            began,
        };
        (scan, operation)
    }
}

/// Returns the time that long ago, or the earliest time that can be expressed.
fn before(now: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    from_micros(now.timestamp_micros().saturating_sub(micros(span)))
}

/// The removal of each record.
struct Removal<'t, S> {
    view: View<'t, S>,
    filter: Filter,
    retention: Duration,
    includes_imported: bool,
    began: Earlier,
}

impl<S: TokenStore> BulkOperation for Removal<'_, S> {
    fn check(&self) -> Result<(), ManageError> {
        if self.retention < MIN_RETENTION {
            return Err(Field::Retention.breaks(Rule::TooShort { min: MIN_RETENTION }).into());
        }
        if self.began.doubted || self.view.service.has_clock_jumped() {
            return Err(ManageError::ClockJumped);
        }
        Ok(())
    }

    fn needs(&self, found: &StoredRecord) -> bool {
        self.includes_imported || !found.record.is_imported()
    }

    fn needs_all(&self) -> bool {
        self.includes_imported
    }

    async fn process(&self, found: StoredRecord, batch: &Batch) -> Result<bool, ManageError> {
        let service = self.view.service;
        let selects = |found: &StoredRecord| {
            self.filter.matches(&found.record, found.last_used, service.earlier().time)
        };
        service.core.records.remove(found, batch, selects).await
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
            .field("includes_imported", &self.includes_imported)
            .finish_non_exhaustive()
    }
}
