//! HTTP with the limits that a service on a network needs, and an end that cuts nobody off.
//!
//! HTTP/1.1 only: proxies that terminate TLS speak it to what is behind them, and it has one way to
//! be slow less. `axum::serve` would be shorter; it sets no timeouts.

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::middleware::map_response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// How long and how much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From the first moment of a connection, or the end of the request before, to the last byte of
    /// a head: who sends one byte at a time, or nothing, is cut off then.
    pub(crate) head: Duration,
    /// Between two pieces of a body.
    pub(crate) body_pause: Duration,
    /// For a whole request, its body included.
    pub(crate) request: Duration,
    /// The oldest that a connection gets, before it is asked to end: also the limit for who reads
    /// answers slowly or not at all.
    pub(crate) connection: Duration,
    /// For what still runs when the service is stopped.
    pub(crate) stopping: Duration,
    /// Connections at a time. Others wait in the operating system's queue.
    pub(crate) connections: u32,
    /// The largest head, in bytes.
    pub(crate) head_bytes: usize,
    /// The largest upload, in bytes. The package's own routers take far smaller bodies.
    pub(crate) upload_bytes: usize,
}

pub(crate) const LIMITS: Limits = Limits {
    head: Duration::from_secs(10),
    body_pause: Duration::from_secs(10),
    request: Duration::from_secs(300),
    connection: Duration::from_secs(900),
    stopping: Duration::from_secs(10),
    connections: 512,
    head_bytes: 32 << 10,
    upload_bytes: 64 << 20,
};

/// The router with limits on each request, and panics answered.
pub(crate) fn guarded(router: Router, limits: Limits) -> Router {
    router
        .layer(RequestBodyTimeoutLayer::new(limits.body_pause))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limits.request))
        .layer(map_response(after_timeout))
        // Last, and so around all of it.
        .layer(CatchPanicLayer::custom(after_panic))
}

/// A panic's message is for the log, where the panic has put it, and not for the client.
fn after_panic(_: Box<dyn Any + Send>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

/// The routers forbid to keep what they answer. This answer is given in their place.
async fn after_timeout(mut response: Response<Body>) -> Response<Body> {
    if response.status() == StatusCode::REQUEST_TIMEOUT {
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    }
    response
}

/// Serves until `stop` is done, then finishes the requests that run; whether it could in time.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> bool {
    let places = Arc::new(Semaphore::new(limits.connections as usize));
    let (running, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let (stream, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (router, stopped) = (router.clone(), stopped.clone());
        tokio::spawn(async move {
            connection(stream, router, limits, stopped).await;
            drop(place);
        });
    }
    // New connections are refused from here on, and the open ones learn of it.
    drop(listener);
    drop(running);
    // Each connection holds a place until it has ended: whoever gets all of them is alone.
    timeout(limits.stopping, places.acquire_many(limits.connections)).await.is_ok()
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // Nobody closes the semaphore, so there always is a place in the end.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                // Out of file descriptors, most likely. That passes, or the operator must act.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    tokio::select! {
        // Whatever ended it, the client knows already or is not there any more.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = sleep(limits.connection) => {}
    }
    // Finishes the request that runs and takes no other.
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.request, connection).await;
}
