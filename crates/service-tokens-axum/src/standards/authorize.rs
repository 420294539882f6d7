//! `/authorize/<scope>` and `/ext-authz/<scope>`, the endpoints for reverse proxies.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use service_tokens::{InvalidScope, Requirement, TokenService, TokenStore, VerifiedToken};

use super::oauth_response;
use crate::credentials::bearer;
use crate::rejection::Rejection;

/// All characters except ASCII letters, digits and `- . _ ~ : *`.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'*');

/// Answers `/authorize/<scope>` with 204 if the request may pass.
pub(super) async fn authorize<S: TokenStore + 'static>(
    State(service): State<Arc<TokenService<S>>>,
    request: Request,
) -> Response {
    decide(&service, request, "/authorize/", StatusCode::NO_CONTENT).await
}

/// Answers `/ext-authz/<scope>` with 200 if the request may pass.
///
/// Envoy accepts only 200. It would send a 204 to the client as if the backend had answered.
pub(super) async fn ext_authz<S: TokenStore + 'static>(
    State(service): State<Arc<TokenService<S>>>,
    request: Request,
) -> Response {
    decide(&service, request, "/ext-authz/", StatusCode::OK).await
}

async fn decide<S: TokenStore>(
    service: &TokenService<S>,
    request: Request,
    prefix: &str,
    allowed: StatusCode,
) -> Response {
    // The decision does not depend on the body.
    let (parts, _) = request.into_parts();
    match verify(service, &parts, prefix).await {
        Ok(verified) => identity(&verified, allowed),
        Err(rejection) => refused(rejection),
    }
}

async fn verify<S: TokenStore>(
    service: &TokenService<S>,
    parts: &Parts,
    prefix: &str,
) -> Result<VerifiedToken, Rejection> {
    let token = bearer(&parts.headers)?;
    match requirement(parts.uri.path(), prefix) {
        // Verification and requirement are one step, because a token without the scope was not used.
        Ok(requirement) => Ok(service.verify(token, &requirement).await?),
        Err(invalid) => {
            tracing::warn!(%invalid, "a proxy requires an invalid scope, so every request is rejected");
            service.authenticate(token).await?;
            // The answer cannot name a scope, because the requirement is invalid.
            Err(Rejection::InsufficientScope(Box::new(Requirement::any_token())))
        }
    }
}

/// Creates a response with the status and the challenge of a rejection. It has no body, because proxies
/// do not use it.
fn refused(rejection: Rejection) -> Response {
    let rejection = match rejection {
        // nginx would turn a 400 into 500. RFC 6750 §3.1 allows 401 for a malformed token too.
        Rejection::MalformedCredentials => Rejection::InvalidToken,
        rejection => rejection,
    };
    let mut response = oauth_response::empty(rejection.status());
    rejection.apply_to(&mut response);
    response
}

/// Returns the requirement in the first segment below the prefix, percent-decoded once.
fn requirement(path: &str, prefix: &str) -> Result<Requirement, InvalidScope> {
    let below = path.strip_prefix(prefix).unwrap_or_default();
    let segment = below.split('/').next().unwrap_or_default();
    let scope = percent_decode_str(segment).decode_utf8().map_err(|_| InvalidScope::Character)?;
    Requirement::scope(&scope)
}

/// Creates a response with the identity headers of the token.
fn identity(token: &VerifiedToken, allowed: StatusCode) -> Response {
    let mut response = oauth_response::empty(allowed);
    let headers = [
        (HeaderName::from_static("service-token-id"), token.id().to_string()),
        (HeaderName::from_static("service-token-owner"), encoded(token.owner())),
        (HeaderName::from_static("service-token-type"), encoded(token.token_type())),
        (HeaderName::from_static("service-token-issued-to"), encoded(token.issued_to())),
        (HeaderName::from_static("service-token-scopes"), encoded(token.scopes().as_str())),
    ];
    for (name, value) in headers {
        // The encoding leaves only visible ASCII. If it did not, the request must not pass without the
        // header.
        let Ok(value) = HeaderValue::try_from(value) else {
            return oauth_response::empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        response.headers_mut().insert(name, value);
    }
    response
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
