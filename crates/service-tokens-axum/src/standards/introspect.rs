//! Token introspection, RFC 7662.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Serialize;
use service_tokens::{
    Requirement, ReservedScope, TokenService, TokenStore, VerifiedToken, VerifyError,
};

use super::{answer, form};
use crate::credentials::bearer;
use crate::rejection::Rejection;

/// What is said of an active token (RFC 7662 §2.2).
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

/// What is said of any other.
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
        Err(rejection) => return answer::rejected(&rejection),
    };
    let token = match form::presented_token(request).await {
        Ok(token) => token,
        Err(bad) => return answer::bad_form(bad),
    };
    match ask(&service, &caller, &token).await {
        Ok(verified) => answer::json(&Active::of(&verified)),
        Err(Inactivity::Inactive) => answer::json(&Inactive { active: false }),
        Err(Inactivity::Unknown) => answer::rejected(&Rejection::Unavailable),
    }
}

async fn caller<S: TokenStore>(
    service: &TokenService<S>,
    headers: &HeaderMap,
) -> Result<VerifiedToken, Rejection> {
    let token = bearer(headers)?;
    Ok(service.verify_uncached(token, &ReservedScope::Introspect.requirement()).await?)
}

/// Why there is no active token to tell of.
enum Inactivity {
    Inactive,
    /// The store gave no answer.
    Unknown,
}

impl From<VerifyError> for Inactivity {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Unavailable(_) => Self::Unknown,
            _ => Self::Inactive,
        }
    }
}

async fn ask<S: TokenStore>(
    service: &TokenService<S>,
    caller: &VerifiedToken,
    token: &str,
) -> Result<VerifiedToken, Inactivity> {
    let verified = service.authenticate_uncached(token).await?;
    if verified.owner() != caller.owner() {
        return Err(Inactivity::Inactive);
    }
    // Only what is told as active was used.
    service.authorize(&verified, &Requirement::any_token()).await?;
    Ok(verified)
}

impl<'a> Active<'a> {
    /// Seconds are rounded down: nobody takes the token for active after its end.
    fn of(token: &'a VerifiedToken) -> Self {
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
