//! A small upload service that is protected by service tokens, with a page to manage them.
//!
//! Run it with `cargo run -p service-tokens-example`. `-- --help` lists its options.
//!
//! | file | contents |
//! | --- | --- |
//! | `main.rs` | the order of startup and shutdown |
//! | `tokens.rs` | the token types, the policy and the store |
//! | `app.rs` | the routes and their required scopes |
//! | `files.rs` | uploads and downloads |
//! | `server.rs` | timeouts, limits and graceful shutdown |
//! | `greeting.rs` | the text at startup |
//! | `options.rs` | the command-line options |

mod app;
mod files;
mod greeting;
mod options;
mod server;
mod tokens;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use options::Options;

/// The interval at which last uses are written to the file. After a kill a recorded last use is at most 70
/// seconds old, which is this interval and the service's resolution of a minute.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// The maximum time in which the log of events has to take the last ones at shutdown.
const EVENTS_WITHIN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    // Token events (target `service_tokens`) also go to this log. The service continues if the log's reader
    // goes away.
    tracing_subscriber::fmt().with_writer(io::stderr).log_internal_errors(false).init();
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(stop) => return stop.report(),
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut message = format!("service: {error}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                message = format!("{message}: {inner}");
                cause = inner.source();
            }
            if let Some(advice) = error.downcast_ref().and_then(tokens::advice) {
                message = format!("{message}\n{advice}");
            }
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    // The port comes first, because a service that cannot have it must not issue and print a token.
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("cannot listen on {} (see --listen): {error}", options.listen))?;
    let address = listener.local_addr()?;
    let folder = &options.folder;
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot create the folder {}: {error}", folder.display()))?;
    // Then the store, whose lock refuses a second process on the same folder.
    let service = Arc::new(tokens::open(&folder.join("tokens.journal"))?);
    let uploads = folder.join("uploads");
    let uploads = files::Uploads::open(&uploads)
        .map_err(|error| format!("cannot open the folder {}: {error}", uploads.display()))?;

    greeting::print(&service, address, &options).await?;

    let flushing = service.clone();
    // A flush that fails is logged as an event, and the next flush writes these uses too.
    let flusher = tokio::spawn(async move {
        flushing.flush_last_used_loop(|| tokio::time::sleep(FLUSH_EVERY)).await
    });

    let app = server::guarded(app::router(service.clone(), uploads)?, server::LIMITS);
    let stopped_in_time = server::serve(listener, app, server::LIMITS, stop_signal()).await;
    if !stopped_in_time {
        tracing::warn!("some requests did not finish in time and were aborted");
    }

    // This writes the uses since the last flush, delivers the events and closes the store.
    flusher.abort();
    let ended = service.shut_down(tokio::time::sleep(EVENTS_WITHIN)).await;
    if !ended.is_complete() {
        tracing::warn!("{ended}");
    }
    Ok(ended.last_used.map(drop)?)
}

/// Waits for SIGTERM from a supervisor or Ctrl-C from a person.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
