//! What callers ask of the writer, in order.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::compaction::{Compacted, CompactionResult};
use super::failure::{closed, overloaded};
use super::reply::ReplySender;
use crate::record::Record;
use crate::store::{StoreError, Version};
use crate::token::TokenId;

/// The most bytes that wait to be written. A disk that hangs must not fill the memory.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// What an act takes in the queue besides its record.
const WRITE_OVERHEAD: usize = 512;

/// A change of the records.
pub(super) enum Write {
    Insert { record: Record, bytes: Vec<u8> },
    Replace { record: Record, bytes: Vec<u8>, expected: Version },
    Remove { id: TokenId, expected: Version },
    Touch { uses: Vec<(TokenId, i64)> },
}

impl Write {
    fn weight(&self) -> usize {
        WRITE_OVERHEAD
            + match self {
                Self::Insert { bytes, .. } | Self::Replace { bytes, .. } => 2 * bytes.len(),
                Self::Remove { .. } => 0,
                Self::Touch { uses } => size_of_val(uses.as_slice()),
            }
    }
}

/// The answer to an act: the version that it made, or zero where it makes none.
pub(super) type WriteReply = ReplySender<Result<Version, StoreError>>;
pub(super) type CompactReply = ReplySender<Result<Compacted, StoreError>>;

#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub(super) enum Request {
    Write(Write, WriteReply),
    Compact(CompactReply),
    /// From the thread that compacts.
    Compaction(CompactionResult),
}

#[derive(Default)]
struct Waiting {
    requests: Vec<Request>,
    weight: usize,
    /// Nothing more is taken; who waits until the writer has ended.
    closing: Option<Vec<ReplySender<()>>>,
    /// The writer takes nothing more.
    stopped: bool,
    /// The writer has ended.
    ended: bool,
}

/// Requests on their way to the writer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
    filled: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a request of a caller to the writer.
    pub(super) fn push(&self, request: Request) -> Result<(), StoreError> {
        let weight = match &request {
            Request::Write(write, _) => write.weight(),
            _ => WRITE_OVERHEAD,
        };
        let mut state = self.lock();
        if state.stopped || state.closing.is_some() {
            return Err(closed());
        }
        if state.weight + weight > MAX_WAITING_BYTES {
            return Err(overloaded());
        }
        state.weight += weight;
        let was_empty = state.requests.is_empty();
        state.requests.push(request);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Tells the writer how a compaction went, also while the store closes. Gives the outcome back
    /// if the writer takes nothing more.
    pub(super) fn push_outcome(&self, outcome: CompactionResult) -> Result<(), CompactionResult> {
        let mut state = self.lock();
        if state.stopped {
            return Err(outcome);
        }
        state.requests.push(Request::Compaction(outcome));
        self.filled.notify_one();
        Ok(())
    }

    /// Everything that waits, as soon as there is something; `None` when the store closes and
    /// everything was taken. `into` is empty and lends its memory.
    pub(super) fn take(&self, mut into: Vec<Request>) -> Option<Vec<Request>> {
        let mut state = self.lock();
        while state.requests.is_empty() {
            if state.closing.is_some() {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.weight = 0;
        std::mem::swap(&mut state.requests, &mut into);
        Some(into)
    }

    /// Takes no more requests. The promise is kept when the writer has ended.
    pub(super) fn close(&self, ended: ReplySender<()>) {
        let mut state = self.lock();
        if state.ended {
            drop(state);
            ended.send(());
            return;
        }
        state.closing.get_or_insert_default().push(ended);
        self.filled.notify_one();
    }

    /// The writer takes nothing more. What still waits is dropped, and with it the promises.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let waiting = std::mem::take(&mut state.requests);
        drop(state);
        drop(waiting);
    }

    /// The writer has ended, in whatever way: file and lock are closed.
    pub(super) fn end(&self) {
        self.stop();
        let mut state = self.lock();
        state.ended = true;
        let closing = state.closing.take();
        drop(state);
        closing.into_iter().flatten().for_each(|ended| ended.send(()));
    }
}
