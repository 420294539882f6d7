//! Verification: parse, find, match, check, one way through.

use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::TokenService;
use super::act::found;
use super::kept::{Answer, Kept, Question, Way};
use crate::check::{VerifiedToken, check};
use crate::digest::HashedSecret;
use crate::error::{Refusal, VerifyError};
use crate::event::Event;
use crate::record::Record;
use crate::scope::Need;
use crate::store::{Change, StoreError, TokenStore};
use crate::token::{TokenId, parse};

type Outcome = Result<VerifiedToken, VerifyError>;

type BoxedOutcome<'f> = Pin<Box<dyn Future<Output = Outcome> + Send + 'f>>;

impl<S: TokenStore> TokenService<S> {
    /// Verifies the token of an `Authorization: Bearer` header, and that it may do what `need` says.
    /// The token alone: without `Bearer` and without white space around it.
    ///
    /// A malformed token is refused before the store is asked. Every refusal is one event.
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
        let parsed = {
            let mut outcome = None;
            match self.verify_now(token.as_ref(), need, &mut outcome) {
                None => return outcome.unwrap_or_else(silent),
                Some(parsed) => parsed,
            }
        };
        self.verify_later(parsed, need).await
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
        let parsed = {
            let mut outcome = None;
            match self.verify_now(token.as_ref(), need, &mut outcome) {
                None => return outcome.unwrap_or_else(silent),
                Some(parsed) => parsed,
            }
        };
        let outcome = Box::pin(self.verify_found(&parsed, need)).await;
        // What the store has just refused must not be accepted from a kept record.
        if let (Err(VerifyError::Refused(_)), Some(kept)) = (&outcome, &self.kept) {
            kept.forget(parsed.id());
        }
        outcome.map_err(|error| self.refuse(Some(parsed.id()), error))
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

    /// Puts the outcome into its place, if no store need be asked or this one answers on the spot;
    /// otherwise gives the token, ready to be looked up.
    // Into its place: a verified token is long enough for its moves to show.
    #[inline]
    fn verify_now<'t>(
        &self,
        token: &'t [u8],
        need: &Need,
        outcome: &mut Option<Outcome>,
    ) -> Option<HashedSecret<'t>> {
        let token = match parse(token, &self.prefixes) {
            Ok(token) => self.digests.hash(token.id(), token.secret()),
            Err(malformed) => {
                let malformed = VerifyError::Refused(Refusal::Malformed(malformed));
                *outcome = Some(Err(self.refuse(None, malformed)));
                return None;
            }
        };
        let now = self.now_coarse();
        let answered = self.store.find_now(token.id(), &mut |found| {
            *outcome = Some(self.decide(&token, found.map(|found| found.record), now, need));
        });
        if !answered {
            return Some(token);
        }
        if let Err(error) = outcome.get_or_insert_with(silent) {
            self.tell(Some(token.id()), error);
        }
        None
    }

    /// The rest of a verification whose store must be waited for. Boxed, so that the future of one that
    /// need not be stays small.
    fn verify_later<'f>(&'f self, token: HashedSecret<'f>, need: &'f Need) -> BoxedOutcome<'f> {
        Box::pin(async move {
            let outcome = match &self.kept {
                None => self.verify_found(&token, need).await,
                Some(kept) => self.verify_kept(kept, &token, need).await,
            };
            outcome.map_err(|error| self.refuse(Some(token.id()), error))
        })
    }

    async fn verify_found(
        &self,
        token: &HashedSecret<'_>,
        need: &Need,
    ) -> Result<VerifiedToken, VerifyError> {
        let asked_at = self.clock.monotonic();
        let found = self.store.find(token.id()).await.map_err(VerifyError::Unavailable)?;
        // The time after the answer: what expired while the store was asked is expired.
        let verified = self.decide(
            token,
            found.as_ref().map(|stored| &stored.record),
            self.now_coarse(),
            need,
        )?;
        Ok(verified.aged(self.clock.monotonic().saturating_sub(asked_at)))
    }

    async fn verify_kept(
        &self,
        kept: &Arc<Kept>,
        token: &HashedSecret<'_>,
        need: &Need,
    ) -> Result<VerifiedToken, VerifyError> {
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
        token: &HashedSecret<'_>,
        need: &Need,
    ) -> Result<VerifiedToken, VerifyError> {
        let verified = self.decide(token, answer.record.as_deref(), self.now_coarse(), need)?;
        Ok(verified.aged(self.clock.monotonic().saturating_sub(answer.asked_at)))
    }

    #[inline]
    fn decide(
        &self,
        token: &HashedSecret<'_>,
        record: Option<&Record>,
        now: DateTime<Utc>,
        need: &Need,
    ) -> Result<VerifiedToken, VerifyError> {
        let Some(record) = record else {
            self.digests.verify_nothing(token);
            return Err(VerifyError::Refused(Refusal::UnknownId));
        };
        let matched = record.matches_hashed(token, &self.digests).map_err(VerifyError::mismatch)?;
        check(matched, now, need, &self.types)
            .map_err(|denied| VerifyError::denied(denied, token.id(), need))
    }

    fn refuse(&self, id: Option<TokenId>, error: VerifyError) -> VerifyError {
        self.tell(id, &error);
        error
    }

    #[cold]
    fn tell(&self, id: Option<TokenId>, error: &VerifyError) {
        self.events.emit(Event::of_refusal(id, error));
    }
}

/// A store that claims to have answered and lent nothing gave no answer.
#[cold]
fn silent() -> Outcome {
    Err(VerifyError::Unavailable(StoreError::corrupt("the store answered without a record")))
}
