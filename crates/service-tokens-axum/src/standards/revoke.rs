//! `POST /revoke`, token revocation by RFC 7009.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use service_tokens::error::NotPermitted;
use service_tokens::steps::{ParsedToken, Prefix};
use service_tokens::{
    ManageError, Refusal, RevokeRequest, TokenId, TokenService, TokenStore, VerifyError,
};

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
    let request = RevokeRequest::new();
    let revoked = match service.authenticate_uncached(token).await {
        Ok(verified) => service.on_behalf_of(&verified).revoke_self(request).await,
        // The service reports these refusals only after the secret matched.
        Err(
            VerifyError::OwnerUnknown
            | VerifyError::Refused(
                Refusal::NotYetActive
                | Refusal::Suspended
                | Refusal::OwnerClosed
                | Refusal::UnknownType,
            ),
        ) => {
            let Some(id) = id_of(token) else { return Revocation::Unknown };
            service.all_owners().revoke(id, request).await
        }
        Err(VerifyError::Refused(refusal)) => return of_refused(refusal),
        Err(_) => return Revocation::Unknown,
    };
    match revoked {
        Ok(_) | Err(ManageError::NotFound { .. }) => Revocation::Done,
        // The token ended after it was verified.
        Err(ManageError::NotPermitted(NotPermitted::NotActive(refusal))) => of_refused(refusal),
        Err(_) => Revocation::Unknown,
    }
}

/// Returns the result for a token that was refused.
fn of_refused(refusal: Refusal) -> Revocation {
    match refusal {
        // Another node may have a newer version or more keys, and accept the token.
        Refusal::NewerRecord | Refusal::UnknownScheme(_) | Refusal::MissingKey(_) => {
            Revocation::Unknown
        }
        Refusal::Malformed(_)
        | Refusal::UnknownId
        | Refusal::WrongSecret
        | Refusal::SecretEnded
        | Refusal::Revoked
        | Refusal::Expired => Revocation::Done,
        _ => Revocation::Unknown,
    }
}

/// Returns the id of a token that was parsed before, with any prefix.
fn id_of(token: &str) -> Option<TokenId> {
    let (prefix, _) = token.rsplit_once('_')?;
    let prefix = Prefix::new(prefix).ok()?;
    Some(ParsedToken::parse(token, &[prefix]).ok()?.id())
}
