//! Counting the records that a filter selects.

use chrono::{DateTime, Utc};

use super::tokens::{Tokens, View};
use crate::concurrency::yield_once::yield_once;
use crate::error::ManageError;
use crate::event::{Event, Operation};
use crate::store::{Filter, ListRequest, MAX_PAGE_LEN, Order, TokenStore};

impl<S: TokenStore, V> Tokens<'_, S, V> {
    /// Counts the records that a filter selects.
    ///
    /// It counts the same records as [`list`](Self::list) returns on all its pages. By default these are
    /// the live tokens. A use that is not flushed yet is respected in the same way.
    ///
    /// The store counts ([`TokenStore::count`]), and no record is sent to the service if the store does that
    /// by itself. A filter by last use is the exception, because this process may know later uses than the
    /// store. Then the service reads the records page by page. If tokens are issued or end during the count,
    /// it may include them or not. Most stores read every record that they count, so do not count for every
    /// request.
    ///
    /// # Errors
    ///
    /// The errors of [`list`](Self::list), except that for the limit of a page.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::Filter;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// for owner in ["acme", "acme", "globex"] {
    ///     let _ = service.owner(owner).issue(IssueRequest::new("connector", "backup")).await?;
    /// }
    /// let connectors = Filter::new().token_type("connector");
    /// assert_eq!(service.owner("acme").count(connectors.clone()).await?, 2);
    /// assert_eq!(service.all_owners().count(connectors).await?, 3);
    /// # Ok(()) }
    /// ```
    pub async fn count(self, filter: Filter) -> Result<u64, ManageError> {
        let view = self.view();
        let audit = view.service.audit(Operation::Count, None);
        let outcome = view.try_count(filter).await;
        let owner = view.owner.map(str::to_owned);
        audit.end(outcome, |records| Event::Counted {
            owner,
            records: *records,
            on_behalf_of: None,
        })
    }
}

impl<S: TokenStore> View<'_, S> {
    /// Counts the records as of now.
    pub(super) async fn try_count(&self, filter: Filter) -> Result<u64, ManageError> {
        self.count_as_of(filter, self.service.now()).await
    }

    /// Counts the records as of this time.
    pub(super) async fn count_as_of(
        &self,
        filter: Filter,
        now: DateTime<Utc>,
    ) -> Result<u64, ManageError> {
        if filter.unused_since.is_some() {
            return self.count_pages(filter, now).await;
        }
        match self.within(filter)? {
            Some(filter) => Ok(self.service.core.records.store.count(&filter, now).await?),
            None => Ok(0),
        }
    }

    /// Counts the records page by page, because pending uses decide which ones are selected.
    async fn count_pages(&self, filter: Filter, now: DateTime<Utc>) -> Result<u64, ManageError> {
        let mut request = ListRequest::from(filter).order(Order::OldestFirst).limit(MAX_PAGE_LEN);
        let mut records = 0;
        loop {
            let page = self.page(request.clone(), now).await?;
            records += page.items.len() as u64;
            match page.next {
                Some(next) => request = request.after(next),
                None => return Ok(records),
            }
            drop(page);
            yield_once().await;
        }
    }
}
