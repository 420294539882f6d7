//! The Service Tokens page, on which people use the management API.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

/// The script. Its parts share the scope of one JavaScript module, in this order.
const SCRIPT: &str = concat!(
    include_str!("page/script/parts.js"),
    include_str!("page/script/time.js"),
    include_str!("page/script/session.js"),
    include_str!("page/script/problem.js"),
    include_str!("page/script/dialog.js"),
    include_str!("page/script/sign_in.js"),
    include_str!("page/script/list.js"),
    include_str!("page/script/columns.js"),
    include_str!("page/script/row.js"),
    include_str!("page/script/details.js"),
    include_str!("page/script/lifetime.js"),
    include_str!("page/script/create.js"),
    include_str!("page/script/shown_once.js"),
    include_str!("page/script/rotate.js"),
    include_str!("page/script/revoke.js"),
    include_str!("page/script/start.js"),
);

const FILES: [(&str, &str, &str); 4] = [
    ("/service-tokens", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/service-tokens.js", "text/javascript; charset=utf-8", SCRIPT),
    ("/service-tokens.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/service-tokens.svg", "image/svg+xml; charset=utf-8", include_str!("page/icon.svg")),
];

/// The headers of every answer. They forbid contents of other origins, inline scripts and styles, frames
/// around the page, handles on its window, and referrers.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), clipboard-read=(), clipboard-write=(self), geolocation=(), microphone=()",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Browsers may store the files but must revalidate them, so the page always fits the running program.
    (CACHE_CONTROL, "no-cache"),
];

/// Creates a router with the Service Tokens page at `/service-tokens`, and its script, stylesheet and icon
/// at `/service-tokens.js`, `.css` and `.svg`.
///
/// People sign in with a token that has `service-tokens:read`. They list, create, rotate and revoke their
/// owner's tokens as far as the scopes of that token allow. The page calls the [management
/// API](crate::management) of the same origin with relative paths. So merge both into the same router, or
/// nest both under one prefix. The page is the same for all people and contains no secrets, so do not put a
/// layer above it.
///
/// ```
/// use std::sync::Arc;
/// use service_tokens::{MemoryStore, TokenService};
/// use service_tokens_axum::{management, page};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let service = TokenService::builder(MemoryStore::new(), "acme_live").build()?;
/// let service = Arc::new(service);
/// let app: axum::Router = page::router().merge(management::router(service));
/// # Ok(()) }
/// ```
///
/// Every answer has a strict `Content-Security-Policy`, which forbids inline scripts and styles, contents of
/// other origins, and frames around the page. Each file has an `ETag`, and browsers revalidate it on each
/// load. Methods other than GET and HEAD are answered with 405. Serve the page over TLS or on loopback,
/// because everyone who can read the connection can read tokens.
pub fn router() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, media_type, text)| {
        router.route(path, file(media_type, text))
    })
}

fn file(media_type: &'static str, text: &'static str) -> MethodRouter {
    let tag = tag(text);
    let file = get(move |request: Request| {
        let response = respond(media_type, text, &tag, request.headers());
        async move { response }
    });
    file.fallback(other_method)
}

/// Answers 405. The router adds `Allow`.
async fn other_method() -> Response {
    let mut response = empty();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// Creates an empty response with the headers of every answer.
fn empty() -> Response {
    let mut response = Response::new(Body::empty());
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns the entity tag of a text.
fn tag(text: &str) -> HeaderValue {
    let digest = Sha256::digest(text);
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn respond(
    media_type: &'static str,
    text: &'static str,
    tag: &HeaderValue,
    request_headers: &HeaderMap,
) -> Response {
    let mut response = empty();
    let headers = response.headers_mut();
    headers.insert(ETAG, tag.clone());
    if is_current(tag, request_headers) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        *response.body_mut() = Body::from(text);
    }
    response
}

/// Returns whether `If-None-Match` contains this tag. The comparison is weak (RFC 9110 §13.1.2), because
/// proxies that compress change a strong tag into a weak one.
fn is_current(tag: &HeaderValue, request_headers: &HeaderMap) -> bool {
    let values =
        request_headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|sent| sent == "*" || sent.strip_prefix("W/").unwrap_or(sent).as_bytes() == tag)
}
