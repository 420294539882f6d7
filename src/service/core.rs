//! The struct that owns the parts of a service, and its accessors.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::audit::Audit;
use super::issue_gate::IssueGate;
use super::last_used::{LastUsedMerge, PendingUses};
use super::owner_limit::OwnerLimits;
use super::policy::Policy;
use super::recent_times::RecentTimes;
use super::records::Records;
use crate::check::AccessRules;
use crate::clock::{ClockJump, Earlier, GuardedClock, Moment, from_micros};
use crate::digest::Digests;
use crate::event::{Event, Events, Operation};
use crate::import::ImportForms;
use crate::random::{RandomError, RandomSource};
use crate::record::Times;
use crate::scope::TokenType;
use crate::token::{Prefix, TokenId, scanner_regex};

/// A service that issues, verifies, lists, rotates and revokes tokens in any
/// [`TokenStore`](crate::TokenStore).
///
/// Create it with [`builder`](Self::builder) and share it in an `Arc`. It spawns no tasks and needs no
/// async runtime.
///
/// # Examples
///
/// ```
/// use service_tokens::{IssueRequest, MemoryStore, Requirement, RevokeRequest, TokenService, TokenType};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = TokenService::builder(MemoryStore::new(), "acme_live")
///     .token_type(TokenType::new("connector", ["files:upload"])?)
///     .build()?;
///
/// let issued = service.owner("acme").issue(IssueRequest::new("connector", "nightly backup")).await?;
/// let token = issued.token.expose_secret();
///
/// let upload = Requirement::scope("files:upload")?;
/// assert_eq!(service.verify(token, &upload).await?.owner(), "acme");
///
/// service.owner("acme").revoke(issued.record.id(), RevokeRequest::new()).await?;
/// assert!(service.verify(token, &upload).await.is_err());
/// # Ok(()) }
/// ```
pub struct TokenService<S> {
    /// Shared with the drafts, which may outlive this value.
    pub(super) core: Arc<Core<S>>,
}

/// The parts of a service.
pub(super) struct Core<S> {
    pub(super) records: Records<S>,
    /// The prefix of new tokens first, then the other accepted prefixes.
    pub(super) prefixes: Vec<Prefix>,
    pub(super) rules: AccessRules,
    pub(super) policy: Policy,
    pub(super) digests: Digests,
    pub(super) import_forms: ImportForms,
    pub(super) clock: GuardedClock,
    pub(super) random: Arc<dyn RandomSource>,
    pub(super) events: Events,
    pub(super) issue_gate: IssueGate,
    pub(super) owner_limits: OwnerLimits,
    /// `None` if the store does not track last use, or if recording it is disabled.
    pub(super) pending_uses: Option<PendingUses>,
    /// The times of the latest attempts to end an overlap, by secret.
    pub(super) overlap_attempts: RecentTimes,
    /// The start of the latest bulk suspension, in milliseconds.
    pub(super) bulk_suspension: AtomicI64,
    /// The time of the latest revocation in a draft, in microseconds.
    pub(super) drafted_revocation: AtomicI64,
}

/// The error returned by [`TokenService::flush_events_blocking`] if the event sink had not received all events
/// when the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event sink had not received all events when the time was over")]
#[non_exhaustive]
pub struct FlushTimeout;

impl<S> TokenService<S> {
    /// Returns another handle over the same service, for a draft.
    pub(super) fn handle(&self) -> Self {
        Self { core: self.core.clone() }
    }

    /// Returns the types of tokens that this service knows.
    pub fn token_types(&self) -> impl Iterator<Item = &TokenType> {
        self.core.rules.types().iter()
    }

