//! Reading the one bearer token of a request.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

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

/// A token that outlives its request's headers.
pub(crate) struct Presented {
    value: HeaderValue,
    start: usize,
}

impl Presented {
    /// As [`bearer`].
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, NoBearer> {
        let token = bearer(headers)?;
        // There is one value, and the token is its end.
        let value = headers.get(AUTHORIZATION).ok_or(NoBearer::Absent)?.clone();
        Ok(Self { start: value.len() - token.len(), value })
    }
}

impl AsRef<[u8]> for Presented {
    fn as_ref(&self) -> &[u8] {
        &self.value.as_bytes()[self.start..]
    }
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
    // Each byte is looked at, whatever the earlier ones are: that is faster for all but hostile ones.
    let fine = body.iter().fold(true, |fine, byte| fine & IN_TOKEN[usize::from(*byte)]);
    if body.is_empty() || !fine {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// Of each byte, whether it may be in a token before the padding.
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
