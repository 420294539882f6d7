//! The filter that selects records.

use chrono::{DateTime, TimeDelta, Utc};

use super::LastUsed;
use crate::clock::whole_micros;
use crate::record::{Field, InvalidField, MAX_TEXT_LEN, Record, State};
use crate::token::TokenId;

/// A set of [`State`]s.
///
/// # Examples
///
/// ```
/// use service_tokens::State;
/// use service_tokens::store::States;
///
/// let not_accepted: States = [State::Pending, State::Expired, State::Revoked].into();
/// assert!(not_accepted.contains(State::Revoked));
/// assert!(!States::LIVE.contains(State::Revoked));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct States(u8);

impl States {
    /// The states of live tokens, which work now or can work later: active, pending and suspended.
    pub const LIVE: Self = Self(0b1_0011);
    /// The states of tokens that will never work again: expired and revoked.
    pub const ENDED: Self = Self(0b0_1100);
    /// All states.
    pub const ALL: Self = Self(0b1_1111);

    /// Returns whether `state` is in the set.
    pub const fn contains(self, state: State) -> bool {
        self.0 & Self::bit(state) != 0
    }

    const fn bit(state: State) -> u8 {
        match state {
            State::Pending => 0b0001,
            State::Active => 0b0010,
            State::Expired => 0b0100,
            State::Revoked => 0b1000,
            State::Suspended => 0b1_0000,
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

/// The conditions that select records. A record is selected if it meets all of them.
///
/// The default selects the live tokens (active, pending and suspended) of all owners. A field that is `None`
/// does not restrict the selection. Each setter has the name of its field.
///
/// A store receives times in whole microseconds, as records have them. The service rounds the times of a
/// filter up, which selects the same records.
///
/// # Examples
///
/// ```
/// use service_tokens::{Filter, State};
///
/// let filter = Filter::new()
///     .token_type("connector")
///     .states(State::Revoked)
///     .issued_to_contains("backup");
/// assert_eq!(filter.token_type.as_deref(), Some("connector"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Filter {
    /// Only tokens that belong to this owner. Every store should have an index for it.
    pub owner: Option<String>,
    /// Only tokens that have the type with this name.
    pub token_type: Option<String>,
    /// Only tokens that are in one of these states. The default is [`States::LIVE`].
    pub states: States,
    /// Only tokens that have exactly this issued-to, byte for byte.
    pub issued_to: Option<String>,
    /// Only tokens that have this text in their issued-to, byte for byte.
    pub issued_to_contains: Option<String>,
    /// Only tokens that the token with this id issued or rotated, directly or through other tokens. The
    /// id is that of an ancestor. A person or program is in `issued_by`.
    pub issuer: Option<TokenId>,
    /// Only tokens that this person or program issued. The id of an issuing token is in `issuer`.
    pub issued_by: Option<String>,
    /// Only tokens that expire strictly before this time. A token without an expiry time does not
    /// match.
    pub expires_before: Option<DateTime<Utc>>,
    /// Only tokens that were issued strictly before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// Only tokens that were issued before this time, and were not used at this time or later.
    pub unused_since: Option<DateTime<Utc>>,
    /// Only tokens that ended strictly before this time. [`Record::ends_at`] defines the end.
    pub ended_before: Option<DateTime<Utc>>,
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

impl Filter {
    /// Creates a filter that selects the live tokens of all owners.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::Filter;
    /// use service_tokens::store::States;
    ///
    /// let filter = Filter::new();
    /// assert_eq!(filter.states, States::LIVE);
    /// assert_eq!(filter.owner, None);
    /// ```
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
        }
    }

    /// Selects only tokens that belong to this owner.
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
    /// for owner in ["acme", "globex"] {
    ///     let _ = service.owner(owner).issue(IssueRequest::new("connector", "backup")).await?;
    /// }
    /// let page = service.all_owners().list(Filter::new().owner("acme").into()).await?;
    /// assert_eq!(page.items.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Selects only tokens that have the type with this name.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::Filter;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?)
    /// #     .token_type(TokenType::new("developer", ["*"])?).build()?;
    /// # let acme = service.owner("acme");
    /// for token_type in ["connector", "developer"] {
    ///     let _ = acme.issue(IssueRequest::new(token_type, "build server")).await?;
    /// }
    /// let page = acme.list(Filter::new().token_type("developer").into()).await?;
    /// assert_eq!(page.items.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn token_type(mut self, name: impl Into<String>) -> Self {
        self.token_type = Some(name.into());
        self
    }

