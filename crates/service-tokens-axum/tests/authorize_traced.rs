//! What is traced of a proxy's question. Alone in its file: the subscriber is the process's, because one
//! of a thread misses what another thread's test has met first.
#![cfg(feature = "standards")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use service_tokens_axum::standards;
use support::{send, serve, token};

/// Where what is traced is kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_segment_that_is_no_need_is_warned_of() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_writer(move || writer.clone()).init();
    let (service, _) = support::service();
    let developer = token(&service, "acme", "developer").await;
    let bearer = format!("Authorization: Bearer {developer}");
    let address = serve(standards::router(service)).await;
    assert_eq!(send(address, "GET", "/authorize/files:upload", &[&bearer], "").await.status, 204);
    assert!(!String::from_utf8_lossy(&log.0.lock().unwrap()).contains("WARN"));
    assert_eq!(send(address, "GET", "/authorize/files:*", &[&bearer], "").await.status, 403);
    let traced = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(traced.contains("WARN") && traced.contains("a need contains no wildcard"), "{traced}");
    assert!(!traced.contains(&developer));
}
