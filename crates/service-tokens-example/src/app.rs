//! Which route needs which scope.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, put};
use service_tokens::{Requirement, TokenService, TokenStore};
use service_tokens_axum::{BearerLayer, RequireLayer, management, page, standards};

use tower_http::limit::RequestBodyLimitLayer;

use crate::files::{self, Uploads};
use crate::server::LIMITS;

/// Everything that the service answers.
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
        // Below this nothing runs without an active token. It comes last: layers that are added
        // later are further out.
        .route_layer(BearerLayer::new(service.clone()))
        .with_state(uploads);

    Ok(Router::new()
        .route("/healthz", get(async || "ok\n"))
        .merge(protected)
        // These authenticate by themselves, each as its standard says. The page is open: it holds
        // nothing, and asks for a manager token.
        .merge(standards::router(service.clone()))
        .merge(management::router(service))
        .merge(page::router()))
}
