//! The layer that says what a route or a router needs.

use std::future::ready;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::IntoResponse;
use http::{Request, Response};
use service_tokens::{InvalidScope, Need};
use tower_layer::Layer;
use tower_service::Service;

use crate::at_once::at_once;
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
/// A token that may not do this is refused with 403 `insufficient_scope`, which names the need; that is
/// no use of the token. Where several stand one below the other, each must be met, and the use is noted
/// when the outermost is. A request that an [optional](crate::BearerLayer::optional) layer let through
/// without a token is refused with 401.
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
    I: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    I::Future: Send + 'static,
    I::Error: Send + 'static,
    B: Send + 'static,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = I::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, I::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (extensions, headers) = (request.extensions(), request.headers());
        let gate = match Gate::above(extensions, headers, "RequireLayer") {
            Ok(gate) => gate.clone(),
            Err(rejected) => return Box::pin(ready(Ok(rejected.into_response()))),
        };
        let need = self.need.clone();
        let mut permitting = Box::pin(async move {
            let permitted = gate.permit(&need).await.map(drop);
            permitted.map_err(|rejection| (gate, rejection))
        });
        match at_once(&mut permitting) {
            Some(Ok(())) => return Box::pin(answer(self.inner.call(request))),
            Some(Err((gate, rejection))) => {
                let rejected = gate.reject(rejection, request.headers());
                return Box::pin(ready(Ok(rejected.into_response())));
            }
            None => {}
        }
        // The one that is ready is called, and its clone waits for the next request.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            match permitting.await {
                Ok(()) => answer(inner.call(request)).await,
                Err((gate, rejection)) => {
                    Ok(gate.reject(rejection, request.headers()).into_response())
                }
            }
        })
    }
}

/// The answer from further in.
async fn answer<R, E>(
    answering: impl Future<Output = Result<Response<R>, E>>,
) -> Result<Response<Body>, E>
where
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    answering.await.map(|response| response.map(Body::new))
}
