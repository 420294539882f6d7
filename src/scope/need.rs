//! What a request asks for.

use std::fmt;

use super::grammar::{InvalidScope, validate};

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
pub struct Need(pub(super) NeedKind);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum NeedKind {
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

    /// One scope that is known to be a need.
    pub(super) fn of_valid(scope: &str) -> Self {
        Self(NeedKind::All([scope.into()].into()))
    }

    /// No scope at all: any active token will do, for example to look itself up.
    pub const fn authenticated() -> Self {
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
