//! Verification: parse, find, match, check, one way through.

mod later;
mod two_step;
mod verdict;

use std::pin::Pin;

use super::TokenService;
use crate::check::VerifiedToken;
use crate::error::VerifyError;
use crate::event::Event;
use crate::refusal::Refusal;
use crate::scope::Requirement;
use crate::store::{Change, StoreError, TokenStore};
use crate::token::{ParsedToken, TokenId};

type Outcome = Result<VerifiedToken, VerifyError>;

/// Moves a refusal on without taking it apart. Out of line, or the compiler takes it apart with the
/// acceptance.
#[inline(never)]
fn whole(refused: Outcome) -> Outcome {
    refused
}

/// An outcome that something must be waited for. Boxed, so that the future of a verification that need
/// not wait is small.
type Later<'f> = Pin<Box<dyn Future<Output = Outcome> + Send + 'f>>;

/// Whether kept records will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    Kept,
    Uncached,
}

/// When an acceptance is a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Now,
    WhenPermitted,
}

impl<S: TokenStore> TokenService<S> {
    /// Verifies the token of an `Authorization: Bearer` header, and that it may do what `requirement` says.
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
    pub async fn verify<T>(
        &self,
        token: &T,
        requirement: &Requirement,
    ) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        // Here and in its siblings each is moved as it was made, an acceptance in two parts and a refusal as a
        // whole: otherwise the processor waits for what it has just written.
        match self.verify_now(token.as_ref(), requirement, Freshness::Kept, Use::Now) {
            Ok(Ok(verified)) => Ok(verified),
            Ok(refused) => whole(refused),
            Err(later) => later.await,
        }
    }

    /// As [`verify`](Self::verify), and the store is asked in any case: no
    /// [kept record](super::TokenServiceBuilder::cache_records) is used.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub async fn verify_uncached<T>(
        &self,
        token: &T,
        requirement: &Requirement,
    ) -> Result<VerifiedToken, VerifyError>
    where
        T: AsRef<[u8]> + ?Sized + Sync,
    {
        match self.verify_now(token.as_ref(), requirement, Freshness::Uncached, Use::Now) {
            Ok(Ok(verified)) => Ok(verified),
            Ok(refused) => whole(refused),
            Err(later) => later.await,
        }
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
                Ok(Change::Record(id)) => kept.forget(id),
                Ok(Change::Missed) => kept.forget_all(),
                Err(error) => {
                    kept.forget_all();
                    return Err(error);
                }
            }
        }
    }

    /// The outcome, if no store need be asked or this one answers on the spot.
    #[inline]
    fn verify_now<'f>(
        &'f self,
        token: &'f [u8],
        requirement: &'f Requirement,
        freshness: Freshness,
        usage: Use,
    ) -> Result<Outcome, Later<'f>> {
        let token = match ParsedToken::parse(token, &self.prefixes) {
            Ok(token) => self.digests.hash(token.id(), token.presented()),
            Err(malformed) => {
                let malformed = VerifyError::Refused(Refusal::Malformed(malformed));
                return Ok(Err(self.refuse(None, malformed, freshness)));
            }
        };
        let (id, now) = (token.id(), self.now_coarse());
        let mut verdict = None;
        let answered = self.store.find_now(id, &mut |found| {
            let found = found.map(|found| (found.record, found.used_micros()));
            verdict = Some(self.judge(&token, found, now, requirement));
        });
        if !answered {
            return Err(self.verify_later(token, requirement, freshness, usage));
        }
        match verdict {
            Some(Ok(accepted)) if accepted.is_all() => Ok(Ok(accepted.verified)),
            Some(Ok(accepted)) => self.conclude(id, accepted, now, usage),
            Some(Err(rejected)) => {
                Ok(Err(self.refuse(Some(id), rejected.into_error(id, requirement), freshness)))
            }
            // A store that claims to have answered and lent nothing gave no answer.
            None => {
                let silent = StoreError::corrupt("the store answered without a record");
                Ok(Err(self.refuse(Some(id), silent.into(), freshness)))
            }
        }
    }

    /// Tells the event of a refusal.
    #[cold]
    fn refuse(&self, id: Option<TokenId>, error: VerifyError, freshness: Freshness) -> VerifyError {
        // What the store has just refused must not be accepted from a kept record.
        if let (VerifyError::Refused(_), Freshness::Uncached, Some(kept), Some(id)) =
            (&error, freshness, &self.kept, id)
        {
            kept.forget(id);
        }
        self.events.emit(Event::of_refusal(id, &error));
        error
    }
}
