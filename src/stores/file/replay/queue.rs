//! The decoded batches that are not yet applied.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

use super::super::frame_reader::Unreadable;
use super::entries::Entry;
use super::locked;

/// The maximum number of batches that wait to be applied. It bounds the memory, and it is enough for the
/// threads to go on while one of them does not run.
const MAX_WAITING: usize = 8;

/// The entries of one block.
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Whether all frames of the block could be read.
    pub(super) outcome: Result<(), Unreadable>,
    /// The thread that has decoded the block.
    pub(super) thread: usize,
    /// The offset after the block.
    pub(super) end: u64,
}

/// Batches by the number of their block.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Notified when a batch was applied, and at a stop.
    applied: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<u64, Batch>,
    /// The number of the batch that is applied next.
    next: u64,
    /// Whether a thread is applying.
    applying: bool,
    stopped: bool,
    applied_to: u64,
    /// Empty lists that are used again, because the memory of new ones would have to be mapped.
    spare: Vec<Vec<Entry>>,
}

impl Queue {
    /// Returns an empty list of entries.
    pub(super) fn spare(&self) -> Vec<Entry> {
        locked(&self.state).spare.pop().unwrap_or_default()
    }

    /// Adds a batch, and applies those that are next unless another thread does.
    ///
    /// `apply` returns the emptied list of the batch, or `None` if no more batches are to be applied. Returns
    /// the offset up to which the batches were applied, or `None` after a stop.
    pub(super) fn add(
        &self,
        number: u64,
        batch: Batch,
        mut apply: impl FnMut(Batch) -> Option<Vec<Entry>>,
    ) -> Option<u64> {
        let mut state = locked(&self.state);
        state.waiting.insert(number, batch);
        let is_full = |state: &mut State| {
            let blocked = state.applying || !state.waiting.contains_key(&state.next);
            state.waiting.len() > MAX_WAITING && blocked && !state.stopped
        };
        state = self.applied.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner);
        if !state.applying {
            state.applying = true;
            while !state.stopped {
                let next = state.next;
                let Some(batch) = state.waiting.remove(&next) else { break };
                drop(state);
                let end = batch.end;
                let spare = apply(batch);
                state = locked(&self.state);
                state.next += 1;
                state.applied_to = end;
                state.stopped |= spare.is_none();
                state.spare.extend(spare);
                self.applied.notify_all();
            }
            state.applying = false;
        }
        (!state.stopped).then_some(state.applied_to)
    }

    /// Lets every thread end.
    pub(super) fn stop(&self) {
        locked(&self.state).stopped = true;
        self.applied.notify_all();
    }
}
