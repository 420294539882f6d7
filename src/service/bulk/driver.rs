//! The driver of bulk operations, with pages, passes and the records in progress.

use std::fmt;

use super::super::core::Core;
use super::super::records::{Batch, owned};
use super::super::tokens::View;
use super::batched::BatchedFutures;
use super::outcome::{BulkError, BulkOutcome};
use super::progress::{BulkOperation, Cause, OnProgress, Progress};
use crate::concurrency::yield_once::yield_once;
use crate::concurrency::{BoxFuture, CONCURRENCY};
use crate::error::ManageError;
use crate::event::{Event, Operation, Purpose};
use crate::store::{Filter, ListRequest, MAX_PAGE_LEN, Order, States, StoredRecord, TokenStore};
use crate::token::TokenId;

/// A scan of the records that a filter selects.
pub(super) struct Scan<'t, S> {
    view: View<'t, S>,
    filter: Filter,
    /// The token with which every pass begins, if it is live.
    first: Option<TokenId>,
    cause: Cause,
}

impl<'t, S: TokenStore> Scan<'t, S> {
    pub(super) fn new(view: View<'t, S>, filter: Filter, first: Option<TokenId>) -> Self {
        Self { view, filter, first, cause: Cause::Embedder }
    }

    /// Says that a reported text caused the operation.
    pub(super) fn reported(self) -> Self {
        Self { cause: Cause::Report, ..self }
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Counts the records, changes none, and emits the event of the count.
    pub(super) async fn count(&self, operation: &impl BulkOperation) -> Result<u64, ManageError> {
        let audit = self.view.service.audit(Operation::Count, None);
        let outcome = self.count_pass(operation).await;
        let owner = self.view.owner.map(str::to_owned);
        audit.end(outcome, |count| Event::Counted { owner, records: *count, on_behalf_of: None })
    }

    async fn count_pass(&self, operation: &impl BulkOperation) -> Result<u64, ManageError> {
        operation.check()?;
        let mut count = match self.first {
            Some(id) => self.first(id, operation).await?.iter().count() as u64,
            None => 0,
        };
        if operation.needs_all() {
            let now = self.view.service.earlier().time;
            return Ok(count + self.view.count_as_of(self.filter.clone(), now).await?);
        }
        let mut cursor = None;
        loop {
            operation.check()?;
            let (found, next) = self.page(cursor, operation).await?;
            count += found.len() as u64;
            if next.is_none() {
                return Ok(count);
            }
            cursor = next;
            yield_once().await;
        }
    }

    /// Makes passes until one finds no record that could be processed.
    pub(super) async fn run(
        &self,
        operation: &impl BulkOperation,
        on_progress: OnProgress<'_>,
    ) -> Result<BulkOutcome, BulkError> {
        let mut progress =
            Progress::new(&self.view.service.core.events, operation, self.cause, on_progress);
        let ended = self.passes(operation, &mut progress).await;
        progress.end(ended)
    }

    async fn passes<O: BulkOperation>(
        &self,
        operation: &O,
        progress: &mut Progress<'_, O>,
    ) -> Result<(), ManageError> {
        loop {
            progress.begin_pass();
            if let Some(id) = self.first {
                operation.check()?;
                match self.first(id, operation).await {
                    Ok(found) => {
                        self.process(found.into_iter().collect(), operation, progress).await?;
                    }
                    Err(error) => progress.count(id, Err(error))?,
                }
            }
            let mut cursor = None;
            loop {
                operation.check()?;
                // Retains the uses that are flushed until the page is processed, so that the operation
                // can still see them.
                let _merge = self.view.service.merge_last_used();
                let (found, next) = self.page(cursor, operation).await?;
                self.process(found, operation, progress).await?;
                progress.end_page(next);
                yield_once().await;
                if next.is_none() {
                    break;
                }
                cursor = next;
            }
            if !progress.pass_found_work() {
                return Ok(());
            }
        }
    }

    /// Returns the records of a page that need work, and the cursor of the next page.
    async fn page(
        &self,
        cursor: Option<TokenId>,
        operation: &impl BulkOperation,
    ) -> Result<(Vec<StoredRecord>, Option<TokenId>), ManageError> {
        let request = ListRequest {
            after: cursor,
            ..ListRequest::from(self.filter.clone()).order(Order::OldestFirst).limit(MAX_PAGE_LEN)
        };
        let mut page = self.view.page(request, self.view.service.earlier().time).await?;
        page.items.retain(|found| operation.needs(found));
        Ok((page.items, page.next))
    }

    /// Returns the record of the first token, if it is live and needs work.
    async fn first(
        &self,
        id: TokenId,
        operation: &impl BulkOperation,
    ) -> Result<Option<StoredRecord>, ManageError> {
        let service = self.view.service;
        let found = service.core.records.find(id).await?;
        let now = service.earlier().time;
        let found = owned(found, self.view.owner, id).ok();
        Ok(found.filter(|stored| {
            States::LIVE.contains(stored.record.state(now)) && operation.needs(stored)
        }))
    }

    /// Returns the most records of a page that are in progress at once. A filter by last use is checked again
    /// when a record's turn begins, and a use after that is not seen. So fewer records begin together.
    fn max_in_progress(&self) -> usize {
        if self.filter.unused_since.is_some() { CONCURRENCY } else { MAX_PAGE_LEN }
    }

    /// Processes these records. After an error that stops the operation, records in progress are
    /// finished and no other is started.
    async fn process<O: BulkOperation>(
        &self,
        found: Vec<StoredRecord>,
        operation: &O,
        progress: &mut Progress<'_, O>,
    ) -> Result<(), ManageError> {
        let Core { records, events, .. } = &*self.view.service.core;
        let batch = Batch::default();
        let futures = found.into_iter().map(|stored| -> BoxFuture<'_, _> {
            let batch = &batch;
            Box::pin(async move {
                let id = stored.record.id();
                // The event of this record may wait for those of the embedder only.
                let _room = events.room(Purpose::Bulk).await;
                (id, operation.process(stored, batch).await)
            })
        });
        let mut results = BatchedFutures::new(records, &batch, self.max_in_progress(), futures);
        let mut ended = Ok(());
        while let Some((id, result)) = results.next().await {
            if let Err(error) = progress.count(id, result)
                && ended.is_ok()
            {
                ended = Err(error);
                results.stop_starting();
            }
        }
        ended
    }
}

/// Returns whether this process has seen a use since the record was found, so that the filter does not
/// select the token any more.
pub(super) fn used_since_found<S: TokenStore>(
    view: View<'_, S>,
    filter: &Filter,
    found: &mut StoredRecord,
) -> bool {
    let merge = view.service.merge_last_used();
    merge.apply(found);
    !filter.is_unused(&found.record, merge.latest_possible(found.last_used))
}

impl<S> fmt::Debug for Scan<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("view", &self.view)
            .field("filter", &self.filter)
            .field("first", &self.first)
            .finish()
    }
}
