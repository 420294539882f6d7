//! Putting a service together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cache::Cache;
use super::core::TokenService;
use super::issue_gate::IssueGate;
use super::last_used::{DEFAULT_RESOLUTION, MAX_RESOLUTION, PendingUses};
use super::policy::{InvalidPolicy, Policy};
use super::recent_times::RecentTimes;
use super::records::Records;
use crate::clock::{Clock, GuardedClock, SystemClock};
use crate::digest::{Digests, KeyRing};
use crate::event::{EventSink, Events};
use crate::random::{OsRandom, RandomSource};
use crate::scope::{TokenType, TokenTypes};
use crate::store::TokenStore;
use crate::token::{InvalidPrefix, Prefix};

/// Events that wait for a slow sink before others are dropped.
const EVENT_QUEUE: usize = 8_192;

/// First uses at a time that an overlap is to end with.
const FIRST_USES: usize = 256;

/// Why a service cannot be built as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A prefix breaks its rules.
    #[error(transparent)]
    Prefix(#[from] InvalidPrefix),
    /// Two types have the same name.
    #[error("two token types have the name {0}")]
    DuplicateType(String),
    /// The policy is impossible.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
    /// The cache was asked to hold no records.
    #[error("cache_records must allow at least one record")]
    NoCachedRecords,
    /// The last-used resolution is longer than a day.
    #[error("last_used_resolution must be at most {max:?}")]
    LastUsedResolution {
        /// The longest resolution.
        max: Duration,
    },
    /// The thread that delivers events could not be started.
    #[error("the thread for events could not be started")]
    EventThread(#[source] std::io::Error),
}

/// Collects what a [`TokenService`] is made of. Only store and prefix are required; a service
/// without types can issue nothing.
#[must_use]
pub struct TokenServiceBuilder<S> {
    store: S,
    prefix: String,
    accepted: Vec<String>,
    types: Vec<TokenType>,
    policy: Policy,
    digests: Digests,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    sink: Option<Box<dyn EventSink>>,
    cache: Option<(Duration, usize)>,
    last_used_resolution: Option<Duration>,
}

impl<S: TokenStore> TokenService<S> {
    /// Starts to build a service over `store` whose tokens start with `prefix`, such as `acme_live`.
    pub fn builder(store: S, prefix: impl Into<String>) -> TokenServiceBuilder<S> {
        TokenServiceBuilder {
            store,
            prefix: prefix.into(),
            accepted: Vec::new(),
            types: Vec::new(),
            policy: Policy::new(),
            digests: Digests::plain(),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(OsRandom),
            sink: None,
            cache: None,
            last_used_resolution: Some(DEFAULT_RESOLUTION),
        }
    }
}

impl<S: TokenStore> TokenServiceBuilder<S> {
    /// Accepts tokens with another prefix too: one that was used earlier.
    pub fn accept_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.accepted.push(prefix.into());
        self
    }

    /// Adds a type of tokens.
    pub fn token_type(mut self, token_type: TokenType) -> Self {
        self.types.push(token_type);
        self
    }

    /// Sets the policy for new tokens.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Makes digests under a key of this ring. Records made without one stay valid.
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.digests = Digests::keyed(keys);
        self
    }

    /// Takes the time from this clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes random bytes from this source.
    pub fn random(mut self, source: impl RandomSource + 'static) -> Self {
        self.random = Arc::new(source);
        self
    }

    /// Sends events to this sink instead of `tracing`, from a thread of their own. A closure is a sink
    /// if its parameter's type is written out: `|event: &Event| …`.
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.sink = Some(Box::new(sink));
        self
    }

    /// Caches records that verifications read, at most `max_records` of them, each for at most `max_age`:
    /// for a store across a network. Without this every verification reads from the store. A cache for
    /// no records is refused by [`build`](Self::build).
    ///
    /// `max_age` is the price: for so long a revocation, a rotation or a removal made in another
    /// process may go unnoticed here, unless [`TokenService::follow_changes`] brings it in earlier.
    /// Changes made through this very service count at once. So does a first use that ends an overlap:
    /// whether it still runs is read from the store, and elsewhere the older secret is accepted for
    /// `max_age` at most. Records are kept, never verdicts:
    /// expiry, types and scopes are checked every time, and a refusal that rests on a kept record is
    /// read again first, at most once per id per 100 ms. [`TokenService::verify_uncached`] asks the
    /// store in any case, and [`VerifiedToken::staleness`](crate::VerifiedToken::staleness) tells how old an
    /// answer may be.
    ///
    /// A store that answers on the spot ([`TokenStore::find_now`]) is always current and never kept.
    pub fn cache_records(mut self, max_age: Duration, max_records: usize) -> Self {
        self.cache = Some((max_age, max_records));
        self
    }

    /// How finely it is recorded when tokens were last used: of the uses of one token less than this
    /// apart the first is noted. One minute unless set; zero records every use. More than a day is
    /// refused by [`build`](Self::build).
    ///
    /// What is noted waits in memory for [`TokenService::flush_last_used`], which says what can be
    /// lost. Processes over one store should have the same step.
    pub fn last_used_resolution(mut self, step: Duration) -> Self {
        self.last_used_resolution = Some(step);
        self
    }

    /// Records no last use, for instance over a store that cannot be written to. This service then
    /// shows every token's as [`LastUsed::NotTracked`](crate::store::LastUsed::NotTracked), whatever the
    /// store has of others, and refuses queries by it: a "never" that is wrong gets tokens revoked.
    ///
    /// A store that does not track last use needs no word: it comes to the same.
    pub fn disable_last_used(mut self) -> Self {
        self.last_used_resolution = None;
        self
    }

    /// The service.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names what does not fit.
    pub fn build(self) -> Result<TokenService<S>, BuildError> {
        let mut prefixes = vec![Prefix::new(&self.prefix)?];
        for accepted in &self.accepted {
            prefixes.push(Prefix::new(accepted)?);
        }
        self.policy.check()?;
        if self.cache.is_some_and(|(_, max_records)| max_records == 0) {
            return Err(BuildError::NoCachedRecords);
        }
        if self.last_used_resolution.is_some_and(|resolution| resolution > MAX_RESOLUTION) {
            return Err(BuildError::LastUsedResolution { max: MAX_RESOLUTION });
        }
        let types = TokenTypes::new(self.types.iter().cloned());
        if types.iter().count() < self.types.len() {
            let duplicate = self.types.iter().enumerate().find(|(i, token_type)| {
                self.types[..*i].iter().any(|earlier| earlier.name() == token_type.name())
            });
            let name = duplicate.map(|(_, token_type)| token_type.name().to_owned());
            return Err(BuildError::DuplicateType(name.unwrap_or_default()));
        }
        let events = match self.sink {
            None => Events::Tracing,
            Some(sink) => Events::queued(sink, EVENT_QUEUE, self.clock.clone())
                .map_err(BuildError::EventThread)?,
        };
        let resolution = self.last_used_resolution.filter(|_| self.store.tracks_last_used());
        let cache = self.cache.map(|(max_age, max_records)| Cache::new(max_age, max_records));
        Ok(TokenService {
            records: Records::new(self.store, cache),
            prefixes,
            types,
            policy: self.policy,
            digests: self.digests,
            clock: GuardedClock::new(self.clock),
            random: self.random,
            events,
            issue_gate: IssueGate::default(),
            pending_uses: resolution.map(PendingUses::new),
            overlap_attempts: RecentTimes::new(FIRST_USES),
        })
    }
}

impl<S> fmt::Debug for TokenServiceBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenServiceBuilder")
            .field("prefix", &self.prefix)
            .field("accepted", &self.accepted)
            .field("types", &self.types)
            .field("policy", &self.policy)
            .field("digests", &self.digests)
            .finish_non_exhaustive()
    }
}
