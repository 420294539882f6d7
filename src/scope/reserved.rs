//! The scopes that permit managing tokens.

use std::fmt;

use super::requirement::Requirement;

/// The scopes that permit a token to manage tokens: what each stands for is the same in every
/// service. They are ordinary scopes but for one thing: `*` does not reach them. `service-tokens:*`
/// does, and is all of them.
///
/// | scope | permits, within the token's owner |
/// | --- | --- |
/// | `service-tokens:read` | looking tokens up and listing them |
/// | `service-tokens:issue` | issuing tokens that may do no more than itself |
/// | `service-tokens:rotate` | giving a new secret to other tokens that may do no more than itself |
/// | `service-tokens:rotate-self` | giving a new secret to itself |
/// | `service-tokens:revoke` | revoking any token, also one that may do more |
/// | `service-tokens:introspect` | asking about tokens by their text |
///
/// Looking itself up and revoking itself needs none of them. `introspect` is for the embedder's own
/// endpoint; [`TokenService::on_behalf_of`](crate::TokenService::on_behalf_of) asks for the others.
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
    /// `service-tokens:read`
    Read,
    /// `service-tokens:issue`
    Issue,
    /// `service-tokens:rotate`
    Rotate,
    /// `service-tokens:rotate-self`
    RotateSelf,
    /// `service-tokens:revoke`
    Revoke,
    /// `service-tokens:introspect`
    Introspect,
}

impl ReservedScope {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Issue, Self::Rotate, Self::RotateSelf, Self::Revoke, Self::Introspect];

    /// The scope as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "service-tokens:read",
            Self::Issue => "service-tokens:issue",
            Self::Rotate => "service-tokens:rotate",
            Self::RotateSelf => "service-tokens:rotate-self",
            Self::Revoke => "service-tokens:revoke",
            Self::Introspect => "service-tokens:introspect",
        }
    }

    /// The need for this scope.
    pub fn requirement(self) -> Requirement {
        Requirement::of_valid(self.as_str())
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
    use crate::scope::grammar::RESERVED;
    use crate::scope::{Scope, ScopeSet};

    #[test]
    fn each_is_a_scope_of_the_reserved_resource() {
        let every = ScopeSet::new(["*"]).unwrap();
        let managing = ScopeSet::new(["service-tokens:*"]).unwrap();
        for reserved in ReservedScope::ALL {
            let (resource, _) = reserved.as_str().split_once(':').unwrap();
            assert_eq!(resource, RESERVED);
            assert_eq!(Scope::new(reserved.as_str()).unwrap().as_str(), reserved.to_string());
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
