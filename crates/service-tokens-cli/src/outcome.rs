//! What a bulk act has done, and what withstood.

use std::collections::BTreeMap;

use service_tokens::bulk::{BulkError, BulkOutcome};
use service_tokens::{FileStore, ManageError, TokenId, TokenService};

use crate::compact::compact;
use crate::stop::{Stop, chain, note};
use crate::text::visible;

/// As many failures as a bulk act names.
const NAMED: usize = 100;

/// Several acts as one.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Those that are named: the last cause of each.
    failures: BTreeMap<TokenId, ManageError>,
    /// What stopped it before its end.
    cause: Option<ManageError>,
}

impl Outcome {
    /// Takes one act in; `false` if it stopped before its end.
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
        self.failures.extend(outcome.failures.into_iter().map(|one| (one.id, one.error)));
        self.cause.is_none()
    }

    /// Takes the act on one token in, and whether it changed something; `false` if no other would fare
    /// better.
    pub(crate) fn add_one(&mut self, id: TokenId, outcome: Result<bool, ManageError>) -> bool {
        match outcome {
            Ok(changed) => self.done += u64::from(changed),
            Err(cause @ ManageError::Invalid(_)) => self.cause = Some(cause),
            Err(error) => {
                self.failed += 1;
                if self.failures.len() < NAMED {
                    self.failures.insert(id, error);
                }
            }
        }
        self.cause.is_none()
    }

    /// Forgets what withstood: it is tried again.
    pub(crate) fn try_again(&mut self) {
        self.failed = 0;
        self.failures.clear();
    }

    /// That something kept it from its end.
    pub(crate) fn stopped(&mut self, cause: ManageError) {
        self.cause = Some(cause);
    }

    /// Tells it, and makes the file as small as it now can be.
    pub(crate) fn tell(
        self,
        verb: &str,
        what: &str,
        service: &TokenService<FileStore>,
    ) -> Result<(), Stop> {
        note(format_args!("{verb} {} {what}.", self.done));
        for (id, error) in &self.failures {
            note(format_args!("{id}: {}", visible(&chain(error))));
        }
        if self.done > 0 {
            compact(service);
        }
        match (self.cause, self.failed) {
            (Some(cause), _) => Err(Stop::from(cause)),
            (None, 0) => Ok(()),
            (None, failed) => Err(Stop::Failed(format!("{failed} {what} withstood"))),
        }
    }
}
