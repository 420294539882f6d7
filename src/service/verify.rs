//! Verification: parse, find, match, check, one way through.

use chrono::{DateTime, Utc};

use super::TokenService;
use crate::check::{VerifiedToken, check};
use crate::error::{Refusal, VerifyError};
use crate::event::Event;
use crate::record::Record;
use crate::scope::Need;
use crate::store::{StoreError, TokenStore};
use crate::token::{ParsedToken, parse};

impl<S: TokenStore> TokenService<S> {
    /// Verifies a token as it came in the `Authorization: Bearer` header, and that it may do what
    /// `need` says.
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
        let parsed = match parse(token, &self.prefixes) {
            Ok(parsed) => parsed,
            Err(malformed) => {
                return Err(self.refuse(None, VerifyError::Refused(Refusal::Malformed(malformed))));
            }
        };
        let outcome = match self.verify_now(&parsed, need) {
            Some(outcome) => outcome,
            None => self.verify_found(&parsed, need).await,
        };
        outcome.map_err(|error| self.refuse(Some(&parsed), error))
    }

    /// The outcome, if the store answers on the spot.
    fn verify_now(
        &self,
        token: &ParsedToken<'_>,
        need: &Need,
    ) -> Option<Result<VerifiedToken, VerifyError>> {
        let now = self.now();
        let mut outcome = None;
        let answered = self.store.find_now(token.id(), &mut |found| {
            outcome = Some(self.decide(token, found.map(|found| found.record), now, need));
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
    ) -> Result<VerifiedToken, VerifyError> {
        let asked_at = self.clock.monotonic();
        let found = self.store.find(token.id()).await.map_err(VerifyError::Unavailable)?;
        // The time after the answer: what expired while the store was asked is expired.
        let verified =
            self.decide(token, found.as_ref().map(|stored| &stored.record), self.now(), need)?;
        Ok(verified.aged(self.clock.monotonic().saturating_sub(asked_at)))
    }

    fn decide(
        &self,
        token: &ParsedToken<'_>,
        record: Option<&Record>,
        now: DateTime<Utc>,
        need: &Need,
    ) -> Result<VerifiedToken, VerifyError> {
        let Some(record) = record else {
            self.digests.verify_nothing(token.id(), token.secret());
            return Err(VerifyError::Refused(Refusal::UnknownId));
        };
        let matched = record.matches(token, &self.digests).map_err(VerifyError::mismatch)?;
        check(matched, now, need, &self.types)
            .map_err(|denied| VerifyError::denied(denied, token.id(), need))
    }

    fn refuse(&self, token: Option<&ParsedToken<'_>>, error: VerifyError) -> VerifyError {
        self.events.emit(Event::of_refusal(token.map(ParsedToken::id), &error));
        error
    }
}
