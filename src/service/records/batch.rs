//! Calls about many records, for operations on single records that run at the same time.
//!
//! **Collecting.** Each operation stays a future of its own. It hands its call to a [`Batch`] and is *parked*:
//! it registers no waker, because the driver polls it again when the answer is there. A parked future is not
//! polled, so a page of a thousand records costs a thousand polls for each answer and not for each wake-up.
//!
//! **Sending.** When no future can go on, the driver makes one call of the store from all collected calls of
//! one kind, with [`Records::send`]. At most one call is in flight. A call that is dropped takes effect for
//! each record or not, as a dropped single write does.
//!
//! **Results.** Each row has its own result. A store that answers with another number of results than rows
//! has left the result of each write unknown.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::Records;
use crate::concurrency::BoxFuture;
use crate::error::{other_record, wrong_number_of_results};
use crate::record::Record;
use crate::store::{MAX_PAGE_LEN, StoreError, StoredRecord, TokenStore, Version};
use crate::token::TokenId;

/// The calls of the parked futures of one driver.
#[derive(Default)]
pub(in super::super) struct Batch {
    state: Mutex<State>,
    /// The number by which the driver knows the future that it polls. Only the task of the driver uses it.
    polled: AtomicUsize,
    /// Whether that future is parked.
    parked: AtomicBool,
}

#[derive(Default)]
struct State {
    finds: Rows<TokenId, Result<Option<StoredRecord>, StoreError>>,
    replaces: Rows<(Record, Version), (Record, Result<Version, StoreError>)>,
    removes: Rows<(TokenId, Version), Result<(), StoreError>>,
    answered: Vec<usize>,
}

/// Calls of one kind that were not sent, and the futures that wait for them.
struct Rows<C, A> {
    calls: Vec<C>,
    waiting: Vec<(usize, Answer<A>)>,
}

/// The place for the answer to one row.
type Answer<A> = Arc<Mutex<Option<A>>>;

impl<C, A> Default for Rows<C, A> {
    fn default() -> Self {
        Self { calls: Vec::new(), waiting: Vec::new() }
    }
}

impl<C, A> Rows<C, A> {
    fn add(&mut self, polled: usize, call: C) -> Answer<A> {
        let answer = Answer::default();
        self.calls.push(call);
        self.waiting.push((polled, answer.clone()));
        answer
    }

