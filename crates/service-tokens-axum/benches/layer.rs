//! Measures the cost of a request behind the layer, compared with the same route without it.
//!
//! Run it with `cargo bench -p service-tokens-axum --bench layer`. `-- --short` runs only a few rounds as a
//! test.
//!
//! Both routes answer the same request with the same bytes. Each round measures both for a slice of time
//! in alternating order. The result is the median of the ratios of all rounds.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people at a terminal"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use service_tokens::{IssueRequest, MemoryStore, Requirement, TokenService, TokenType};
use service_tokens_axum::{Bearer, BearerLayer, RequireLayer};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tower::Service;
use tower::util::MapRequestLayer;

const BARE: &str = "/bare";

/// The paths that are compared with the bare one, and the layers around them.
const PATHS: [(&str, &str); 4] = [
    ("/identity", "a layer without effect"),
    ("/requirement", "layer with a requirement"),
    ("/require", "requirement on the route"),
    ("/extractor", "layer, extractor"),
];

async fn ok() -> &'static str {
    "ok"
}

/// Creates a router with all paths, and the header of a token that may use them.
async fn router() -> (Router, String) {
    let connector = TokenType::new("connector", ["files:upload"]).unwrap();
    let service = TokenService::builder(MemoryStore::new(), "acme_live").token_type(connector);
    let service = Arc::new(service.build().unwrap());
    let issued =
        service.owner("acme").issue(IssueRequest::new("connector", "backup")).await.unwrap();
    let token = issued.token.expose_secret();
    // In a service that flushes every few seconds, nearly every use follows an earlier recorded one.
    service.verify(token, &Requirement::any_token()).await.unwrap();
    service.flush_last_used().await.unwrap();

    let layer = BearerLayer::new(service);
    let upload = || Requirement::scope("files:upload").unwrap();
    let router = Router::new()
        .route("/require", get(ok).layer(RequireLayer::new(upload())))
        .route("/extractor", get(async |_: Bearer| "ok"))
        .layer(layer.clone())
        .merge(Router::new().route("/requirement", get(ok)).layer(layer.requirement(upload())))
        .merge(
            Router::new()
                .route("/identity", get(ok))
                .layer(MapRequestLayer::new(|r: Request<Body>| r)),
        )
        .route(BARE, get(ok));
    // A server does this once. Otherwise each request would build its route again.
    (router.with_state(()), format!("Bearer {token}"))
}

/// A function that sends a number of requests to one of the paths.
type Sender<'w> = Box<dyn FnMut(&str, usize) + 'w>;

/// Sends each request on one connection over loopback, after the answer to the previous one.
fn connection(runtime: &Runtime) -> Sender<'static> {
    let (router, bearer) = runtime.block_on(router());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(listener, router).await });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4_096];
    Box::new(move |path, times| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\nAuthorization: {bearer}\r\n\r\n"
        );
        for _ in 0..times {
            stream.write_all(request.as_bytes()).unwrap();
            let mut read = 0;
            while !buffer[..read].ends_with(b"\r\n\r\nok") {
                read += match stream.read(&mut buffer[read..]).unwrap() {
                    0 => panic!("the connection was closed"),
                    some => some,
                };
            }
            assert!(buffer.starts_with(b"HTTP/1.1 200 "));
        }
    })
}

/// Calls the router in this process.
fn in_process(runtime: &Runtime) -> Sender<'_> {
    let (mut router, bearer) = runtime.block_on(router());
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("localhost"));
    headers.insert("accept", HeaderValue::from_static("*/*"));
    headers.insert("authorization", HeaderValue::try_from(bearer).unwrap());
    Box::new(move |path, times| {
        let uri = Uri::try_from(path).unwrap();
        runtime.block_on(async {
            for _ in 0..times {
                let mut request = Request::new(Body::empty());
                *request.uri_mut() = uri.clone();
                *request.headers_mut() = headers.clone();
                let response = Service::<Request<Body>>::call(&mut router, request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
            }
        });
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compare(title: &str, send: &mut Sender<'_>, rounds: usize, slice: Duration) {
    let mut time = |path: &str, times: usize| {
        let started = Instant::now();
        send(path, times);
        started.elapsed().as_secs_f64() / times as f64
    };
    let times = (slice.as_secs_f64() / time(BARE, 500)).ceil() as usize;
    println!("{title}");
    for (path, name) in PATHS {
        let (mut bare, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            // The order alternates, because the second measurement finds warm caches.
            let (b, w) = if round % 2 == 0 {
                let b = time(BARE, times);
                (b, time(path, times))
            } else {
                let w = time(path, times);
                (time(BARE, times), w)
            };
            bare.push(b);
            with.push(w);
            ratios.push(w / b);
        }
        let (bare, with, ratio) = (median(bare), median(with), median(ratios));
        let (bare, with) = (bare * 1e6, with * 1e6);
        println!("  {name:<26} {with:>7.2} µs, bare {bare:>7.2} µs, ratio {ratio:.3}");
    }
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with `cargo bench -p service-tokens-axum --bench layer`");
        return;
    }
    let short = std::env::args().any(|argument| argument == "--short");
    let (rounds, slice) = match short {
        true => (5, Duration::from_millis(5)),
        false => (301, Duration::from_millis(20)),
    };
    let server = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    compare("HTTP/1.1 over loopback, one connection", &mut connection(&server), rounds, slice);
    let here = Builder::new_current_thread().build().unwrap();
    compare("called in process", &mut in_process(&here), rounds, slice);
}
