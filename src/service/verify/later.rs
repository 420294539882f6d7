//! Verification with a store that must be waited for.

use std::sync::Arc;
use std::time::Duration;

use super::super::TokenService;
use super::super::changes::found;
use super::super::kept::{Kept, Question, Way};
use super::verdict::Accepted;
use super::{Freshness, Later, Use};
use crate::clock::Moment;
use crate::digest::HashedSecret;
use crate::error::VerifyError;
use crate::record::Record;
use crate::scope::Requirement;
use crate::store::TokenStore;
use crate::token::TokenId;

impl<S: TokenStore> TokenService<S> {
    pub(super) fn verify_later<'f>(
        &'f self,
        token: HashedSecret<'f>,
        requirement: &'f Requirement,
        freshness: Freshness,
        usage: Use,
    ) -> Later<'f> {
        Box::pin(async move {
            let verdict = match &self.kept {
                Some(kept) if freshness == Freshness::Kept => {
                    self.verify_kept(kept, &token, requirement).await
                }
                _ => self.verify_found(&token, requirement).await,
            };
            match verdict {
                Ok((accepted, now)) => match self.conclude(token.id(), accepted, now, usage) {
                    Ok(outcome) => outcome,
                    Err(later) => later.await,
                },
                Err(error) => Err(self.refuse(Some(token.id()), error, freshness)),
            }
        })
    }

    async fn verify_found(
        &self,
        token: &HashedSecret<'_>,
        requirement: &Requirement,
    ) -> Result<(Accepted, Moment), VerifyError> {
        let asked_at = self.clock.monotonic();
        let found = self.store.find(token.id()).await?;
        let found = found.as_ref().map(|stored| (&stored.record, stored.last_used.micros()));
        self.judge_answer(token, found, asked_at, requirement)
    }

    async fn verify_kept(
        &self,
        kept: &Arc<Kept>,
        token: &HashedSecret<'_>,
        requirement: &Requirement,
    ) -> Result<(Accepted, Moment), VerifyError> {
        let began = self.clock.monotonic();
        let id = token.id();
        let mut way = kept.way(id, began, || self.question(id));
        loop {
            let (answer, latest) = match way {
                Way::Kept(answer) => (answer, false),
                Way::Asked { seat, new } => {
                    let answer = seat.await?;
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
            // A kept record comes without its last use.
            let found = answer.record.as_deref().map(|record| (record, None));
            let outcome = self.judge_answer(token, found, answer.asked_at, requirement);
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

    /// Judges what the store answered to a question of that time.
    fn judge_answer(
        &self,
        token: &HashedSecret<'_>,
        found: Option<(&Record, Option<i64>)>,
        asked_at: Duration,
        requirement: &Requirement,
    ) -> Result<(Accepted, Moment), VerifyError> {
        // The time after the answer: what expired while the store was asked is expired.
        let now = self.now_coarse();
        let accepted = self
            .judge(token, found, now, requirement)
            .map_err(|rejected| rejected.into_error(token.id(), requirement))?;
        Ok((accepted.with_staleness(self.clock.monotonic().saturating_sub(asked_at)), now))
    }
}
