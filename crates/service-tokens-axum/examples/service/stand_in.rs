//! Temporary: until the package has its layer.
use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use service_tokens::{Need, TokenService, TokenStore, VerifiedToken};
use service_tokens_axum::Rejection;
use tower::{Layer, Service};

type Check = Arc<
    dyn Fn(&mut Request) -> Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send>>
        + Send
        + Sync,
>;
#[derive(Clone)]
pub(crate) struct Guard<S>(Check, S);
impl<S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static>
    Service<Request> for Guard<S>
where
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, mut request: Request) -> Self::Future {
        let check = (self.0)(&mut request);
        let mut inner = self.1.clone();
        Box::pin(async move {
            match check.await {
                Ok(()) => inner.call(request).await,
                Err(no) => Ok(no.into_response()),
            }
        })
    }
}
#[derive(Clone)]
pub(crate) struct RequireLayer(Need);
impl RequireLayer {
    pub(crate) fn new(need: Need) -> Self {
        Self(need)
    }
}
impl<I> Layer<I> for RequireLayer {
    type Service = Guard<I>;
    fn layer(&self, inner: I) -> Guard<I> {
        let need = self.0.clone();
        Guard(
            Arc::new(move |request| {
                let held = request.extensions().get::<VerifiedToken>().cloned();
                let need = need.clone();
                Box::pin(async move {
                    let Some(token) = held else { return Err(Rejection::NoLayer) };
                    if token.scopes().permits(&need) {
                        Ok(())
                    } else {
                        Err(Rejection::InsufficientScope(Box::new(need)))
                    }
                })
            }),
            inner,
        )
    }
}
pub(crate) struct BearerLayer<S>(Check, PhantomData<fn() -> S>);
impl<S: TokenStore + 'static> BearerLayer<S> {
    pub(crate) fn new(service: Arc<TokenService<S>>) -> Self {
        Self(
            Arc::new(move |request| {
                let token = request
                    .headers()
                    .get("authorization")
                    .and_then(|v| v.to_str().ok())
                    .and_then(|v| v.strip_prefix("Bearer "))
                    .map(str::to_owned);
                let verified = token.map(|token| {
                    let service = service.clone();
                    async move { service.verify(&token, &Need::authenticated()).await }
                });
                // Only good enough for a stand-in: blocks.
                let verified = verified.map(|v| {
                    std::thread::spawn(move || {
                        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(v)
                    })
                    .join()
                    .unwrap()
                });
                let outcome = match verified {
                    None => Err(Rejection::NoCredentials),
                    Some(Err(e)) => Err(e.into()),
                    Some(Ok(t)) => {
                        request.extensions_mut().insert(t);
                        Ok(())
                    }
                };
                Box::pin(async move { outcome })
            }),
            PhantomData,
        )
    }
}
impl<I, S> Layer<I> for BearerLayer<S> {
    type Service = Guard<I>;
    fn layer(&self, inner: I) -> Guard<I> {
        Guard(self.0.clone(), inner)
    }
}
pub(crate) struct Bearer(pub(crate) VerifiedToken);
impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = Rejection;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        parts.extensions.get().cloned().map(Self).ok_or(Rejection::NoLayer)
    }
}
pub(crate) mod management {
    pub(crate) fn router<S>(_: std::sync::Arc<S>) -> axum::Router {
        axum::Router::new()
    }
}
pub(crate) mod standards {
    pub(crate) fn router<S>(_: std::sync::Arc<S>) -> axum::Router {
        axum::Router::new()
    }
}
pub(crate) mod page {
    pub(crate) fn router() -> axum::Router {
        axum::Router::new()
    }
}
impl<S> Clone for BearerLayer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}
