//! The layer that sets the scopes that a route or a router requires.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use http::{Request, Response};
use service_tokens::{InvalidScope, Requirement};
use tower_layer::Layer;
use tower_service::Service;

use crate::admission::Admission;
use crate::response_future::ResponseFuture;

/// A layer that sets the requirement of a route or a router, below a
/// [`BearerLayer`](crate::BearerLayer).
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
/// A token that does not meet the requirement is rejected with 403 `insufficient_scope`, and the answer
/// names the requirement. Such a request does not count as a use of the token. Several of these layers
/// can be nested, and a token must meet the requirement of each. A request that an
/// [optional](crate::BearerLayer::optional) layer admitted without a token is rejected with 401.
///
/// Without a `BearerLayer` above it this layer rejects every request with 500. It also logs an error with
/// `tracing` under the target `service_tokens`.
#[derive(Debug, Clone)]
pub struct RequireLayer {
    requirement: Arc<Requirement>,
}

impl RequireLayer {
    /// Requires this of every request.
    ///
    /// ```
    /// use service_tokens::Requirement;
    /// use service_tokens_axum::RequireLayer;
    ///
    /// let layer = RequireLayer::new(Requirement::all_of(["files:read", "files:upload"])?);
    /// # Ok::<(), service_tokens::InvalidScope>(())
    /// ```
    pub fn new(requirement: Requirement) -> Self {
        Self { requirement: Arc::new(requirement) }
    }

    /// Requires one scope of every request.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidScope`] if the text is not a scope or contains a wildcard.
    ///
    /// # Examples
    ///
    /// ```
    /// use service_tokens_axum::RequireLayer;
    ///
    /// assert!(RequireLayer::scope("files:upload").is_ok());
    /// assert!(RequireLayer::scope("files:*").is_err());
    /// ```
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

/// The service that a [`RequireLayer`] creates around another service.
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
        let checked = Admission::find(extensions, headers, "RequireLayer").and_then(|admission| {
            admission
                .check(&self.requirement)
                .map_err(|rejection| admission.reject(rejection, headers))
        });
        match checked {
            Ok(()) => ResponseFuture::inner(self.inner.call(request), None),
            Err(response) => ResponseFuture::rejected(response),
        }
    }
}
