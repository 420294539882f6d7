//! The one token in a form.

use axum::extract::Request;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::announced::{is_of, longer_than};

/// The longest body, in bytes: a token has at most 105, and what else is in a form is ignored.
const BODY_MAX: usize = 16 * 1024;

/// Why a request has no token that could be looked at. Its `Display` is an `error_description`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadForm {
    #[error("the content type must be application/x-www-form-urlencoded, without Content-Encoding")]
    ContentType,
    #[error("the body has more than {BODY_MAX} bytes")]
    TooLong,
    #[error("the body is incomplete")]
    Incomplete,
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the parameter token is missing or empty")]
    NoToken,
    #[error("there is more than one parameter token")]
    SeveralTokens,
    #[error("the parameter token holds a control character, such as the line end of a file")]
    ControlCharacter,
}

/// The form's only parameter `token`. It is not parsed yet.
pub(super) async fn presented_token(request: Request) -> Result<String, BadForm> {
    let (parts, body) = request.into_parts();
    if !is_of(b"application/x-www-form-urlencoded", &parts.headers) {
        return Err(BadForm::ContentType);
    }
    if longer_than(BODY_MAX, &parts.headers, &body) {
        return Err(BadForm::TooLong);
    }
    let body = Limited::new(body, BODY_MAX).collect().await;
    let body = body.map_err(|error| {
        let too_long = error.downcast_ref::<LengthLimitError>().is_some();
        if too_long { BadForm::TooLong } else { BadForm::Incomplete }
    })?;
    only_token(&body.to_bytes())
}

fn only_token(body: &[u8]) -> Result<String, BadForm> {
    // The parser would put replacement characters where it is no UTF-8. `&` and `=` are ASCII: the
    // whole is UTF-8 if and only if each name and value is.
    if percent_encoding::percent_decode(body).decode_utf8().is_err() {
        return Err(BadForm::NotUtf8);
    }
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "token");
    match (tokens.next(), tokens.next()) {
        (Some(_), Some(_)) => Err(BadForm::SeveralTokens),
        // Without a value it counts as omitted (RFC 6749 §3.1).
        (Some((_, token)), None) if !token.is_empty() => Ok(token.into_owned()),
        _ => Err(BadForm::NoToken),
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
            ("", Err(BadForm::NoToken)),
            ("token", Err(BadForm::NoToken)),
            ("token=", Err(BadForm::NoToken)),
            ("tokens=abc", Err(BadForm::NoToken)),
            ("TOKEN=abc", Err(BadForm::NoToken)),
            ("token=abc&token=abc", Err(BadForm::SeveralTokens)),
            ("token=&token=abc", Err(BadForm::SeveralTokens)),
            ("token=abc&%74oken=", Err(BadForm::SeveralTokens)),
            ("token=abc&x=%FF", Err(BadForm::NotUtf8)),
            ("token=%C3&x=%A9", Err(BadForm::NotUtf8)),
        ] {
            assert_eq!(
                only_token(body.as_bytes()).as_deref(),
                token.as_ref().map(|t| *t),
                "{body}"
            );
        }
        assert_eq!(only_token(b"token=abc\xff"), Err(BadForm::NotUtf8));
    }
}
