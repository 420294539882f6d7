//! An answer that is on its way through a layer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::IntoResponse;
use http::Response;
use pin_project_lite::pin_project;

use crate::gate::Using;
use crate::rejected::Rejected;

pin_project! {
    /// The future of a [`BearerService`](crate::BearerService) or a
    /// [`RequireService`](crate::RequireService), around that of the service further in.
    pub struct ResponseFuture<F, E> {
        #[pin]
        step: Step<F, E>,
    }
}

pin_project! {
    #[project = At]
    enum Step<F, E> {
        Inside { #[pin] inner: F, using: Option<Using> },
        Boxed { answer: Later<E> },
    }
}

/// An answer that something else must be waited for.
type Later<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<F, E> ResponseFuture<F, E> {
    /// That of the service further in, and then the use of the token is noted.
    pub(crate) fn inside(inner: F, using: Option<Using>) -> Self {
        Self { step: Step::Inside { inner, using } }
    }

    pub(crate) fn later(
        answer: impl Future<Output = Result<Response<Body>, E>> + Send + 'static,
    ) -> Self {
        Self { step: Step::Boxed { answer: Box::pin(answer) } }
    }

    pub(crate) fn rejected(rejected: Rejected) -> Self
    where
        E: Send + 'static,
    {
        Self::later(std::future::ready(Ok(rejected.into_response())))
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
            let (answer, noting) = match step.as_mut().project() {
                At::Boxed { answer } => return answer.as_mut().poll(context),
                At::Inside { inner, using } => {
                    let answer = ready!(inner.poll(context)).map(|answer| answer.map(Body::new));
                    match using.take().and_then(Using::end) {
                        None => return Poll::Ready(answer),
                        Some(noting) => (answer, noting),
                    }
                }
            };
            let answer = Box::pin(async move {
                noting.await;
                answer
            });
            step.set(Step::Boxed { answer });
        }
    }
}

impl<F, E> fmt::Debug for ResponseFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").finish_non_exhaustive()
    }
}
