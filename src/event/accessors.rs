//! Read access to the fields that many events share.

use super::Event;
use crate::token::TokenId;

impl Event {
    /// Returns the stable name of the event's kind in `snake_case`, for a column of a table or the label
    /// of a metric. The feature `serde` writes it as the field `event`.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::Event;
    ///
    /// assert_eq!(Event::IssuingResumed.name(), "issuing_resumed");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::Issued { .. } => "issued",
            Self::Prepared { .. } => "prepared",
            Self::NotConfirmed { .. } => "not_confirmed",
            Self::Read { .. } => "read",
            Self::Counted { .. } => "counted",
            Self::Listed { .. } => "listed",
            Self::Rotated { .. } => "rotated",
            Self::OverlapEnded { .. } => "overlap_ended",
            Self::OverlapNotEnded { .. } => "overlap_not_ended",
            Self::Revoked { .. } => "revoked",
            Self::AlreadyRevoked { .. } => "already_revoked",
            Self::RevokedAll { .. } => "revoked_all",
            Self::Suspended { .. } => "suspended",
            Self::AlreadySuspended { .. } => "already_suspended",
            Self::SuspendedAll { .. } => "suspended_all",
            Self::Resumed { .. } => "resumed",
            Self::NotSuspended { .. } => "not_suspended",
            Self::ResumedAll { .. } => "resumed_all",
            Self::Amended { .. } => "amended",
            Self::OlderSecretEnded { .. } => "older_secret_ended",
            Self::Imported { .. } => "imported",
            Self::AlreadyImported { .. } => "already_imported",
            Self::LeakReported { .. } => "leak_reported",
            Self::ExpiresSoon { .. } => "expires_soon",
            Self::Purged { .. } => "purged",
            Self::IssuingPaused { .. } => "issuing_paused",
            Self::IssuingResumed => "issuing_resumed",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::EndedSecretPresented { .. } => "ended_secret_presented",
            Self::MissingScope { .. } => "missing_scope",
            Self::StoreFailed { .. } => "store_failed",
            Self::LastUsedNotFlushed { .. } => "last_used_not_flushed",
            Self::LastUsedStalled { .. } => "last_used_stalled",
            Self::ClockJumped(_) => "clock_jumped",
            Self::Repeated { .. } => "repeated",
            Self::Lost { .. } => "lost",
        }
    }

    /// Returns the id of the token that the event is about, or `None` if it is not about one token.
    ///
    /// The id in a refusal comes from the client, which can write any id into a text.
    ///
    /// # Examples
    ///
    /// A sink that collects the columns of a table:
    ///
    /// ```
    /// use std::sync::Mutex;
    /// use service_tokens::chrono::{DateTime, Utc};
    /// use service_tokens::{Event, EventSink};
    ///
    /// #[derive(Default)]
    /// struct Table(Mutex<Vec<[String; 5]>>);
    ///
    /// impl EventSink for Table {
    ///     fn record(&self, event: &Event, at: DateTime<Utc>) {
    ///         let row = [
    ///             at.to_rfc3339(),
    ///             event.name().to_owned(),
    ///             event.id().map(|id| id.to_string()).unwrap_or_default(),
    ///             event.owner().unwrap_or_default().to_owned(),
    ///             event.by().unwrap_or_default().to_owned(),
    ///         ];
    ///         self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(row);
    ///     }
    /// }
    /// # let table = Table::default();
    /// # table.record(&Event::IssuingResumed, DateTime::UNIX_EPOCH);
    /// # assert_eq!(table.0.lock().unwrap()[0][1], "issuing_resumed");
    /// ```
    pub fn id(&self) -> Option<TokenId> {
        match self {
            Self::Issued { id, .. }
            | Self::Prepared { id, .. }
            | Self::NotConfirmed { id, .. }
            | Self::Read { id, .. }
            | Self::Rotated { id, .. }
            | Self::OverlapEnded { id, .. }
            | Self::OverlapNotEnded { id, .. }
            | Self::Revoked { id, .. }
            | Self::AlreadyRevoked { id, .. }
            | Self::Suspended { id, .. }
            | Self::AlreadySuspended { id, .. }
            | Self::Resumed { id, .. }
            | Self::NotSuspended { id, .. }
            | Self::Amended { id, .. }
            | Self::OlderSecretEnded { id, .. }
            | Self::Imported { id, .. }
            | Self::AlreadyImported { id, .. }
            | Self::ExpiresSoon { id, .. }
            | Self::EndedSecretPresented { id, .. }
            | Self::MissingScope { id, .. } => Some(*id),
            Self::Failed { id, .. }
            | Self::Refused { id, .. }
            | Self::LeakReported { id, .. }
            | Self::StoreFailed { id, .. }
            | Self::Repeated { id, .. } => *id,
            Self::Counted { .. }
            | Self::Listed { .. }
            | Self::RevokedAll { .. }
            | Self::SuspendedAll { .. }
            | Self::ResumedAll { .. }
            | Self::Purged { .. }
            | Self::IssuingPaused { .. }
            | Self::IssuingResumed
            | Self::LastUsedNotFlushed { .. }
            | Self::LastUsedStalled { .. }
            | Self::ClockJumped(_)
            | Self::Lost { .. } => None,
        }
    }

    /// Returns the owner of the token, or the owner that the operation was limited to. Returns `None` if
    /// the event has no owner. A refusal has the owner only if the secret was right.
    pub fn owner(&self) -> Option<&str> {
        match self {
            Self::Issued { owner, .. }
            | Self::Prepared { owner, .. }
            | Self::NotConfirmed { owner, .. }
            | Self::Rotated { owner, .. }
            | Self::OverlapEnded { owner, .. }
            | Self::Revoked { owner, .. }
            | Self::AlreadyRevoked { owner, .. }
            | Self::Suspended { owner, .. }
            | Self::AlreadySuspended { owner, .. }
            | Self::Resumed { owner, .. }
            | Self::NotSuspended { owner, .. }
            | Self::Amended { owner, .. }
            | Self::OlderSecretEnded { owner, .. }
            | Self::Imported { owner, .. }
            | Self::AlreadyImported { owner, .. }
            | Self::ExpiresSoon { owner, .. } => Some(owner),
            Self::Counted { owner, .. }
            | Self::Listed { owner, .. }
            | Self::LeakReported { owner, .. }
            | Self::RevokedAll { owner, .. }
            | Self::SuspendedAll { owner, .. }
            | Self::ResumedAll { owner, .. }
            | Self::Purged { owner, .. }
            | Self::Refused { owner, .. }
            | Self::EndedSecretPresented { owner, .. }
            | Self::MissingScope { owner, .. }
            | Self::Repeated { owner, .. } => owner.as_deref(),
            Self::Read { .. }
            | Self::OverlapNotEnded { .. }
            | Self::IssuingPaused { .. }
            | Self::IssuingResumed
            | Self::Failed { .. }
            | Self::StoreFailed { .. }
            | Self::LastUsedNotFlushed { .. }
            | Self::LastUsedStalled { .. }
            | Self::ClockJumped(_)
            | Self::Lost { .. } => None,
        }
    }

    /// Returns the person or program that asked for the operation, as the request named it. Returns
    /// `None` if the request did not name one, or if the event has no such field.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Issued { by, .. }
            | Self::Prepared { by, .. }
            | Self::NotConfirmed { by, .. }
            | Self::Rotated { by, .. }
            | Self::Revoked { by, .. }
            | Self::RevokedAll { by, .. }
            | Self::Suspended { by, .. }
            | Self::AlreadySuspended { by, .. }
            | Self::SuspendedAll { by, .. }
            | Self::Resumed { by, .. }
            | Self::ResumedAll { by, .. }
            | Self::Amended { by, .. }
            | Self::OlderSecretEnded { by, .. }
            | Self::Imported { by, .. }
            | Self::LeakReported { by, .. } => by.as_deref(),
            _ => None,
        }
    }
}
