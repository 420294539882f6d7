//! An act of management from its beginning to its one event.

use crate::error::ManageError;
use crate::event::{Event, Events, Operation, with_sources};
use crate::token::TokenId;

/// What the event of an act says whose future was dropped: nobody is there to take the outcome.
pub(super) const GIVEN_UP: &str = "the caller gave up before the end: the act may have happened";

/// An act that is under way. It ends with exactly one event, also if the caller drops the future
/// while the store works: what the store did then would otherwise leave no trace.
pub(super) struct Underway<'s> {
    events: &'s Events,
    act: Operation,
    id: Option<TokenId>,
    made: Option<TokenId>,
    on_behalf_of: Option<TokenId>,
    told: bool,
}

impl<'s> Underway<'s> {
    pub(super) fn new(events: &'s Events, act: Operation, id: Option<TokenId>) -> Self {
        Self { events, act, id, made: None, on_behalf_of: None, told: false }
    }

    /// This token asked for it.
    pub(super) fn on_behalf_of(mut self, token: TokenId) -> Self {
        self.on_behalf_of = Some(token);
        self
    }

    /// From now on there may be a token with this id.
    pub(super) fn making(&mut self, id: TokenId) {
        self.made = Some(id);
    }

    /// Tells the event.
    pub(super) fn end<T>(
        mut self,
        outcome: Result<T, ManageError>,
        event: impl FnOnce(&T) -> Event,
    ) -> Result<T, ManageError> {
        self.told = true;
        self.events.emit(match &outcome {
            Ok(done) => event(done),
            Err(error) => {
                let id = match error {
                    ManageError::Indeterminate { id, .. } | ManageError::Overtaken { id, .. } => {
                        Some(*id)
                    }
                    _ => self.id,
                };
                let cause = with_sources(error);
                Event::Failed { operation: self.act, id, on_behalf_of: self.on_behalf_of, cause }
            }
        });
        outcome
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if !self.told {
            let id = self.made.or(self.id);
            self.events.emit(Event::Failed {
                operation: self.act,
                id,
                on_behalf_of: self.on_behalf_of,
                cause: GIVEN_UP.into(),
            });
        }
    }
}
