//! The command line.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
A small upload service, protected by service tokens, with the page on which people manage them.

    cargo run -p service-tokens-example -- [OPTIONS]

    --listen ADDRESS    where to listen; 127.0.0.1:3000 unless set. Port 0 takes a free one.
                        It speaks plain HTTP: before it listens anywhere but on loopback, put a
                        proxy with TLS in front.
    --folder FOLDER     where tokens and uploads are kept; `service-data` beside the program unless
                        set (with cargo that is in the target folder, and `cargo clean` removes it).
    --issue-manager     issue another manager token and print it: for whoever lost the first. Stop
                        the service, start it once with this, and revoke the lost one on the page.
    --help              this

The first start prints a manager token, with which one signs in on the page, and two curl lines to
try. Stop it with Ctrl-C or SIGTERM: running requests are finished, for 10 seconds at most.
";

/// What the person who starts the service asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) folder: PathBuf,
    pub(crate) issue_manager: bool,
}

/// Why nothing is started.
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
                            Stop::Usage("--listen needs an address such as 127.0.0.1:3000".into())
                        })?;
                }
                Some("--folder") => match args.next() {
                    // A variable that is not set, most likely.
                    Some(value) if !value.is_empty() => folder = Some(PathBuf::from(value)),
                    _ => return Err(Stop::Usage("--folder needs a folder".into())),
                },
                Some("--issue-manager") => issue_manager = true,
                Some("--help" | "-h") => return Err(Stop::Help),
                _ => return Err(Stop::Usage(format!("there is no option {}", arg.display()))),
            }
        }
        let folder = match folder {
            Some(folder) => folder,
            None => beside_the_program()?,
        };
        Ok(Self { listen, folder, issue_manager })
    }
}

fn beside_the_program() -> Result<PathBuf, Stop> {
    let program = std::env::current_exe().map_err(|error| {
        Stop::Usage(format!(
            "--folder is needed, since the program's own place is unknown: {error}"
        ))
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
            Self::Usage(mistake) => {
                let _ = writeln!(io::stderr(), "service: {mistake} (--help tells of all options)");
                ExitCode::from(2)
            }
        }
    }
}