    /// Returns the first rows, at most `max` of them, or `None` without any.
    fn take(&mut self, max: usize) -> Option<Self> {
        if self.calls.is_empty() {
            return None;
        }
        let mut first = mem::take(self);
        if first.calls.len() > max {
            self.calls = first.calls.split_off(max);
            self.waiting = first.waiting.split_off(max);
        }
        Some(first)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Batch {
    /// Polls the future that the driver knows by this number, and returns whether it is parked.
    pub(in super::super) fn poll<T>(
        &self,
        number: usize,
        future: Pin<&mut (impl Future<Output = T> + ?Sized)>,
        context: &mut Context<'_>,
    ) -> (Poll<T>, bool) {
        self.polled.store(number, Relaxed);
        self.parked.store(false, Relaxed);
        let polled = future.poll(context);
        (polled, self.parked.load(Relaxed))
    }

    /// Returns the numbers of the parked futures whose answers have arrived since the last call.
    pub(in super::super) fn take_answered(&self) -> Vec<usize> {
        mem::take(&mut lock(&self.state).answered)
    }

    /// Reads the record with this id from the store.
    pub(super) fn find(
        &self,
        id: TokenId,
    ) -> impl Future<Output = Result<Option<StoredRecord>, StoreError>> + use<> {
        arrived(self.park(|state| &mut state.finds, id))
    }

    /// Replaces a record, and returns it with the result.
    pub(super) fn replace(
        &self,
        record: Record,
        expected: Version,
    ) -> impl Future<Output = (Record, Result<Version, StoreError>)> + use<> {
        arrived(self.park(|state| &mut state.replaces, (record, expected)))
    }

    /// Removes a record.
    pub(super) fn remove(
        &self,
        id: TokenId,
        expected: Version,
    ) -> impl Future<Output = Result<(), StoreError>> + use<> {
        arrived(self.park(|state| &mut state.removes, (id, expected)))
    }

    /// Adds a call of the future that is polled. The call is not part of that future, which stays small.
    fn park<C, A>(&self, rows: impl FnOnce(&mut State) -> &mut Rows<C, A>, call: C) -> Answer<A> {
        self.parked.store(true, Relaxed);
        rows(&mut lock(&self.state)).add(self.polled.load(Relaxed), call)
    }

    fn answer<A>(&self, waiting: Vec<(usize, Answer<A>)>, answers: impl Iterator<Item = A>) {
        let mut state = lock(&self.state);
        for ((number, place), answer) in waiting.into_iter().zip(answers) {
            *lock(&place) = Some(answer);
            state.answered.push(number);
        }
    }
}

async fn arrived<A>(answer: Answer<A>) -> A {
    poll_fn(|_| lock(&answer).take().map_or(Poll::Pending, Poll::Ready)).await
}

/// Returns the results if there is one for each row, and otherwise an error for each.
fn one_for_each<T>(
    results: Vec<Result<T, StoreError>>,
    rows: usize,
    error: fn(&'static str) -> StoreError,
) -> Vec<Result<T, StoreError>> {
    if results.len() == rows {
        return results;
    }
    (0..rows).map(|_| Err(wrong_number_of_results(error))).collect()
}

impl<S: TokenStore> Records<S> {
    /// Returns the next call of the store for a batch, or `None` if no call waits to be sent.
    pub(in super::super) fn send<'b>(&'b self, batch: &'b Batch) -> Option<BoxFuture<'b, ()>> {
        let mut state = lock(&batch.state);
        if let Some(rows) = state.replaces.take(MAX_PAGE_LEN) {
            return Some(Box::pin(self.send_replaces(batch, rows)));
        }
        if let Some(rows) = state.removes.take(MAX_PAGE_LEN) {
            return Some(Box::pin(self.send_removes(batch, rows)));
        }
        let gathering = self.store.gathering();
        let max_ids = gathering.map_or(MAX_PAGE_LEN, |gathering| gathering.max_ids.max(1));
        let rows = state.finds.take(max_ids)?;
        Some(Box::pin(self.send_finds(batch, rows)))
    }

    async fn send_finds(
        &self,
        batch: &Batch,
        rows: Rows<TokenId, Result<Option<StoredRecord>, StoreError>>,
    ) {
        let Rows { calls: ids, waiting } = rows;
        let found = self.store.find_many(&ids).await;
        let found = one_for_each(found, ids.len(), StoreError::corrupt);
        let checked = found.into_iter().zip(ids).map(|(found, id)| match found? {
            Some(stored) if stored.record.id() != id => Err(other_record()),
            found => Ok(found),
        });
        batch.answer(waiting, checked);
    }

    async fn send_replaces(
        &self,
        batch: &Batch,
        rows: Rows<(Record, Version), (Record, Result<Version, StoreError>)>,
    ) {
        let Rows { calls: writes, waiting } = rows;
        let results = {
            let _invalidate: Vec<_> =
                writes.iter().filter_map(|(of, _)| self.invalidate_on_drop(of.id())).collect();
            self.store.replace_many(&writes).await
        };
        let results = one_for_each(results, writes.len(), StoreError::indeterminate);
        let records = writes.into_iter().map(|(record, _)| record);
        batch.answer(waiting, records.zip(results));
    }

    async fn send_removes(
        &self,
        batch: &Batch,
        rows: Rows<(TokenId, Version), Result<(), StoreError>>,
    ) {
        let Rows { calls: removals, waiting } = rows;
        let results = {
            let _invalidate: Vec<_> =
                removals.iter().filter_map(|(id, _)| self.invalidate_on_drop(*id)).collect();
            self.store.remove_many(&removals).await
        };
        let results = one_for_each(results, removals.len(), StoreError::indeterminate);
        batch.answer(waiting, results.into_iter());
    }
}
