//! What happened: one typed event for each act of management and each refusal.

mod queue;
mod trace;

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::{Clock, ClockJump};
use crate::error::{Refusal, VerifyError};
use crate::store::Filter;
use crate::token::TokenId;
use queue::Queue;
use trace::trace;

/// An act of management.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Issuing a token.
    Issue,
    /// Reading one record.
    Get,
    /// Reading a page of records.
    List,
    /// Giving a token a new secret.
    Rotate,
    /// Revoking a token.
    Revoke,
    /// Counting what a bulk act would find.
    Count,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issue => "issue",
            Self::Get => "get",
            Self::List => "list",
            Self::Rotate => "rotate",
            Self::Revoke => "revoke",
            Self::Count => "count",
        })
    }
}

/// What happened. No event holds a token, a secret or a digest.
///
/// Texts come from callers and may hold anything, line breaks included: escape them where they are
/// written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A token was issued.
    #[non_exhaustive]
    Issued {
        /// Its id.
        id: TokenId,
        /// Its owner.
        owner: String,
        /// Its type's name.
        token_type: String,
        /// Its label.
        issued_to: String,
        /// Who issued it.
        by: Option<String>,
        /// The token that asked for it, if one did.
        on_behalf_of: Option<TokenId>,
    },
    /// A record was read.
    #[non_exhaustive]
    Read {
        /// Its id.
        id: TokenId,
        /// The token that asked for it, if one did.
        on_behalf_of: Option<TokenId>,
    },
    /// Records were counted: the dry run of a bulk act.
    #[non_exhaustive]
    Counted {
        /// The owner it was confined to.
        owner: Option<String>,
        /// How many there were.
        records: u64,
    },
    /// A page was read.
    #[non_exhaustive]
    Listed {
        /// The owner it was confined to.
        owner: Option<String>,
        /// How many records it held.
        records: usize,
        /// The token that asked for it, if one did.
        on_behalf_of: Option<TokenId>,
    },
    /// A token was given a new secret.
    #[non_exhaustive]
    Rotated {
        /// Its id.
        id: TokenId,
        /// Its owner.
        owner: String,
        /// By whom.
        by: Option<String>,
        /// When the older secret ends, if it did not end at once.
        older_ends_at: Option<DateTime<Utc>>,
        /// Whether it ends already when the new one is first used.
        older_ends_on_first_use: bool,
        /// The token that asked for it, if one did.
        on_behalf_of: Option<TokenId>,
    },
    /// A new secret was used, and the older one ended with that.
    #[non_exhaustive]
    OverlapEnded {
        /// The token's id.
        id: TokenId,
        /// Its owner.
        owner: String,
    },
    /// A new secret was used, and the older one could not be ended with that, or nobody knows whether
    /// it was. The token was accepted; the older secret's latest end stands. A use a minute later tries
    /// again.
    #[non_exhaustive]
    OverlapNotEnded {
        /// The token's id.
        id: TokenId,
        /// The error's text.
        cause: String,
    },
    /// A token was revoked.
    #[non_exhaustive]
    Revoked {
        /// Its id.
        id: TokenId,
        /// Its owner.
        owner: String,
        /// By whom.
        by: Option<String>,
        /// Why.
        reason: Option<String>,
        /// The token that asked for it, if one did.
        on_behalf_of: Option<TokenId>,
    },
    /// A token was to be revoked that had been before; nothing changed.
    #[non_exhaustive]
    AlreadyRevoked {
        /// Its id.
        id: TokenId,
        /// Its owner.
        owner: String,
        /// The token that asked for it, if one did.
        on_behalf_of: Option<TokenId>,
    },
    /// Tokens were to be revoked by a filter. Each that was is also an event of its own, before this one.
    #[non_exhaustive]
    RevokedAll {
        /// The owner it was confined to.
        owner: Option<String>,
        /// The filter that selected them.
        filter: Box<Filter>,
        /// A token that was to be revoked with them: they are its descendants.
        with: Option<TokenId>,
        /// How many were revoked by this act.
        revoked: u64,
        /// How many could not be.
        failed: u64,
        /// By whom.
        by: Option<String>,
        /// Why.
        reason: Option<String>,
        /// What stopped it before its end, if something did: an error's text, or that the caller gave up.
        stopped: Option<String>,
    },
    /// Records of long dead tokens were to be removed.
    #[non_exhaustive]
    Purged {
        /// The owner it was confined to.
        owner: Option<String>,
        /// How long they had to be dead.
        retention: Duration,
        /// How many were removed.
        purged: u64,
        /// How many could not be.
        failed: u64,
        /// What stopped it before its end, if something did: an error's text, or that the caller gave up.
        stopped: Option<String>,
    },
    /// From now on this service issues no tokens.
    #[non_exhaustive]
    IssuingPaused {
        /// Why.
        reason: String,
    },
    /// This service issues tokens again.
    IssuingResumed,
    /// An act of management failed, or its caller gave up before the end: then it may have happened. Bulk
    /// acts have events of their own for that.
    #[non_exhaustive]
    Failed {
        /// Which.
        act: Operation,
        /// The token concerned, where there was one.
        id: Option<TokenId>,
        /// The token that asked for it, if one did.
        on_behalf_of: Option<TokenId>,
        /// The error's text.
        cause: String,
    },
    /// A token was refused, for any reason that has no variant of its own below.
    #[non_exhaustive]
    Refused {
        /// Its id, if it had one: anyone can write any id into a text.
        id: Option<TokenId>,
        /// Why.
        reason: Refusal,
    },
    /// A secret was presented that a rotation had replaced and that has ended: somebody forgot to
    /// change it, or it leaked.
    #[non_exhaustive]
    EndedSecretPresented {
        /// The token's id.
        id: TokenId,
    },
    /// An active token was refused for a lack of scopes.
    #[non_exhaustive]
    MissingScope {
        /// Its id.
        id: TokenId,
        /// What was asked for.
        requirement: String,
    },
    /// The store gave no answer, so a token was refused.
    #[non_exhaustive]
    StoreFailed {
        /// The id looked up.
        id: Option<TokenId>,
        /// The error's text.
        cause: String,
    },
    /// A flush did not bring last uses to the store. They are kept for the next one.
    #[non_exhaustive]
    LastUsedNotFlushed {
        /// How many tokens' uses wait.
        waiting: usize,
        /// The error's text.
        cause: String,
    },
    /// Last uses wait for longer than ten steps and ten minutes: no flush is driven, or none succeeds.
    /// They are lost if the process ends now. Told by verifications, once in that time.
    #[non_exhaustive]
    LastUsedStalled {
        /// How many tokens' uses wait.
        waiting: usize,
        /// Since when the oldest does.
        oldest: DateTime<Utc>,
    },
    /// The wall clock jumped against the monotonic one.
    ClockJumped(ClockJump),
    /// Events were dropped because the sink was too slow.
    #[non_exhaustive]
    Lost {
        /// How many acts of management and other events of which there are few.
        acts: u64,
        /// How many refusals.
        refusals: u64,
    },
}

