//! The request for a page of records, and the page.

use super::StoredRecord;
use super::filter::Filter;
use crate::token::TokenId;

/// The maximum number of records on a page.
pub const MAX_PAGE_LEN: usize = 1_000;

/// The order of a list.
///
/// A list is sorted by id as an unsigned number. An id that the service generates begins with the time
/// of issue in milliseconds, so tokens of the same millisecond have no particular order. The id of an
/// [imported](crate::import) token begins with zeros and has no time. So imported tokens come before all
/// others, as if they were the oldest, and have no particular order among themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// The ids descend, so the newest token comes first.
    #[default]
    NewestFirst,
    /// The ids ascend, so the oldest token comes first.
    OldestFirst,
}

/// A request for one page of a list.
///
/// It names the filter, the order, the cursor after which the page starts, and the maximum number of
/// records. A cursor is an id: in the order of the list, the page has only records after this id. A record
/// with this id need not exist. The default requests the first page of the live tokens of all owners, newest first,
/// with at most fifty records. Each setter has the name of its field.
///
/// # Examples
///
/// ```
/// use service_tokens::store::Order;
/// use service_tokens::{Filter, ListRequest, State};
///
/// let request = ListRequest::new()
///     .filter(Filter::new().token_type("connector").states(State::Revoked))
///     .order(Order::OldestFirst)
///     .limit(20);
/// assert_eq!(request.limit, 20);
///
/// let first_page = ListRequest::from(Filter::new().owner("acme"));
/// assert_eq!(first_page.filter.owner.as_deref(), Some("acme"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct ListRequest {
    /// The filter that records must match.
    pub filter: Filter,
    /// The order of the records.
    pub order: Order,
    /// The cursor after which the page starts, or `None` for the first page.
    pub after: Option<TokenId>,
    /// The maximum number of records on the page, 1 to [`MAX_PAGE_LEN`]. The service refuses other limits
    /// before it calls a store.
    pub limit: usize,
}

impl Default for ListRequest {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Filter> for ListRequest {
    fn from(filter: Filter) -> Self {
        Self { filter, order: Order::NewestFirst, after: None, limit: 50 }
    }
}

impl ListRequest {
    /// Creates a request for the first page of the live tokens of all owners, newest first, with at
    /// most fifty records.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{Filter, ListRequest};
    ///
    /// let request = ListRequest::new();
    /// assert_eq!((request.filter, request.after, request.limit), (Filter::new(), None, 50));
    /// ```
    pub fn new() -> Self {
        Filter::new().into()
    }

    /// Sets the filter that records must match.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{Filter, ListRequest};
    ///
    /// let connectors = Filter::new().token_type("connector");
    /// let request = ListRequest::new().filter(connectors.clone()).limit(20);
    /// assert_eq!(request.filter, connectors);
    /// ```
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the order of the records. The default is newest first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// use service_tokens::ListRequest;
    /// use service_tokens::store::Order;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Arc::new(service_tokens::clock::ManualClock::default());
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_test").clock(clock.clone())
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// clock.advance(Duration::from_secs(60));
    /// let _ = acme.issue(IssueRequest::new("connector", "restore")).await?;
    /// let page = acme.list(ListRequest::new().order(Order::OldestFirst)).await?;
    /// assert_eq!(page.items[0].record.issued_to(), "backup");
    /// # Ok(()) }
    /// ```
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets the cursor after which the page starts. It is the [`Page::next`] of the page before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::ListRequest;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// for label in ["backup", "restore", "sync"] {
    ///     let _ = acme.issue(IssueRequest::new("connector", label)).await?;
    /// }
    /// let request = ListRequest::new().limit(2);
    /// let first = acme.list(request.clone()).await?;
    /// let second = acme.list(request.after(first.next.ok_or("no second page")?)).await?;
    /// assert_eq!((first.items.len(), second.items.len()), (2, 1));
    /// # Ok(()) }
    /// ```
    pub fn after(mut self, cursor: TokenId) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Sets the maximum number of records on the page: 1 to [`MAX_PAGE_LEN`]. The default is 50.
    ///
    /// A [list](crate::Tokens::list) with another limit fails. A page can have fewer records than
    /// the limit even if there is a next page.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{ListRequest, ManageError};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// assert!(acme.list(ListRequest::new().limit(1_000)).await.is_ok());
    /// let refused = acme.list(ListRequest::new().limit(1_001)).await;
    /// assert!(matches!(refused, Err(ManageError::Invalid(_))));
    /// # Ok(()) }
    /// ```
    pub fn limit(mut self, records: usize) -> Self {
        self.limit = records;
        self
    }

    /// Returns whether an id is after the cursor in the order of the list, or whether there is no cursor.
    /// Implementations of stores call this.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::store::Order;
    /// use service_tokens::uuid::Uuid;
    /// use service_tokens::{ListRequest, TokenId};
    ///
    /// let [first, second] = [1, 2].map(|n| TokenId::from_uuid(Uuid::from_u128(n)));
    /// assert!(ListRequest::new().after(second).is_past_cursor(first));
    /// assert!(ListRequest::new().order(Order::OldestFirst).after(first).is_past_cursor(second));
    /// ```
    pub fn is_past_cursor(&self, id: TokenId) -> bool {
        match (self.after, self.order) {
            (None, _) => true,
            (Some(cursor), Order::OldestFirst) => id > cursor,
            (Some(cursor), Order::NewestFirst) => id < cursor,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Page {
    /// The records, in the order of the request. Even a page without records may have a next page.
    pub items: Vec<StoredRecord>,
    /// The cursor after which the next page starts, for
    /// [`ListRequest::after`](method@ListRequest::after). It is `None` only if no further record can
    /// match.
    pub next: Option<TokenId>,
}

impl Page {
    /// Creates a page. Implementations of stores call this.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::Page;
    ///
    /// let last_page = Page::new(Vec::new(), None);
    /// assert!(last_page.items.is_empty());
    /// ```
    pub fn new(items: Vec<StoredRecord>, next: Option<TokenId>) -> Self {
        Self { items, next }
    }
}
