//! Reading the one bearer token of a request.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// There is an `Authorization` header, or several, and it is not one `Bearer` with one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoBearer {
    /// There is no `Authorization` header.
    Absent,
    /// It is of another scheme.
    OtherScheme,
    /// There are several, or `Bearer` is not followed by exactly one b64token (RFC 6750 §2.1).
    Malformed,
}

/// The token of the request's only `Authorization` header. It is not parsed yet.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, NoBearer> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(NoBearer::Absent) };
    if values.next().is_some() {
        return Err(NoBearer::Malformed);
    }
    let value = value.as_bytes();
    let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(NoBearer::OtherScheme);
    }
    let start = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    b64token(&rest[start..]).ok_or(NoBearer::Malformed)
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
fn b64token(bytes: &[u8]) -> Option<&str> {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &bytes[..bytes.len() - padding];
    let plain = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    };
    if body.is_empty() || !body.iter().all(plain) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}
