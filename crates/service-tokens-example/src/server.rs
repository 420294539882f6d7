//! An HTTP server with the limits that a service on a network needs, and with graceful shutdown.
//!
//! It speaks HTTP/1.1 only. Proxies that terminate TLS use it towards their backends, and it gives slow
//! clients fewer ways to hold resources. `axum::serve` would be shorter, but it sets no timeouts.

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

/// The limits of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The maximum time until the last byte of a request head, from the start of the connection or the end
    /// of the previous request. A slower client is disconnected.
    pub(crate) head: Duration,
    /// The maximum pause between two pieces of a body.
    pub(crate) body_pause: Duration,
    /// The maximum time for a whole request with its body.
    pub(crate) request: Duration,
    /// The maximum age of a connection. It also limits clients that read answers slowly or not at all.
    pub(crate) connection: Duration,
    /// The maximum time for running requests at shutdown.
    pub(crate) stopping: Duration,
    /// The maximum number of connections. Others wait in the operating system's queue.
    pub(crate) connections: u32,
    /// The maximum size of a head, in bytes.
    pub(crate) head_bytes: usize,
    /// The maximum size of an upload, in bytes. The routers of the package have much smaller limits.
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

/// Adds the limits of each request to the router, and an answer to panics.
pub(crate) fn guarded(router: Router, limits: Limits) -> Router {
    router
        .layer(RequestBodyTimeoutLayer::new(limits.body_pause))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limits.request))
        .layer(map_response(after_timeout))
        // This layer is added last, so it is around all others.
        .layer(CatchPanicLayer::custom(after_panic))
}

/// Answers a panic with an empty 500. The message of the panic is in the log, not in the answer.
fn after_panic(_: Box<dyn Any + Send>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

/// Adds `Cache-Control: no-store` to the answer after a timeout, which replaces an answer that has it.
async fn after_timeout(mut response: Response<Body>) -> Response<Body> {
    if response.status() == StatusCode::REQUEST_TIMEOUT {
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    }
    response
}

/// Serves until `stop` completes, then finishes running requests. Returns whether they finished in time.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> bool {
    let permits = Arc::new(Semaphore::new(limits.connections as usize));
    let (running, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let (stream, permit) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let (router, stopped) = (router.clone(), stopped.clone());
        tokio::spawn(async move {
            connection(stream, router, limits, stopped).await;
            drop(permit);
        });
    }
    // From here on new connections are refused, and open ones shut down.
    drop(listener);
    drop(running);
    // Each connection holds a permit until it ends, so all permits are available when all have ended.
    timeout(limits.stopping, permits.acquire_many(limits.connections)).await.is_ok()
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so a permit always becomes available.
    let permit = permits.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                // Most likely the process has no free file descriptors. That may be temporary, or the
                // operator must act.
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
        // The connection ended, so the client already knows or is gone.
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = sleep(limits.connection) => {}
    }
    // This finishes the running request and accepts no further one.
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.request, connection).await;
}
