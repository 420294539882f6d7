//! The filter that selects records.

use chrono::{DateTime, Utc};

use super::LastUsed;
use crate::record::{Field, InvalidField, MAX_TEXT_LEN, Record, State};
use crate::token::TokenId;

/// A set of [`State`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct States(u8);

impl States {
    /// Tokens that work or will: active and pending.
    pub const LIVE: Self = Self(0b0011);
    /// Tokens that will never work again: expired and revoked.
    pub const ENDED: Self = Self(0b1100);
    /// All states.
    pub const ALL: Self = Self(0b1111);

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
/// The default selects the live tokens (active and pending) of all owners. A field that is `None`
/// does not restrict.
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
    /// Only the tokens of this owner. Every store should have an index for it.
    pub owner: Option<String>,
    /// Only tokens of the type with this name.
    pub token_type: Option<String>,
    /// Only tokens in one of these states. The default is [`States::LIVE`].
    pub states: States,
    /// Only tokens whose issued-to is exactly this text, byte for byte.
    pub issued_to: Option<String>,
    /// Only tokens whose issued-to contains this text, byte for byte.
    pub issued_to_contains: Option<String>,
    /// Only tokens that this token issued, directly or through others.
    pub issuer: Option<TokenId>,
    /// Only tokens issued by this person or program.
    pub issued_by: Option<String>,
    /// Only tokens that expire before this time.
    pub expires_before: Option<DateTime<Utc>>,
    /// Only tokens issued before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// Only tokens issued before this time and not used since.
    pub unused_since: Option<DateTime<Utc>>,
    /// Only tokens that ended before this time: see [`Record::ends_at`].
    pub ended_before: Option<DateTime<Utc>>,
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

impl Filter {
    /// Creates a filter that selects the live tokens of all owners.
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

    /// Selects only the tokens of this owner.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Selects only tokens of the type with this name.
    pub fn token_type(mut self, name: impl Into<String>) -> Self {
        self.token_type = Some(name.into());
        self
    }

    /// Selects only tokens in one of these states. The default is [`States::LIVE`].
    pub fn states(mut self, states: impl Into<States>) -> Self {
        self.states = states.into();
        self
    }

    /// Selects only tokens whose issued-to is exactly this text, byte for byte.
    pub fn issued_to(mut self, text: impl Into<String>) -> Self {
        self.issued_to = Some(text.into());
        self
    }

    /// Selects only tokens whose issued-to contains this text, byte for byte.
    pub fn issued_to_contains(mut self, text: impl Into<String>) -> Self {
        self.issued_to_contains = Some(text.into());
        self
    }

    /// Selects only tokens that this token issued, directly or through others.
    pub fn issuer(mut self, issuer: TokenId) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// Selects only tokens issued by this person or program.
    pub fn issued_by(mut self, by: impl Into<String>) -> Self {
        self.issued_by = Some(by.into());
        self
    }

    /// Selects only tokens that expire before this time.
    pub fn expires_before(mut self, time: DateTime<Utc>) -> Self {
        self.expires_before = Some(time);
        self
    }

    /// Selects only tokens issued before this time.
    pub fn created_before(mut self, time: DateTime<Utc>) -> Self {
        self.created_before = Some(time);
        self
    }

    /// Selects only tokens issued before this time and not used since. A list with this filter fails
    /// on a store that does not track last use.
    ///
    /// A store counts as uses the times that [`TokenStore::touch`](super::TokenStore::touch) gave it.
    /// The service adds the uses that its process has not flushed yet, and assumes that a recorded use
    /// may have happened up to one resolution later: see [`Tokens::list`](crate::Tokens::list).
    pub fn unused_since(mut self, time: DateTime<Utc>) -> Self {
        self.unused_since = Some(time);
        self
    }

    /// Selects only tokens that expired or were revoked before this time, by the earlier of the two.
    /// Sets the states to [`States::ENDED`].
    pub fn ended_before(mut self, time: DateTime<Utc>) -> Self {
        self.ended_before = Some(time);
        self.states(States::ENDED)
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

    /// Returns whether a record meets every condition at the time `now`.
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
    record.created_at() < time
        && match last_used {
            LastUsed::NotTracked => false,
            LastUsed::Never => true,
            LastUsed::At(used) => used < time,
        }
}
