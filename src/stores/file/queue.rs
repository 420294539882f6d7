//! The queue of requests to the writer thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::compaction::{Compacted, CompactionResult};
use super::failure::{closed, overloaded};
use super::reply::ReplySender;
use crate::record::Record;
use crate::store::{StoreError, Version};
use crate::token::TokenId;

/// The maximum size of the waiting requests, in bytes. It bounds the memory that is used while a
/// disk does not respond.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// The maximum number of uses in one request to the writer.
pub(super) const MAX_USES_PER_REQUEST: usize = 100_000;

/// The size that a write is counted with in addition to its record, in bytes.
const WRITE_OVERHEAD: usize = 512;

/// A write to the records.
pub(super) enum Write {
    Insert { record: Record, bytes: Vec<u8> },
    Replace { record: Record, bytes: Vec<u8>, expected: Version },
    Remove { id: TokenId, expected: Version },
    Touch { uses: Vec<(TokenId, i64)> },
}

impl Write {
    pub(super) fn weight(&self) -> usize {
        WRITE_OVERHEAD
            + match self {
                Self::Insert { bytes, .. } | Self::Replace { bytes, .. } => 2 * bytes.len(),
                Self::Remove { .. } => 0,
                Self::Touch { uses } => size_of_val(uses.as_slice()),
            }
    }
}

/// The channel for the answer to a write, which is the new version, or zero if the write creates
/// none.
pub(super) type WriteReply = ReplySender<Result<Version, StoreError>>;
pub(super) type CompactReply = ReplySender<Result<Compacted, StoreError>>;

#[expect(clippy::large_enum_variant, reason = "nearly all are the large one")]
pub(super) enum Request {
    Write(Write, WriteReply),
    Compact(CompactReply),
    /// The result of the compaction thread.
    CompactionDone(CompactionResult),
}

#[derive(Default)]
struct Waiting {
    requests: Vec<Request>,
    weight: usize,
    /// `Some` once the store closes and takes no more requests. Contains the callers that wait
    /// until the writer has ended.
    closing: Option<Vec<ReplySender<()>>>,
    /// Whether the writer takes no more requests.
    stopped: bool,
    /// Whether the writer has ended.
    ended: bool,
}

/// The requests that wait for the writer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<Waiting>,
    filled: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for requests of this size. They are refused when the store is closing or too many bytes are
    /// waiting.
    fn admit(&self, weight: usize) -> Result<MutexGuard<'_, Waiting>, StoreError> {
        let mut state = self.lock();
        if state.stopped || state.closing.is_some() {
            return Err(closed());
        }
        if state.weight + weight > MAX_WAITING_BYTES {
            return Err(overloaded());
        }
        state.weight += weight;
        Ok(state)
    }

    /// Adds a caller's request. Refused when the store is closing or too many bytes are waiting.
    pub(super) fn push(&self, request: Request) -> Result<(), StoreError> {
        let weight = match &request {
            Request::Write(write, _) => write.weight(),
            _ => WRITE_OVERHEAD,
        };
        let mut state = self.admit(weight)?;
        let was_empty = state.requests.is_empty();
        state.requests.push(request);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Adds writes as one, so that the writer takes them together. All of them are refused, or none.
    pub(super) fn push_writes(&self, writes: Vec<(Write, WriteReply)>) -> Result<(), StoreError> {
        let weight: usize = writes.iter().map(|(write, _)| write.weight()).sum();
        let mut state = self.admit(weight)?;
        state
            .requests
            .extend(writes.into_iter().map(|(write, reply)| Request::Write(write, reply)));
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Adds the result of a compaction, also while the store is closing. Returns it if the writer
    /// takes no more requests.
    pub(super) fn push_outcome(&self, outcome: CompactionResult) -> Result<(), CompactionResult> {
        let mut state = self.lock();
        if state.stopped {
            return Err(outcome);
        }
        state.requests.push(Request::CompactionDone(outcome));
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for requests and takes all of them. Returns `None` when the store is closing and no
    /// request is left. `into` is empty, and its memory is reused.
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

    /// Refuses further requests. `ended` is answered when the writer has ended.
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

    /// Marks the writer as stopped. Requests that still wait are dropped together with their reply
    /// channels.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let waiting = std::mem::take(&mut state.requests);
        drop(state);
        drop(waiting);
    }

    /// Marks the writer as ended, normally or by a panic. Its file is closed by then. Its locks are
    /// released by then except after a panic.
    pub(super) fn end(&self) {
        self.stop();
        let mut state = self.lock();
        state.ended = true;
        let closing = state.closing.take();
        drop(state);
        closing.into_iter().flatten().for_each(|ended| ended.send(()));
    }
}
