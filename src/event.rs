//! Events: one for each management operation and each refusal.
//!
//! An [`Event`] describes an operation or a refusal, and an [`EventSink`] receives the events. Without a sink they go to
//! `tracing`. With the feature `serde` an event can be written to a table or a log as one flat map.

mod accessors;
mod class;
mod queue;
#[cfg(feature = "serde")]
mod serialize;
mod sink;
mod trace;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub(crate) use queue::{Purpose, Room};
pub use sink::EventSink;
pub(crate) use sink::{Events, with_sources};

use crate::clock::ClockJump;
use crate::error::VerifyError;
use crate::record::{Field, State, Suspension, SuspensionMatch};
use crate::refusal::Refusal;
use crate::store::Filter;
use crate::token::TokenId;

/// A management operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Operation {
    /// Issuing a token, or confirming a draft of one.
    Issue,
    /// Preparing a draft of a new token.
    PrepareIssue,
    /// Reading one record.
    Get,
    /// Reading a page of records.
    List,
    /// Giving a token a new secret.
    Rotate,
    /// Revoking a token, or confirming a draft of a revocation.
    Revoke,
    /// Preparing a draft of a revocation.
    PrepareRevoke,
    /// Revoking a token by its holder, who presents it.
    RevokePresented,
    /// Suspending a token.
    Suspend,
    /// Resuming a suspended token.
    Resume,
    /// Amending a token.
    Amend,
    /// Ending the older secret of a token.
    EndOlderSecret,
    /// Importing a token of an older system.
    Import,
    /// Reporting a text that may be a leaked token.
    ReportLeak,
    /// Emitting a notice for each token that expires soon.
    NotifyExpiry,
    /// Counting the records that a filter or a bulk operation selects.
    Count,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issue => "issue",
            Self::PrepareIssue => "prepare_issue",
            Self::Get => "get",
            Self::List => "list",
            Self::Rotate => "rotate",
            Self::Revoke => "revoke",
            Self::PrepareRevoke => "prepare_revoke",
            Self::RevokePresented => "revoke_presented",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Amend => "amend",
            Self::EndOlderSecret => "end_older_secret",
            Self::Import => "import",
            Self::ReportLeak => "report_leak",
            Self::NotifyExpiry => "notify_expiry",
            Self::Count => "count",
        })
    }
}

