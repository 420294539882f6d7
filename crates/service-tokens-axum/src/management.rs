//! The management API.

mod access;
mod answer;
mod body;
mod cursor;
mod described;
mod failure;
mod id;
mod issue;
mod itself;
mod json;
mod kinds;
#[allow(unused_qualifications, reason = "in what utoipa's attribute makes of the query")]
mod list;
mod openapi;
mod query;
mod revoke;
mod rotate;
mod show;
mod token;
mod types;

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::{MethodRouter, get, post};
use service_tokens::{TokenService, TokenStore};

use access::Closed;
use query::NoQuery;

/// The management API of this service: to be merged into a router, or nested under a prefix.
pub fn router<S: TokenStore + 'static>(service: Arc<TokenService<S>>) -> Router {
    let document = openapi::document();
    let routes: Router<Closed<S>> = Router::new()
        .route("/tokens", endpoint(get(list::list).post(issue::issue)))
        .route("/tokens/self", endpoint(get(itself::show_self)))
        .route("/tokens/self/revoke", endpoint(post(itself::revoke_self)))
        .route("/tokens/self/rotate", endpoint(post(itself::rotate_self)))
        .route("/tokens/{id}", endpoint(get(show::show)))
        .route("/tokens/{id}/revoke", endpoint(post(revoke::revoke)))
        .route("/tokens/{id}/rotate", endpoint(post(rotate::rotate)))
        .route("/token-types", endpoint(get(kinds::types)))
        .route(
            "/openapi.json",
            endpoint(get(move |_: NoQuery| ready(openapi::describe(document)))),
        );
    routes.with_state(Closed::new(service))
}

/// Answers other methods too, and is kept by nobody.
fn endpoint<T: Clone + Send + Sync + 'static>(methods: MethodRouter<T>) -> MethodRouter<T> {
    methods.fallback(answer::method_not_allowed).layer(map_response(answer::no_store))
}
