//! An id for which look-ups wait.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::call::Later;
use crate::store::{StoreError, StoredRecord};
use crate::token::TokenId;

/// The result of a look-up, and the monotonic time at which its call was sent.
#[derive(Clone)]
pub(super) struct Answer {
    /// An error is shared too, because only code of the store can copy it.
    pub(super) found: Result<Option<Arc<StoredRecord>>, Arc<StoreError>>,
    pub(super) sent_at: Duration,
}

impl Answer {
    /// Returns the result for one of the look-ups. It runs code of the store, so no lock is held.
    pub(super) fn into_result(self) -> Result<(Option<Arc<StoredRecord>>, Duration), StoreError> {
        let own = |error: Arc<StoreError>| {
            Arc::try_unwrap(error).unwrap_or_else(|shared| shared.duplicate())
        };
        Ok((self.found.map_err(own)?, self.sent_at))
    }
}

/// The place of a look-up in the state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiter {
    pub(super) entry: usize,
    pub(super) number: u64,
}

/// An id that is queued, in a call or answered, and the look-ups that wait for it.
pub(super) struct Entry {
    pub(super) id: TokenId,
    pub(super) status: Status,
    pub(super) waiters: usize,
    /// The number of the next look-up that joins.
    next_number: u64,
    /// The waker of the look-up with the number 0. Most entries have only this one.
    first: Option<Waker>,
    others: BTreeMap<u64, Waker>,
}

pub(super) enum Status {
    /// With the position in the queue.
    Queued(u64),
    /// With the place of the call.
    InCall(usize),
    Answered(Answer),
}

impl Entry {
    pub(super) fn new(id: TokenId, status: Status, waker: &Waker) -> Self {
        let first = Some(waker.clone());
        Self { id, status, waiters: 1, next_number: 1, first, others: BTreeMap::new() }
    }

    /// Adds a look-up and returns its number.
    pub(super) fn join(&mut self, waker: &Waker) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.waiters += 1;
        self.others.insert(number, waker.clone());
        number
    }

    /// Sets the waker of a look-up, and returns the former one.
    pub(super) fn register(&mut self, number: u64, waker: &Waker) -> Option<Waker> {
        match (number, &mut self.first) {
            (0, Some(present)) if present.will_wake(waker) => None,
            (0, present) => present.replace(waker.clone()),
            _ if self.others.get(&number).is_some_and(|present| present.will_wake(waker)) => None,
            _ => self.others.insert(number, waker.clone()),
        }
    }

    pub(super) fn take_wakers(&mut self, later: &mut Later) {
        if let Some(first) = self.first.take() {
            later.push(first);
        }
        if !self.others.is_empty() {
            take(&mut self.others).into_values().for_each(|waker| later.push(waker));
        }
    }

    /// Removes the waker of a look-up.
    pub(super) fn remove(&mut self, number: u64) -> Option<Waker> {
        match number {
            0 => self.first.take(),
            number => self.others.remove(&number),
        }
    }
}
