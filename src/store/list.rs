//! The request for a page of records, and the page.

use super::StoredRecord;
use super::filter::Filter;
use crate::token::TokenId;

/// The maximum number of records on a page.
pub const MAX_PAGE_LEN: usize = 1_000;

/// The order of a list. Ids sort by time of issue, to the millisecond. Tokens of the same millisecond
/// are in no particular order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// A request for one page of a list. It has a filter, an order, the place after which the page starts, and
/// the maximum number of records.
///
/// The default is the first page of the live tokens of all owners, newest first, with at most 50 records.
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
    /// The place after which the page starts. It is a place in the order and need not be a record's
    /// id. `None` is the first page.
    pub after: Option<TokenId>,
    /// The maximum number of records on the page, from 1 to [`MAX_PAGE_LEN`].
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
    /// Creates a request for the first page of the live tokens of all owners, newest first, with at most 50
    /// records.
    pub fn new() -> Self {
        Filter::new().into()
    }

    /// Sets the filter that records must match.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the order. The default is newest first.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Starts the page after this place, which is the [`Page::next`] of the page before.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{Filter, ListRequest};
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # for _ in 0..3 { let _ = acme.issue(IssueRequest::new("connector", "backup")).await?; }
    /// let mut request = ListRequest::from(Filter::new().token_type("connector")).limit(2);
    /// let mut count = 0;
    /// loop {
    ///     let page = acme.list(request.clone()).await?;
    ///     count += page.items.len();
    ///     let Some(next) = page.next else { break };
    ///     request = request.after(next);
    /// }
    /// assert_eq!(count, 3);
    /// # Ok(()) }
    /// ```
    pub fn after(mut self, cursor: TokenId) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Sets the maximum number of records on the page, from 1 to [`MAX_PAGE_LEN`]. The default is 50.
    pub fn limit(mut self, records: usize) -> Self {
        self.limit = records;
        self
    }

    /// Returns whether an id is after the place at which the page starts. Implementations of stores call this.
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
    /// The records, in order. A page without records may have a successor.
    pub items: Vec<StoredRecord>,
    /// The place after which the next page starts, for [`ListRequest::after`]. It is `None` at the end.
    pub next: Option<TokenId>,
}

impl Page {
    /// Creates a page. Implementations of stores call this.
    pub fn new(items: Vec<StoredRecord>, next: Option<TokenId>) -> Self {
        Self { items, next }
    }
}
