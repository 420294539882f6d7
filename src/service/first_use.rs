//! Ending an overlap with the first use of the new secret.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::TokenService;
use crate::clock::micros;
use crate::event::{Event, Events, with_sources};
use crate::record::{FirstUse, Record};
use crate::store::{StoreError, TokenStore};
use crate::token::TokenId;

/// How often the change is tried when others change the same token or answers are lost: few, because
/// a request waits.
const ATTEMPTS: usize = 4;

/// How long it is left alone after that: a store that cannot write must not be asked by every
/// verification.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// What the event says if the verification's future was dropped.
const GIVEN_UP: &str = "the caller gave up before the end: the older secret may have ended";

impl<S: TokenStore> TokenService<S> {
    /// Ends the overlap that this first use is to end. The token has been accepted, whatever comes of
    /// it here; and whoever presents the new secret while this is under way does not wait for it, so
    /// that a store that hangs stops one request and not all.
    pub(super) async fn end_overlap(&self, id: TokenId, first_use: FirstUse, now: DateTime<Utc>) {
        let number = first_use.number();
        if let Some(tried) = self.first_uses.noted_at(number)
            && now.timestamp_micros().saturating_sub(tried) < micros(RETRY_AFTER)
        {
            return;
        }
        self.first_uses.note(number, now.timestamp_micros());
        let ending = Ending { events: &self.events, id, told: false };
        let outcome = self.try_end_overlap(id, &first_use, now).await;
        match &outcome {
            // What made the first use seem to be one is out of date.
            Ok(Settled::ByOthers) => drop(self.fence(id)),
            // If the revocation fails, the next use is the first.
            Ok(Settled::LeftToRevocation) => self.first_uses.note(number, i64::MIN),
            _ => {}
        }
        ending.end(outcome);
    }

    async fn try_end_overlap(
        &self,
        id: TokenId,
        first_use: &FirstUse,
        now: DateTime<Utc>,
    ) -> Result<Settled, StoreError> {
        let mut lost: Option<(Record, StoreError)> = None;
        // After a lost answer, that is what is to be told.
        let failed = |lost: Option<(Record, _)>, error| Err(lost.map_or(error, |(_, lost)| lost));
        for _ in 0..ATTEMPTS {
            let present = match self.find(id).await {
                Ok(Some(present)) => present,
                Ok(None) => return Ok(Settled::ByOthers),
                Err(error) => return failed(lost, error),
            };
            if present.record.is_newer() {
                return failed(lost, StoreError::NewerFormat);
            }
            if lost.as_ref().is_some_and(|(changed, _)| present.record == *changed) {
                return Ok(Settled::here(&present.record));
            }
            let Some(changed) = present.record.first_used(first_use, now) else {
                return Ok(Settled::ByOthers);
            };
            if self.revoking.has(id) {
                return lost.map_or(Ok(Settled::LeftToRevocation), |(_, lost)| Err(lost));
            }
            match self.replace(&changed, present.version).await {
                Ok(_) => return Ok(Settled::here(&changed)),
                Err(StoreError::Conflict) => {}
                Err(error @ StoreError::Indeterminate { .. }) => lost = Some((changed, error)),
                Err(error) => return failed(lost, error),
            }
        }
        failed(lost, StoreError::Conflict)
    }
}

/// How the end of an overlap came about.
enum Settled {
    /// This ended it.
    Here { owner: String },
    /// There was nothing to end (any more).
    ByOthers,
    /// The token is being revoked, and nothing is to hold that off.
    LeftToRevocation,
}

impl Settled {
    fn here(changed: &Record) -> Self {
        Self::Here { owner: changed.owner().to_owned() }
    }
}

/// A first use that is being recorded: told also if the caller drops the future while the store works.
struct Ending<'s> {
    events: &'s Events,
    id: TokenId,
    told: bool,
}

impl Ending<'_> {
    fn end(mut self, outcome: Result<Settled, StoreError>) {
        self.told = true;
        let id = self.id;
        match outcome {
            Ok(Settled::Here { owner }) => self.events.emit(Event::OverlapEnded { id, owner }),
            Ok(Settled::ByOthers | Settled::LeftToRevocation) => {}
            Err(error) => {
                self.events.emit(Event::OverlapNotEnded { id, cause: with_sources(&error) });
            }
        }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.events.emit(Event::OverlapNotEnded { id: self.id, cause: GIVEN_UP.into() });
        }
    }
}
