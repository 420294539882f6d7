//! Accepts imported keys such as `7|secret`, which [`BearerLayer`](service_tokens_axum::BearerLayer) refuses,
//! because `|` is not a character of a bearer token (RFC 6750 §2.1). A middleware of the program reads the
//! header instead, and answers as the layer does. Run `cargo run -p service-tokens-axum --example old_keys`,
//! and then the two commands that it prints.
//!
//! Unlike the layer, it counts the use of the token before the handler runs, answers 401 instead of 400 to other
//! characters in a token, and passes the address of the client to the verification. Behind a proxy that is the
//! address of the proxy.
#![allow(clippy::print_stdout, reason = "the example prints two commands")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::{Router, routing::get};
use service_tokens::import::{Characters, ImportForm};
use service_tokens::{ImportRequest, MemoryStore, RequestContext, Requirement, requirement};
use service_tokens::{TokenService, TokenType, VerifiedToken};
use service_tokens_axum::Rejection;
use tokio::net::TcpListener;

pub(crate) type Tokens = Arc<TokenService<MemoryStore>>;

/// Admits a request with a token that meets the requirement, and adds the token to the request.
async fn admit(
    State((tokens, requirement)): State<(Tokens, Requirement)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Rejection> {
    let client = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let context = RequestContext::new().client_address(client);
    let header = authorization(request.headers_mut())?;
    let token = tokens.in_context(context).verify(bearer(&header)?, &requirement).await?;
    request.extensions_mut().insert(token);
    Ok(next.run(request).await)
}

/// Returns the only `Authorization` header. Loggers below do not show it any more.
fn authorization(headers: &mut HeaderMap) -> Result<HeaderValue, Rejection> {
    if headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return Err(Rejection::MalformedCredentials);
    }
    let header = headers.get_mut(AUTHORIZATION).ok_or(Rejection::NoCredentials)?;
    header.set_sensitive(true);
    Ok(header.clone())
}

/// Returns the text after `Bearer`. The service decides whether it has the form of a token or of an old key.
fn bearer(header: &HeaderValue) -> Result<&[u8], Rejection> {
    let header = header.as_bytes();
    let end = header.iter().position(u8::is_ascii_whitespace).unwrap_or(header.len());
    let (scheme, rest) = header.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Rejection::NoCredentials);
    }
    let text = &rest[rest.iter().take_while(|byte| **byte == b' ').count()..];
    match text.is_empty() || text.iter().any(u8::is_ascii_whitespace) {
        true => Err(Rejection::MalformedCredentials),
        false => Ok(text),
    }
}

pub(crate) async fn whoami(Extension(token): Extension<VerifiedToken>) -> String {
    format!("{} of {}\n", token.issued_to(), token.owner())
}

pub(crate) fn app(tokens: Tokens) -> Router {
    let route = |scope| from_fn_with_state((tokens.clone(), scope), admit);
    Router::new()
        .route("/whoami", get(whoami).layer(route(Requirement::any_token())))
        .route("/upload", get(whoami).layer(route(requirement!("files:upload"))))
}

/// Creates a service that accepts the keys of Laravel Sanctum, and imports one.
pub(crate) async fn service(old_key: &str) -> Result<Tokens, Box<dyn Error>> {
    let sanctum = ImportForm::sha256("sanctum")
        .characters(Characters::BASE62)
        .lengths(42..=69)
        .hash_after_last('|', [40, 48]);
    let tokens = TokenService::builder(MemoryStore::new(), "acme_live")
        .token_type(TokenType::new("reader", ["files:read"])?)
        .import_form(sanctum)
        .build()?;
    tokens.owner("acme").import(ImportRequest::of_plaintext(old_key, "reader", "old")).await?;
    Ok(Arc::new(tokens))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let old_key = "7|RqPz7mXv0KcB4tWn9sYd2LhG6jFa1UeO8iTkQxN3";
    let app = app(service(old_key).await?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("allowed: curl -i -H 'Authorization: Bearer {old_key}' http://{address}/whoami");
    println!("refused: curl -i -H 'Authorization: Bearer {old_key}' http://{address}/upload");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
