//! Token revocation, RFC 7009.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use service_tokens::error::NotPermitted;
use service_tokens::steps::{ParsedToken, Prefix};
use service_tokens::{
    ManageError, Refusal, RevokeRequest, TokenId, TokenService, TokenStore, VerifyError,
};

use super::form::BadForm;
use super::{answer, form};
use crate::rejection::Rejection;

/// Whether somebody may still be accepted with the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is revoked, or was none that this caller could revoke.
    Settled,
    /// It may be accepted still, here or by another node.
    Undecided,
}

pub(super) async fn revoke<S: TokenStore + 'static>(
    State(service): State<Arc<TokenService<S>>>,
    request: Request,
) -> Response {
    let token = match form::presented_token(request).await {
        Ok(token) => token,
        Err(bad) => return answer::bad_form(bad),
    };
    // No token has one (RFC 6749 §A.12). Whoever sends a line end along would take a 200 for a revocation.
    if token.contains(char::is_control) {
        return answer::bad_form(BadForm::ControlCharacter);
    }
    match revoke_held(&service, &token).await {
        Outcome::Settled => answer::empty(StatusCode::OK),
        Outcome::Undecided => answer::rejected(&Rejection::Unavailable),
    }
}

async fn revoke_held<S: TokenStore>(service: &TokenService<S>, token: &str) -> Outcome {
    let request = RevokeRequest::new();
    let revoked = match service.authenticate_uncached(token).await {
        Ok(verified) => service.on_behalf_of(&verified).revoke_self(request).await,
        // Its secret was right, or this would not be known of it.
        Err(VerifyError::Refused(Refusal::NotYetActive | Refusal::UnknownType)) => {
            let Some(id) = id_of(token) else { return Outcome::Undecided };
            service.all_owners().revoke(id, request).await
        }
        Err(VerifyError::Refused(refusal)) => return after(refusal),
        Err(_) => return Outcome::Undecided,
    };
    match revoked {
        Ok(_) | Err(ManageError::NotFound { .. }) => Outcome::Settled,
        // It ended meanwhile.
        Err(ManageError::NotPermitted(NotPermitted::NotActive(refusal))) => after(refusal),
        Err(_) => Outcome::Undecided,
    }
}

/// What a refused token has left to decide.
fn after(refusal: Refusal) -> Outcome {
    match refusal {
        // Another node may know more than this one, and accept it.
        Refusal::NewerRecord | Refusal::UnknownScheme(_) | Refusal::MissingKey(_) => {
            Outcome::Undecided
        }
        Refusal::Malformed(_)
        | Refusal::UnknownId
        | Refusal::WrongSecret
        | Refusal::SecretEnded
        | Refusal::Revoked
        | Refusal::Expired => Outcome::Settled,
        _ => Outcome::Undecided,
    }
}

/// The id of a token that was parsed before, with whatever prefix.
fn id_of(token: &str) -> Option<TokenId> {
    let (prefix, _) = token.rsplit_once('_')?;
    let prefix = Prefix::new(prefix).ok()?;
    Some(ParsedToken::parse(token, &[prefix]).ok()?.id())
}
