//! The class of an event, which decides how the queue treats it.

use super::{Event, Operation};
use crate::refusal::Refusal;
use crate::token::TokenId;

/// The share of the queue that an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Anyone can cause any number of such events. They are summed if their share is full.
    Open,
    /// A token acted for itself or its owner. It waited for room before it acted.
    Act,
    /// A token ended a token or a secret. That never waits, so these events are summed if their share is
    /// full.
    Ending,
    /// The embedder or an operator acted, or the service reports its own state. The reserve is for them.
    Reserved,
}

/// The kind by which events are summed. The number of kinds is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) operation: Option<Operation>,
    pub(super) reason: Option<Refusal>,
}

impl Event {
    /// Returns the class of the event.
    pub(super) fn class(&self) -> Class {
        match self {
            // Anyone can present or report a text, and none of these attempts has a calling token.
            Self::Failed {
                operation: Operation::RevokePresented | Operation::ReportLeak, ..
            } => Class::Open,
            // Reading and failing need no right that a token could lack, and repeating a revocation has no
            // further effect. So a token can cause any number of these events.
            Self::Read { on_behalf_of, .. }
            | Self::Listed { on_behalf_of, .. }
            | Self::Counted { on_behalf_of, .. }
            | Self::AlreadyRevoked { on_behalf_of, .. }
            | Self::AlreadySuspended { on_behalf_of, .. }
            | Self::Failed { on_behalf_of, .. } => match on_behalf_of {
                Some(_) => Class::Open,
                None => Class::Reserved,
            },
            Self::Refused { .. }
            | Self::EndedSecretPresented { .. }
            | Self::MissingScope { .. }
            | Self::StoreFailed { .. }
            // Each use of the new secret may try again, for each token once in a minute.
            | Self::OverlapNotEnded { .. } => Class::Open,
            Self::Issued { on_behalf_of, .. }
            | Self::Rotated { on_behalf_of, .. }
            | Self::Amended { on_behalf_of, .. } => match on_behalf_of {
                Some(_) => Class::Act,
                None => Class::Reserved,
            },
            // A token that prepares an issue waits for room, and the end of its draft follows that. Preparing a
            // revocation does not wait and has no effect, so a token can do it any number of times.
            Self::Prepared { operation, on_behalf_of, .. } => match (operation, on_behalf_of) {
                (_, None) => Class::Reserved,
                (Operation::Issue, Some(_)) => Class::Act,
                _ => Class::Open,
            },
            Self::NotConfirmed { operation, on_behalf_of, .. } => {
                match (operation, on_behalf_of) {
                    (_, None) => Class::Reserved,
                    (Operation::Issue, Some(_)) => Class::Ending,
                    _ => Class::Open,
                }
            }
            // Anyone who may report texts can report the same one any number of times. What a report does to a
            // token has an event of its own.
            Self::LeakReported { .. } => Class::Open,
            Self::Revoked { on_behalf_of, .. }
            | Self::Suspended { on_behalf_of, .. }
            | Self::OlderSecretEnded { on_behalf_of, .. } => match on_behalf_of {
                Some(_) => Class::Ending,
                None => Class::Reserved,
            },
            // Each follows a rotation, and a token that rotates has waited for room.
            Self::OverlapEnded { .. } => Class::Ending,
            Self::SuspendedAll { .. }
            | Self::Resumed { .. }
            | Self::NotSuspended { .. }
            | Self::ResumedAll { .. }
            | Self::Imported { .. }
            | Self::AlreadyImported { .. }
            | Self::ExpiresSoon { .. }
            | Self::RevokedAll { .. }
            | Self::Purged { .. }
            | Self::IssuingPaused { .. }
            | Self::IssuingResumed
            | Self::LastUsedNotFlushed { .. }
            | Self::LastUsedStalled { .. }
            | Self::ClockJumped(_)
            | Self::Repeated { .. }
            | Self::Lost { .. } => Class::Reserved,
        }
    }

    /// Returns the kind by which the event is summed.
    pub(super) fn kind(&self) -> Kind {
        let (operation, reason) = match self {
            Self::Failed { operation, .. } => (Some(*operation), None),
            Self::Refused { reason, .. } => (None, Some(*reason)),
            _ => (None, None),
        };
        Kind { name: self.name(), operation, reason }
    }

    /// Returns the calling token, if the operation was on behalf of one.
    pub(super) fn calling_token(&self) -> Option<TokenId> {
        match self {
            Self::Issued { on_behalf_of, .. }
            | Self::Prepared { on_behalf_of, .. }
            | Self::NotConfirmed { on_behalf_of, .. }
            | Self::Read { on_behalf_of, .. }
            | Self::Listed { on_behalf_of, .. }
            | Self::Counted { on_behalf_of, .. }
            | Self::Rotated { on_behalf_of, .. }
            | Self::Amended { on_behalf_of, .. }
            | Self::Revoked { on_behalf_of, .. }
            | Self::AlreadyRevoked { on_behalf_of, .. }
            | Self::Suspended { on_behalf_of, .. }
            | Self::AlreadySuspended { on_behalf_of, .. }
            | Self::OlderSecretEnded { on_behalf_of, .. }
            | Self::Failed { on_behalf_of, .. } => *on_behalf_of,
            _ => None,
        }
    }
}
