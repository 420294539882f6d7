//! The result of an operation on several tokens, and the report at its end.

use std::collections::BTreeMap;

use futures_lite::future::block_on;
use service_tokens::bulk::{BulkError, BulkOutcome};
use service_tokens::{FileStore, ManageError, TokenId, TokenService};

use crate::exit::{Exit, with_causes};
use crate::output::{note, visible};
use crate::session::Session;

/// The maximum number of failures that are listed by id. The bulk operations of the library have the
/// same limit.
const MAX_LISTED: usize = 100;

/// The sum of several operations.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// The failures that are listed, with the last error of each token.
    failures: BTreeMap<TokenId, ManageError>,
    /// The error that stopped the operation before its end.
    cause: Option<ManageError>,
}

impl Outcome {
    /// Adds a bulk operation. Returns `false` if it stopped before its end.
    pub(crate) fn add(&mut self, outcome: Result<BulkOutcome, BulkError>) -> bool {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(BulkError { so_far, cause, .. }) => {
                self.cause = Some(cause);
                so_far
            }
        };
        self.done += outcome.done;
        self.failed += outcome.failed;
        self.failures
            .extend(outcome.failures.into_iter().map(|failure| (failure.id, failure.error)));
        self.cause.is_none()
    }

    /// Adds an operation on one token; `Ok(true)` means that it changed the token. Returns `false` if the
    /// same error would occur for every other token.
    pub(crate) fn add_one(&mut self, id: TokenId, outcome: Result<bool, ManageError>) -> bool {
        match outcome {
            Ok(changed) => self.done += u64::from(changed),
            Err(cause @ ManageError::Invalid(_)) => self.cause = Some(cause),
            Err(error) => {
                self.failed += 1;
                if self.failures.len() < MAX_LISTED {
                    self.failures.insert(id, error);
                }
            }
        }
        self.cause.is_none()
    }

    /// Removes the failures, because the caller tries those tokens again.
    pub(crate) fn clear_failures(&mut self) {
        self.failed = 0;
        self.failures.clear();
    }

    /// Records the error that stopped the operation before its end.
    pub(crate) fn stop(&mut self, cause: ManageError) {
        self.cause = Some(cause);
    }

    /// Writes the report and compacts the file.
    pub(crate) fn report(self, verb: &str, noun: &str, service: &Session) -> Result<(), Exit> {
        let summary = format!("{verb} {} {noun}.", self.done);
        self.finish(&summary, &verb.to_lowercase(), noun, service)
    }

    /// Writes the report with another summary, and compacts the file.
    pub(crate) fn finish(
        self,
        summary: &str,
        verb: &str,
        noun: &str,
        service: &Session,
    ) -> Result<(), Exit> {
        service.settle();
        note(summary);
        for (id, error) in &self.failures {
            note(format_args!("{id}: {}", visible(&with_causes(error))));
        }
        if self.done > 0 {
            compact(service);
        }
        match (self.cause, self.failed) {
            (Some(cause), _) => Err(Exit::from(cause)),
            (None, 0) => Ok(()),
            (None, failed) => Err(Exit::Failed(format!("{failed} {noun} could not be {verb}"))),
        }
    }
}

/// Compacts the file and reports both sizes.
///
/// A service compacts in the background, but this program ends before that. If compacting fails, the
/// operation before it still succeeded.
fn compact(service: &TokenService<FileStore>) {
    match block_on(service.store().compact()) {
        Ok(sizes) => note(format_args!(
            "The file had {} bytes and has {} now.",
            sizes.bytes_before, sizes.bytes_after
        )),
        Err(error) => note(format_args!(
            "The file could not be compacted, so the old one stays in use: {}",
            with_causes(&error)
        )),
    }
}
