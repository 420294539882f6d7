//! What a token may do, what a request asks for, and the named bundles of the first.

mod grammar;
mod requirement;
mod reserved;
mod token_type;

use std::fmt;
use std::str::FromStr;

pub use grammar::{InvalidScope, MAX_SCOPE_LEN, MAX_SCOPES, MAX_TYPE_NAME_LEN};
pub use requirement::Requirement;
pub use reserved::ReservedScope;
pub(crate) use token_type::valid_type_name;
pub use token_type::{TokenType, TokenTypes};

use grammar::{covers, validate};
use requirement::RequirementKind;

/// One scope: segments of `[A-Za-z0-9_.-]+` joined by `:`, such as `files:upload`. Compared as bytes.
/// What permits what is in [scopes and types](crate::manual::scopes_and_types).
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
/// use service_tokens::{Requirement, ScopeSet};
///
/// let granted = ScopeSet::new(["files:*", "queue:push"])?;
/// assert!(granted.as_scopes().permits(&Requirement::scope("files:upload")?));
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
        if scopes.len() > MAX_SCOPES {
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
    #[inline]
    pub fn permits(self, requirement: &Requirement) -> bool {
        match &requirement.0 {
            RequirementKind::AnyToken => true,
            RequirementKind::All(requirements) => {
                requirements.iter().all(|requirement| self.covers(requirement))
            }
            RequirementKind::Any(requirements) => {
                requirements.iter().any(|requirement| self.covers(requirement))
            }
        }
    }

    /// Grant against grant: whether everything that `other` permits, this set permits too.
    pub fn contains(self, other: Scopes<'_>) -> bool {
        other.iter().all(|scope| self.covers(scope))
    }

    /// What both sets permit.
    ///
    /// It may have as many scopes as both together, more than [`MAX_SCOPES`]: such a set works and
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

    #[inline]
    fn covers(self, scope: &str) -> bool {
        // Most sets have one scope, and most often it is the one.
        self.0 == scope || self.iter().any(|granted| covers(granted, scope))
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

#[cfg(test)]
mod tests;
