//! The future that the layers return.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::IntoResponse;
use http::Response;
use pin_project_lite::pin_project;

use crate::admission::UseGuard;
use crate::rejection_response::RejectionResponse;

pin_project! {
    /// The future of a [`BearerService`](crate::BearerService) or a
    /// [`RequireService`](crate::RequireService). It contains the future of the service below.
    pub struct ResponseFuture<F, E> {
        #[pin]
        step: Step<F, E>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<F, E> {
        Inner { #[pin] future: F, guard: Option<UseGuard> },
        Boxed { response: BoxedResponse<E> },
    }
}

/// A response that also waits for the store.
type BoxedResponse<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<F, E> ResponseFuture<F, E> {
    /// Waits for the service below, then records the use of the token.
    pub(crate) fn inner(future: F, guard: Option<UseGuard>) -> Self {
        Self { step: Step::Inner { future, guard } }
    }

    /// Waits for this future.
    pub(crate) fn boxed(
        response: impl Future<Output = Result<Response<Body>, E>> + Send + 'static,
    ) -> Self {
        Self { step: Step::Boxed { response: Box::pin(response) } }
    }

    pub(crate) fn rejected(response: RejectionResponse) -> Self
    where
        E: Send + 'static,
    {
        Self::boxed(std::future::ready(Ok(response.into_response())))
    }
}

impl<F, E, R> Future for ResponseFuture<F, E>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Send + 'static,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            let (response, pending_use) = match step.as_mut().project() {
                StepProjection::Boxed { response } => return response.as_mut().poll(context),
                StepProjection::Inner { future, guard } => {
                    let response =
                        ready!(future.poll(context)).map(|response| response.map(Body::new));
                    match guard.take().and_then(UseGuard::finish) {
                        None => return Poll::Ready(response),
                        Some(pending_use) => (response, pending_use),
                    }
                }
            };
            let response = Box::pin(async move {
                pending_use.await;
                response
            });
            step.set(Step::Boxed { response });
        }
    }
}

impl<F, E> fmt::Debug for ResponseFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
