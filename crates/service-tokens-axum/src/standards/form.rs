//! Reads the token from a form.

use axum::extract::Request;

use crate::request_body::{self, ReadError, has_media_type};

/// The maximum length of a body, in bytes. A token has at most 105, and other parameters are ignored.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// The error returned by [`presented_token`]. Its `Display` text is the `error_description`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidForm {
    #[error("the content type must be application/x-www-form-urlencoded, without Content-Encoding")]
    ContentType,
    #[error("the body must have at most {MAX_BODY_BYTES} bytes")]
    TooLong,
    #[error("the body ended early")]
    Incomplete,
    #[error("the body must be UTF-8")]
    NotUtf8,
    #[error("the parameter token is required and must not be empty")]
    NoToken,
    #[error("the parameter token must not be repeated")]
    SeveralTokens,
    #[error(
        "the parameter token must not contain a control character, such as the line end of a file"
    )]
    ControlCharacter,
}

/// Returns the form's only parameter `token`, not parsed.
pub(super) async fn presented_token(request: Request) -> Result<String, InvalidForm> {
    let (parts, body) = request.into_parts();
    if !has_media_type(b"application/x-www-form-urlencoded", &parts.headers) {
        return Err(InvalidForm::ContentType);
    }
    match request_body::read(MAX_BODY_BYTES, &parts.headers, body).await {
        Ok(body) => only_token(&body),
        Err(ReadError::TooLong) => Err(InvalidForm::TooLong),
        Err(ReadError::Incomplete) => Err(InvalidForm::Incomplete),
    }
}

fn only_token(body: &[u8]) -> Result<String, InvalidForm> {
    // The parser replaces invalid UTF-8, so the check must come first. `&` and `=` are ASCII, so the body
    // is UTF-8 if and only if each name and each value is.
    if percent_encoding::percent_decode(body).decode_utf8().is_err() {
        return Err(InvalidForm::NotUtf8);
    }
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "token");
    match (tokens.next(), tokens.next()) {
        (Some(_), Some(_)) => Err(InvalidForm::SeveralTokens),
        // A parameter without a value counts as omitted (RFC 6749 §3.1).
        (Some((_, token)), None) if !token.is_empty() => Ok(token.into_owned()),
        _ => Err(InvalidForm::NoToken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_form_requires_exactly_one_token() {
        for (body, token) in [
            ("token=abc", Ok("abc")),
            ("token_type_hint=refresh_token&token=abc&token_type_hint=x&x", Ok("abc")),
            ("%74oken=a%62c", Ok("abc")),
            ("token=a+b", Ok("a b")),
            ("token=a%2Bb&&", Ok("a+b")),
            ("Token=abc&token=def", Ok("def")),
            ("token==", Ok("=")),
            ("", Err(InvalidForm::NoToken)),
            ("token", Err(InvalidForm::NoToken)),
            ("token=", Err(InvalidForm::NoToken)),
            ("tokens=abc", Err(InvalidForm::NoToken)),
            ("TOKEN=abc", Err(InvalidForm::NoToken)),
            ("token=abc&token=abc", Err(InvalidForm::SeveralTokens)),
            ("token=&token=abc", Err(InvalidForm::SeveralTokens)),
            ("token=abc&%74oken=", Err(InvalidForm::SeveralTokens)),
            ("token=abc&x=%FF", Err(InvalidForm::NotUtf8)),
            ("token=%C3&x=%A9", Err(InvalidForm::NotUtf8)),
        ] {
            assert_eq!(
                only_token(body.as_bytes()).as_deref(),
                token.as_ref().map(|t| *t),
                "{body}"
            );
        }
        assert_eq!(only_token(b"token=abc\xff"), Err(InvalidForm::NotUtf8));
    }
}