/// An event of the service. No event contains a token, a secret or a digest.
///
/// Texts come from callers and may contain any character, also line breaks. Escape them when you write
/// them.
///
/// With the feature `serde` an event is a flat map. Its key `event` has the [`name`](Self::name), its
/// other keys are the fields, and times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(tag = "event", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Event {
    /// A token was issued.
    #[non_exhaustive]
    Issued {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The name of the token's type.
        token_type: String,
        /// The token's label for people.
        issued_to: String,
        /// The person or program that issued it, if the request named one.
        by: Option<String>,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A [draft](crate::IssueDraft) was prepared. The program stores it in its own transaction, so the
    /// record may be stored from now on. The event of its confirmation follows, or
    /// [`NotConfirmed`](Self::NotConfirmed), or neither if the process ends.
    #[non_exhaustive]
    Prepared {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// [`Operation::Issue`] or [`Operation::Revoke`].
        operation: Operation,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A [draft](crate::IssueDraft) was dropped that was not confirmed. It may be stored, now or later. The
    /// secret of a token that was to be issued is unknown to everyone.
    #[non_exhaustive]
    NotConfirmed {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// [`Operation::Issue`] or [`Operation::Revoke`].
        operation: Operation,
        /// The person or program that prepared it, if the request named one.
        by: Option<String>,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A record was read.
    #[non_exhaustive]
    Read {
        /// The token's id.
        id: TokenId,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// Records were counted, for a caller or as a dry run of a bulk operation.
    #[non_exhaustive]
    Counted {
        /// The owner that the operation was limited to.
        owner: Option<String>,
        /// The number of records.
        records: u64,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A page of records was read.
    #[non_exhaustive]
    Listed {
        /// The owner that the operation was limited to.
        owner: Option<String>,
        /// The number of records on the page.
        records: usize,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A token was given a new secret.
    #[non_exhaustive]
    Rotated {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The time at which the older secret ends, if it did not end at once.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::optional_time"))]
        older_ends_at: Option<DateTime<Utc>>,
        /// Whether the older secret ends earlier, when the new one is first used.
        older_ends_on_first_use: bool,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A new secret was used for the first time, and that ended the older one.
    #[non_exhaustive]
    OverlapEnded {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
    },
    /// A new secret was used for the first time, and ending the older one failed or may have failed. The
    /// token was accepted, and the older secret ends at its latest end. A use a minute later tries again.
    #[non_exhaustive]
    OverlapNotEnded {
        /// The token's id.
        id: TokenId,
        /// The error's text.
        cause: String,
    },
    /// A token was revoked. A new token that is revoked because its caller ended or because issuing was
    /// paused has [`Failed`](Self::Failed) instead, because its secret was never returned.
    #[non_exhaustive]
    Revoked {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The reason, if the request named one.
        reason: Option<String>,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A token was revoked that had been revoked before. Its record did not change.
    #[non_exhaustive]
    AlreadyRevoked {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A bulk revocation ended. Each revoked token has an event of its own before this one.
    #[non_exhaustive]
    RevokedAll {
        /// The owner that the operation was limited to.
        owner: Option<String>,
        /// The filter that selected the tokens.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::filter"))]
        filter: Box<Filter>,
        /// The token whose descendants were selected, and that was revoked with them.
        with: Option<TokenId>,
        /// The number of tokens that this operation revoked.
        revoked: u64,
        /// The number of tokens that failed.
        failed: u64,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The reason, if the request named one.
        reason: Option<String>,
        /// The text of the error that stopped it early, or that the caller gave up.
        stopped: Option<String>,
    },
    /// A token was suspended.
    #[non_exhaustive]
    Suspended {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The time at which the suspension passes, or `None` if it lasts until the token is resumed.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::optional_time"))]
        until: Option<DateTime<Utc>>,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The reason, if the request named one.
        reason: Option<String>,
        /// The suspension whose place the new one took, if it did.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::optional_suspension"))]
        replaced: Option<Suspension>,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A token was suspended that has a suspension with the same author and reason which lasts as long or
    /// longer. Its record did not change.
    #[non_exhaustive]
    AlreadySuspended {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The reason, if the request named one.
        reason: Option<String>,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A bulk suspension ended. Each suspended token has an event of its own before this one.
    #[non_exhaustive]
    SuspendedAll {
        /// The owner that the operation was limited to.
        owner: Option<String>,
        /// The filter that selected the tokens.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::filter"))]
        filter: Box<Filter>,
        /// The token whose descendants were selected, and that was suspended with them.
        with: Option<TokenId>,
        /// The time that the records have as the start of their suspension.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
        since: DateTime<Utc>,
        /// The number of tokens that this operation suspended.
        suspended: u64,
        /// The number of tokens that failed.
        failed: u64,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The reason, if the request named one.
        reason: Option<String>,
        /// The text of the error that stopped it early, or that the caller gave up.
        stopped: Option<String>,
    },
    /// Suspensions of a token were ended. The token is accepted again unless one remains that has not passed.
    #[non_exhaustive]
    Resumed {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The suspensions that were removed from the record, including selected ones that had passed.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::suspensions"))]
        ended: Vec<Suspension>,
        /// The number of suspensions that remain in the record.
        remaining: usize,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
    },
    /// A token was resumed that had no such suspension. Its record did not change.
    #[non_exhaustive]
    NotSuspended {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
    },
    /// A bulk resumption ended. Each resumed token has an event of its own before this one.
    #[non_exhaustive]
    ResumedAll {
        /// The owner that the operation was limited to.
        owner: Option<String>,
        /// The filter that selected the tokens.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::filter"))]
        filter: Box<Filter>,
        /// The token whose descendants were selected, and that was resumed with them.
        with: Option<TokenId>,
        /// The suspensions that the operation ended.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::suspension_match"))]
        which: SuspensionMatch,
        /// The number of tokens that this operation resumed.
        resumed: u64,
        /// The number of tokens that failed.
        failed: u64,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The text of the error that stopped it early, or that the caller gave up.
        stopped: Option<String>,
    },
    /// A token was amended.
    #[non_exhaustive]
    Amended {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The fields that changed. It is empty if the record already had all the values.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::fields"))]
        fields: Vec<Field>,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// The older secret of a token was ended, and the newest stays.
    #[non_exhaustive]
    OlderSecretEnded {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// Whether the secret had ended before, so that the record did not change.
        already_ended: bool,
        /// The person or program that did it, if the request named one.
        by: Option<String>,
        /// The reason, if the request named one.
        reason: Option<String>,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
    },
    /// A token of an older system was imported.
    #[non_exhaustive]
    Imported {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The name of the token's type.
        token_type: String,
        /// The token's label for people.
        issued_to: String,
        /// The person or program that imported it, if the request named one.
        by: Option<String>,
    },
    /// A token of an older system was imported that had been imported before. Its record did not change.
    #[non_exhaustive]
    AlreadyImported {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The state of the token.
        state: State,
    },
    /// A text was reported that a person or a scanner found where no token should be.
    #[non_exhaustive]
    LeakReported {
        /// The id in the text, if it has one. Anyone can write any id into a text.
        id: Option<TokenId>,
        /// The token's owner, if the secret is one of the token's.
        owner: Option<String>,
        /// The name of the result, such as `live` or `wrong_secret`.
        outcome: &'static str,
        /// The name of the requested action, such as `revoke`.
        action: &'static str,
        /// The name of the action that was taken, such as `ended_older` or `nothing`.
        response: &'static str,
        /// The number of live descendants that the report left as they are, if it counted them.
        live_descendants: Option<u64>,
        /// Whether the token of the id made its newest secret itself. A finder of an earlier secret may then
        /// know the newest one.
        rotated_itself: bool,
        /// The person or program that reported it, if the request named one.
        by: Option<String>,
        /// The reason, if the request named one.
        reason: Option<String>,
    },
    /// A token expires soon. [`Tokens::expiry_notices`](crate::Tokens::expiry_notices) emits it.
    #[non_exhaustive]
    ExpiresSoon {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: String,
        /// The name of the token's type.
        token_type: String,
        /// The token's label for people.
        issued_to: String,
        /// The time at which the token expires.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
        expires_at: DateTime<Utc>,
        /// The distance before the end for which this notice was requested. `serde` writes it in seconds.
        #[cfg_attr(
            feature = "serde",
            serde(rename = "distance_seconds", serialize_with = "serialize::seconds")
        )]
        distance: Duration,
    },
    /// A purge of records ended.
    #[non_exhaustive]
    Purged {
        /// The owner that the operation was limited to.
        owner: Option<String>,
        /// The time for which records of ended tokens were retained. `serde` writes it in seconds.
        #[cfg_attr(
            feature = "serde",
            serde(rename = "retention_seconds", serialize_with = "serialize::seconds")
        )]
        retention: Duration,
        /// The number of removed records.
        purged: u64,
        /// The number of tokens that failed.
        failed: u64,
        /// The text of the error that stopped it early, or that the caller gave up.
        stopped: Option<String>,
    },
    /// This service paused issuing.
    #[non_exhaustive]
    IssuingPaused {
        /// The reason.
        reason: String,
    },
    /// This service resumed issuing.
    IssuingResumed,
    /// A management operation failed, or its caller gave up before the end, so that it may have happened. A
    /// bulk operation emits it for each token whose revocation, suspension or resumption failed or is not
    /// known, and reports its own failure in its own event.
    #[non_exhaustive]
    Failed {
        /// The operation that failed.
        operation: Operation,
        /// The token of the operation, if it was about one.
        id: Option<TokenId>,
        /// The calling token, if the operation was on behalf of one.
        on_behalf_of: Option<TokenId>,
        /// The error's text.
        cause: String,
    },
    /// A token was refused for a reason that has no event of its own.
    #[non_exhaustive]
    Refused {
        /// The id in the token, if it had one. A client can write any id into a text.
        id: Option<TokenId>,
        /// The token's owner, if the secret was right.
        owner: Option<String>,
        /// The reason.
        reason: Refusal,
    },
    /// A secret was presented that a rotation replaced and that has ended. A client missed the rotation,
    /// or the secret leaked.
    #[non_exhaustive]
    EndedSecretPresented {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: Option<String>,
    },
    /// An active token was refused because it lacks a required scope.
    #[non_exhaustive]
    MissingScope {
        /// The token's id.
        id: TokenId,
        /// The token's owner.
        owner: Option<String>,
        /// The required scopes, with single spaces between them.
        requirement: String,
    },
    /// The store gave no answer, so a token was refused.
    #[non_exhaustive]
    StoreFailed {
        /// The id that was looked up.
        id: Option<TokenId>,
        /// The error's text.
        cause: String,
    },
    /// A flush of last uses failed. The uses wait for the next flush.
    #[non_exhaustive]
    LastUsedNotFlushed {
        /// The number of tokens with a waiting use.
        waiting: usize,
        /// The error's text.
        cause: String,
    },
    /// Last uses have waited for longer than ten times the resolution and ten minutes, because the program
    /// does not flush or every flush fails. They are lost if the process ends now. A verification emits
    /// this event at most once in that time.
    #[non_exhaustive]
    LastUsedStalled {
        /// The number of tokens with a waiting use.
        waiting: usize,
        /// The time since which the oldest use waits.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
        oldest: DateTime<Utc>,
    },
    /// The wall clock jumped against the monotonic clock.
    ClockJumped(
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::clock_jump"))] ClockJump,
    ),
    /// Events of one kind were summed, because more of them occurred than the sink received in time. Only
    /// events that a client can cause are summed, such as refusals. No other event reports them.
    ///
    /// The sink receives it with the time of the last one.
    #[non_exhaustive]
    Repeated {
        /// The [name](Event::name) of the summed events.
        kind: &'static str,
        /// Their operation, if they are [failed](Self::Failed) operations.
        operation: Option<Operation>,
        /// Their reason, if they are [refusals](Self::Refused). If there are too many different reasons,
        /// further ones are summed without it.
        reason: Option<Refusal>,
        /// The number of events.
        count: u64,
        /// The time of the first one.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
        first: DateTime<Utc>,
        /// The time of the last one.
        #[cfg_attr(feature = "serde", serde(serialize_with = "serialize::time"))]
        last: DateTime<Utc>,
        /// Their token, if all are about the same one.
        id: Option<TokenId>,
        /// Their owner, if all have the same one.
        owner: Option<String>,
        /// The calling token, if all are on behalf of the same one.
        on_behalf_of: Option<TokenId>,
    },
    /// Events of the embedder's own operations were dropped, because the sink is too slow or hangs.
    #[non_exhaustive]
    Lost {
        /// The number of lost events.
        operations: u64,
    },
}

impl Event {
    /// Creates the event of a token that was not accepted. The owner is known only if the secret was right.
    pub(crate) fn of_refusal(
        id: Option<TokenId>,
        owner: Option<String>,
        error: &VerifyError,
    ) -> Self {
        match (error, id) {
            (VerifyError::Refused(Refusal::SecretEnded), Some(id)) => {
                Self::EndedSecretPresented { id, owner }
            }
            (VerifyError::Refused(reason), id) => Self::Refused { id, owner, reason: *reason },
            (VerifyError::OwnerUnknown, id) => {
                Self::Refused { id, owner, reason: Refusal::OwnerUnknown }
            }
            (VerifyError::MissingScope(missing), _) => {
                let requirement = missing.requirement.scopes();
                Self::MissingScope { id: missing.id, owner, requirement }
            }
            (VerifyError::Unavailable(cause), id) => {
                Self::StoreFailed { id, cause: with_sources(&**cause) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
