//! Verification with a store that does not answer at once.

use std::sync::Arc;
use std::time::Duration;

use super::super::cache::{Cache, Lookup, ReadFuture, ReadResult};
use super::super::core::TokenService;
use super::super::gather::Gatherer;
use super::super::records::find_in;
use super::verdict::{Accepted, Denied, Freshness, Later, Use};
use crate::check::RequestContext;
use crate::clock::Moment;
use crate::digest::HashedSecret;
use crate::record::Record;
use crate::scope::Requirement;
use crate::store::{StoredRecord, TokenStore};
use crate::token::TokenId;

impl<S: TokenStore> TokenService<S> {
    pub(super) fn verify_later<'f>(
        &'f self,
        token: HashedSecret<'f>,
        requirement: &'f Requirement,
        context: &'f RequestContext,
        freshness: Freshness,
        usage: Use,
    ) -> Later<'f> {
        Box::pin(async move {
            let verdict = match &self.core.records.cache {
                Some(cache) if freshness == Freshness::Cached => {
                    self.verify_cached(cache, &token, requirement, context).await
                }
                _ => self.verify_from_store(&token, requirement, context).await,
            };
            match verdict {
                Ok((accepted, now)) => match self.conclude(token.id(), accepted, now, usage) {
                    Ok(outcome) => outcome,
                    Err(later) => later.await,
                },
                Err(denied) => Err(self.refuse(Some(token.id()), denied, freshness)),
            }
        })
    }

    async fn verify_from_store(
        &self,
        token: &HashedSecret<'_>,
        requirement: &Requirement,
        context: &RequestContext,
    ) -> Result<(Accepted, Moment), Denied> {
        let used = |stored: &StoredRecord| stored.last_used.micros();
        let gatherer = self.core.records.gatherer.as_ref();
        let alone = gatherer.and_then(Gatherer::begin_alone);
        if let (Some(gatherer), None) = (gatherer, &alone) {
            let (found, sent_at) = gatherer.find_gathered(token.id()).await?;
            let found = found.as_deref().map(|stored| (&stored.record, used(stored)));
            return self.judge_answer(token, found, sent_at, requirement, context);
        }
        let asked_at = self.core.clock.monotonic();
        let found = self.core.records.store.find(token.id()).await;
        if let Some(alone) = alone {
            alone.end();
        }
        let found = found?;
        let found = found.as_ref().map(|stored| (&stored.record, used(stored)));
        self.judge_answer(token, found, asked_at, requirement, context)
    }

    /// Verifies with a cached record. If that leads to a refusal, the record is read again, because it
    /// may have changed. A new token or a new secret must work at once.
    async fn verify_cached(
        &self,
        cache: &Arc<Cache>,
        token: &HashedSecret<'_>,
        requirement: &Requirement,
        context: &RequestContext,
    ) -> Result<(Accepted, Moment), Denied> {
        let began = self.core.clock.monotonic();
        let id = token.id();
        let mut lookup = cache.get(id, began, |now| self.read(id, now));
        loop {
            let (answer, is_latest) = match lookup {
                Lookup::Cached(answer) => (answer, false),
                Lookup::InFlight { waiter, started } => {
                    let answer = waiter.await?;
                    let now = self.core.clock.monotonic();
                    if !started && !cache.is_fresh(answer.asked_at, now) {
                        // The joined read took too long, so its answer is too old for this verification.
                        lookup = cache.get(id, now, |now| self.read(id, now));
                        continue;
                    }
                    let is_latest = started || answer.asked_at > began;
                    (answer, is_latest)
                }
            };
            // The cache does not have last uses.
            let found = answer.stored.as_deref().map(|stored| (&stored.record, None));
            let outcome = self.judge_answer(token, found, answer.asked_at, requirement, context);
            if outcome.is_ok() || is_latest {
                return outcome;
            }
            match cache.reread(id, &answer, self.core.clock.monotonic(), |now| self.read(id, now)) {
                None => return outcome,
                Some(later) => lookup = later,
            }
        }
    }

    /// Returns a read from the store. It owns what it needs, because any waiting verification may poll
    /// it.
    fn read(&self, id: TokenId, asked_at: Duration) -> ReadFuture {
        if let Some(gatherer) = self.core.records.gatherer.clone() {
            return Box::pin(async move {
                let (stored, asked_at) = gatherer.find(id).await?;
                Ok(ReadResult { stored, asked_at })
            });
        }
        let store = self.core.records.store.clone();
        Box::pin(async move {
            let stored = find_in(&*store, id).await?.map(Arc::new);
            Ok(ReadResult { stored, asked_at })
        })
    }

    /// Decides on an answer of the store to a read that started at `asked_at`.
    fn judge_answer(
        &self,
        token: &HashedSecret<'_>,
        found: Option<(&Record, Option<i64>)>,
        asked_at: Duration,
        requirement: &Requirement,
        context: &RequestContext,
    ) -> Result<(Accepted, Moment), Denied> {
        // The time after the answer, so that a token that expired during the read is expired.
        let now = self.now_coarse();
        let accepted = self
            .judge(token, found, now, requirement, context)
            .map_err(|rejected| rejected.into_denied(token.id(), requirement))?;
        Ok((accepted.with_staleness(self.core.clock.monotonic().saturating_sub(asked_at)), now))
    }
}