impl Event {
    /// Whether anybody can cause as many as they like.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::MissingScope { .. } | Self::StoreFailed { .. })
    }

    /// The event of a token that was not accepted.
    pub(crate) fn of_refusal(id: Option<TokenId>, error: &VerifyError) -> Self {
        match (error, id) {
            (VerifyError::Refused(Refusal::SecretEnded), Some(id)) => {
                Self::EndedSecretPresented { id }
            }
            (VerifyError::Refused(reason), id) => Self::Refused { id, reason: *reason },
            (VerifyError::MissingScope(missing), _) => {
                Self::MissingScope { id: missing.id, requirement: missing.requirement.scopes() }
            }
            (VerifyError::Unavailable(cause), id) => {
                Self::StoreFailed { id, cause: with_sources(&**cause) }
            }
        }
    }
}

/// Where events go.
///
/// A sink given to the builder is called from one thread of its own, in order, and reads from a
/// bounded queue: however long it takes, no verification waits for it, and if it panics none fails.
/// What does not fit the queue is counted and told as [`Event::Lost`]; refusals, which anybody can
/// cause, have half of the queue and cannot drive out the acts of management. Revoking many tokens at
/// once is the one act that waits for room, so that a sink that hangs holds that up.
///
/// Without a sink events go to `tracing`, in the thread and span of the request, under the target
/// `service_tokens`: acts that change something and refusals as `INFO`, reads as `DEBUG`, and what an
/// operator should look at (a failed act, issuing paused, an ended secret, an overlap that did not end,
/// a store without an answer, last uses that are not flushed, a clock jump) as `WARN`.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::Arc;
/// use service_tokens::Event;
///
/// let leaks = Arc::new(AtomicU64::new(0));
/// let counter = leaks.clone();
/// // Every closure of this form is a sink.
/// let sink = move |event: &Event| {
///     if let Event::EndedSecretPresented { .. } = event {
///         counter.fetch_add(1, Ordering::Relaxed);
///     }
/// };
/// # fn takes(_: impl service_tokens::EventSink) {} takes(sink);
/// ```
pub trait EventSink: Send + Sync + 'static {
    /// Takes note of an event that happened at `at`, by the wall clock.
    fn record(&self, event: &Event, at: DateTime<Utc>);
}

impl<F: Fn(&Event) + Send + Sync + 'static> EventSink for F {
    fn record(&self, event: &Event, _: DateTime<Utc>) {
        self(event);
    }
}

/// An error's text with those of its causes.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The way events take from the service to a sink.
pub(crate) enum Events {
    Tracing,
    Queued(Arc<Queue>, Arc<dyn Clock>),
}

impl Events {
    /// A queue of `capacity` events in front of `sink`, emptied by a thread of its own.
    pub(crate) fn queued(
        sink: Box<dyn EventSink>,
        capacity: usize,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(capacity));
        let drained = queue.clone();
        std::thread::Builder::new().name("service-tokens-events".into()).spawn(move || {
            drained.drain(|event, at| guarded(|| sink.record(event, at)));
        })?;
        Ok(Self::Queued(queue, clock))
    }

    pub(crate) fn emit(&self, event: Event) {
        match self {
            Self::Tracing => guarded(|| trace(&event)),
            Self::Queued(queue, clock) => queue.push(event, clock.now()),
        }
    }

    /// Waits until a bulk act may tell its next event without driving out others.
    pub(crate) async fn room(&self) {
        if let Self::Queued(queue, _) = self {
            poll_fn(|context| queue.poll_room(context)).await;
        }
    }

    /// Waits until the sink has had all events so far.
    pub(crate) fn flush(&self, longest: Duration) -> bool {
        match self {
            Self::Tracing => true,
            Self::Queued(queue, _) => queue.flush(longest),
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Self::Queued(queue, _) = self {
            queue.close();
        }
    }
}

/// A panic of a sink or a waker is its own: the panic hook has reported it, and we go on.
fn guarded(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}
