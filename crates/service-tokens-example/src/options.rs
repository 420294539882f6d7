//! The command-line options.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
A small upload service that is protected by service tokens, with a page to manage them.

    cargo run -p service-tokens-example -- [OPTIONS]

    --listen ADDRESS    The address to listen on. The default is 127.0.0.1:3000. Port 0 selects a
                        free port. The service speaks plain HTTP, so put a proxy with TLS in
                        front before you use any address other than loopback.
    --folder FOLDER     The folder for tokens and uploads. The default is `service-data` next to
                        the program. With cargo that is the target folder, and `cargo clean`
                        removes it.
    --issue-manager     Issues and prints another manager token, if the first one is lost. Stop
                        the service, start it once with this option, and revoke the lost token
                        on the page.
    --help              Prints this help.

The first start prints a manager token for the sign-in on the page, and two curl commands to try.
Stop the service with Ctrl-C or SIGTERM. It then finishes running requests for at most 10 seconds.
";

/// The options of one run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) folder: PathBuf,
    pub(crate) issue_manager: bool,
}

/// The reason why the service does not start.
#[derive(Debug)]
pub(crate) enum Stop {
    Help,
    Usage(String),
}

impl Options {
    pub(crate) fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Self, Stop> {
        let mut listen = SocketAddr::from(([127, 0, 0, 1], 3000));
        let (mut folder, mut issue_manager) = (None, false);
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--listen") => {
                    let value = args.next().unwrap_or_default();
                    listen =
                        value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
                            Stop::Usage(
                                "--listen requires an address such as 127.0.0.1:3000".into(),
                            )
                        })?;
                }
                Some("--folder") => match args.next() {
                    // An empty value is probably an unset shell variable.
                    Some(value) if !value.is_empty() => folder = Some(PathBuf::from(value)),
                    _ => return Err(Stop::Usage("--folder requires a folder".into())),
                },
                Some("--issue-manager") => issue_manager = true,
                Some("--help" | "-h") => return Err(Stop::Help),
                _ => return Err(Stop::Usage(format!("unknown option {}", arg.display()))),
            }
        }
        let folder = match folder {
            Some(folder) => folder,
            None => next_to_program()?,
        };
        Ok(Self { listen, folder, issue_manager })
    }
}

fn next_to_program() -> Result<PathBuf, Stop> {
    let program = std::env::current_exe().map_err(|error| {
        Stop::Usage(format!("--folder is required because the program's path is unknown: {error}"))
    })?;
    Ok(program.with_file_name("service-data"))
}

impl Stop {
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Help => {
                let _ = io::stdout().write_all(HELP.as_bytes());
                ExitCode::SUCCESS
            }
            Self::Usage(message) => {
                let _ = writeln!(io::stderr(), "service: {message} (--help lists all options)");
                ExitCode::from(2)
            }
        }
    }
}
