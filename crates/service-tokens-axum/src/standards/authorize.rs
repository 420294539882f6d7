//! The question of a reverse proxy: may this request go on?

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use service_tokens::{InvalidScope, Requirement, TokenService, TokenStore, VerifiedToken};

use super::answer;
use crate::credentials::bearer;
use crate::rejection::Rejection;

/// Everything but ASCII letters, digits and `- . _ ~ : *`.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'*');

/// `/authorize/<scope>`: 204.
pub(super) async fn authorize<S: TokenStore + 'static>(
    State(service): State<Arc<TokenService<S>>>,
    request: Request,
) -> Response {
    decide(&service, request, "/authorize/", StatusCode::NO_CONTENT).await
}

/// `/ext-authz/<scope>`: 200. Envoy lets nothing else pass, and would answer a 204 to the client as if
/// the backend had done what was asked.
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
    passes: StatusCode,
) -> Response {
    // The body is never looked at.
    let (parts, _) = request.into_parts();
    match verify(service, &parts, prefix).await {
        Ok(verified) => identity(&verified, passes),
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
        // One step: whoever lacks the scope has not used the token.
        Ok(requirement) => Ok(service.verify(token, &requirement).await?),
        Err(invalid) => {
            tracing::warn!(%invalid, "a proxy asks for what is no scope, and nobody passes");
            service.authenticate(token).await?;
            // There is no scope that could be named.
            Err(Rejection::InsufficientScope(Box::new(Requirement::any_token())))
        }
    }
}

/// The rejection's status and challenge. No body: a proxy has no use for it.
fn refused(rejection: Rejection) -> Response {
    let rejection = match rejection {
        // A 400 would be a 500 of nginx. RFC 6750 §3.1 has a 401 for a malformed token, too.
        Rejection::MalformedCredentials => Rejection::InvalidToken,
        rejection => rejection,
    };
    let mut response = answer::empty(rejection.status());
    rejection.mark(&mut response);
    response
}

/// The need in the first segment below the prefix, decoded once.
fn requirement(path: &str, prefix: &str) -> Result<Requirement, InvalidScope> {
    let below = path.strip_prefix(prefix).unwrap_or_default();
    let segment = below.split('/').next().unwrap_or_default();
    let scope = percent_decode_str(segment).decode_utf8().map_err(|_| InvalidScope::Character)?;
    Requirement::scope(&scope)
}

/// This status with who the token is.
fn identity(token: &VerifiedToken, passes: StatusCode) -> Response {
    let mut response = answer::empty(passes);
    let headers = [
        (HeaderName::from_static("service-token-id"), token.id().to_string()),
        (HeaderName::from_static("service-token-owner"), encoded(token.owner())),
        (HeaderName::from_static("service-token-type"), encoded(token.token_type())),
        (HeaderName::from_static("service-token-issued-to"), encoded(token.issued_to())),
        (HeaderName::from_static("service-token-scopes"), encoded(token.scopes().as_str())),
    ];
    for (name, value) in headers {
        // Only visible ASCII is left. If not, the request must not go on without the header.
        let Ok(value) = HeaderValue::try_from(value) else {
            return answer::empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        response.headers_mut().insert(name, value);
    }
    response
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}
