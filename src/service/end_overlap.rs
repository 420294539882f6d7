//! Ending an overlap of two secrets with the first use of the new one.
//!
//! A verification that accepts the new secret during such an overlap removes the older one from the
//! record by compare-and-swap. The token is accepted in any case, even if that fails.
//!
//! Many verifications may see the same first use before the record has changed. Only one of them makes
//! the change, and the others do not wait for it, so a store that does not answer delays one request and
//! not all. So the older secret has ended when the verification that makes the change returns, and another
//! verification of the new secret may return before. A table of recent attempts decides which one makes it.
//! After a failure, the next attempt comes [`RETRY_AFTER`] later, because each verification must not write to a
//! store that cannot write.
//!
//! The holder of the older secret could write the record again and again, for example by amendments, so that
//! every compare-and-swap meets a conflict. So after a conflict, other writes of this service yield, and
//! against other processes the attempts are as many as those of a revocation.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::core::TokenService;
use super::records::PERSISTENT_ATTEMPTS;
use crate::clock::micros;
use crate::event::{Event, Events, with_sources};
use crate::record::{FirstUse, Record};
use crate::store::{StoreError, TokenStore};
use crate::token::TokenId;

/// How often the change is tried after lost answers. The number is small, because a request waits.
const ATTEMPTS: usize = 4;

/// The shortest time between two attempts for one secret.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The cause in the event of a verification whose future was dropped.
const GIVEN_UP: &str = "the caller gave up before the end, so the older secret may have ended";

impl<S: TokenStore> TokenService<S> {
    /// Ends the overlap after this first use, unless another verification has tried it recently.
    pub(super) async fn end_overlap(&self, id: TokenId, first_use: FirstUse, now: DateTime<Utc>) {
        let number = first_use.number();
        if let Some(tried) = self.core.overlap_attempts.get(number)
            && now.timestamp_micros().saturating_sub(tried) < micros(RETRY_AFTER)
        {
            return;
        }
        self.core.overlap_attempts.set(number, now.timestamp_micros());
        let audit = OverlapAudit { events: &self.core.events, id, ended: false };
        let outcome = self.try_end_overlap(id, &first_use, now).await;
        match &outcome {
            // The record that showed an overlap is out of date.
            Ok(OverlapEnd::NothingToDo) => self.core.records.invalidate(id),
            // If the revocation or suspension fails, the next use must try again at once.
            Ok(OverlapEnd::LeftToStop) => self.core.overlap_attempts.set(number, i64::MIN),
            _ => {}
        }
        audit.end(outcome);
    }

    async fn try_end_overlap(
        &self,
        id: TokenId,
        first_use: &FirstUse,
        now: DateTime<Utc>,
    ) -> Result<OverlapEnd, StoreError> {
        let mut lost: Option<(Record, StoreError)> = None;
        // The error of a lost answer takes precedence, because the overlap may have ended.
        let failed = |lost: Option<(Record, _)>, error| Err(lost.map_or(error, |(_, lost)| lost));
        let (mut conflicts, mut losses, mut guard) = (0, 0, None);
        while conflicts < PERSISTENT_ATTEMPTS && losses < ATTEMPTS {
            let present = match self.core.records.find(id).await {
                Ok(Some(present)) => present,
                Ok(None) => return Ok(OverlapEnd::NothingToDo),
                Err(error) => return failed(lost, error),
            };
            if present.record.is_newer() {
                return failed(lost, StoreError::NewerFormat);
            }
            if lost.as_ref().is_some_and(|(changed, _)| present.record == *changed) {
                return Ok(OverlapEnd::ended(&present.record));
            }
            let Some(changed) = present.record.first_used(first_use, now) else {
                return Ok(OverlapEnd::NothingToDo);
            };
            if self.core.records.is_being_stopped(id) {
                return lost.map_or(Ok(OverlapEnd::LeftToStop), |(_, lost)| Err(lost));
            }
            match self.core.records.replace(&changed, present.version).await {
                Ok(_) => return Ok(OverlapEnd::ended(&changed)),
                Err(StoreError::Conflict) => {
                    conflicts += 1;
                    guard.get_or_insert_with(|| self.core.records.begin_first_use(id));
                }
                Err(error @ StoreError::Indeterminate { .. }) => {
                    losses += 1;
                    lost = Some((changed, error));
                }
                Err(error) => return failed(lost, error),
            }
        }
        failed(lost, StoreError::Conflict)
    }
}

/// The result of an attempt to end an overlap.
enum OverlapEnd {
    /// This attempt ended it.
    Ended { owner: String },
    /// The record has no such overlap, or not any more.
    NothingToDo,
    /// The token is being revoked or suspended, and this write must not cause conflicts.
    LeftToStop,
}

impl OverlapEnd {
    fn ended(changed: &Record) -> Self {
        Self::Ended { owner: changed.owner().to_owned() }
    }
}

/// The audit of an attempt. It emits at most one event, also if the future is dropped.
struct OverlapAudit<'s> {
    events: &'s Events,
    id: TokenId,
    ended: bool,
}

impl OverlapAudit<'_> {
    fn end(mut self, outcome: Result<OverlapEnd, StoreError>) {
        self.ended = true;
        let id = self.id;
        match outcome {
            Ok(OverlapEnd::Ended { owner }) => self.events.emit(Event::OverlapEnded { id, owner }),
            Ok(OverlapEnd::NothingToDo | OverlapEnd::LeftToStop) => {}
            Err(error) => {
                self.events.emit(Event::OverlapNotEnded { id, cause: with_sources(&error) });
            }
        }
    }
}

impl Drop for OverlapAudit<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.events.emit(Event::OverlapNotEnded { id: self.id, cause: GIVEN_UP.into() });
        }
    }
}
