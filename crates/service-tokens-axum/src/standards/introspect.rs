//! `POST /introspect`, token introspection by RFC 7662.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use service_tokens::{
    Requirement, ReservedScope, TokenService, TokenStore, VerifiedToken, VerifyError,
};

use super::{form, oauth_response};
use crate::credentials::bearer;
use crate::rejection::Rejection;

/// The answer for an active token (RFC 7662 §2.2).
#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    sub: &'a str,
    jti: String,
    token_type: &'static str,
}

/// The answer for every other token.
#[derive(Serialize)]
struct Inactive {
    active: bool,
}

pub(super) async fn introspect<S: TokenStore + 'static>(
    State(service): State<Arc<TokenService<S>>>,
    request: Request,
) -> Response {
    let caller = match caller(&service, request.headers()).await {
        Ok(caller) => caller,
        Err(rejection) => return oauth_response::rejected(&rejection),
    };
    let token = match form::presented_token(request).await {
        Ok(token) => token,
        Err(invalid) => return oauth_response::invalid_form(invalid),
    };
    match introspected(&service, &caller, &token).await {
        Ok(verified) => oauth_response::json(&Active::new(&verified)),
        Err(NotActive::Inactive) => oauth_response::json(&Inactive { active: false }),
        Err(NotActive::Unknown) => oauth_response::rejected(&Rejection::Unavailable),
    }
}

async fn caller<S: TokenStore>(
    service: &TokenService<S>,
    headers: &HeaderMap,
) -> Result<VerifiedToken, Rejection> {
    let token = bearer(headers)?;
    Ok(service.verify_uncached(token, &ReservedScope::Introspect.requirement()).await?)
}

/// The reason why the answer does not describe an active token.
enum NotActive {
    Inactive,
    /// The store is unavailable, or it is not known whether the owner is open.
    Unknown,
}

impl From<VerifyError> for NotActive {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Unavailable(_) | VerifyError::OwnerUnknown => Self::Unknown,
            _ => Self::Inactive,
        }
    }
}

async fn introspected<S: TokenStore>(
    service: &TokenService<S>,
    caller: &VerifiedToken,
    token: &str,
) -> Result<VerifiedToken, NotActive> {
    let verified = service.authenticate_uncached(token).await?;
    if verified.owner() != caller.owner() {
        return Err(NotActive::Inactive);
    }
    // The use is recorded only now, because a token of another owner is reported as inactive and must
    // not count as used.
    service.authorize(&verified, &Requirement::any_token()).await?;
    Ok(verified)
}

impl<'a> Active<'a> {
    /// Rounds times down to seconds, so that `exp` is never after the expiry of the token.
    fn new(token: &'a VerifiedToken) -> Self {
        Self {
            active: true,
            scope: token.scopes().as_str(),
            exp: token.expires_at().map(|end| end.timestamp()),
            iat: token.created_at().timestamp(),
            nbf: token.not_before().map(|start| start.timestamp()),
            sub: token.owner(),
            jti: token.id().to_string(),
            token_type: "Bearer",
        }
    }
}
