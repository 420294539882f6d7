//! What a token may do, what a request asks for, and the named bundles of the first.

use std::fmt;
use std::str::FromStr;

/// The longest scope, in bytes.
pub const SCOPE_MAX_LEN: usize = 256;

/// The most scopes in one set.
pub const SCOPE_SET_MAX: usize = 64;

/// The longest name of a token type, in bytes.
pub const TYPE_NAME_MAX_LEN: usize = 64;

/// The resource that `*` does not reach: management of the tokens themselves.
const RESERVED: &str = "service-tokens";

/// Why a text is no scope, no set of scopes, no need or no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScope {
    /// The scope, or a segment of it between two colons, is empty.
    #[error("a scope and each of its segments has at least one character")]
    Empty,
    /// Longer than [`SCOPE_MAX_LEN`].
    #[error("a scope has at most {SCOPE_MAX_LEN} bytes")]
    TooLong,
    /// A character other than `A-Z a-z 0-9 _ . -`, with `:` between segments.
    #[error("a scope has only the characters A-Z a-z 0-9 _ . - with : between segments")]
    Character,
    /// A `*` that is not a whole segment, or not the last.
    #[error("a wildcard is a whole segment and the last one")]
    Wildcard,
    /// A need with a wildcard: a request asks for something definite.
    #[error("a need contains no wildcard")]
    WildcardInNeed,
    /// A need for all or any of no scopes.
    #[error("a need names at least one scope")]
    EmptyNeed,
    /// More than [`SCOPE_SET_MAX`] scopes.
    #[error("a set has at most {SCOPE_SET_MAX} scopes")]
    TooMany,
    /// A type's name is empty, longer than [`TYPE_NAME_MAX_LEN`], or has other characters than a
    /// scope's segment.
    #[error("a type's name has 1 to {TYPE_NAME_MAX_LEN} of the characters A-Z a-z 0-9 _ . -")]
    TypeName,
}

/// One scope: segments of `[A-Za-z0-9_.-]+` joined by `:`, such as `files:upload`. Compared as bytes.
///
/// The last segment may be `*`, which stands for one or more segments: `files:*` permits
/// `files:upload` and `files:archive:read`, and not `files`. `*` alone permits everything but the
/// reserved resource `service-tokens:`, which only scopes that name it permit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Box<str>);