    /// Selects only tokens that are in one of these states. The default is [`States::LIVE`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::{Filter, RevokeRequest, State};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// acme.revoke(record.id(), RevokeRequest::new()).await?;
    /// assert!(acme.list(Filter::new().into()).await?.items.is_empty());
    /// let page = acme.list(Filter::new().states([State::Revoked, State::Expired]).into()).await?;
    /// assert_eq!(page.items[0].record.id(), record.id());
    /// # Ok(()) }
    /// ```
    pub fn states(mut self, states: impl Into<States>) -> Self {
        self.states = states.into();
        self
    }

    /// Selects only tokens that have exactly this issued-to, byte for byte.
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
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let count = async |filter: Filter| acme.list(filter.into()).await.map(|page| page.items.len());
    /// assert_eq!(count(Filter::new().issued_to("backup")).await?, 1);
    /// assert_eq!(count(Filter::new().issued_to("Backup")).await?, 0);
    /// # Ok(()) }
    /// ```
    pub fn issued_to(mut self, text: impl Into<String>) -> Self {
        self.issued_to = Some(text.into());
        self
    }

    /// Selects only tokens that have this text in their issued-to, byte for byte.
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
    /// # let acme = service.owner("acme");
    /// let _ = acme.issue(IssueRequest::new("connector", "nightly backup")).await?;
    /// let page = acme.list(Filter::new().issued_to_contains("backup").into()).await?;
    /// assert_eq!(page.items.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn issued_to_contains(mut self, text: impl Into<String>) -> Self {
        self.issued_to_contains = Some(text.into());
        self
    }

    /// Selects only tokens that the token with this id issued or rotated, directly or through other
    /// tokens.
    ///
    /// The id is that of an ancestor. For a person or program, use
    /// [`issued_by`](method@Self::issued_by).
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
    /// use service_tokens::Filter;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("manager", ["files:upload", "service-tokens:*"])?)
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let backup = service.owner("acme").issue(IssueRequest::new("connector", "backup")).await?;
    /// # let manager = service.owner("acme").issue(IssueRequest::new("manager", "console")).await?;
    /// let verified = service.verify(manager.token.expose_secret(), &Requirement::any_token()).await?;
    /// let request = IssueRequest::new("connector", "staging");
    /// let issued = service.on_behalf_of(&verified).issue(request).await?;
    ///
    /// let below = Filter::new().issuer(verified.id());
    /// let page = service.owner("acme").list(below.into()).await?;
    /// assert_eq!(page.items.len(), 1);
    /// assert_eq!(page.items[0].record.id(), issued.record.id());
    /// # Ok(()) }
    /// ```
    pub fn issuer(mut self, issuer: TokenId) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// Selects only tokens that this person or program issued.
    ///
    /// For the id of an issuing token, use [`issuer`](method@Self::issuer).
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
    /// # let acme = service.owner("acme");
    /// for by in ["alice", "deployment"] {
    ///     let _ = acme.issue(IssueRequest::new("connector", "backup").issued_by(by)).await?;
    /// }
    /// let page = acme.list(Filter::new().issued_by("deployment").into()).await?;
    /// assert_eq!(page.items.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn issued_by(mut self, by: impl Into<String>) -> Self {
        self.issued_by = Some(by.into());
        self
    }

    /// Selects only tokens that expire strictly before this time. A token without an expiry time
    /// does not match.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::time::Duration;
    /// use service_tokens::Filter;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// let day = Duration::from_secs(86_400);
    /// let _ = acme.issue(IssueRequest::new("connector", "migration").expires_in(day)).await?;
    /// let _ = acme.issue(IssueRequest::new("connector", "backup")).await?;
    /// let page = acme.list(Filter::new().expires_before(service.now() + 7 * day).into()).await?;
    /// assert_eq!(page.items.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn expires_before(mut self, time: DateTime<Utc>) -> Self {
        self.expires_before = Some(time);
        self
    }

    /// Selects only tokens that were issued strictly before this time.
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
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let page = acme.list(Filter::new().created_before(record.created_at()).into()).await?;
    /// assert!(page.items.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn created_before(mut self, time: DateTime<Utc>) -> Self {
        self.created_before = Some(time);
        self
    }

    /// Selects only tokens that were issued before this time, and were not used at this time or later.
    ///
    /// A list with this filter fails on a store that does not track last use.
    ///
    /// [`matches`](Self::matches) compares the time that the store recorded. The service also adds the uses
    /// that its process has not flushed yet, and allows for one [`last_used_resolution`]. So a list may
    /// leave out a token that was used shortly before `time`. [`Tokens::list`](crate::Tokens::list) has
    /// the details.
    ///
    /// [`last_used_resolution`]: crate::TokenServiceBuilder::last_used_resolution
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// use service_tokens::Filter;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Arc::new(service_tokens::clock::ManualClock::default());
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_test").clock(clock.clone())
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// clock.advance(Duration::from_secs(30 * 86_400));
    /// let page = acme.list(Filter::new().unused_since(service.now()).into()).await?;
    /// assert_eq!(page.items[0].record.id(), record.id());
    /// # Ok(()) }
    /// ```
    pub fn unused_since(mut self, time: DateTime<Utc>) -> Self {
        self.unused_since = Some(time);
        self
    }

    /// Selects only tokens that expired or were revoked strictly before this time. If both
    /// happened, the earlier one counts.
    ///
    /// It also sets the states to [`States::ENDED`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// use service_tokens::{Filter, RevokeRequest};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let clock = Arc::new(service_tokens::clock::ManualClock::default());
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_test").clock(clock.clone())
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// acme.revoke(record.id(), RevokeRequest::new()).await?;
    /// clock.advance(Duration::from_secs(60));
    /// let page = acme.list(Filter::new().ended_before(service.now()).into()).await?;
    /// assert_eq!(page.items[0].record.id(), record.id());
    /// # Ok(()) }
    /// ```
    pub fn ended_before(mut self, time: DateTime<Utc>) -> Self {
        self.ended_before = Some(time);
        self.states(States::ENDED)
    }

    /// Returns the filter with its times rounded up to whole microseconds. It selects the same records,
    /// because each condition selects what is before its time, and records have whole microseconds.
    pub(crate) fn in_whole_micros(self) -> Self {
        let up = |time: DateTime<Utc>| {
            let whole = whole_micros(time);
            let next = || whole.checked_add_signed(TimeDelta::microseconds(1)).unwrap_or(whole);
            if whole < time { next() } else { whole }
        };
        Self {
            expires_before: self.expires_before.map(up),
            created_before: self.created_before.map(up),
            unused_since: self.unused_since.map(up),
            ended_before: self.ended_before.map(up),
            ..self
        }
    }

    /// Refuses texts that are too long for any record, because stores rely on bounded texts.
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

    /// Returns whether a record meets every condition at the time `now`. Implementations of stores
    /// call this.
    ///
    /// # Examples
    ///
    /// ```
    /// # use service_tokens::{IssueRequest, MemoryStore, TokenService, TokenType};
    /// use service_tokens::Filter;
    /// use service_tokens::store::LastUsed;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = TokenService::builder(MemoryStore::new(), "acme_live")
    /// #     .token_type(TokenType::new("connector", ["files:upload"])?).build()?;
    /// # let acme = service.owner("acme");
    /// # let record = acme.issue(IssueRequest::new("connector", "backup")).await?.record;
    /// let now = service.now();
    /// assert!(Filter::new().owner("acme").matches(&record, LastUsed::Never, now));
    /// assert!(!Filter::new().owner("globex").matches(&record, LastUsed::Never, now));
    /// # Ok(()) }
    /// ```
    pub fn matches(&self, record: &Record, last_used: LastUsed, now: DateTime<Utc>) -> bool {
        fn is<T: PartialEq + ?Sized>(asked: Option<&T>, value: &T) -> bool {
            asked.is_none_or(|asked| asked == value)
        }
        is(self.owner.as_deref(), record.owner())
            && is(self.token_type.as_deref(), record.token_type())
            && self.states.contains(record.state(now))
            && is(self.issued_to.as_deref(), record.issued_to())
            && self.issued_to_contains.as_ref().is_none_or(|t| record.issued_to().contains(&**t))
            && self.issuer.is_none_or(|issuer| record.issuers().contains(&issuer))
            && self.issued_by.as_deref().is_none_or(|by| record.issued_by() == Some(by))
            && self.expires_before.is_none_or(|t| record.expires_at().is_some_and(|end| end < t))
            && self.created_before.is_none_or(|t| record.created_at() < t)
            && self.is_unused(record, last_used)
            && self.ended_before.is_none_or(|t| record.ended_at(now).is_some_and(|end| end < t))
    }

    /// Returns whether a record meets the condition about its last use.
    pub(crate) fn is_unused(&self, record: &Record, last_used: LastUsed) -> bool {
        self.unused_since.is_none_or(|time| unused_since(record, last_used, time))
    }
}

/// Returns whether a token existed before `time` and was not used since.
fn unused_since(record: &Record, last_used: LastUsed, time: DateTime<Utc>) -> bool {
    // Uses before an import are not known, so an imported token exists since its newest secret.
    let since = if record.is_imported() { record.secret_created_at() } else { record.created_at() };
    since < time
        && match last_used {
            LastUsed::NotTracked => false,
            LastUsed::Never => true,
            LastUsed::At(used) => used < time,
        }
}
