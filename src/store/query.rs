//! Which records a list shows, and its pages.

use chrono::{DateTime, Utc};

use super::{LastUsed, StoredRecord};
use crate::record::{Field, InvalidField, MAX_TEXT_LEN, Record, State};
use crate::token::TokenId;

/// The most records on a page.
pub const MAX_PAGE_LEN: usize = 1_000;

/// The order of a list. Ids sort by time of issue, to the millisecond; within one in no particular
/// order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// Newest first.
    #[default]
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// A set of [`State`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct States(u8);

impl States {
    /// Tokens that work or will: active and pending.
    pub const LIVE: Self = Self(0b0011);
    /// Tokens that will never work again: expired and revoked.
    pub const ENDED: Self = Self(0b1100);
    /// All of them.
    pub const ALL: Self = Self(0b1111);

    /// Whether `state` is one of them.
    pub const fn includes(self, state: State) -> bool {
        self.0 & Self::bit(state) != 0
    }

    const fn bit(state: State) -> u8 {
        match state {
            State::Pending => 0b0001,
            State::Active => 0b0010,
            State::Expired => 0b0100,
            State::Revoked => 0b1000,
        }
    }
}

impl From<State> for States {
    fn from(state: State) -> Self {
        Self(Self::bit(state))
    }
}

impl<const N: usize> From<[State; N]> for States {
    fn from(states: [State; N]) -> Self {
        states.into_iter().collect()
    }
}

impl FromIterator<State> for States {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        Self(states.into_iter().fold(0, |set, state| set | Self::bit(state)))
    }
}

/// Which records a list shows, where its page starts and how long that is.
///
/// Without further words: everybody's live tokens (active and pending ones), newest first, fifty to
/// a page.
///
/// ```
/// use service_tokens::store::Order;
/// use service_tokens::{Query, State};
///
/// let query = Query::new()
///     .token_type("connector")
///     .states(State::Revoked)
///     .issued_to_contains("backup")
///     .direction(Order::OldestFirst)
///     .limit(20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    owner: Option<String>,
    token_type: Option<String>,
    states: States,
    issued_to: Option<String>,
    issued_to_contains: Option<String>,
    issuer: Option<TokenId>,
    issued_by: Option<String>,
    expires_before: Option<DateTime<Utc>>,
    created_before: Option<DateTime<Utc>>,
    unused_since: Option<DateTime<Utc>>,
    ended_before: Option<DateTime<Utc>>,
    direction: Order,
    after: Option<TokenId>,
    limit: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

impl Query {
    /// Everybody's live tokens, newest first, fifty to a page.
    pub fn new() -> Self {
        Self {
            owner: None,
            token_type: None,
            states: States::LIVE,
            issued_to: None,
            issued_to_contains: None,
            issuer: None,
            issued_by: None,
            expires_before: None,
            created_before: None,
            unused_since: None,
            ended_before: None,
            direction: Order::NewestFirst,
            after: None,
            limit: 50,
        }
    }

    /// Only this owner's.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Only of this type.
    #[must_use]
    pub fn token_type(mut self, name: impl Into<String>) -> Self {
        self.token_type = Some(name.into());
        self
    }

    /// Only in one of these states. The default is [`States::LIVE`].
    #[must_use]
    pub fn states(mut self, states: impl Into<States>) -> Self {
        self.states = states.into();
        self
    }

    /// Only those whose issued-to is exactly this text, byte for byte.
    #[must_use]
    pub fn issued_to(mut self, text: impl Into<String>) -> Self {
        self.issued_to = Some(text.into());
        self
    }

    /// Only those whose issued-to contains this text, byte for byte.
    #[must_use]
    pub fn issued_to_contains(mut self, text: impl Into<String>) -> Self {
        self.issued_to_contains = Some(text.into());
        self
    }

    /// Only those that this token issued, directly or through others.
    #[must_use]
    pub fn issuer(mut self, issuer: TokenId) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// Only those issued by this person or program.
    #[must_use]
    pub fn issued_by(mut self, by: impl Into<String>) -> Self {
        self.issued_by = Some(by.into());
        self
    }

    /// Only those with an end before this time.
    #[must_use]
    pub fn expires_before(mut self, time: DateTime<Utc>) -> Self {
        self.expires_before = Some(time);
        self
    }

    /// Only those issued before this time.
    #[must_use]
    pub fn created_before(mut self, time: DateTime<Utc>) -> Self {
        self.created_before = Some(time);
        self
    }

    /// Only those issued before this time and not used since. An error on a store that does not
    /// track last use.
    ///
    /// For a store, a use is what [`TokenStore::touch`](super::TokenStore::touch) was told. The service
    /// adds what waits to be flushed in its process, and takes a noted use for one at any time of the
    /// step that follows it: see [`Tokens::list`](crate::Tokens::list).
    #[must_use]
    pub fn unused_since(mut self, time: DateTime<Utc>) -> Self {
        self.unused_since = Some(time);
        self
    }

    /// Only those that were dead before this time: expired or revoked, whichever came first. Sets the
    /// states to [`States::ENDED`].
    #[must_use]
    pub fn ended_before(mut self, time: DateTime<Utc>) -> Self {
        self.ended_before = Some(time);
        self.states(States::ENDED)
    }

    /// Newest or oldest first.
    #[must_use]
    pub fn direction(mut self, direction: Order) -> Self {
        self.direction = direction;
        self
    }

