//! Checks the media type of a request body and reads the body up to a limit.

use axum::body::{Body, Bytes, HttpBody};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// The reason why a body could not be read.
pub(crate) enum ReadError {
    TooLong,
    Incomplete,
}

/// Returns whether there is one `Content-Type`, of this media type with any parameters, and no
/// `Content-Encoding`.
pub(crate) fn has_media_type(media_type: &[u8], headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(media_type) && !headers.contains_key(CONTENT_ENCODING)
}

/// Reads the body. Reads at most `max` bytes, because a body can be longer than its headers announce.
pub(crate) async fn read(max: usize, headers: &HeaderMap, body: Body) -> Result<Bytes, ReadError> {
    if announces_more_than(max, headers, &body) {
        return Err(ReadError::TooLong);
    }
    match Limited::new(body, max).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ReadError::TooLong),
        Err(_) => Err(ReadError::Incomplete),
    }
}

/// Returns whether the body is longer than `max` bytes according to its headers. A layer around the body
/// may hide the body's length, but it leaves the header.
fn announces_more_than(max: usize, headers: &HeaderMap, body: &Body) -> bool {
    let max = u64::try_from(max).unwrap_or(u64::MAX);
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.is_some_and(|length: u64| length > max) || HttpBody::size_hint(body).lower() > max
}
