//! The Service Tokens page: what an operator sees of the management API.

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

/// One script, written in parts: they share the scope of one module, in this order.
const SCRIPT: &str = concat!(
    include_str!("page/script/parts.js"),
    include_str!("page/script/time.js"),
    include_str!("page/script/session.js"),
    include_str!("page/script/problem.js"),
    include_str!("page/script/dialog.js"),
    include_str!("page/script/sign_in.js"),
    include_str!("page/script/list.js"),
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

/// On every answer. Nothing of the page comes from elsewhere or is written into its text, nothing
/// else may frame it or hold a handle on its window, and no address of it is told to anybody.
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
    // Kept, but asked for each time: never older than the program that serves it.
    (CACHE_CONTROL, "no-cache"),
];

/// The Service Tokens page at `/service-tokens`, with its script, its stylesheet and its icon beside
/// it (`/service-tokens.js`, `.css` and `.svg`).
///
/// On it people sign in with a token that has `service-tokens:read`, and list, create, rotate and
/// revoke their owner's tokens as far as its scopes allow. It calls the [management
/// API](crate::management) of the same origin, at paths relative to its own: mount both in the same
/// place, merged or nested under one prefix. The page itself is the same for everybody and holds
/// nothing secret, so it needs no layer above it.
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
/// Every answer has a strict `Content-Security-Policy` (no inline script or style, nothing from
/// other origins, no frame around it), and each file an `ETag`: browsers ask each time whether it holds.
/// Other methods than GET and HEAD get a 405. Serve the page over TLS, or on loopback: whoever reads
/// the connection reads tokens.
pub fn router() -> Router {
    FILES
        .into_iter()
        .fold(Router::new(), |router, (path, kind, text)| router.route(path, file(kind, text)))
}

fn file(kind: &'static str, text: &'static str) -> MethodRouter {
    let tag = tag(text);
    let file = get(move |request: Request| {
        let answer = answer(kind, text, &tag, request.headers());
        async move { answer }
    });
    file.fallback(other_method)
}

/// 405; the router adds `Allow`.
async fn other_method() -> Response {
    let mut response = uncached();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// An answer with the headers of all.
fn uncached() -> Response {
    let mut response = Response::new(Body::empty());
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The name of exactly this text.
fn tag(text: &str) -> HeaderValue {
    let digest = Sha256::digest(text);
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn answer(
    kind: &'static str,
    text: &'static str,
    tag: &HeaderValue,
    asked: &HeaderMap,
) -> Response {
    let mut response = uncached();
    let headers = response.headers_mut();
    headers.insert(ETAG, tag.clone());
    if holds(tag, asked) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *response.body_mut() = Body::from(text);
    }
    response
}

/// Whether one of the tags in `If-None-Match` is this one, by weak comparison (RFC 9110 §13.1.2):
/// proxies that compress weaken it.
fn holds(tag: &HeaderValue, asked: &HeaderMap) -> bool {
    let values = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|asked| asked == "*" || asked.strip_prefix("W/").unwrap_or(asked).as_bytes() == tag)
}
