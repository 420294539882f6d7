//! A small upload service, protected by service tokens, with the page on which people manage them.
//!
//! `cargo run -p service-tokens-example`, and `-- --help` for its options.
//!
//! | file | |
//! | --- | --- |
//! | `main.rs` | the order of starting and stopping |
//! | `tokens.rs` | the types of tokens, the policy and the store |
//! | `app.rs` | which route needs which scope |
//! | `files.rs` | the uploads |
//! | `server.rs` | timeouts, limits, and stopping without cutting anybody off |
//! | `greeting.rs`, `options.rs` | what is printed, what can be asked for |

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

/// How often last uses are brought to the file. After a kill a token's last use is behind by less than
/// this and the service's step of a minute, 70 seconds in all.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    // Events of the tokens (`service_tokens`) come here too. A log that nobody reads any more is no
    // reason to stop.
    tracing_subscriber::fmt().with_writer(io::stderr).log_internal_errors(false).init();
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(stop) => return stop.report(),
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut told = format!("service: {error}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                told = format!("{told}: {inner}");
                cause = inner.source();
            }
            if let Some(way_on) = error.downcast_ref().and_then(tokens::way_on) {
                told = format!("{told}\n{way_on}");
            }
            let _ = writeln!(io::stderr(), "{told}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    // The port first: whoever cannot have it must not be shown a token and then stop.
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("listening on {} (see --listen): {error}", options.listen))?;
    let address = listener.local_addr()?;
    let folder = &options.folder;
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("creating the folder {}: {error}", folder.display()))?;
    // Then the store, whose lock tells a second process that the folder is another's.
    let service = Arc::new(tokens::open(&folder.join("tokens.journal"))?);
    let uploads = folder.join("uploads");
    let uploads = files::Uploads::open(&uploads)
        .map_err(|error| format!("opening the folder {}: {error}", uploads.display()))?;

    greeting::print(&service, address, &options).await?;

    let flushing = service.clone();
    let flusher = tokio::spawn(async move {
        let mut every = tokio::time::interval(FLUSH_EVERY);
        loop {
            every.tick().await;
            // A failure is an event in the log, and the uses are kept for the next time.
            let _ = flushing.flush_last_used().await;
        }
    });

    let app = server::guarded(app::router(service.clone(), uploads)?, server::LIMITS);
    let stopped_in_time = server::serve(listener, app, server::LIMITS, stop_asked()).await;
    if !stopped_in_time {
        tracing::warn!("some requests were not finished in time and are cut off");
    }

    // Whatever was noted by now.
    flusher.abort();
    service.flush_last_used().await?;
    if let Err(error) = service.flush_events(Duration::from_secs(5)) {
        tracing::warn!(%error);
    }
    service.store().close().await;
    Ok(())
}

/// Until somebody stops the service: SIGTERM from a supervisor, Ctrl-C from a person.
async fn stop_asked() {
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
