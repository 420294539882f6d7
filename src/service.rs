//! The top floor: everything together.

mod act;
mod actor;
mod builder;
mod bulk;
mod changes;
mod first_use;
mod issuing;
mod kept;
mod last_use;
mod manage;
mod on_behalf;
mod policy;
mod purge;
mod request;
mod revoke_all;
mod revoking;
mod side_by_side;
mod told;
mod underway;
mod uses;
mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use act::{Issued, Revoked};
pub use builder::{BuildError, TokenServiceBuilder};
pub use bulk::{BulkError, BulkFailure, BulkOutcome, BulkProgress};
pub use issuing::Resumed;
pub use last_use::Flushed;
pub use manage::{AllOwners, OneOwner, Tokens};
pub use on_behalf::OnBehalf;
pub use policy::{InvalidPolicy, Policy};
pub use purge::Purge;
pub use request::{IssueRequest, RevokeRequest, RotateRequest};
pub use revoke_all::RevokeAll;

use crate::clock::{ClockJump, Earlier, GuardedClock, Moment};
use crate::digest::Digests;
use crate::event::{Event, Events};
use crate::random::{RandomError, RandomSource};
use crate::scope::{TokenType, TokenTypes};
use crate::token::{Prefix, TokenId, scanner_regex};
use issuing::Issuing;
use kept::Kept;
use revoking::Revoking;
use uses::{Recent, Uses};

/// Issues, verifies, lists, rotates and revokes tokens over any [`TokenStore`](crate::TokenStore).
///
/// Make one with [`builder`](Self::builder) and share it behind an `Arc`. It spawns no tasks and
/// assumes no async runtime.
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
    store: Arc<S>,
    /// The prefix of new tokens first, then the others that are accepted.
    prefixes: Vec<Prefix>,
    types: TokenTypes,
    policy: Policy,
    digests: Digests,
    clock: GuardedClock,
    random: Arc<dyn RandomSource>,
    events: Events,
    /// Only for stores that do not answer on the spot, and only if the embedder asked for it.
    kept: Option<Arc<Kept>>,
    issuing: Issuing,
    revoking: Revoking,
    /// Only for stores that track last use, unless the embedder wants none recorded.
    uses: Option<Uses>,
    /// The first uses that were to end an overlap lately.
    first_uses: Recent,
}

/// The error returned by [`TokenService::flush_events`]: the event sink had not received all events when
/// the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event sink had not received all events when the time was over")]
#[non_exhaustive]
pub struct FlushTimeout;

impl<S> TokenService<S> {
    /// The types this service knows.
    pub fn token_types(&self) -> impl Iterator<Item = &TokenType> {
        self.types.iter()
    }

    /// The policy for new tokens.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The time by the service's clock: never before what it was at an earlier call.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now(|jump| self.tell(jump))
    }

    /// The time that a verification goes by.
    fn now_coarse(&self) -> Moment {
        self.clock.now_coarse(|jump| self.tell(jump))
    }

    /// The time for what destroys, or must miss nothing.
    fn earlier(&self) -> Earlier {
        self.clock.earlier(|jump| self.tell(jump))
    }

    #[cold]
    fn tell(&self, jump: ClockJump) {
        self.events.emit(Event::ClockJumped(jump));
    }

    /// An id for a token to be issued now: keep it, and a request that is repeated with it cannot create
    /// a second token. See [`IssueRequest::id`].
    ///
    /// # Errors
    ///
    /// The random source failed.
    pub fn new_id(&self) -> Result<TokenId, RandomError> {
        TokenId::generate(self.now(), &*self.random)
    }

    /// Whether the wall clock has jumped by more than a minute against the monotonic clock since
    /// this was last [acknowledged](Self::acknowledge_clock_jump). It is looked at anew for each call,
    /// and where that tells nothing, because this thread is stopped each time, it counts as a jump.
    ///
    /// As long as it has, [purge](crate::Tokens::purge) refuses, and revoking
    /// [many](crate::Tokens::revoke_all) takes expired tokens as well: they may be alive.
    ///
    /// A clock that was set back does not revive what expired: the service's time stands still until
    /// the clock has caught up. One that ran ahead and is corrected keeps the later time until the
    /// process ends, for verifications and single acts. Purging and revoking many go by what the
    /// clock reads then.
    pub fn has_clock_jumped(&self) -> bool {
        self.earlier().doubted
    }

    /// Acknowledges that the clock jumped: an operator has looked at the clock and trusts the time it
    /// reads now. Returns the latest jump that was not acknowledged before, or `None` if there was none.
    ///
    /// Purging and revoking many go by that reading from then on, also where the service's own time
    /// stays ahead of it because the clock ran ahead once. Verification goes by the time that stays
    /// ahead: tokens expire early here until the process is started anew.
    pub fn acknowledge_clock_jump(&self) -> Option<ClockJump> {
        self.clock.acknowledge()
    }

    /// Blocks the thread until the event sink has received all events so far, at most for `timeout`.
    /// Call it before the process ends, so that no event is lost.
    ///
    /// # Errors
    ///
    /// [`FlushTimeout`] if events still waited when the time was over. They stay in the queue.
    pub fn flush_events(&self, timeout: Duration) -> Result<(), FlushTimeout> {
        if self.events.flush(timeout) { Ok(()) } else { Err(FlushTimeout) }
    }

    /// A regular expression for secret scanners that finds this service's tokens in text, those
    /// with an accepted older prefix included.
    pub fn scanner_regex(&self) -> String {
        scanner_regex(&self.prefixes)
    }
}

impl<S> fmt::Debug for TokenService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenService")
            .field("prefixes", &self.prefixes)
            .field("types", &self.types)
            .field("policy", &self.policy)
            .field("digests", &self.digests)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
