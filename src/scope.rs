//! Scopes, requirements and token types.
//!
//! A [`ScopeSet`] is a grant, a [`Requirement`] has the scopes that a request requires, and a
//! [`TokenType`] is a named grant. The constants are the limits of their texts. The manual explains the rules in
//! [scopes and types](crate::manual::scopes_and_types).

mod canonical;
mod grammar;
mod requirement;
mod reserved;
mod token_type;

use std::fmt;
use std::str::FromStr;

pub(crate) use canonical::{NotCanonical, check_canonical};
pub use grammar::{InvalidScope, MAX_SCOPE_LEN, MAX_SCOPES, MAX_TYPE_NAME_LEN};
pub use requirement::Requirement;
pub use reserved::ReservedScope;
pub(crate) use token_type::valid_type_name;
pub use token_type::{TokenType, TokenTypes, TypeLimits};

use grammar::{covers, validate};
use requirement::RequirementKind;

/// A sorted set of scopes without duplicates. The empty set permits no scope.
///
/// A scope has segments of `[A-Za-z0-9_.-]+` with `:` between them, such as `files:upload`, and is
/// compared as bytes. The last segment may be `*`, which stands for one or more segments: `files:*`
/// permits `files:upload` and `files:archive:read`, but not `files`. `*` alone permits everything
/// except the reserved resource `service-tokens:`, which only scopes that name it permit. The manual
/// has the rules in [scopes and types](crate::manual::scopes_and_types).
///
/// The text of a set has single spaces between the scopes (RFC 6749 §3.3).
///
/// ```
/// use service_tokens::{ScopeSet, requirement};
///
/// let granted = ScopeSet::new(["files:*", "queue:push"])?;
/// assert!(granted.as_scopes().permits(&requirement!("files:upload")));
/// assert!(granted.as_scopes().contains(ScopeSet::new(["files:read"])?.as_scopes()));
/// assert_eq!(granted.to_string(), "files:* queue:push");
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ScopeSet(Box<str>);

impl ScopeSet {
    /// Creates a set of these scopes. Their order does not matter, and duplicates count once.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] for the first text that is not a valid scope, or if there are more than
    /// [`MAX_SCOPES`].
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::ScopeSet;
    ///
    /// let set = ScopeSet::new(["queue:push", "files:read", "queue:push"])?;
    /// assert_eq!(set, "files:read queue:push".parse()?);
    /// assert!(ScopeSet::new(["files read"]).is_err());
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
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

    /// Returns the set in its borrowed form, which has the operations.
    pub fn as_scopes(&self) -> Scopes<'_> {
        Scopes(&self.0)
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopeSet({self})")
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ScopeSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ScopeSet {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ScopeSet {
    type Err = InvalidScope;

    /// Reads scopes with single spaces between them. The empty text is the empty set.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] for the first text that is not a valid scope, or if there are more than
    /// [`MAX_SCOPES`].
    fn from_str(scopes: &str) -> Result<Self, InvalidScope> {
        if scopes.is_empty() { Ok(Self::default()) } else { Self::new(scopes.split(' ')) }
    }
}

/// A borrowed [`ScopeSet`], as records and types return it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scopes<'s>(&'s str);

impl<'s> Scopes<'s> {
    /// Borrows a set from the text that [`Scopes::as_str`] returned.
    pub(crate) fn from_canonical(text: &'s str) -> Self {
        Self(text)
    }

    /// Returns the scopes in their order.
    pub fn iter(self) -> impl Iterator<Item = &'s str> {
        self.0.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Returns whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Returns the scopes with single spaces between them (RFC 6749 §3.3).
    pub fn as_str(self) -> &'s str {
        self.0
    }

    /// Returns whether this grant meets the requirement.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{ScopeSet, requirement};
    ///
    /// let granted = ScopeSet::new(["files:*"])?;
    /// assert!(granted.as_scopes().permits(&requirement!("files:upload")));
    /// assert!(!granted.as_scopes().permits(&requirement!("files")));
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    #[inline]
    pub fn permits(self, requirement: &Requirement) -> bool {
        match &requirement.0 {
            RequirementKind::AnyToken => true,
            RequirementKind::All(required) => required.all(|scope| self.covers(scope)),
            RequirementKind::Any(required) => required.any(|scope| self.covers(scope)),
        }
    }

    /// Returns whether this grant permits everything that the grant `other` permits.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::ScopeSet;
    ///
    /// let (wide, narrow) = (ScopeSet::new(["files:*"])?, ScopeSet::new(["files:read"])?);
    /// assert!(wide.as_scopes().contains(narrow.as_scopes()));
    /// assert!(!narrow.as_scopes().contains(wide.as_scopes()));
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub fn contains(self, other: Scopes<'_>) -> bool {
        other.iter().all(|scope| self.covers(scope))
    }

    /// Returns the set of the scopes that both sets permit.
    ///
    /// The result may have as many scopes as both sets together, which may be more than
    /// [`MAX_SCOPES`]. Such a set works and can be written, but it cannot be read from its text.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::ScopeSet;
    ///
    /// let (left, right) = (ScopeSet::new(["files:*"])?, ScopeSet::new(["files:read", "queue:*"])?);
    /// let both = left.as_scopes().intersection(right.as_scopes());
    /// assert_eq!(both.to_string(), "files:read");
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub fn intersection(self, other: Scopes<'_>) -> ScopeSet {
        let both = self
            .iter()
            .filter(|scope| other.covers(scope))
            .chain(other.iter().filter(|scope| self.covers(scope)));
        // If two scopes permit a common scope, one of them covers the other. So the result needs only
        // scopes of the two sets.
        let mut both: Vec<&str> = both.collect();
        both.sort_unstable();
        both.dedup();
        ScopeSet(both.join(" ").into())
    }

    /// Returns an owned copy.
    pub fn to_set(self) -> ScopeSet {
        ScopeSet(self.0.into())
    }

    #[inline]
    fn covers(self, scope: &str) -> bool {
        // Fast path: most sets have one scope, and it is usually the required one.
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