impl Scope {
    /// Checks and keeps a scope.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] names the rule that the text breaks.
    pub fn new(scope: &str) -> Result<Self, InvalidScope> {
        validate(scope)?;
        Ok(Self(scope.into()))
    }

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn validate(scope: &str) -> Result<(), InvalidScope> {
    if scope.len() > SCOPE_MAX_LEN {
        return Err(InvalidScope::TooLong);
    }
    let mut segments = scope.split(':').peekable();
    while let Some(segment) = segments.next() {
        if segment == "*" && segments.peek().is_none() {
            return Ok(());
        }
        if segment.contains('*') {
            return Err(InvalidScope::Wildcard);
        }
        if segment.is_empty() {
            return Err(InvalidScope::Empty);
        }
        if !plain(segment) {
            return Err(InvalidScope::Character);
        }
    }
    Ok(())
}

fn plain(segment: &str) -> bool {
    segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn reserved(scope: &str) -> bool {
    scope.split(':').next() == Some(RESERVED)
}

/// Whether everything that `inner` permits is permitted by `outer`. With an `inner` that has no
/// wildcard this is plain permission.
fn covers(outer: &str, inner: &str) -> bool {
    if outer == inner {
        return true;
    }
    if outer == "*" {
        return !reserved(inner);
    }
    // `files:*` covers what goes on behind `files:`, a wildcard included.
    outer.strip_suffix('*').is_some_and(|start| inner.starts_with(start))
}

macro_rules! text_impls {
    ($type:ident) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_impls!(Scope);
text_impls!(ScopeSet);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(scope: &str) -> Result<Self, InvalidScope> {
        Self::new(scope)
    }
}

/// A set of scopes, sorted, each once. The empty set permits nothing.
///
/// Written with single spaces between, the form of RFC 6749 §3.3.
///
/// ```
/// use service_tokens::{Need, ScopeSet};
///
/// let granted = ScopeSet::new(["files:*", "queue:push"])?;
/// assert!(granted.as_scopes().permits(&Need::scope("files:upload")?));
/// assert!(granted.as_scopes().contains(ScopeSet::new(["files:read"])?.as_scopes()));
/// assert_eq!(granted.to_string(), "files:* queue:push");
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ScopeSet(Box<str>);

impl ScopeSet {
    /// A set of these scopes, in any order; doubles are kept once.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] for the first text that is no scope, or if there are too many.
    pub fn new<I>(scopes: I) -> Result<Self, InvalidScope>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut sorted = Vec::new();
        for scope in scopes {
            validate(scope.as_ref())?;
            sorted.push(scope.as_ref().to_owned());
        }
        Self::from_valid(sorted)
    }

    fn from_valid(mut scopes: Vec<String>) -> Result<Self, InvalidScope> {
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.len() > SCOPE_SET_MAX {
            return Err(InvalidScope::TooMany);
        }
        Ok(Self(scopes.join(" ").into()))
    }

    /// The set, borrowed.
    pub fn as_scopes(&self) -> Scopes<'_> {
        Scopes(&self.0)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ScopeSet {
    type Err = InvalidScope;

    /// Reads scopes with single spaces between; the empty text is the empty set.
    fn from_str(scopes: &str) -> Result<Self, InvalidScope> {
        if scopes.is_empty() { Ok(Self::default()) } else { Self::new(scopes.split(' ')) }
    }
}

/// A borrowed [`ScopeSet`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scopes<'s>(&'s str);

impl<'s> Scopes<'s> {
    /// A set from the text that [`Scopes::as_str`] gave.
    pub(crate) fn from_canonical(text: &'s str) -> Self {
        Self(text)
    }

    /// The scopes, in order.
    pub fn iter(self) -> impl Iterator<Item = &'s str> {
        self.0.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The scopes with single spaces between (RFC 6749 §3.3).
    pub fn as_str(self) -> &'s str {
        self.0
    }

    /// Grant against need: whether a request with this need may go on.
    pub fn permits(self, need: &Need) -> bool {
        match &need.0 {
            NeedKind::Authenticated => true,
            NeedKind::All(needs) => needs.iter().all(|need| self.covers(need)),
            NeedKind::Any(needs) => needs.iter().any(|need| self.covers(need)),
        }
    }

    /// Grant against grant: whether everything that `other` permits, this set permits too.
    pub fn contains(self, other: Scopes<'_>) -> bool {
        other.iter().all(|scope| self.covers(scope))
    }

    /// What both sets permit.
    ///
    /// It may have as many scopes as both together, more than [`SCOPE_SET_MAX`]: such a set works and
    /// is written, but not read back from its text.
    pub fn intersection(self, other: Scopes<'_>) -> ScopeSet {
        let both = self
            .iter()
            .filter(|scope| other.covers(scope))
            .chain(other.iter().filter(|scope| self.covers(scope)));
        // Of two scopes with a common need one covers the other, so the result is no larger than the two.
        let mut both: Vec<&str> = both.collect();
        both.sort_unstable();
        both.dedup();
        ScopeSet(both.join(" ").into())
    }

    /// An owned copy.
    pub fn to_set(self) -> ScopeSet {
        ScopeSet(self.0.into())
    }

    fn covers(self, scope: &str) -> bool {
        self.iter().any(|granted| covers(granted, scope))
    }
}

impl fmt::Debug for Scopes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({})", self.0)
    }
}

impl fmt::Display for Scopes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// What a request asks for. Build it once, beside the route it belongs to.
///
/// ```
/// use service_tokens::Need;
///
/// let upload = Need::scope("files:upload")?;
/// let either = Need::any_of(["files:read", "files:upload"])?;
/// let both = Need::all_of(["files:read", "queue:push"])?;
/// assert!(Need::scope("files:*").is_err(), "a request asks for something definite");
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Need(NeedKind);

#[derive(Clone, PartialEq, Eq, Hash)]
enum NeedKind {
    Authenticated,
    All(Box<[Box<str>]>),
    Any(Box<[Box<str>]>),
}

