//! The scopes that permit managing tokens.

use std::fmt;

use super::requirement::Requirement;

/// A scope that permits a token to manage tokens. Its meaning is the same in every service.
///
/// Reserved scopes are ordinary scopes with one exception: `*` does not cover them.
/// `service-tokens:*` covers all of them.
///
/// | scope | permits, within the token's owner |
/// | --- | --- |
/// | `service-tokens:read` | looking tokens up and listing them |
/// | `service-tokens:issue` | issuing tokens that may do no more than itself |
/// | `service-tokens:rotate` | giving a new secret to other tokens that may do no more than itself |
/// | `service-tokens:rotate-self` | giving a new secret to itself |
/// | `service-tokens:revoke` | revoking any token, also one that may do more |
/// | `service-tokens:suspend` | suspending any token, also one that may do more |
/// | `service-tokens:amend` | amending other tokens that may do no more than itself |
/// | `service-tokens:introspect` | introspecting tokens (RFC 7662) |
///
/// A token without a reserved scope can look itself up, suspend itself and revoke itself. No scope permits
/// resuming a token, because that belongs to the embedder. `introspect` is for an endpoint
/// of your own. [`TokenService::on_behalf_of`](crate::TokenService::on_behalf_of) requires the others.
///
/// ```
/// use service_tokens::{ReservedScope, TokenType};
///
/// let auditor = TokenType::new("auditor", [ReservedScope::Read, ReservedScope::Introspect])?;
/// assert!(auditor.scopes().permits(&ReservedScope::Read.requirement()));
/// assert!(!TokenType::new("developer", ["*"])?.scopes().permits(&ReservedScope::Read.requirement()));
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReservedScope {
    /// The scope `service-tokens:read`.
    Read,
    /// The scope `service-tokens:issue`.
    Issue,
    /// The scope `service-tokens:rotate`.
    Rotate,
    /// The scope `service-tokens:rotate-self`.
    RotateSelf,
    /// The scope `service-tokens:revoke`.
    Revoke,
    /// The scope `service-tokens:suspend`.
    Suspend,
    /// The scope `service-tokens:amend`.
    Amend,
    /// The scope `service-tokens:introspect`.
    Introspect,
}

impl ReservedScope {
    /// All reserved scopes.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Issue,
        Self::Rotate,
        Self::RotateSelf,
        Self::Revoke,
        Self::Suspend,
        Self::Amend,
        Self::Introspect,
    ];

    /// Returns the scope as text.
    pub const fn as_str(self) -> &'static str {
        self.literal()[0]
    }

    /// Returns the requirement of this scope.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens::{Requirement, ReservedScope};
    ///
    /// let read = ReservedScope::Read.requirement();
    /// assert_eq!(read, Requirement::scope("service-tokens:read")?);
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub const fn requirement(self) -> Requirement {
        Requirement::of_literals(self.literal())
    }

    const fn literal(self) -> &'static [&'static str; 1] {
        match self {
            Self::Read => &["service-tokens:read"],
            Self::Issue => &["service-tokens:issue"],
            Self::Rotate => &["service-tokens:rotate"],
            Self::RotateSelf => &["service-tokens:rotate-self"],
            Self::Revoke => &["service-tokens:revoke"],
            Self::Suspend => &["service-tokens:suspend"],
            Self::Amend => &["service-tokens:amend"],
            Self::Introspect => &["service-tokens:introspect"],
        }
    }
}

impl AsRef<str> for ReservedScope {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ReservedScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;
    use crate::scope::grammar::RESERVED;

    #[test]
    fn reserved_scopes_are_of_reserved_resource() {
        let every = ScopeSet::new(["*"]).unwrap();
        let managing = ScopeSet::new(["service-tokens:*"]).unwrap();
        for reserved in ReservedScope::ALL {
            let (resource, _) = reserved.as_str().split_once(':').unwrap();
            assert_eq!(resource, RESERVED);
            assert_eq!(ScopeSet::new([reserved]).unwrap().to_string(), reserved.to_string());
            assert_eq!(Requirement::scope(reserved.as_str()).unwrap(), reserved.requirement());
            assert!(!every.as_scopes().permits(&reserved.requirement()));
            assert!(managing.as_scopes().permits(&reserved.requirement()));
            for other in ReservedScope::ALL {
                let only = ScopeSet::new([reserved]).unwrap();
                assert_eq!(only.as_scopes().permits(&other.requirement()), reserved == other);
            }
        }
    }
}
