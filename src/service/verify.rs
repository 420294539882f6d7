//! Verification: parse, find, match, check, one way through.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::TokenService;
use super::act::found;
use super::kept::{Answer, Kept, Question, Way};
use crate::check::{VerifiedToken, check};
use crate::error::{Refusal, VerifyError};
use crate::event::Event;
use crate::record::{FirstUse, Record};
use crate::scope::Need;
use crate::store::{Change, LastUsed, StoreError, TokenStore};
use crate::token::{ParsedToken, TokenId, parse};

impl<S: TokenStore> TokenService<S> {
    /// Verifies the token of an `Authorization: Bearer` header, and that it may do what `need` says.
    /// The token alone: without `Bearer` and without white space around it.
    ///
    /// A malformed token is refused before the store is asked. Every refusal is one event.
    ///
    /// An acceptance is a use: it is [noted](Self::flush_last_used), and if the token was rotated
    /// [until first use](crate::RotateRequest::until_first_use) and this is the new secret, the older
    /// one ends before this returns. That is one change in the store, made by the first verification
    /// with the new secret; others meanwhile do not wait for it. If it fails, the token is accepted all
    /// the same, and an [event](Event::OverlapNotEnded) says so.
    ///
    /// # Errors
    ///
    /// - [`VerifyError::Refused`] if it is no active token of this service.
    /// - [`VerifyError::MissingScope`] if it is and may not do this.
    /// - [`VerifyError::Unavailable`] if the store gave no answer: closed, never open.
    pub async fn verify<T>(&self, token: &T, need: &Need) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        let parsed = self.parse(token)?;
        let outcome = match (self.verify_now(&parsed, need), &self.kept) {
            (Some(outcome), _) => outcome,
            (None, None) => self.verify_found(&parsed, need).await,
            (None, Some(kept)) => self.verify_kept(kept, &parsed, need).await,
        };
        let (verified, ending) = self.conclude(&parsed, outcome)?;
        if let Some(ending) = ending {
            ending.await;
        }
        Ok(verified)
    }

    /// As [`verify`](Self::verify), and the store is asked in any case: no
    /// [kept record](super::TokenServiceBuilder::keep_records) is used.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub async fn verify_strict<T>(
        &self,
        token: &T,
        need: &Need,
    ) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        let parsed = self.parse(token)?;
        let outcome = match self.verify_now(&parsed, need) {
            Some(outcome) => outcome,
            None => self.verify_found(&parsed, need).await,
        };
        // What the store has just refused must not be accepted from a kept record.
        if let (Err(VerifyError::Refused(_)), Some(kept)) = (&outcome, &self.kept) {
            kept.forget(parsed.id());
        }
        let (verified, ending) = self.conclude(&parsed, outcome)?;
        if let Some(ending) = ending {
            ending.await;
        }
        Ok(verified)
    }

    /// Forgets kept records as the store tells of changes: a revocation made anywhere then counts
    /// here within milliseconds instead of the longest staleness.
    ///
    /// The embedder drives this future beside its requests, on whatever runtime it has. It returns
    /// `Ok` at once if the store has no such stream or no records are kept, and otherwise runs until
    /// the stream breaks: call it again then, after a pause. While it does not run, the longest
    /// staleness holds.
    ///
    /// # Errors
    ///
    /// The store's error when the stream could not be opened or broke.
    pub async fn follow_changes(&self) -> Result<(), StoreError> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let Some(mut changes) = self.store.changes().await? else { return Ok(()) };
        // What changed before the stream was open, nobody tells.
        kept.forget_all();
        loop {
            match changes.next().await {
                Ok(Change::Of(id)) => kept.forget(id),
                Ok(Change::Missed) => kept.forget_all(),
                Err(error) => {
                    kept.forget_all();
                    return Err(error);
                }
            }
        }
    }

    fn parse<'t, T>(&self, token: &'t T) -> Result<ParsedToken<'t>, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized,
    {
        parse(token, &self.prefixes).map_err(|malformed| {
            self.refuse(None, VerifyError::Refused(Refusal::Malformed(malformed)))
        })
    }

    /// The outcome, if the store answers on the spot.
    fn verify_now(
        &self,
        token: &ParsedToken<'_>,
        need: &Need,
    ) -> Option<Result<Accepted, VerifyError>> {
        let now = self.now();
        let mut outcome = None;
        let answered = self.store.find_now(token.id(), &mut |found| {
            let found = found.map(|found| (found.record, found.last_used));
            outcome = Some(self.decide(token, found, now, need));
        });
        // A store that claims to have answered and lent nothing gave no answer.
        let silent = || {
            Err(VerifyError::Unavailable(StoreError::corrupt(
                "the store answered without a record",
            )))
        };
        answered.then(|| outcome.unwrap_or_else(silent))
    }

    async fn verify_found(
        &self,
        token: &ParsedToken<'_>,
        need: &Need,
    ) -> Result<Accepted, VerifyError> {
        let asked_at = self.clock.monotonic();
        let found = self.store.find(token.id()).await.map_err(VerifyError::Unavailable)?;
        let found = found.as_ref().map(|stored| (&stored.record, stored.last_used));
        // The time after the answer: what expired while the store was asked is expired.
        let accepted = self.decide(token, found, self.now(), need)?;
        Ok(accepted.aged(self.clock.monotonic().saturating_sub(asked_at)))
    }

    async fn verify_kept(
        &self,
        kept: &Arc<Kept>,
        token: &ParsedToken<'_>,
        need: &Need,
    ) -> Result<Accepted, VerifyError> {
        let began = self.clock.monotonic();
        let id = token.id();
        let mut way = kept.way(id, began, || self.question(id));
        loop {
            let (answer, latest) = match way {
                Way::Kept(answer) => (answer, false),
                Way::Asked { seat, new } => {
                    let answer = seat.await.map_err(VerifyError::Unavailable)?;
                    let now = self.clock.monotonic();
                    if !new && !kept.fresh(answer.asked_at, now) {
                        // Asked for somebody else, and it took too long.
                        way = kept.way(id, now, || self.question(id));
                        continue;
                    }
                    let latest = new || answer.asked_at > began;
                    (answer, latest)
                }
            };
            let outcome = self.decide_on(&answer, token, need);
            if outcome.is_ok() || latest {
                return outcome;
            }
            // The record may have changed since: a fresh token or a new secret must work at once.
            match kept.reread(id, &answer, self.clock.monotonic(), || self.question(id)) {
                None => return outcome,
                Some(later) => way = later,
            }
        }
    }

    /// What is asked of the store, owned: whoever waits for the answer may move it on.
    fn question(&self, id: TokenId) -> Question {
        let store = self.store.clone();
        Box::pin(async move { Ok(found(&*store, id).await?.map(|stored| stored.record)) })
    }

    fn decide_on(
        &self,
        answer: &Answer,
        token: &ParsedToken<'_>,
        need: &Need,
    ) -> Result<Accepted, VerifyError> {
        // A kept record comes without its last use.
        let found = answer.record.as_deref().map(|record| (record, LastUsed::Never));
        let accepted = self.decide(token, found, self.now(), need)?;
        Ok(accepted.aged(self.clock.monotonic().saturating_sub(answer.asked_at)))
    }

    fn decide(
        &self,
        token: &ParsedToken<'_>,
        found: Option<(&Record, LastUsed)>,
        now: DateTime<Utc>,
        need: &Need,
    ) -> Result<Accepted, VerifyError> {
        let Some((record, last_used)) = found else {
            self.digests.verify_nothing(token.id(), token.secret());
            return Err(VerifyError::Refused(Refusal::UnknownId));
        };
        let matched = record.matches(token, &self.digests).map_err(VerifyError::mismatch)?;
        let first_use = matched.first_use(now);
        let verified = check(matched, now, need, &self.types)
            .map_err(|denied| VerifyError::denied(denied, token.id(), need))?;
        let due = self.uses.as_ref().is_some_and(|uses| uses.is_due(last_used, now));
        Ok(Accepted { verified, at: now, due, first_use: first_use.map(Box::new) })
    }

    /// What follows from an outcome at once: a use is noted, a refusal told. What takes longer is for
    /// the caller to wait for; it is apart so that the future of every verification stays small.
    fn conclude<'s>(
        &'s self,
        token: &ParsedToken<'_>,
        outcome: Result<Accepted, VerifyError>,
    ) -> Result<(VerifiedToken, Option<Ending<'s>>), VerifyError> {
        let accepted = outcome.map_err(|error| self.refuse(Some(token), error))?;
        let (id, at) = (token.id(), accepted.at);
        if accepted.due {
            self.note_use(id, at);
        }
        let ending = accepted.first_use.map(|first| -> Ending<'s> {
            Box::pin(async move { self.end_overlap(id, *first, at).await })
        });
        Ok((accepted.verified, ending))
    }

    fn refuse(&self, token: Option<&ParsedToken<'_>>, error: VerifyError) -> VerifyError {
        self.events.emit(Event::of_refusal(token.map(ParsedToken::id), &error));
        error
    }
}

/// An overlap of two secrets that a first use ends.
type Ending<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

/// A token that was accepted, and what its use brings with it.
struct Accepted {
    verified: VerifiedToken,
    at: DateTime<Utc>,
    /// Whether the use is to be noted, as far as the store's answer tells.
    due: bool,
    /// Boxed, because hardly any is one.
    first_use: Option<Box<FirstUse>>,
}

impl Accepted {
    fn aged(mut self, age: Duration) -> Self {
        self.verified = self.verified.aged(age);
        self
    }
}
