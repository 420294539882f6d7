//! An act of management from its beginning to its one event.

use crate::error::ManageError;
use crate::event::{Act, Event, Events, with_sources};
use crate::token::TokenId;

/// What the event of an act says whose future was dropped: nobody is there to take the outcome.
pub(super) const GIVEN_UP: &str = "the caller gave up before the end: the act may have happened";

/// An act that is under way. It ends with exactly one event, also if the caller drops the future
/// while the store works: what the store did then would otherwise leave no trace.
pub(super) struct Underway<'s> {
    events: &'s Events,
    act: Act,
    id: Option<TokenId>,
    made: Option<TokenId>,
    told: bool,
}

impl<'s> Underway<'s> {
    pub(super) fn new(events: &'s Events, act: Act, id: Option<TokenId>) -> Self {
        Self { events, act, id, made: None, told: false }
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
                    ManageError::Indeterminate { id, .. } => Some(*id),
                    _ => self.id,
                };
                Event::Failed { act: self.act, id, cause: with_sources(error) }
            }
        });
        outcome
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if !self.told {
            let id = self.made.or(self.id);
            self.events.emit(Event::Failed { act: self.act, id, cause: GIVEN_UP.into() });
        }
    }
}
