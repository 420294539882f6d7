//! The grammar of a scope, and the rule by which one scope covers another.

/// The maximum length of a scope, in bytes.
pub const MAX_SCOPE_LEN: usize = 256;

/// The maximum number of scopes in one set.
pub const MAX_SCOPES: usize = 64;

/// The maximum length of a token type's name, in bytes.
pub const MAX_TYPE_NAME_LEN: usize = 64;

/// The resource of the scopes that manage tokens, which `*` does not cover.
pub(super) const RESERVED: &str = "service-tokens";

/// The error returned for a text that is not a valid scope, set of scopes, requirement or type name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScope {
    /// The scope, or one of its segments, is empty.
    #[error("a scope and each of its segments must have at least one character")]
    Empty,
    /// The scope is longer than [`MAX_SCOPE_LEN`].
    #[error("a scope must not have more than {MAX_SCOPE_LEN} bytes")]
    TooLong,
    /// The scope has a character other than `A-Z a-z 0-9 _ . -` and `:` between segments.
    #[error("a scope must have only the characters A-Z a-z 0-9 _ . - with : between segments")]
    Character,
    /// A `*` is not a whole segment, or not the last segment.
    #[error("a wildcard must be a whole segment and the last one")]
    Wildcard,
    /// A requirement contains a wildcard, and a request must require something definite.
    #[error("a requirement must not contain a wildcard")]
    WildcardInRequirement,
    /// A requirement names no scope.
    #[error("a requirement must name at least one scope")]
    EmptyRequirement,
    /// The set has more than [`MAX_SCOPES`] scopes.
    #[error("a set must not have more than {MAX_SCOPES} scopes")]
    TooMany,
    /// The name of a type is empty, is longer than [`MAX_TYPE_NAME_LEN`], or has a character that a
    /// segment of a scope must not have.
    #[error("a type name must have 1 to {MAX_TYPE_NAME_LEN} of the characters A-Z a-z 0-9 _ . -")]
    TypeName,
}

/// Checks a scope. It is `const` so that the compiler can check literals with the same rules.
pub(super) const fn validate(scope: &str) -> Result<(), InvalidScope> {
    let bytes = scope.as_bytes();
    if bytes.len() > MAX_SCOPE_LEN {
        return Err(InvalidScope::TooLong);
    }
    let mut start = 0;
    loop {
        let (mut end, mut wildcard, mut plain) = (start, false, true);
        while end < bytes.len() && bytes[end] != b':' {
            wildcard |= bytes[end] == b'*';
            plain &= is_plain(bytes[end]);
            end += 1;
        }
        let last = end == bytes.len();
        if wildcard {
            return if last && end - start == 1 { Ok(()) } else { Err(InvalidScope::Wildcard) };
        }
        if start == end {
            return Err(InvalidScope::Empty);
        }
        if !plain {
            return Err(InvalidScope::Character);
        }
        if last {
            return Ok(());
        }
        start = end + 1;
    }
}

pub(super) fn plain(segment: &str) -> bool {
    segment.bytes().all(is_plain)
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

fn reserved(scope: &str) -> bool {
    scope.split(':').next() == Some(RESERVED)
}

/// Returns whether `outer` permits everything that `inner` permits. If `inner` has no wildcard, that is
/// whether `outer` permits `inner`.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    if outer == inner {
        return true;
    }
    if outer == "*" {
        return !reserved(inner);
    }
    // `files:*` covers every scope that continues after `files:`, one with a wildcard included.
    outer.strip_suffix('*').is_some_and(|start| inner.starts_with(start))
}