impl Need {
    /// One scope.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if it is no scope or contains a wildcard.
    pub fn scope(scope: &str) -> Result<Self, InvalidScope> {
        Self::all_of([scope])
    }

    /// Every one of these scopes.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if one is no scope or contains a wildcard, or there is none.
    pub fn all_of<I>(scopes: I) -> Result<Self, InvalidScope>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Ok(Self(NeedKind::All(needs(scopes)?)))
    }

    /// At least one of these scopes.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if one is no scope or contains a wildcard, or there is none.
    pub fn any_of<I>(scopes: I) -> Result<Self, InvalidScope>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Ok(Self(NeedKind::Any(needs(scopes)?)))
    }

    /// No scope at all: any active token will do, for example to look itself up.
    pub fn authenticated() -> Self {
        Self(NeedKind::Authenticated)
    }

    /// The scopes asked for, as a challenge names them (RFC 6750 §3): with single spaces between.
    pub fn scopes(&self) -> String {
        match &self.0 {
            NeedKind::Authenticated => String::new(),
            NeedKind::All(needs) | NeedKind::Any(needs) => needs.join(" "),
        }
    }
}

fn needs<I>(scopes: I) -> Result<Box<[Box<str>]>, InvalidScope>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut needs: Vec<Box<str>> = Vec::new();
    for scope in scopes {
        validate(scope.as_ref())?;
        if scope.as_ref().ends_with('*') {
            return Err(InvalidScope::WildcardInNeed);
        }
        needs.push(scope.as_ref().into());
    }
    if needs.is_empty() {
        return Err(InvalidScope::EmptyNeed);
    }
    Ok(needs.into())
}

impl fmt::Debug for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Need({self})")
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            NeedKind::Authenticated => f.write_str("any active token"),
            NeedKind::All(needs) => f.write_str(&needs.join(" and ")),
            NeedKind::Any(needs) => f.write_str(&needs.join(" or ")),
        }
    }
}

/// A named bundle of scopes that the embedder defines, such as `connector` or `developer`.
///
/// A record keeps the scopes it was issued with. A request must be permitted by those *and* by the
/// type's present scopes: narrowing a type narrows its tokens at once, widening it widens none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenType {
    name: Box<str>,
    description: Box<str>,
    scopes: ScopeSet,
}

impl TokenType {
    /// A type with this name and these scopes.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] for the name or the first scope that breaks a rule.
    pub fn new<I>(name: &str, scopes: I) -> Result<Self, InvalidScope>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        if !valid_type_name(name) {
            return Err(InvalidScope::TypeName);
        }
        Ok(Self { name: name.into(), description: "".into(), scopes: ScopeSet::new(scopes)? })
    }

    /// Adds the sentence that people see when they choose a type.
    #[must_use]
    pub fn described_as(mut self, sentence: &str) -> Self {
        self.description = sentence.into();
        self
    }

    /// The name, as records keep it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sentence for people; may be empty.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The present scopes.
    pub fn scopes(&self) -> Scopes<'_> {
        self.scopes.as_scopes()
    }
}

pub(crate) fn valid_type_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= TYPE_NAME_MAX_LEN && plain(name)
}

/// The types that a service knows. A token of a type that is not among them is permitted nothing.
#[derive(Debug, Clone, Default)]
pub struct TokenTypes(Vec<TokenType>);

impl TokenTypes {
    /// These types. Of two with one name the later counts.
    pub fn new(types: impl IntoIterator<Item = TokenType>) -> Self {
        let mut known = Self::default();
        types.into_iter().for_each(|token_type| known.insert(token_type));
        known
    }

    pub(crate) fn insert(&mut self, token_type: TokenType) {
        self.0.retain(|known| known.name != token_type.name);
        self.0.push(token_type);
    }

    /// The type with this name.
    pub fn get(&self, name: &str) -> Option<&TokenType> {
        // A service has a handful of types: walking them costs less than hashing the name.
        self.0.iter().find(|known| &*known.name == name)
    }

    /// All of them, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &TokenType> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests;
