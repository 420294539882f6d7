//! `POST /revoke`, token revocation by RFC 7009.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use service_tokens::error::RevokePresentedError;
use service_tokens::{RevokeRequest, TokenService, TokenStore};

use super::form::InvalidForm;
use super::{form, oauth_response};
use crate::rejection::Rejection;

/// The result of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Revocation {
    /// The token is revoked, or the text is not a token that its holder can revoke.
    Done,
    /// This node or another one may still accept the token.
    Unknown,
}

pub(super) async fn revoke<S: TokenStore + 'static>(
    State(service): State<Arc<TokenService<S>>>,
    request: Request,
) -> Response {
    let token = match form::presented_token(request).await {
        Ok(token) => token,
        Err(invalid) => return oauth_response::invalid_form(invalid),
    };
    // A token never contains a control character (RFC 6749 §A.12). A client that sends the line end of a
    // file would otherwise take the 200 for a successful revocation.
    if token.contains(char::is_control) {
        return oauth_response::invalid_form(InvalidForm::ControlCharacter);
    }
    match revoke_presented(&service, &token).await {
        Revocation::Done => oauth_response::empty(StatusCode::OK),
        Revocation::Unknown => oauth_response::rejected(&Rejection::Unavailable),
    }
}

async fn revoke_presented<S: TokenStore>(service: &TokenService<S>, token: &str) -> Revocation {
    match service.revoke_presented(token, RevokeRequest::new()).await {
        Ok(_) | Err(RevokePresentedError::Malformed(_) | RevokePresentedError::Refused(_)) => {
            Revocation::Done
        }
        Err(_) => Revocation::Unknown,
    }
}
