//! The counts of a running bulk operation, and its one event.
//!
//! A record whose result is unknown may have been changed, and then no later pass finds it. So it remains among the
//! failures until a pass finds it again. A record with another failure is found again in each pass.

use std::collections::BTreeMap;

use super::super::audit::GIVEN_UP;
use super::super::records::Batch;
use super::outcome::{BulkError, BulkFailure, BulkOutcome, BulkProgress};
use crate::error::ManageError;
use crate::event::{Event, Events, with_sources};
use crate::store::StoredRecord;
use crate::token::TokenId;

/// The number of failures that an outcome lists. All failures are counted.
const LISTED_FAILURES: usize = 100;

/// An operation on each record that a filter selects.
pub(super) trait BulkOperation: Send + Sync {
    /// Checks that the operation is allowed. Called before every page.
    fn check(&self) -> Result<(), ManageError>;

    /// Returns whether a record that the store listed needs work. The others are not found, so they cause
    /// no further pass.
    fn needs(&self, _found: &StoredRecord) -> bool {
        true
    }

    /// Returns whether every record that the filter selects needs work. Then the store can count them.
    fn needs_all(&self) -> bool {
        false
    }

    /// Processes a listed record, and returns whether that changed it. Another caller may have done it before.
    /// The calls of the store travel in the batch.
    fn process(
        &self,
        found: StoredRecord,
        batch: &Batch,
    ) -> impl Future<Output = Result<bool, ManageError>> + Send;

    /// Returns the one event of the whole operation.
    fn event(&self, outcome: &BulkOutcome, stopped: Option<String>) -> Event;
}

/// The function of the caller that receives the progress.
pub(super) type OnProgress<'t> = Option<Box<dyn FnMut(&BulkProgress) + Send + 't>>;

/// The cause of a bulk operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The embedder called it.
    Embedder,
    /// A text was reported. A text can be reported any number of times, so the event does not use the reserve
    /// of the embedder, and no event is emitted if no record needed work.
    Report,
}

/// Counts the results. It emits one event, also if the caller drops the future.
pub(super) struct Progress<'d, O: BulkOperation> {
    events: &'d Events,
    operation: &'d O,
    cause: Cause,
    on_progress: OnProgress<'d>,
    counts: BulkProgress,
    found_before_pass: u64,
    failures: Vec<BulkFailure>,
    /// The records of this pass whose result is unknown.
    unknown: Vec<TokenId>,
    /// The records of earlier passes whose result is unknown, and which no pass found again.
    unknown_before: BTreeMap<TokenId, Option<ManageError>>,
    ended: bool,
}

impl<'d, O: BulkOperation> Progress<'d, O> {
    pub(super) fn new(
        events: &'d Events,
        operation: &'d O,
        cause: Cause,
        on_progress: OnProgress<'d>,
    ) -> Self {
        let counts = BulkProgress { pass: 0, found: 0, done: 0, failed: 0, cursor: None };
        Self {
            events,
            operation,
            cause,
            on_progress,
            counts,
            found_before_pass: 0,
            failures: Vec::new(),
            unknown: Vec::new(),
            unknown_before: BTreeMap::new(),
            ended: false,
        }
    }

    pub(super) fn begin_pass(&mut self) {
        self.counts.pass += 1;
        self.counts.failed = 0;
        self.found_before_pass = self.counts.found;
        self.unknown_before.extend(self.unknown.drain(..).map(|id| (id, None)));
        for BulkFailure { id, error } in self.failures.drain(..) {
            if let Some(before) = self.unknown_before.get_mut(&id) {
                *before = Some(error);
            }
        }
    }

    /// Counts the result of one record. Returns the error if it does not concern this record alone.
    pub(super) fn count(
        &mut self,
        id: TokenId,
        result: Result<bool, ManageError>,
    ) -> Result<(), ManageError> {
        match result {
            Err(error) if concerns_all(&error) => return Err(error),
            Err(error) => {
                self.counts.failed += 1;
                if let ManageError::Indeterminate { .. } = error {
                    self.unknown.push(id);
                }
                if self.failures.len() < LISTED_FAILURES {
                    self.failures.push(BulkFailure { id, error });
                }
            }
            Ok(done) => self.counts.done += u64::from(done),
        }
        self.counts.found += 1;
        self.unknown_before.remove(&id);
        Ok(())
    }

    pub(super) fn end_page(&mut self, next: Option<TokenId>) {
        self.counts.cursor = next;
        if let Some(report) = &mut self.on_progress {
            report(&self.counts);
        }
    }

    /// Returns whether this pass found a record that did not fail, so that another pass is needed. A
    /// token that another caller revoked counts too, because it could issue tokens until then.
    pub(super) fn pass_found_work(&self) -> bool {
        self.counts.found - self.found_before_pass > self.counts.failed
    }

    /// Emits the event, and returns the result of the operation.
    pub(super) fn end(mut self, ended: Result<(), ManageError>) -> Result<BulkOutcome, BulkError> {
        let outcome = self.outcome();
        self.ended = true;
        let stopped = ended.as_ref().err().map(|error| with_sources(error));
        self.emit(&outcome, stopped);
        match ended {
            Ok(()) => Ok(outcome),
            Err(cause) => Err(BulkError { so_far: outcome, cause }),
        }
    }

    fn emit(&self, outcome: &BulkOutcome, stopped: Option<String>) {
        let event = || self.operation.event(outcome, stopped.clone());
        match self.cause {
            Cause::Embedder => self.events.emit(event()),
            Cause::Report if self.counts.found == 0 && stopped.is_none() => {}
            Cause::Report => self.events.emit_reported(event()),
        }
    }

    fn outcome(&mut self) -> BulkOutcome {
        let BulkProgress { pass: passes, done, failed, .. } = self.counts;
        let failed = failed + self.unknown_before.len() as u64;
        let mut failures = std::mem::take(&mut self.failures);
        let before = std::mem::take(&mut self.unknown_before).into_iter();
        let before = before.filter_map(|(id, error)| Some(BulkFailure { id, error: error? }));
        failures.extend(before.take(LISTED_FAILURES - failures.len()));
        BulkOutcome { done, passes, failed, failures }
    }
}

impl<O: BulkOperation> Drop for Progress<'_, O> {
    fn drop(&mut self) {
        if !self.ended {
            let outcome = self.outcome();
            self.emit(&outcome, Some(GIVEN_UP.into()));
        }
    }
}

/// Returns whether the next record would fail with the same error.
fn concerns_all(error: &ManageError) -> bool {
    match error {
        ManageError::Store(error) => error.concerns_every_call(),
        ManageError::Indeterminate { .. }
        | ManageError::Contended { .. }
        | ManageError::Ended { .. }
        | ManageError::NotFound { .. } => false,
        _ => true,
    }
}
