//! One question to the store that several verifications wait for.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Answer, Kept, shared_failure};
use crate::record::Record;
use crate::store::StoreError;
use crate::token::TokenId;

pub(crate) struct Flight {
    asked_at: Duration,
    state: Mutex<State>,
}

enum State {
    Aloft(Vec<Waker>),
    Landed(Result<Option<Arc<Record>>, Arc<str>>),
    /// Whoever asked gave up: somebody else must ask.
    Lost,
}

impl Flight {
    pub(super) fn new(asked_at: Duration) -> Self {
        Self { asked_at, state: Mutex::new(State::Aloft(Vec::new())) }
    }

    pub(super) fn asked_at(&self) -> Duration {
        self.asked_at
    }

    /// Waits for the answer; `None` if whoever asked gave up.
    pub(in super::super) async fn join(&self) -> Option<Result<Answer, StoreError>> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<Result<Answer, StoreError>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Aloft(waiting) => {
                if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    waiting.push(context.waker().clone());
                }
                Poll::Pending
            }
            State::Landed(Ok(record)) => {
                Poll::Ready(Some(Ok(Answer { record: record.clone(), asked_at: self.asked_at })))
            }
            State::Landed(Err(cause)) => Poll::Ready(Some(Err(shared_failure(cause)))),
            State::Lost => Poll::Ready(None),
        }
    }

    fn end(&self, end: State) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, end);
        drop(state);
        if let State::Aloft(waiting) = before {
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

/// The duty to ask the store and to tell those who joined. Dropped without an answer, it lets
/// another take over.
pub(crate) struct Lead {
    kept: Arc<Kept>,
    flight: Arc<Flight>,
    id: TokenId,
    landed: bool,
}

impl Lead {
    pub(super) fn new(kept: Arc<Kept>, flight: Arc<Flight>, id: TokenId) -> Self {
        Self { kept, flight, id, landed: false }
    }

    /// Hands over what the store said.
    pub(in super::super) fn land(
        mut self,
        outcome: Result<Option<Record>, StoreError>,
    ) -> Result<Answer, StoreError> {
        self.landed = true;
        let asked_at = self.flight.asked_at;
        match outcome {
            Ok(record) => {
                let answer = Answer { record: record.map(Arc::new), asked_at };
                self.kept.land(self.id, &self.flight, Some(&answer));
                self.flight.end(State::Landed(Ok(answer.record.clone())));
                Ok(answer)
            }
            Err(error) => {
                self.kept.land(self.id, &self.flight, None);
                self.flight.end(State::Landed(Err(error.to_string().into())));
                Err(error)
            }
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.landed {
            self.kept.land(self.id, &self.flight, None);
            self.flight.end(State::Lost);
        }
    }
}
