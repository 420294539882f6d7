//! The grammar of one scope, and what one covers of another.

/// The longest scope, in bytes.
pub const MAX_SCOPE_LEN: usize = 256;

/// The most scopes in one set.
pub const MAX_SCOPES: usize = 64;

/// The longest name of a token type, in bytes.
pub const MAX_TYPE_NAME_LEN: usize = 64;

/// The resource that `*` does not reach: management of the tokens themselves.
pub(super) const RESERVED: &str = "service-tokens";

/// Why a text is no scope, no set of scopes, no need or no type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScope {
    /// The scope, or a segment of it between two colons, is empty.
    #[error("a scope and each of its segments has at least one character")]
    Empty,
    /// Longer than [`MAX_SCOPE_LEN`].
    #[error("a scope has at most {MAX_SCOPE_LEN} bytes")]
    TooLong,
    /// A character other than `A-Z a-z 0-9 _ . -`, with `:` between segments.
    #[error("a scope has only the characters A-Z a-z 0-9 _ . - with : between segments")]
    Character,
    /// A `*` that is not a whole segment, or not the last.
    #[error("a wildcard is a whole segment and the last one")]
    Wildcard,
    /// A need with a wildcard: a request asks for something definite.
    #[error("a need contains no wildcard")]
    WildcardInRequirement,
    /// A need for all or any of no scopes.
    #[error("a need names at least one scope")]
    EmptyRequirement,
    /// More than [`MAX_SCOPES`] scopes.
    #[error("a set has at most {MAX_SCOPES} scopes")]
    TooMany,
    /// A type's name is empty, longer than [`MAX_TYPE_NAME_LEN`], or has other characters than a
    /// scope's segment.
    #[error("a type's name has 1 to {MAX_TYPE_NAME_LEN} of the characters A-Z a-z 0-9 _ . -")]
    TypeName,
}

pub(super) fn validate(scope: &str) -> Result<(), InvalidScope> {
    if scope.len() > MAX_SCOPE_LEN {
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

pub(super) fn plain(segment: &str) -> bool {
    segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn reserved(scope: &str) -> bool {
    scope.split(':').next() == Some(RESERVED)
}

/// Whether everything that `inner` permits is permitted by `outer`. With an `inner` that has no
/// wildcard this is plain permission.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    if outer == inner {
        return true;
    }
    if outer == "*" {
        return !reserved(inner);
    }
    // `files:*` covers what goes on behind `files:`, a wildcard included.
    outer.strip_suffix('*').is_some_and(|start| inner.starts_with(start))
}