    /// The page behind this place: [`Page::next`] of the one before.
    #[must_use]
    pub fn after(mut self, cursor: TokenId) -> Self {
        self.after = Some(cursor);
        self
    }

    /// At most this many on a page: 1 to [`MAX_PAGE_LEN`].
    #[must_use]
    pub fn limit(mut self, records: usize) -> Self {
        self.limit = records;
        self
    }

    /// The owner asked for: the one filter that every store should index.
    pub fn owner_filter(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The type asked for.
    pub fn token_type_filter(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    /// The text that issued-to must be.
    pub fn issued_to_exact_filter(&self) -> Option<&str> {
        self.issued_to.as_deref()
    }

    /// The text that issued-to must contain.
    pub fn issued_to_filter(&self) -> Option<&str> {
        self.issued_to_contains.as_deref()
    }

    /// The token that must be among the issuers.
    pub fn issuer_filter(&self) -> Option<TokenId> {
        self.issuer
    }

    /// The person or program that must have issued.
    pub fn issued_by_filter(&self) -> Option<&str> {
        self.issued_by.as_deref()
    }

    /// The time before which records must have been issued.
    pub fn created_before_filter(&self) -> Option<DateTime<Utc>> {
        self.created_before
    }

    /// The states asked for.
    pub fn states_filter(&self) -> States {
        self.states
    }

    /// The end before which records were asked for.
    pub fn expires_before_filter(&self) -> Option<DateTime<Utc>> {
        self.expires_before
    }

    /// The time before which records must have died: see [`Record::ends_at`].
    pub fn ended_before_filter(&self) -> Option<DateTime<Utc>> {
        self.ended_before
    }

    /// The time since which records must not have been used.
    pub fn unused_since_filter(&self) -> Option<DateTime<Utc>> {
        self.unused_since
    }

    /// The order.
    pub fn order(&self) -> Order {
        self.direction
    }

    /// The place behind which the page starts.
    pub fn cursor(&self) -> Option<TokenId> {
        self.after
    }

    /// The most records on the page: the limit, within 1 and [`MAX_PAGE_LEN`].
    pub fn page_len(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE_LEN)
    }

    /// Refuses texts that no record could hold: stores are told that a query's are bounded.
    pub(crate) fn check_texts(&self) -> Result<(), InvalidField> {
        let texts = [
            (Field::Owner, &self.owner),
            (Field::Type, &self.token_type),
            (Field::IssuedTo, &self.issued_to),
            (Field::IssuedTo, &self.issued_to_contains),
            (Field::IssuedBy, &self.issued_by),
        ];
        texts.iter().try_for_each(|(field, text)| match text {
            Some(text) => field.at_most(text, MAX_TEXT_LEN),
            None => Ok(()),
        })
    }

    /// For a walk over all of them: from the oldest on, in pages as long as may be.
    pub(crate) fn walked(self) -> Self {
        Self { after: None, direction: Order::OldestFirst, limit: MAX_PAGE_LEN, ..self }
    }

    pub(crate) fn given_limit(&self) -> usize {
        self.limit
    }

    /// Whether a record is one of those asked for, wherever the page starts.
    pub fn matches(&self, record: &Record, last_used: LastUsed, now: DateTime<Utc>) -> bool {
        fn is<T: PartialEq + ?Sized>(asked: Option<&T>, value: &T) -> bool {
            asked.is_none_or(|asked| asked == value)
        }
        is(self.owner.as_deref(), record.owner())
            && is(self.token_type.as_deref(), record.token_type())
            && self.states.includes(record.state(now))
            && is(self.issued_to.as_deref(), record.issued_to())
            && self.issued_to_contains.as_ref().is_none_or(|t| record.issued_to().contains(&**t))
            && self.issuer.is_none_or(|issuer| record.issuers().contains(&issuer))
            && self.issued_by.as_deref().is_none_or(|by| record.issued_by() == Some(by))
            && self.expires_before.is_none_or(|t| record.expires_at().is_some_and(|end| end < t))
            && self.created_before.is_none_or(|t| record.created_at() < t)
            && self.is_unused(record, last_used)
            && self.ended_before.is_none_or(|t| record.ended_at(now).is_some_and(|end| end < t))
    }

    /// Whether a record is one of those asked for, as far as its last use goes.
    pub(crate) fn is_unused(&self, record: &Record, last_used: LastUsed) -> bool {
        self.unused_since.is_none_or(|time| unused_since(record, last_used, time))
    }

    /// Whether an id lies behind the cursor.
    pub fn is_behind_cursor(&self, id: TokenId) -> bool {
        match (self.after, self.direction) {
            (None, _) => true,
            (Some(cursor), Order::OldestFirst) => id > cursor,
            (Some(cursor), Order::NewestFirst) => id < cursor,
        }
    }
}

/// A token issued after the time was not there to be used since.
fn unused_since(record: &Record, last_used: LastUsed, time: DateTime<Utc>) -> bool {
    record.created_at() < time
        && match last_used {
            LastUsed::NotTracked => false,
            LastUsed::Never => true,
            LastUsed::At(used) => used < time,
        }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Page {
    /// The records, in order. There may be none although there is a next page.
    pub items: Vec<StoredRecord>,
    /// The place behind which the next page starts, for [`Query::after`]; `None` at the end.
    pub next: Option<TokenId>,
}

impl Page {
    /// For authors of stores.
    pub fn new(items: Vec<StoredRecord>, next: Option<TokenId>) -> Self {
        Self { items, next }
    }
}