    /// Returns the policy for new tokens.
    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.core.records.store
    }

    /// Returns the time of the service's clock. It is never before the result of an earlier call.
    pub fn now(&self) -> DateTime<Utc> {
        self.core.clock.now(|jump| self.report_clock_jump(jump))
    }

    /// Returns the time for a verification.
    pub(super) fn now_coarse(&self) -> Moment {
        self.core.clock.now_coarse(|jump| self.report_clock_jump(jump))
    }

    /// Returns the earlier time, for operations that destroy records or must not miss a live token.
    pub(super) fn earlier(&self) -> Earlier {
        self.core.clock.earlier(|jump| self.report_clock_jump(jump))
    }

    /// Returns the start of a bulk suspension. It names the suspension, so no two are equal, also while the
    /// service's time stands still. It is a whole millisecond, because clients send it back and many of
    /// them round times to milliseconds.
    pub(super) fn start_bulk_suspension(&self) -> DateTime<Utc> {
        let now = self.now().timestamp_millis();
        let next = |last: i64| now.max(last.saturating_add(1));
        let last =
            self.core.bulk_suspension.fetch_update(Relaxed, Relaxed, |last| Some(next(last)));
        from_micros(next(last.unwrap_or_else(|last| last)).saturating_mul(1_000))
    }

    /// Returns the time of a revocation in a draft. No two are equal, also while the service's time stands
    /// still, because the draft recognises its own revocation by the time and the texts.
    pub(super) fn draft_revocation(&self) -> DateTime<Utc> {
        let now = self.now().timestamp_micros();
        let next = |last: i64| now.max(last.saturating_add(1));
        let last =
            self.core.drafted_revocation.fetch_update(Relaxed, Relaxed, |last| Some(next(last)));
        from_micros(next(last.unwrap_or_else(|last| last)))
    }

    /// Returns the times that decide the state of a token.
    pub(super) fn times(&self) -> Times {
        let earlier = self.earlier().passed;
        Times { now: self.now(), earlier }
    }

    #[cold]
    fn report_clock_jump(&self, jump: ClockJump) {
        self.core.events.emit(Event::ClockJumped(jump));
    }

    /// Starts the audit of a management operation, which ends with exactly one event.
    pub(super) fn audit(&self, operation: Operation, id: Option<TokenId>) -> Audit<'_> {
        Audit::new(&self.core.events, operation, id)
    }

    /// Returns a merge of pending uses into records. Create it before the store is read.
    pub(super) fn merge_last_used(&self) -> LastUsedMerge<'_> {
        LastUsedMerge::new(self.core.pending_uses.as_ref())
    }

    /// Creates an id for a token that is issued now. Store it before the request is sent, because a
    /// repetition of the request with this id cannot create a second token. See [`IssueRequest::id`].
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the random source failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::ManageError;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// let id = service.new_id()?;
    /// let request = IssueRequest::new("connector", "nightly backup").id(id);
    ///
    /// let issued = service.owner("acme").issue(request.clone()).await?;
    /// assert_eq!(issued.record.id(), id);
    ///
    /// let repeated = service.owner("acme").issue(request).await;
    /// assert!(matches!(repeated, Err(ManageError::Exists { .. })));
    /// # Ok(()) }
    /// ```
    ///
    /// [`IssueRequest::id`]: crate::IssueRequest::id
    pub fn new_id(&self) -> Result<TokenId, RandomError> {
        TokenId::generate(self.now(), &*self.core.random)
    }

    /// Returns whether the wall clock has jumped by more than a minute against the monotonic clock
    /// since the last [acknowledgement](Self::acknowledge_clock_jump).
    ///
    /// Each call compares the two clocks. If the comparison fails because the thread is interrupted each
    /// time, the result is `true`.
    ///
    /// While the result is `true`, [`purge`](crate::Tokens::purge) and
    /// [`expiry_notices`](crate::Tokens::expiry_notices) refuse, and
    /// [`revoke_all`](crate::Tokens::revoke_all) also revokes expired tokens, because they may be live. For
    /// the same reason expired tokens count in the [limit of live tokens](crate::Policy::max_active_per_owner()).
    ///
    /// If the clock is set back, no expired token becomes valid again, because the service's time does
    /// not move until the clock has caught up. If the clock ran ahead and is corrected, verifications
    /// and single operations use the later time until the process ends. Purges and bulk revocations use
    /// the time that the clock reads.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{MemoryStore, TokenService};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// assert!(!service.has_clock_jumped());
    /// # Ok(()) }
    /// ```
    pub fn has_clock_jumped(&self) -> bool {
        self.earlier().doubted
    }

    /// Acknowledges that the clock jumped. Call it after an operator has checked the clock and trusts
    /// its present time. Returns the latest jump without an acknowledgement, or `None` if the clock did
    /// not jump.
    ///
    /// From then on, purges and bulk revocations trust the clock again. If the clock ran ahead once, the
    /// service's own time stays ahead of it. Verifications use that time, so tokens expire early in this
    /// process until it is restarted.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use service_tokens::clock::ManualClock;
    /// use service_tokens::{MemoryStore, TokenService};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = Arc::new(ManualClock::default());
    /// let service =
    ///     TokenService::builder(MemoryStore::new(), "acme_test").clock(clock.clone()).build()?;
    ///
    /// clock.set(service.now() + service_tokens::chrono::Duration::hours(1));
    /// assert!(service.has_clock_jumped());
    /// assert!(service.acknowledge_clock_jump().is_some());
    /// assert!(!service.has_clock_jumped());
    /// # Ok(()) }
    /// ```
    pub fn acknowledge_clock_jump(&self) -> Option<ClockJump> {
        self.core.clock.acknowledge()
    }

    /// Waits until the event sink has received all events so far. Await it before the process ends, so that
    /// no event is lost.
    ///
    /// It blocks no thread, so a sink that uses the same runtime continues while this waits. It has no time
    /// limit, because the service has no timer. If the sink hangs, this waits forever, so wrap it in a
    /// timeout of your runtime. Dropping the future has no effect on the events.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use service_tokens::{Event, MemoryStore, TokenService};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .events(|event: &Event| println!("{event:?}"))
    ///     .build()?;
    /// tokio::time::timeout(Duration::from_secs(5), service.flush_events()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn flush_events(&self) {
        self.core.events.flush().await;
    }

    /// Blocks the thread until the event sink has received all events so far, for at most `timeout`.
    ///
    /// It is for programs without an async runtime. In an async function use
    /// [`flush_events`](Self::flush_events), because this one stops the other tasks of the thread. If the
    /// sink needs one of them, this waits for the whole `timeout`.
    ///
    /// # Errors
    ///
    /// [`FlushTimeout`] if events still waited when the time was over. They stay in the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use service_tokens::{Event, MemoryStore, TokenService};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live")
    ///     .events(|event: &Event| println!("{event:?}"))
    ///     .build()?;
    /// service.flush_events_blocking(Duration::from_secs(5))?;
    /// # Ok(()) }
    /// ```
    pub fn flush_events_blocking(&self, timeout: Duration) -> Result<(), FlushTimeout> {
        if self.core.events.flush_blocking(timeout) { Ok(()) } else { Err(FlushTimeout) }
    }

    /// Returns a regular expression with which secret scanners find this service's tokens in text,
    /// including tokens with another accepted prefix.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{MemoryStore, TokenService};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
    /// assert!(service.scanner_regex().contains("acme_live"));
    /// # Ok(()) }
    /// ```
    pub fn scanner_regex(&self) -> String {
        scanner_regex(&self.core.prefixes)
    }
}

impl<S> fmt::Debug for TokenService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenService")
            .field("prefixes", &self.core.prefixes)
            .field("rules", &self.core.rules)
            .field("policy", &self.core.policy)
            .field("digests", &self.core.digests)
            .field("clock", &self.core.clock)
            .finish_non_exhaustive()
    }
}
