//! Reads the bearer token from the `Authorization` header of a request.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// The reason why a request has no bearer token that can be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoBearer {
    /// The request has no `Authorization` header.
    Absent,
    /// The only `Authorization` header has another scheme.
    OtherScheme,
    /// The request has several `Authorization` headers, or `Bearer` is not followed by exactly one
    /// b64token (RFC 6750 §2.1).
    Malformed,
}

/// The token of a request, as a shared copy of the header value. It stays valid after the request has moved.
pub(crate) struct PresentedToken {
    value: HeaderValue,
    start: usize,
}

impl PresentedToken {
    /// Reads the token in the same way as [`bearer`].
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, NoBearer> {
        let token = bearer(headers)?;
        // `bearer` has found exactly one value, and that value ends with the token.
        let value = headers.get(AUTHORIZATION).ok_or(NoBearer::Absent)?.clone();
        Ok(Self { start: value.len() - token.len(), value })
    }
}

impl AsRef<[u8]> for PresentedToken {
    fn as_ref(&self) -> &[u8] {
        &self.value.as_bytes()[self.start..]
    }
}

/// Returns the token of the request's only `Authorization` header, not parsed.
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

/// Returns the bytes as text if they are a b64token:
/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
fn b64token(bytes: &[u8]) -> Option<&str> {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &bytes[..bytes.len() - padding];
    // Checking all bytes without an early exit is faster for every valid token.
    let valid = body.iter().fold(true, |valid, byte| valid & IN_TOKEN[usize::from(*byte)]);
    if body.is_empty() || !valid {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// For each byte, whether it may occur in a token before the padding.
const IN_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        let plain = matches!(byte as u8, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        table[byte] = plain || (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};
