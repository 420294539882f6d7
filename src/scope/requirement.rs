//! The scopes that a request requires of a token.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::grammar::{InvalidScope, validate};

/// The scopes that a request requires of a token. Create it once, next to the route it belongs to.
///
/// The macro [`requirement!`](crate::requirement!) creates one from literals, and a typing error in
/// them does not compile. The functions here are for scopes that the program reads at run time.
///
/// ```
/// use service_tokens::{Requirement, requirement};
///
/// let upload = requirement!("files:upload");
/// let either = Requirement::any_of(["files:read", "files:upload"])?;
/// let both = Requirement::all_of(["files:read", "queue:push"])?;
/// let configured: Requirement = "files:read queue:push".parse()?;
/// assert_eq!(both, configured);
/// assert!(Requirement::scope("files:*").is_err(), "a requirement has no wildcard");
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Requirement(pub(super) RequirementKind);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum RequirementKind {
    AnyToken,
    All(Required),
    Any(Required),
}

/// The scopes of a requirement: literals, or texts that were read at run time.
#[derive(Clone)]
pub(super) enum Required {
    Literals(&'static [&'static str]),
    Owned(Box<[Box<str>]>),
}

impl Required {
    #[inline]
    pub(super) fn all(&self, permits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Literals(scopes) => scopes.iter().all(|scope| permits(scope)),
            Self::Owned(scopes) => scopes.iter().all(|scope| permits(scope)),
        }
    }

    #[inline]
    pub(super) fn any(&self, permits: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Literals(scopes) => scopes.iter().any(|scope| permits(scope)),
            Self::Owned(scopes) => scopes.iter().any(|scope| permits(scope)),
        }
    }

    fn joined(&self, separator: &str) -> String {
        match self {
            Self::Literals(scopes) => scopes.join(separator),
            Self::Owned(scopes) => scopes.join(separator),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let (literals, owned): (&[&str], &[Box<str>]) = match self {
            Self::Literals(scopes) => (scopes, &[]),
            Self::Owned(scopes) => (&[], scopes),
        };
        literals.iter().copied().chain(owned.iter().map(|scope| &**scope))
    }
}

impl PartialEq for Required {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Required {}

impl Hash for Required {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|scope| scope.hash(state));
    }
}

impl Requirement {
    /// Requires one scope.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if the text is not a valid scope or contains a wildcard.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{InvalidScope, Requirement};
    ///
    /// assert_eq!(Requirement::scope("files:upload")?.to_string(), "files:upload");
    /// assert_eq!(Requirement::scope("files:*"), Err(InvalidScope::WildcardInRequirement));
    /// # Ok::<(), InvalidScope>(())
    /// ```
    pub fn scope(scope: &str) -> Result<Self, InvalidScope> {
        Self::all_of([scope])
    }

    /// Requires all of these scopes.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if a text is not a valid scope or contains a wildcard, or if there are no
    /// scopes.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{Requirement, ScopeSet};
    ///
    /// let both = Requirement::all_of(["files:read", "queue:push"])?;
    /// assert!(!ScopeSet::new(["files:*"])?.as_scopes().permits(&both));
    /// assert!(ScopeSet::new(["files:*", "queue:*"])?.as_scopes().permits(&both));
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub fn all_of<I>(scopes: I) -> Result<Self, InvalidScope>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Ok(Self(RequirementKind::All(required(scopes)?)))
    }

    /// Requires at least one of these scopes.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if a text is not a valid scope or contains a wildcard, or if there are no
    /// scopes.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{Requirement, ScopeSet};
    ///
    /// let either = Requirement::any_of(["files:read", "queue:push"])?;
    /// assert!(ScopeSet::new(["files:*"])?.as_scopes().permits(&either));
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub fn any_of<I>(scopes: I) -> Result<Self, InvalidScope>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        Ok(Self(RequirementKind::Any(required(scopes)?)))
    }

    /// Requires only an active token with any scopes or none, for example to read its own record.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{Requirement, ScopeSet};
    ///
    /// assert!(ScopeSet::default().as_scopes().permits(&Requirement::any_token()));
    /// ```
    pub const fn any_token() -> Self {
        Self(RequirementKind::AnyToken)
    }

    /// Creates a requirement of all these literals, for [`requirement!`](crate::requirement!).
    /// The macro calls it in a constant, so a failed assertion is an error of the compiler.
    #[doc(hidden)]
    pub const fn of_literals(scopes: &'static [&'static str]) -> Self {
        assert!(!scopes.is_empty(), "a requirement names at least one scope");
        let mut index = 0;
        while index < scopes.len() {
            assert!(
                check(scopes[index]).is_ok(),
                "a required scope has segments of A-Z a-z 0-9 _ . - with : between them, at most 256 \
                 bytes and no wildcard"
            );
            index += 1;
        }
        Self(RequirementKind::All(Required::Literals(scopes)))
    }

    /// Returns the scopes with single spaces between them, as a challenge names them (RFC 6750 §3).
    pub fn scopes(&self) -> String {
        match &self.0 {
            RequirementKind::AnyToken => String::new(),
            RequirementKind::All(required) | RequirementKind::Any(required) => required.joined(" "),
        }
    }
}

