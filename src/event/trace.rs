//! Writes events to `tracing`, which is the default without a sink.

use super::Event;
use crate::clock::rfc3339;
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
        Event::Prepared { id, owner, operation, by, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::info!(target: T, %id, ?owner, %operation, ?by, on_behalf_of, "draft prepared");
        }
        Event::NotConfirmed { id, owner, operation, by, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::warn!(
                target: T, %id, ?owner, %operation, ?by, on_behalf_of,
                "draft not confirmed: it may be stored"
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
        Event::Counted { owner, records, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::debug!(target: T, ?owner, records, on_behalf_of, "records counted");
        }
        Event::Rotated { id, owner, by, older_ends_at, older_ends_on_first_use, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            let older_ends_at = older_ends_at.map(|end| tracing::field::display(rfc3339(end)));
            tracing::info!(
                target: T, %id, ?owner, ?by, older_ends_at, older_ends_on_first_use, on_behalf_of,
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
        Event::Suspended { id, owner, until, by, reason, replaced, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::info!(target: T, %id, ?owner, ?until, ?by, ?reason, ?replaced, on_behalf_of, "token suspended");
        }
        Event::AlreadySuspended { id, owner, by, reason, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::info!(target: T, %id, ?owner, ?by, ?reason, on_behalf_of, "token was suspended before");
        }
        Event::SuspendedAll {
            owner,
            filter,
            with,
            since,
            suspended,
            failed,
            by,
            reason,
            stopped,
        } => {
            let with = with.as_ref().map(tracing::field::display);
            if stopped.is_some() || *failed > 0 {
                tracing::warn!(target: T, ?owner, ?filter, with, ?since, suspended, failed, ?by, ?reason, ?stopped, "not all tokens were suspended");
            } else {
                tracing::info!(target: T, ?owner, ?filter, with, ?since, suspended, ?by, ?reason, "tokens suspended");
            }
        }
        Event::Resumed { id, owner, ended, remaining, by } => {
            let text =
                if *remaining == 0 { "token resumed" } else { "suspension ended: others remain" };
            tracing::info!(target: T, %id, ?owner, ?ended, remaining, ?by, "{text}");
        }
        Event::NotSuspended { id, owner } => {
            tracing::info!(target: T, %id, ?owner, "token was not suspended");
        }
        Event::ResumedAll { owner, filter, with, which, resumed, failed, by, stopped } => {
            let with = with.as_ref().map(tracing::field::display);
            if stopped.is_some() || *failed > 0 {
                tracing::warn!(target: T, ?owner, ?filter, with, ?which, resumed, failed, ?by, ?stopped, "not all tokens were resumed");
            } else {
                tracing::info!(target: T, ?owner, ?filter, with, ?which, resumed, ?by, "tokens resumed");
            }
        }
        Event::Amended { id, owner, fields, by, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::info!(target: T, %id, ?owner, ?fields, ?by, on_behalf_of, "token amended");
        }
        Event::OlderSecretEnded { id, owner, already_ended, by, reason, on_behalf_of } => {
            let on_behalf_of = on_behalf_of.map(shown);
            tracing::info!(target: T, %id, ?owner, already_ended, ?by, ?reason, on_behalf_of, "older secret ended");
        }
        Event::Imported { id, owner, token_type, issued_to, by } => {
            tracing::info!(target: T, %id, ?owner, ?token_type, ?issued_to, ?by, "token imported");
        }
        Event::AlreadyImported { id, owner, state } => {
            tracing::info!(target: T, %id, ?owner, %state, "token was imported before");
        }
        Event::LeakReported {
            id,
            owner,
            outcome,
            action,
            response,
            live_descendants,
            rotated_itself,
            by,
            reason,
        } => {
            let id = id.as_ref().map(tracing::field::display);
            tracing::warn!(
                target: T, id, ?owner, outcome, action, response, live_descendants, rotated_itself,
                ?by, ?reason,
                "leak reported"
            );
        }
        Event::ExpiresSoon { id, owner, token_type, issued_to, expires_at, distance } => {
            tracing::warn!(target: T, %id, ?owner, ?token_type, ?issued_to, %expires_at, ?distance, "token expires soon");
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
            let oldest = rfc3339(*oldest);
            tracing::warn!(target: T, waiting, oldest, "last uses wait to be flushed");
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::clock::from_micros;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn trace_times_is_rfc_3339() {
        let (lines, id) = (Lines::default(), TokenId::from_bytes([7; 16]));
        let writer = lines.clone();
        let printer = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(printer, || {
            trace(&Event::LastUsedStalled { waiting: 1, oldest: from_micros(1_500) });
            trace(&Event::Rotated {
                id,
                owner: "acme".to_owned(),
                by: None,
                older_ends_at: Some(from_micros(0)),
                older_ends_on_first_use: false,
                on_behalf_of: None,
            });
        });
        let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(lines.contains("oldest=\"1970-01-01T00:00:00.001500Z\""), "{lines}");
        assert!(lines.contains("older_ends_at=1970-01-01T00:00:00Z"), "{lines}");
    }
}
