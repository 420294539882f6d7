//! What a request asks for.

use std::fmt;

use super::grammar::{InvalidScope, validate};

/// What a request asks for. Build it once, beside the route it belongs to.
///
/// ```
/// use service_tokens::Requirement;
///
/// let upload = Requirement::scope("files:upload")?;
/// let either = Requirement::any_of(["files:read", "files:upload"])?;
/// let both = Requirement::all_of(["files:read", "queue:push"])?;
/// assert!(Requirement::scope("files:*").is_err(), "a request asks for something definite");
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Requirement(pub(super) RequirementKind);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum RequirementKind {
    AnyToken,
    All(Box<[Box<str>]>),
    Any(Box<[Box<str>]>),
}

impl Requirement {
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
        Ok(Self(RequirementKind::All(requirements(scopes)?)))
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
        Ok(Self(RequirementKind::Any(requirements(scopes)?)))
    }

    /// One scope that is known to be a need.
    pub(super) fn of_valid(scope: &str) -> Self {
        Self(RequirementKind::All([scope.into()].into()))
    }

    /// No scope at all: any active token will do, for example to look itself up.
    pub const fn any_token() -> Self {
        Self(RequirementKind::AnyToken)
    }

    /// The scopes asked for, as a challenge names them (RFC 6750 §3): with single spaces between.
    pub fn scopes(&self) -> String {
        match &self.0 {
            RequirementKind::AnyToken => String::new(),
            RequirementKind::All(requirements) | RequirementKind::Any(requirements) => {
                requirements.join(" ")
            }
        }
    }
}

fn requirements<I>(scopes: I) -> Result<Box<[Box<str>]>, InvalidScope>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut requirements: Vec<Box<str>> = Vec::new();
    for scope in scopes {
        validate(scope.as_ref())?;
        if scope.as_ref().ends_with('*') {
            return Err(InvalidScope::WildcardInRequirement);
        }
        requirements.push(scope.as_ref().into());
    }
    if requirements.is_empty() {
        return Err(InvalidScope::EmptyRequirement);
    }
    Ok(requirements.into())
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Need({self})")
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            RequirementKind::AnyToken => f.write_str("any active token"),
            RequirementKind::All(requirements) => f.write_str(&requirements.join(" and ")),
            RequirementKind::Any(requirements) => f.write_str(&requirements.join(" or ")),
        }
    }
}
