//! The audit of a management operation, which ends with exactly one event.
//!
//! The guarantee comes from ownership. An operation creates an [`Audit`] when it starts and gives it up
//! in [`end`](Audit::end), which emits the event of the outcome. If the caller drops the future
//! earlier, the destructor emits [`Event::Failed`], because the store may have done its part, and that
//! must leave a trace.
//!
//! A token that issues or rotates takes room for its event before it acts. The room is used by the event of
//! its success, and by that of a failure after which the store may have changed. An attempt that certainly
//! had no effect does not use it, because a token can cause any number of those.

use std::error::Error;

use crate::error::ManageError;
use crate::event::{Event, Events, Operation, Purpose, Room, with_sources};
use crate::token::TokenId;

/// The cause in the event of an operation whose future was dropped.
pub(super) const GIVEN_UP: &str =
    "the caller gave up before the end, so the operation may have happened";

pub(super) struct Audit<'s> {
    events: &'s Events,
    operation: Operation,
    id: Option<TokenId>,
    new_id: Option<TokenId>,
    on_behalf_of: Option<TokenId>,
    /// The room for the event in the queue, if the operation took it.
    room: Option<Room<'s>>,
    ended: bool,
}

impl<'s> Audit<'s> {
    pub(super) fn new(events: &'s Events, operation: Operation, id: Option<TokenId>) -> Self {
        Self { events, operation, id, new_id: None, on_behalf_of: None, room: None, ended: false }
    }

    /// Creates the audit of an act of a token, after it has waited for room in the queue of events. If the
    /// future is dropped before, the operation has not started, and there is no event.
    pub(super) async fn of_act(
        events: &'s Events,
        operation: Operation,
        id: Option<TokenId>,
        token: TokenId,
    ) -> Self {
        let room = events.room(Purpose::Act).await;
        let mut audit = Self::new(events, operation, id).on_behalf_of(token);
        audit.room = room;
        audit
    }

    /// Sets the calling token.
    pub(super) fn on_behalf_of(mut self, token: TokenId) -> Self {
        self.on_behalf_of = Some(token);
        self
    }

    /// Sets the id of the token that may exist from now on.
    pub(super) fn set_new_id(&mut self, id: TokenId) {
        self.new_id = Some(id);
    }

    /// Emits the event of a failure.
    pub(super) fn fail(mut self, error: &ManageError) {
        self.ended = true;
        self.events.emit(self.failed(self.id, with_sources(error)));
    }

    /// Ends with this event, because the operation was refused in a way that has an event of its own.
    pub(super) fn end_with(mut self, event: Event) {
        self.ended = true;
        self.events.emit(event);
    }

    /// Emits the event of the outcome, and returns the outcome.
    pub(super) fn end<T>(
        mut self,
        outcome: Result<T, ManageError>,
        event: impl FnOnce(&T) -> Event,
    ) -> Result<T, ManageError> {
        self.ended = true;
        let event = match &outcome {
            Ok(done) => event(done),
            Err(error) => {
                let id = match error {
                    ManageError::Indeterminate { id, .. }
                    | ManageError::Overtaken { id, .. }
                    | ManageError::PausedSincePrepared { id } => Some(*id),
                    _ => {
                        self.room = None;
                        self.id
                    }
                };
                self.failed(id, with_sources(error))
            }
        };
        if self.operation == Operation::ReportLeak {
            self.events.emit_reported(event);
        } else {
            self.events.emit_in(self.room.take(), event);
        }
        outcome
    }

    /// Emits an event only if the operation failed, because a success has emitted its own events. Returns
    /// the outcome.
    pub(super) fn end_if_failed<T, E: Error>(mut self, outcome: Result<T, E>) -> Result<T, E> {
        self.ended = true;
        if let Err(error) = &outcome {
            self.events.emit(self.failed(self.id, with_sources(error)));
        }
        outcome
    }

    /// Ends without an event. Use it only for an operation of a bulk operation that changed nothing, because
    /// the token was not selected any more.
    pub(super) fn end_without_event(mut self) {
        self.ended = true;
    }

    fn failed(&self, id: Option<TokenId>, cause: String) -> Event {
        Event::Failed { operation: self.operation, id, on_behalf_of: self.on_behalf_of, cause }
    }
}

impl Drop for Audit<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let event = self.failed(self.new_id.or(self.id), GIVEN_UP.into());
            self.events.emit_in(self.room.take(), event);
        }
    }
}
