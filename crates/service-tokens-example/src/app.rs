//! The routes of the service and the scopes that they require.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, put};
use service_tokens::{Requirement, TokenService, TokenStore};
use service_tokens_axum::{BearerLayer, RequireLayer, management, page, standards};

use tower_http::limit::RequestBodyLimitLayer;

use crate::files::{self, Uploads};
use crate::server::LIMITS;

/// Creates the router with all routes of the service.
pub(crate) fn router<S: TokenStore + 'static>(
    service: Arc<TokenService<S>>,
    uploads: Uploads,
) -> Result<Router, Box<dyn Error>> {
    let upload = RequireLayer::new(Requirement::scope("files:upload")?);
    let read = RequireLayer::new(Requirement::scope("files:read")?);

    let protected = Router::new()
        .route("/files", get(files::list).route_layer(read.clone()))
        .route(
            "/files/{name}",
            get(files::download)
                .route_layer(read)
                .merge(put(files::upload).post(files::upload).route_layer(upload)),
        )
        .layer(RequestBodyLimitLayer::new(LIMITS.upload_bytes))
        // Every route above requires an active token. This layer comes last, because a layer that is added
        // later is further out.
        .route_layer(BearerLayer::new(service.clone()))
        .with_state(uploads);

    Ok(Router::new()
        .route("/healthz", get(async || "ok\n"))
        .merge(protected)
        // These routers authenticate themselves. The page is public, because it contains no secrets and asks
        // for a manager token.
        .merge(standards::router(service.clone()))
        .merge(management::router(service))
        .merge(page::router()))
}
