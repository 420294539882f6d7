//! The layer that says what a route or a router needs.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use http::{Request, Response};
use service_tokens::{InvalidScope, Need};
use tower_layer::Layer;
use tower_service::Service;

use crate::answering::Answering;
use crate::gate::Gate;

/// Says what a route or a router needs, below a [`BearerLayer`](crate::BearerLayer).
///
/// ```
/// use axum::{Router, routing::{get, post}};
/// use service_tokens::Need;
/// use service_tokens_axum::RequireLayer;
///
/// let files: Router = Router::new()
///     .route("/files", post(|| async { "stored" }).layer(RequireLayer::scope("files:upload")?))
///     .route("/files/{name}", get(|| async { "content" }))
///     .layer(RequireLayer::new(Need::any_of(["files:read", "files:upload"])?));
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
    need: Arc<Need>,
}

impl RequireLayer {
    /// Needs this.
    pub fn new(need: Need) -> Self {
        Self { need: Arc::new(need) }
    }

    /// Needs one scope.
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if it is no scope or contains a wildcard.
    pub fn scope(scope: &str) -> Result<Self, InvalidScope> {
        Need::scope(scope).map(Self::new)
    }
}

impl<I> Layer<I> for RequireLayer {
    type Service = RequireService<I>;

    fn layer(&self, inner: I) -> Self::Service {
        RequireService { inner, need: self.need.clone() }
    }
}

/// A service below a [`RequireLayer`].
#[derive(Debug, Clone)]
pub struct RequireService<I> {
    inner: I,
    need: Arc<Need>,
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
    type Future = Answering<I::Future, I::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (extensions, headers) = (request.extensions(), request.headers());
        let checked = Gate::above(extensions, headers, "RequireLayer").and_then(|gate| {
            gate.check(&self.need).map_err(|rejection| gate.reject(rejection, headers))
        });
        match checked {
            Ok(()) => Answering::inside(self.inner.call(request), None),
            Err(rejected) => Answering::rejected(rejected),
        }
    }
}
