//! The layer that says what a route or a router needs.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use http::{Request, Response};
use service_tokens::{InvalidScope, Requirement};
use tower_layer::Layer;
use tower_service::Service;

use crate::gate::Gate;
use crate::response_future::ResponseFuture;

/// Says what a route or a router needs, below a [`BearerLayer`](crate::BearerLayer).
///
/// ```
/// use axum::{Router, routing::{get, post}};
/// use service_tokens::Requirement;
/// use service_tokens_axum::RequireLayer;
///
/// let files: Router = Router::new()
///     .route("/files", post(|| async { "stored" }).layer(RequireLayer::scope("files:upload")?))
///     .route("/files/{name}", get(|| async { "content" }))
///     .layer(RequireLayer::new(Requirement::any_of(["files:read", "files:upload"])?));
/// # Ok::<(), service_tokens::InvalidScope>(())
/// ```
///
/// A token that may not do this is refused with 403 `insufficient_scope`, which names the need; the
/// request is no use of the token then, whatever else it needs. Where several stand one below the other,
/// each must be met. A request that an [optional](crate::BearerLayer::optional) layer let through without
/// a token is refused with 401.
///
/// Without a `BearerLayer` above it nothing passes: the answer is 500, and an error is logged with
/// `tracing` under the target `service_tokens`.
#[derive(Debug, Clone)]
pub struct RequireLayer {
    requirement: Arc<Requirement>,
}

impl RequireLayer {
    /// Needs this.
    pub fn new(requirement: Requirement) -> Self {
        Self { requirement: Arc::new(requirement) }
    }

    /// Needs one scope.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if it is no scope or contains a wildcard.
    pub fn scope(scope: &str) -> Result<Self, InvalidScope> {
        Requirement::scope(scope).map(Self::new)
    }
}

impl<I> Layer<I> for RequireLayer {
    type Service = RequireService<I>;

    fn layer(&self, inner: I) -> Self::Service {
        RequireService { inner, requirement: self.requirement.clone() }
    }
}

/// A service below a [`RequireLayer`].
#[derive(Debug, Clone)]
pub struct RequireService<I> {
    inner: I,
    requirement: Arc<Requirement>,
}

impl<I, B, R> Service<Request<B>> for RequireService<I>
where
    I: Service<Request<B>, Response = Response<R>>,
    I::Error: Send + 'static,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = I::Error;
    type Future = ResponseFuture<I::Future, I::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (extensions, headers) = (request.extensions(), request.headers());
        let checked = Gate::above(extensions, headers, "RequireLayer").and_then(|gate| {
            gate.check(&self.requirement).map_err(|rejection| gate.reject(rejection, headers))
        });
        match checked {
            Ok(()) => ResponseFuture::inside(self.inner.call(request), None),
            Err(rejected) => ResponseFuture::rejected(rejected),
        }
    }
}