impl FromStr for Requirement {
    type Err = InvalidScope;

    /// Reads scopes with single spaces between them, and requires all of them.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if a scope is not valid or contains a wildcard, or if the text is empty.
    fn from_str(scopes: &str) -> Result<Self, InvalidScope> {
        if scopes.is_empty() {
            return Err(InvalidScope::EmptyRequirement);
        }
        Self::all_of(scopes.split(' '))
    }
}

impl TryFrom<&str> for Requirement {
    type Error = InvalidScope;

    fn try_from(scopes: &str) -> Result<Self, InvalidScope> {
        scopes.parse()
    }
}

/// Creates a [`Requirement`] of all the given scopes, which are literals.
///
/// The compiler checks the scopes, so a typing error is found when the program is built. The value
/// borrows the literals and needs no allocation.
///
/// ```
/// use service_tokens::{Requirement, requirement};
///
/// assert_eq!(requirement!("files:upload"), Requirement::scope("files:upload")?);
/// let both = requirement!("files:read", "queue:push");
/// assert_eq!(both, Requirement::all_of(["files:read", "queue:push"])?);
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
///
/// A space is not allowed in a scope:
///
/// ```compile_fail,E0080
/// service_tokens::requirement!("files upload");
/// ```
///
/// An empty segment is not allowed either:
///
/// ```compile_fail,E0080
/// service_tokens::requirement!("files:");
/// ```
///
/// A wildcard is for grants. A request requires something definite:
///
/// ```compile_fail,E0080
/// service_tokens::requirement!("files:read", "queue:*");
/// ```
#[macro_export]
macro_rules! requirement {
    ($($scope:literal),+ $(,)?) => {{
        // An item, because the compiler evaluates it also where the code around it is generic and unused.
        const REQUIREMENT: $crate::Requirement = $crate::Requirement::of_literals(&[$($scope),+]);
        REQUIREMENT
    }};
}

const fn check(scope: &str) -> Result<(), InvalidScope> {
    if let Err(invalid) = validate(scope) {
        return Err(invalid);
    }
    match scope.as_bytes().last() {
        Some(b'*') => Err(InvalidScope::WildcardInRequirement),
        _ => Ok(()),
    }
}

fn required<I>(scopes: I) -> Result<Required, InvalidScope>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut required: Vec<Box<str>> = Vec::new();
    for scope in scopes {
        check(scope.as_ref())?;
        required.push(scope.as_ref().into());
    }
    if required.is_empty() {
        return Err(InvalidScope::EmptyRequirement);
    }
    Ok(Required::Owned(required.into()))
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requirement({self})")
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            RequirementKind::AnyToken => f.write_str("any active token"),
            RequirementKind::All(required) => f.write_str(&required.joined(" and ")),
            RequirementKind::Any(required) => f.write_str(&required.joined(" or ")),
        }
    }
}
