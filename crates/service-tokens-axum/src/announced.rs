//! What a request says of its body before it comes.

use axum::body::{Body, HttpBody};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};

/// Whether it is of this media type, whatever the parameters, said once; and not encoded.
pub(crate) fn is_of(media_type: &[u8], headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(media_type) && !headers.contains_key(CONTENT_ENCODING)
}

/// Whether it is longer than this, in bytes. A layer around the body may hide its length, and leaves
/// the header.
pub(crate) fn longer_than(most: usize, headers: &HeaderMap, body: &Body) -> bool {
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.is_some_and(|length: u64| length > most) || HttpBody::size_hint(body).lower() > most
}
