//! The request for a page of records, and the page.

use super::StoredRecord;
use super::filter::Filter;
use crate::token::TokenId;

/// The largest number of records on a page.
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

/// A request for one page of a list: which records, in which order, after which place, and how many.
///
/// The default asks for the first page of all owners' live tokens, newest first, with fifty on a page.
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
    /// Newest or oldest first.
    pub order: Order,
    /// The place after which the page starts. It is a place in the order and need not be a record's
    /// id. `None` is the first page.
    pub after: Option<TokenId>,
    /// The largest number of records on the page: 1 to [`MAX_PAGE_LEN`].
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
    /// Creates a request for the first page of all owners' live tokens, newest first, with fifty on a
    /// page.
    pub fn new() -> Self {
        Filter::new().into()
    }

    /// Sets the filter that records must match.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the order: newest or oldest first.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Starts the page after this place: the [`Page::next`] of the page before.
    pub fn after(mut self, cursor: TokenId) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Sets the largest number of records on the page: 1 to [`MAX_PAGE_LEN`].
    pub fn limit(mut self, records: usize) -> Self {
        self.limit = records;
        self
    }

    /// Returns whether an id lies after the cursor.
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
    /// The place after which the next page starts, for [`ListRequest::after`]; `None` at the end.
    pub next: Option<TokenId>,
}

impl Page {
    /// Creates a page. Implementations of stores call this.
    pub fn new(items: Vec<StoredRecord>, next: Option<TokenId>) -> Self {
        Self { items, next }
    }
}
