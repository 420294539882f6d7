//! Writes events to `tracing`, which is the default without a sink.

use super::Event;
use crate::token::TokenId;

pub(super) fn trace(event: &Event) {
    const T: &str = "service_tokens";
    let shown = tracing::field::display::<TokenId>;
    match event {
        Event::Issued { id, owner, token_type, issued_to, by, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::info!(
                target: T, %id, ?owner, ?token_type, ?issued_to, ?by, on_behalf_of, "token issued"
            );
        }
        Event::Read { id, on_behalf_of } => {
            tracing::debug!(target: T, %id, on_behalf_of = on_behalf_of.map(shown), "record read");
        }
        Event::Listed { owner, records, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::debug!(target: T, ?owner, records, on_behalf_of, "records listed");
        }
        Event::OverlapEnded { id, owner } => {
            tracing::info!(target: T, %id, ?owner, "older secret ended: the new one was used");
        }
        Event::OverlapNotEnded { id, cause } => {
            tracing::warn!(target: T, %id, ?cause, "older secret not ended: it stays until its latest end");
        }
        Event::Counted { owner, records } => {
            tracing::debug!(target: T, ?owner, records, "records counted");
        }
        Event::Rotated { id, owner, by, older_ends_at, older_ends_on_first_use, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::info!(
                target: T, %id, ?owner, ?by, ?older_ends_at, older_ends_on_first_use, on_behalf_of,
                "token rotated"
            );
        }
        Event::Revoked { id, owner, by, reason, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::info!(target: T, %id, ?owner, ?by, ?reason, on_behalf_of, "token revoked");
        }
        Event::AlreadyRevoked { id, owner, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::info!(target: T, %id, ?owner, on_behalf_of, "token was revoked before");
        }
        Event::RevokedAll { owner, filter, with, revoked, failed, by, reason, stopped } => {
            let with = with.as_ref().map(tracing::field::display);
            if stopped.is_some() || *failed > 0 {
                tracing::warn!(target: T, ?owner, ?filter, with, revoked, failed, ?by, ?reason, ?stopped, "not all tokens were revoked");
            } else {
                tracing::info!(target: T, ?owner, ?filter, with, revoked, ?by, ?reason, "tokens revoked");
            }
        }
        Event::Purged { owner, retention, purged, failed, stopped } => {
            if stopped.is_some() || *failed > 0 {
                tracing::warn!(target: T, ?owner, ?retention, purged, failed, ?stopped, "not all records of ended tokens were removed");
            } else {
                tracing::info!(target: T, ?owner, ?retention, purged, "records of ended tokens removed");
            }
        }
        Event::IssuingPaused { reason } => {
            tracing::warn!(target: T, ?reason, "issuing paused");
        }
        Event::IssuingResumed => tracing::warn!(target: T, "issuing resumed"),
        Event::Failed { operation, id, on_behalf_of, cause } => {
            let (id, on_behalf_of) = (id.map(shown), on_behalf_of.map(shown));
            tracing::warn!(target: T, %operation, id, on_behalf_of, ?cause, "operation failed");
        }
        Event::Refused { id, owner, reason } => {
            let id = id.as_ref().map(tracing::field::display);
            let owner = owner.as_ref().map(tracing::field::debug);
            tracing::info!(target: T, id, owner, %reason, "token refused");
        }
        Event::EndedSecretPresented { id, owner } => {
            let owner = owner.as_ref().map(tracing::field::debug);
            tracing::warn!(target: T, %id, owner, "token refused: its secret was replaced and has ended");
        }
        Event::MissingScope { id, owner, requirement } => {
            let owner = owner.as_ref().map(tracing::field::debug);
            tracing::info!(target: T, %id, owner, %requirement, "token refused: it lacks a scope");
        }
        Event::StoreFailed { id, cause } => {
            let id = id.as_ref().map(tracing::field::display);
            tracing::warn!(target: T, id, ?cause, "token refused: the store gave no answer");
        }
        Event::LastUsedNotFlushed { waiting, cause } => {
            tracing::warn!(target: T, waiting, ?cause, "last uses were not flushed");
        }
        Event::LastUsedStalled { waiting, oldest } => {
            tracing::warn!(target: T, waiting, %oldest, "last uses wait to be flushed");
        }
        Event::ClockJumped(jump) => {
            tracing::warn!(target: T, by = %jump.by, "the wall clock jumped");
        }
        Event::Repeated {
            kind,
            operation,
            reason,
            count,
            first,
            last,
            id,
            owner,
            on_behalf_of,
        } => {
            let (id, on_behalf_of) = (id.map(shown), on_behalf_of.map(shown));
            let operation = operation.as_ref().map(tracing::field::display);
            let reason = reason.as_ref().map(tracing::field::display);
            let owner = owner.as_ref().map(tracing::field::debug);
            tracing::warn!(
                target: T, kind, operation, reason, count, %first, %last, id, owner, on_behalf_of,
                "events were summed"
            );
        }
        Event::Lost { operations } => {
            tracing::warn!(target: T, operations, "events were dropped");
        }
    }
}
